#include "godwit/catalog/accounts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "godwit/db/privileges.h"
#include "godwit/sql/quote.h"
#include "godwit/util/text.h"
#include "lexer.h"

namespace godwit::catalog {
namespace {

constexpr std::string_view kNative = "mysql_native_password";

// --- reading what the server printed --------------------------------------------------------------------------------

std::string name_in(const Token& token) {
  if (token.kind == TokenKind::identifier) return unquoted(token);
  if (token.kind != TokenKind::string) return token.text;
  std::string name;
  for (std::size_t i = 1; i + 1 < token.text.size(); ++i) {
    if (token.text[i] == '\\' || token.text[i] == '\'') ++i;
    name.push_back(token.text[i]);
  }
  return name;
}

class Reader {
 public:
  explicit Reader(const std::string& sql) : tokens_(tokenize(sql)) {}
  bool at_end() const { return at_ >= tokens_.size(); }
  const Token& now() const { return tokens_[at_]; }
  bool sees(std::string_view word) const { return !at_end() && now().is(word); }
  bool take(std::string_view word) {
    if (!sees(word)) return false;
    ++at_;
    return true;
  }
  const Token* next() { return at_end() ? nullptr : &tokens_[at_++]; }
  std::string name() {
    const Token* token = next();
    return token == nullptr ? "" : name_in(*token);
  }
  AccountName account() {
    AccountName account{.user = name()};
    if (take("@")) account.host = name();
    return account;
  }
  // Tokens up to one of these words, outside parentheses.
  template <typename Ends>
  Tokens until(Ends ends) {
    Tokens taken;
    int depth = 0;
    while (!at_end() && (depth > 0 || !ends(now(), taken))) {
      depth += now().is("(") ? 1 : now().is(")") ? -1 : 0;
      taken.push_back(now());
      ++at_;
    }
    return taken;
  }

