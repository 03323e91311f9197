// What a switch will need, looked at while there is time: whether each side can be fenced, and by whom it would be passed; and whether the target can
// be followed back. All of it warnings: a copy needs none of it.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "context.h"
#include "godwit/catalog/accounts.h"
#include "godwit/sql/quote.h"
#include "godwit/util/text.h"

namespace godwit::check {
namespace {

constexpr std::size_t kNamesShownMax = 8;

// From MariaDB 10.11 on SUPER does not imply it.
bool is_super_enough(const ServerView& server) { return !server.is_mariadb() || server.connection.server().version < db::Version{10, 11, 0}; }

std::string passing_privileges(const ServerView& server) {
  std::vector<std::string> names{server.is_mariadb() ? "'READ_ONLY ADMIN', 'READ ONLY ADMIN'" : "'CONNECTION_ADMIN'"};
  if (is_super_enough(server)) names.emplace_back("'SUPER'");
  return join(names, ", ");
}

// 'app'@'%' as the servers' grant tables name it; a role of MariaDB has no host.
std::string grantee(const std::string& user, const std::string& host) { return fmt::format("'{}'@'{}'", user, host); }

void add_from(const ServerView& server, const std::string& query, std::set<std::string>& all) {
  try {
    const db::Rows rows = server.connection.query(query);
    for (std::size_t i = 0; i < rows.size(); ++i) all.insert(grantee(rows.text(i, "u"), rows.text(i, "h")));
  } catch (const Error& error) {
    if (error.is_retryable()) throw;  // a table that the account may not read
  }
}

// Whoever has one of these privileges. Without SELECT on `mysql` the server shows only one's own. MariaDB shows no roles there: they are bits.
std::set<std::string> holders(const ServerView& server) {
  std::set<std::string> result;
  const db::Rows rows = server.connection.query(fmt::format("SELECT DISTINCT GRANTEE AS g FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN ({})", passing_privileges(server)));
  for (std::size_t i = 0; i < rows.size(); ++i) result.insert(rows.text(i, "g"));
  constexpr std::uint64_t kReadOnlyAdmin = 1ULL << 33;
  constexpr std::uint64_t kSuper = 1ULL << 15;
  if (server.is_mariadb()) {
    const std::uint64_t bits = kReadOnlyAdmin | (is_super_enough(server) ? kSuper : 0);
    add_from(server, fmt::format("SELECT User AS u, '' AS h FROM mysql.global_priv WHERE JSON_VALUE(Priv, '$.is_role') = 1 AND CAST(JSON_VALUE(Priv, '$.access') AS UNSIGNED) & {} <> 0", bits), result);
  }
  if (is_super_enough(server)) add_from(server, "SELECT User AS u, Host AS h FROM mysql.user WHERE Super_priv = 'Y'", result);
  return result;
}

// To roles that hold it, those they are granted to, until there are no more.
void add_members(const ServerView& server, std::set<std::string>& all) {
  const char* edges = server.is_mariadb() ? "SELECT CONCAT(\"'\", Role, \"'@''\") AS role, CONCAT(\"'\", User, \"'@'\", Host, \"'\") AS member FROM mysql.roles_mapping"
                                          : "SELECT CONCAT(\"'\", FROM_USER, \"'@'\", FROM_HOST, \"'\") AS role, CONCAT(\"'\", TO_USER, \"'@'\", TO_HOST, \"'\") AS member FROM mysql.role_edges";
  try {
    const db::Rows rows = server.connection.query(edges);
    for (std::size_t before = 0; before != all.size();) {
      before = all.size();
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (all.count(rows.text(i, "role")) != 0) all.insert(rows.text(i, "member"));
      }
    }
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
  }
}

bool is_person(const std::string& name, const ServerView& server) {
  const auto end = name.find("'@'");
  if (name == server.privileges.account() || end == std::string::npos || name.ends_with("@''")) return false;
  return !catalog::is_system_account(name.substr(1, end - 1));
}

Finding bypass_of(const ServerView& server) {
  auto all = holders(server);
  add_members(server, all);
  std::vector<std::string> names;
  std::copy_if(all.begin(), all.end(), std::back_inserter(names), [&](const std::string& name) { return is_person(name, server); });
  if (names.empty()) return ok(fmt::format("{}: no account besides root and godwit's own, as far as it may see", server.name()));
  const std::size_t count = names.size();
  if (count > kNamesShownMax) names.resize(kNamesShownMax);
  const std::string shown = join(names, ", ") + (count > kNamesShownMax ? fmt::format(" and {} more", count - kNamesShownMax) : "");
  return warning(Code::fence_bypassed,
                 server.name(),
                 fmt::format("{} could write there in spite of read_only: what they write to the side that does not serve is lost or conflicts", shown),
                 fmt::format("REVOKE {} ON *.* FROM each that an application uses, or fence by --fence triggers", server.is_mariadb() ? "READ_ONLY ADMIN, SUPER" : "CONNECTION_ADMIN, SUPER"));
}

Findings fence_bypass(const Context& c) { return {bypass_of(c.source), bypass_of(c.target)}; }

bool has_any(const ServerView& server, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return server.privileges.has_global(name); });
}