 private:
  Tokens tokens_;
  std::size_t at_ = 0;
};

struct Method {
  std::string plugin;
  std::string hash;  // as a literal; empty: none
};

struct Created {
  std::vector<Method> methods;
  bool has_factors = false;          // MySQL's second and third
  std::string auth;                  // the clause as printed
  std::vector<std::string> clauses;  // REQUIRE …, WITH …, ACCOUNT …, PASSWORD …
  std::vector<AccountName> default_roles;
};

bool begins_clause(const Token& token, const Tokens& before) {
  constexpr std::array<std::string_view, 9> kFirst{
      "REQUIRE", "WITH", "ACCOUNT", "PASSWORD", "FAILED_LOGIN_ATTEMPTS", "PASSWORD_LOCK_TIME", "ATTRIBUTE", "COMMENT", "DEFAULT"};
  const bool is_first = std::any_of(kFirst.begin(), kFirst.end(), [&](std::string_view word) { return token.is(word); });
  if (!is_first || before.empty()) return false;
  const Token& last = before.back();
  if (token.is("REQUIRE")) return !last.is("PASSWORD");
  if (token.is("PASSWORD")) return !last.is("BY");  // IDENTIFIED BY PASSWORD '…'
  if (token.is("WITH")) return !last.is("IDENTIFIED");
  if (token.is("DEFAULT")) return !before.front().is("PASSWORD") && !before.front().is("PASSWORD_LOCK_TIME");
  return true;
}

std::vector<Method> methods_of(const std::string& auth, bool& has_factors) {
  std::vector<Method> methods;
  Reader in(auth);
  while (!in.at_end()) {
    if (in.take("AND")) has_factors = true;
    in.take("OR");
    in.take("IDENTIFIED");
    Method method;
    if (in.take("BY")) {
      in.take("PASSWORD");
      method.plugin = kNative;
      if (const Token* hash = in.next()) method.hash = hash->text;
    } else {
      if (!in.take("VIA")) in.take("WITH");
      method.plugin = in.name();
      if ((in.take("USING") || in.take("AS")) && !in.at_end()) method.hash = in.next()->text;
    }
    methods.push_back(std::move(method));
  }
  return methods;
}

std::vector<AccountName> roles_in(const std::string& list) {
  std::vector<AccountName> roles;
  Reader in(list);
  while (!in.at_end()) {
    AccountName role = in.account();
    role.is_role = true;
    roles.push_back(std::move(role));
    if (!in.take(",")) break;
  }
  return roles;
}

Created read_created(const std::string& sql) {
  Created created;
  Reader in(sql);
  in.take("CREATE");
  in.take("USER");
  in.account();
  while (!in.at_end()) {
    const std::string clause(trim(to_sql(in.until(begins_clause))));
    constexpr std::string_view kDefaultRole = "DEFAULT ROLE ";
    if (clause.starts_with("IDENTIFIED")) {
      created.auth = clause;
      created.methods = methods_of(clause, created.has_factors);
    } else if (clause.starts_with(kDefaultRole)) {
      created.default_roles = roles_in(clause.substr(kDefaultRole.size()));
    } else {
      created.clauses.push_back(clause);
    }
  }
  return created;
}

struct Grant {
  std::vector<std::string> privileges;  // "SELECT", "INSERT (`a`, `b`)"
  std::string kind;                     // "PROCEDURE", "FUNCTION" …; empty for a table
  std::string schema;                   // a pattern; "*" for global
  std::string object;                   // "*": the whole schema
  AccountName grantee;
  bool is_grantable = false;
};

std::vector<std::string> split_list(const Tokens& tokens) {
  std::vector<std::string> items;
  Tokens item;
  int depth = 0;
  for (const auto& token : tokens) {
    depth += token.is("(") ? 1 : token.is(")") ? -1 : 0;
    if (depth > 0 || !token.is(",")) {
      item.push_back(token);
      continue;
    }
    items.emplace_back(trim(to_sql(item)));
    item.clear();
  }
  if (!item.empty()) items.emplace_back(trim(to_sql(item)));
  return items;
}

// After "GRANT privileges ON".
Grant read_grant(Reader& in, const Tokens& privileges) {
  Grant grant{.privileges = split_list(privileges)};
  for (const char* kind : {"TABLE", "PROCEDURE", "FUNCTION", "PACKAGE", "BODY"}) {
    if (in.take(kind) && std::string_view(kind) != "TABLE") grant.kind += (grant.kind.empty() ? "" : " ") + std::string(kind);
  }
  grant.schema = in.name();
  if (in.take(".")) grant.object = in.name();
  in.take("TO");
  grant.grantee = in.account();
  while (!in.at_end()) grant.is_grantable = (in.take("GRANT") && in.take("OPTION")) || (in.next(), grant.is_grantable);
  return grant;
}

// --- what the target takes ------------------------------------------------------------------------------------------

// One privilege under the names of both flavours, or one that the other splits.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kCounterparts{{
    {"BINLOG MONITOR", "REPLICATION CLIENT"},
    {"SLAVE MONITOR", "REPLICATION CLIENT"},
    {"BINLOG ADMIN", "BINLOG_ADMIN"},
    {"BINLOG REPLAY", "REPLICATION_APPLIER"},
    {"CONNECTION ADMIN", "CONNECTION_ADMIN"},
    {"REPLICATION SLAVE ADMIN", "REPLICATION_SLAVE_ADMIN"},
    {"SET USER", "SET_ANY_DEFINER"},
    {"SHOW CREATE ROUTINE", "SHOW_ROUTINE"},
    {"SET_USER_ID", "SET_ANY_DEFINER"},
}};

std::vector<std::string> target_names(const std::string& privilege, const AccountOptions& options) {
  const std::string bare(trim(privilege.substr(0, privilege.find('('))));
  const auto knows = [&](std::string_view name) { return options.target_privileges.count(std::string(name)) != 0; };
  if (bare == "ALL PRIVILEGES" || bare == "ALL" || knows(bare)) return {privilege};
  std::vector<std::string> names;
  for (const auto& [one, other] : kCounterparts) {
    if (one == bare && knows(other)) names.emplace_back(other);
    if (other == bare && knows(one)) names.emplace_back(one);
  }
  return names;
}

bool is_pattern(std::string_view name) {
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '\\') {
      ++i;
    } else if (name[i] == '%' || name[i] == '_') {
      return true;
    }
  }
  return false;
}

std::string escaped_pattern(const std::string& name) {
  std::string pattern;
  for (const char c : name) {
    if (c == '_' || c == '%' || c == '\\') pattern.push_back('\\');
    pattern.push_back(c);
  }
  return pattern;
}

class Planner {
 public:
  Planner(const Account& account, const AccountOptions& options) : account_(account), options_(options) {
    plan_.name = target_name(account.name);
  }

  AccountPlan plan() {
    if (account_.name.is_role) {
      plan_.create_sql = "CREATE ROLE " + grantee();
    } else {
      const Created created = read_created(account_.create_sql);
      create_user(created);
      default_roles_ = created.default_roles;
    }
    for (const auto& line : account_.grants) carry(line);
    set_default_roles();
    return std::move(plan_);
  }

 private:
  bool is_same_flavour() const { return options_.source.flavour == options_.target.flavour; }
  std::string grantee() const { return to_string(plan_.name); }

  // Roles have a host in MySQL, none in MariaDB.
  AccountName target_name(AccountName name) const {
    if (!name.is_role || is_same_flavour()) return name;
    name.host = options_.target.is_mariadb() ? "" : "%";
    return name;
  }

  void create_user(const Created& created) {
    std::vector<std::string> parts{"CREATE USER " + grantee()};
    const std::string auth = authentication(created);
    if (!auth.empty()) parts.push_back(auth);
    for (const auto& clause : created.clauses) {
      const std::string kept = is_same_flavour() ? clause : clause_for_other(clause);
      if (!kept.empty()) parts.push_back(kept);
    }
    plan_.create_sql = join(parts, " ");
  }

  std::string authentication(const Created& created) {
    for (const auto& method : created.methods) {
      if (method.hash.size() > 2) plan_.secrets.push_back(method.hash);
    }
    const bool has_no_password = created.methods.size() <= 1 && (created.methods.empty() || created.methods[0].hash.size() <= 2);
    const auto is_active = [&](const Method& method) { return options_.target_plugins.count(method.plugin) != 0; };
    const bool are_active = std::all_of(created.methods.begin(), created.methods.end(), is_active);
    if (is_same_flavour() && are_active) return created.auth;
    const bool is_native = created.methods.size() == 1 && created.methods[0].plugin == kNative && !has_no_password;
    if (is_native && are_active && !created.has_factors) {
      const std::string& hash = created.methods[0].hash;
      return options_.target.is_mariadb() ? fmt::format("IDENTIFIED VIA {} USING {}", kNative, hash) : fmt::format("IDENTIFIED WITH '{}' AS {}", kNative, hash);
    }
    const bool takes_passwords = created.methods.empty() || created.methods[0].plugin == kNative || created.methods[0].plugin == "caching_sha2_password";
    if (has_no_password && takes_passwords) return "IDENTIFIED BY ''";
    return placeholder(created);
  }

  std::string placeholder(const Created& created) {
    std::vector<std::string> plugins;
    for (const auto& method : created.methods) plugins.push_back(method.plugin);
    plan_.needs_password = true;
    plan_.why = fmt::format("the target cannot take a password kept by {}", join(plugins, ", "));
    plan_.secrets.clear();
    return fmt::format("IDENTIFIED BY {}", sql::quote_string(fmt::format("<password of {}>", account_.name.user)));
  }

  std::string clause_for_other(const std::string& clause) {
    if (clause.starts_with("REQUIRE")) return clause == "REQUIRE NONE" ? "" : clause;
    if (clause.starts_with("ACCOUNT")) return clause == "ACCOUNT UNLOCK" ? "" : clause;
    if (clause.starts_with("WITH")) return limits_for_other(clause);
    const bool is_default = clause.ends_with(" DEFAULT");
    if (clause.starts_with("PASSWORD EXPIRE")) return is_default ? "" : clause;
    if (!is_default) plan_.left_out.push_back(clause);
    return "";
  }