std::vector<std::string> lacks_for_read_only(const ServerView& server) {
  std::vector<std::string> missing;
  if (!passes_read_only(server)) missing.emplace_back(server.is_mariadb() ? "READ_ONLY ADMIN" : "CONNECTION_ADMIN");
  if (server.is_mariadb()) return missing;
  if (!has_any(server, {"SUPER", "SYSTEM_VARIABLES_ADMIN"})) missing.emplace_back("SYSTEM_VARIABLES_ADMIN");
  if (!has_any(server, {"XA_RECOVER_ADMIN"})) missing.emplace_back("XA_RECOVER_ADMIN");
  return missing;
}

// Guards are created out of the binlog's sight, and by whom the server trusts with triggers.
std::vector<std::string> lacks_for_triggers(const ServerView& server) {
  std::vector<std::string> missing;
  if (server.is_mariadb() && !has_any(server, {"SUPER", "BINLOG ADMIN"})) missing.emplace_back("BINLOG ADMIN");
  if (!server.is_mariadb() && !has_any(server, {"SUPER", "SYSTEM_VARIABLES_ADMIN", "SESSION_VARIABLES_ADMIN"})) missing.emplace_back("SESSION_VARIABLES_ADMIN");
  const bool is_trusted = !server.is_on("log_bin") || server.is_on("log_bin_trust_function_creators") || has_any(server, {"SUPER"});
  if (!is_trusted) missing.emplace_back("SUPER (or SET GLOBAL log_bin_trust_function_creators = ON)");
  return missing;
}

Finding fence_of(const ServerView& server) {
  const auto missing = lacks_for_read_only(server);
  const auto& account = server.privileges.account();
  if (missing.empty()) return ok(fmt::format("{}: {} may make it read-only, and passes", server.name(), account));
  const auto more = lacks_for_triggers(server);
  const std::string instead = more.empty() ? "guard triggers (--fence triggers) can be used there" : fmt::format("nor guard triggers, without {}", join(more, ", "));
  return warning(Code::fence_unavailable,
                 server.name(),
                 fmt::format("{} lacks {}: a switch could not fence it by read_only; {}", account, join(missing, ", "), instead),
                 fmt::format("GRANT {} ON *.* TO {}", join(missing, ", "), account));
}

// An XA transaction can be committed in spite of read_only: a fence is final only when none is open.
Findings xa_of(const ServerView& server) {
  const auto& held = server.privileges;
  if (server.is_mariadb() || held.has_on_schema("SELECT", "performance_schema")) return {};
  return {warning(Code::fence_unavailable,
                  server.name(),
                  fmt::format("{} may not read performance_schema, which shows open XA transactions: a switch could not fence it by read_only", held.account()),
                  fmt::format("GRANT SELECT ON performance_schema.* TO {}", held.account()))};
}

Findings fence_privileges(const Context& c) {
  Findings findings;
  for (const auto* server : {&c.source, &c.target}) {
    findings.push_back(fence_of(*server));
    for (auto& finding : xa_of(*server)) findings.push_back(std::move(finding));
  }
  return findings;
}