  std::string limits_for_other(const std::string& clause) {
    std::vector<std::string> kept;
    const auto words = split(clause.substr(5), ' ');
    for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
      const std::string limit = words[i] + " " + words[i + 1];
      const bool is_shared = words[i] == "MAX_USER_CONNECTIONS" || words[i].ends_with("_PER_HOUR");
      (is_shared ? kept : plan_.left_out).push_back(limit);
    }
    return kept.empty() ? "" : "WITH " + join(kept, " ");
  }

  void carry(const std::string& line) {
    Reader in(line);
    if (in.take("SET")) {  // MariaDB: SET DEFAULT ROLE `r` FOR `u`@`h`
      in.take("DEFAULT");
      in.take("ROLE");
      default_roles_.push_back({.user = in.name(), .is_role = true});
      return;
    }
    if (!in.take("GRANT") || in.sees("PROXY")) {
      plan_.left_out.push_back(line);
      return;
    }
    const Tokens first = in.until([](const Token& token, const Tokens&) { return token.is("ON") || token.is("TO"); });
    if (in.take("TO")) {
      carry_roles(to_sql(first), in);
    } else {
      in.take("ON");
      const Grant grant = read_grant(in, first);
      if (grant.grantee.user == account_.name.user && grant.grantee.host == account_.name.host) carry(grant);
    }
  }

  void carry_roles(const std::string& list, Reader& in) {
    const AccountName grantee_here = in.account();
    if (grantee_here.user != account_.name.user || grantee_here.host != account_.name.host) return;
    bool has_admin_option = false;
    while (!in.at_end()) has_admin_option = in.take("ADMIN") || (in.next(), has_admin_option);
    for (const auto& role : roles_in(list)) {
      plan_.roles.push_back(role);
      plan_.statements.push_back(fmt::format("GRANT {} TO {}{}", to_string(target_name(role)), grantee(), has_admin_option ? " WITH ADMIN OPTION" : ""));
    }
  }

  void carry(const Grant& grant) {
    std::vector<std::string> privileges;
    for (const auto& privilege : grant.privileges) {
      if (privilege == "USAGE") continue;
      const auto names = target_names(privilege, options_);
      if (names.empty()) plan_.left_out.push_back(fmt::format("{} ON {}: the target has no such privilege", privilege, shown_object(grant)));
      for (const auto& name : names) {
        if (std::find(privileges.begin(), privileges.end(), name) == privileges.end()) privileges.push_back(name);
      }
    }
    if (privileges.empty() && !grant.is_grantable) return;
    if (privileges.empty()) privileges.emplace_back("USAGE");
    const auto objects = target_objects_of(grant);
    if (objects.empty()) plan_.left_out.push_back(fmt::format("{} ON {}: it is not copied", join(grant.privileges, ", "), shown_object(grant)));
    for (const auto& object : objects) {
      plan_.statements.push_back(fmt::format("GRANT {} ON {}{} TO {}{}", join(privileges, ", "), grant.kind.empty() ? "" : grant.kind + " ", object, grantee(), grant.is_grantable ? " WITH GRANT OPTION" : ""));
    }
  }

  static std::string shown_object(const Grant& grant) {
    const std::string object = grant.object == "*" ? "*" : sql::quote_identifier(grant.object);
    return (grant.schema == "*" ? "*" : sql::quote_identifier(grant.schema)) + "." + object;
  }

  std::vector<std::string> target_objects_of(const Grant& grant) const {
    if (grant.schema == "*") return {"*.*"};
    if (grant.object == "*") return whole_schemas(grant.schema);
    if (options_.schemas.count(grant.schema) == 0 || options_.left_tables.count({grant.schema, grant.object}) != 0) return {};
    if (!grant.kind.empty()) return {sql::quote_table(options_.names.schema(grant.schema), grant.object)};
    const auto [schema, table] = options_.names.table(grant.schema, grant.object);
    return {sql::quote_table(schema, table)};
  }

  // A pattern stays one as long as no schema that it covers goes by another name on the target.
  std::vector<std::string> whole_schemas(const std::string& pattern) const {
    std::vector<std::string> objects;
    bool keeps_names = true;
    for (const auto& schema : options_.schemas) {
      if (!db::matches_grant(pattern, schema)) continue;
      const std::string target = options_.names.schema(schema);
      keeps_names = keeps_names && target == schema;
      objects.push_back(sql::quote_identifier(escaped_pattern(target)) + ".*");
    }
    if (objects.empty()) return {};
    return keeps_names && is_pattern(pattern) ? std::vector<std::string>{sql::quote_identifier(pattern) + ".*"} : objects;
  }

  void set_default_roles() {
    if (default_roles_.empty()) return;
    if (options_.target.is_mariadb()) {
      if (default_roles_.size() > 1) plan_.left_out.push_back("more than one default role");
      plan_.statements.push_back(fmt::format("SET DEFAULT ROLE {} FOR {}", to_string(target_name(default_roles_[0])), grantee()));
      return;
    }
    std::vector<std::string> names;
    for (const auto& role : default_roles_) names.push_back(to_string(target_name(role)));
    plan_.statements.push_back(fmt::format("SET DEFAULT ROLE {} TO {}", join(names, ", "), grantee()));
  }

  const Account& account_;
  const AccountOptions& options_;
  AccountPlan plan_;
  std::vector<AccountName> default_roles_;
};

}  // namespace

std::string AccountPlan::shown(std::string text) const {
  for (const auto& secret : secrets) {
    for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) text.replace(at, secret.size(), "'<hash>'");
  }
  return text;
}

AccountPlan plan_account(const Account& account, const AccountOptions& options) { return Planner(account, options).plan(); }

}  // namespace godwit::catalog