Finding no_way_back(const Context& c, std::string cause, std::string remedy) {
  return warning(Code::no_way_back, c.target.name(), std::move(cause) + ": after a switch the source could not follow it", std::move(remedy));
}

// What the source's own checks ask of it before it is followed, asked of the target.
Findings reverse_stream(const Context& c) {
  if (!c.target.is_on("log_bin")) return {ok("not looked at: target_binlog says why there is no way back")};
  Findings findings;
  const std::string format = c.target.variable("binlog_format");
  if (!format.empty() && format != "ROW") findings.push_back(no_way_back(c, "binlog_format is " + format, "SET GLOBAL binlog_format = 'ROW' before the switch"));
  const std::string image = c.target.variable("binlog_row_image");
  if (!image.starts_with("FULL")) findings.push_back(no_way_back(c, "binlog_row_image is " + image, "SET GLOBAL binlog_row_image = 'FULL' before the switch"));
  if (!c.target.is_mariadb() && c.target.variable("gtid_mode") != "ON") {
    findings.push_back(no_way_back(c, "gtid_mode is " + c.target.variable("gtid_mode"), "SET GLOBAL gtid_mode step by step to ON (OFF_PERMISSIVE, ON_PERMISSIVE, ON), with enforce_gtid_consistency = ON"));
  }
  const char* monitor = c.target.is_mariadb() ? "BINLOG MONITOR" : "REPLICATION CLIENT";
  for (const auto& [name, is_held] : {std::pair<const char*, bool>("REPLICATION SLAVE", has_any(c.target, {"REPLICATION SLAVE"})),
                                      std::pair<const char*, bool>(monitor, has_any(c.target, {"BINLOG MONITOR", "REPLICATION CLIENT", "SUPER"}))}) {
    if (!is_held) findings.push_back(no_way_back(c, fmt::format("{} lacks {}", c.target.privileges.account(), name), fmt::format("GRANT {} ON *.* TO {}", name, c.target.privileges.account())));
  }
  if (findings.empty()) findings.push_back(ok("rows, whole, with GTIDs, and the account may read them"));
  return findings;
}

// It writes what the applications have written to the target since.
Findings reverse_privileges(const Context& c) {
  Findings findings;
  const auto& held = c.source.privileges;
  std::vector<std::string> schemas{"_godwit"};
  for (const auto& [schema, unused] : c.catalog.schemas) schemas.push_back(schema);
  for (const auto& schema : schemas) {
    std::vector<std::string> missing;
    for (const char* needed : {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "TRIGGER", "EVENT"}) {
      if (!held.has_on_schema(needed, schema)) missing.emplace_back(needed);
    }
    if (missing.empty()) continue;
    findings.push_back(warning(Code::no_way_back, c.source.name(), fmt::format("{} lacks {} on {}: a switch, and the stream back, write there", held.account(), join(missing, ", "), schema), fmt::format("GRANT {} ON {}.* TO {}", join(missing, ", "), sql::quote_identifier(schema), held.account())));
  }
  if (findings.empty()) findings.push_back(ok(held.account() + " may write to the source"));
  return findings;
}

}  // namespace

bool passes_read_only(const ServerView& server) {
  const auto& held = server.privileges;
  const bool is_named = server.is_mariadb() ? held.has_global("READ_ONLY ADMIN") || held.has_global("READ ONLY ADMIN") : held.has_global("CONNECTION_ADMIN");
  return is_named || (is_super_enough(server) && held.has_global("SUPER"));
}

std::vector<Check> switch_checks() {
  return {
      {"fence_privileges", "the accounts may make either side read-only, for a switch", fence_privileges, Scope::target},
      {"fence_bypass", "no account would write to a side that is read-only", fence_bypass, Scope::target},
      {"reverse_stream", "the target's binlog can be followed, for the way back", reverse_stream, Scope::target},
      {"reverse_privileges", "the account may write to the source, for the way back", reverse_privileges, Scope::target},
  };
}

}  // namespace godwit::check
