#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "context.h"
#include "godwit/catalog/accounts.h"
#include "godwit/sql/quote.h"
#include "godwit/util/text.h"
#include "unique_values.h"

namespace godwit::check {
namespace {

std::string name_of(const catalog::Table& table) { return sql::quote_table(table.schema, table.name); }

Verdict verdict_of(catalog::Severity severity) {
  switch (severity) {
    case catalog::Severity::note:
      return Verdict::ok;
    case catalog::Severity::warning:
      return Verdict::warning;
    case catalog::Severity::blocker:
      return Verdict::blocker;
  }
  return Verdict::blocker;
}

Finding finding_of(const catalog::Issue& issue) {
  Finding finding = warning(issue.code, issue.object, issue.cause, issue.remedy);
  finding.verdict = verdict_of(issue.severity);
  return finding;
}

Findings table_keys(const Context& c) {
  Findings findings;
  for (const auto& table : c.catalog.tables) {
    if (catalog::row_key(table) != nullptr) continue;
    const std::string cause = "it has neither a primary key nor a unique key over whole not-null columns";
    const std::string remedy = fmt::format("ALTER TABLE {} ADD PRIMARY KEY (…); or --allow-no-key, which reads it at one exact instant", name_of(table));
    findings.push_back(c.request.allow_no_key ? warning(Code::no_usable_key, name_of(table), cause, remedy)
                                              : blocker(Code::no_usable_key, name_of(table), cause, remedy));
  }
  if (findings.empty()) findings.push_back(ok("every table has a key"));
  return findings;
}

// Types, collations, engines and features: what making the target's definitions meets.
Findings definitions(const Context& c) {
  Findings findings;
  for (const auto& table : c.catalog.tables) {
    if (c.request.is_schema_created) {
      for (const auto& issue : catalog::target_table(table, c.ddl).issues) findings.push_back(finding_of(issue));
      continue;
    }
    const auto [schema, name] = c.request.names.table(table.schema, table.name);
    try {
      const auto there = catalog::read_table(c.target.connection, schema, name);
      for (const auto& issue : catalog::compare_tables(table, there, c.ddl)) findings.push_back(finding_of(issue));
    } catch (const Error& error) {
      if (error.code() != Code::no_such_table) throw;  // target_empty says so
    }
  }
  if (findings.empty()) findings.push_back(ok(fmt::format("{} tables go over as they are", c.catalog.tables.size())));
  return findings;
}

bool is_selected(const Context& c, const catalog::ForeignKey& key) {
  return std::any_of(c.catalog.tables.begin(), c.catalog.tables.end(), [&](const catalog::Table& table) {
    return table.schema == key.referenced_schema && table.name == key.referenced_table;
  });
}

Findings foreign_keys(const Context& c) {
  Findings findings;
  for (const auto& table : c.catalog.tables) {
    for (const auto& key : table.foreign_keys) {
      if (is_selected(c, key)) continue;
      findings.push_back(blocker(Code::reference_not_copied, name_of(table), fmt::format("foreign key {} refers to {}, which is not copied", key.name, sql::quote_table(key.referenced_schema, key.referenced_table)), "add that table to --tables / --databases, or drop the constraint"));
    }
  }
  if (findings.empty()) findings.push_back(ok("every foreign key finds its table"));
  return findings;
}

bool changes_children(const catalog::ForeignKey& key) {
  const auto changes = [](const std::string& rule) { return rule == "CASCADE" || rule == "SET NULL" || rule == "SET DEFAULT"; };
  return changes(key.on_update) || changes(key.on_delete);
}

Findings cascades(const Context& c) {
  Findings findings;
  const bool are_logged = are_cascades_logged(c.source);
  const std::string version = c.source.connection.server().version_text;
  for (const auto& table : c.catalog.tables) {
    for (const auto& key : table.foreign_keys) {
      if (!changes_children(key)) continue;
      const std::string rule = fmt::format("foreign key {} (ON UPDATE {}, ON DELETE {})", key.name, key.on_update, key.on_delete);
      if (are_logged) {
        findings.push_back(ok(fmt::format("{} of {}: {} logs what it changes", rule, name_of(table), version)));
      } else {
        findings.push_back(warning(Code::cascades_not_logged, name_of(table), fmt::format("{}: {} does not log what it changes", rule, version), "nothing: godwit makes the same changes by statements of its own, and reads these tables at one exact instant"));
      }
    }
  }
  if (findings.empty()) findings.push_back(ok("no foreign key changes other rows"));
  return findings;
}

Findings triggers_and_events(const Context& c) {
  Findings findings;
  if (c.request.layout != nullptr && c.request.layout->shards.size() > 1) return findings;  // shard_objects has them
  for (const auto& object : c.catalog.objects) {
    const bool waits = object.kind == catalog::ObjectKind::trigger || object.kind == catalog::ObjectKind::event;
    if (waits) findings.push_back(ok(fmt::format("{} {} is created by the switch, not before", catalog::to_string(object.kind), sql::quote_table(object.schema, object.name))));
  }
  for (const auto& issue : catalog::target_objects(c.catalog, c.ddl).issues) findings.push_back(finding_of(issue));
  if (findings.empty()) findings.push_back(ok("none"));
  return findings;
}

std::set<catalog::AccountName> accounts_of(const ServerView& server) {
  const auto list = catalog::application_accounts(server.connection);
  return {list.begin(), list.end()};
}

// An object keeps its definer only if the account may create it in another's name.
std::optional<Finding> lacks_definer_privilege(const Context& c) {
  const auto& held = c.target.privileges;
  for (const char* privilege : {"SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER"}) {
    if (held.has_global(privilege)) return std::nullopt;
  }
  const auto& objects = c.catalog.objects;
  const auto other = std::find_if(objects.begin(), objects.end(), [&](const catalog::Object& object) {
    const auto at = object.definer.rfind('@');
    return !object.definer.empty() && "'" + object.definer.substr(0, at) + "'@'" + object.definer.substr(at + 1) + "'" != held.account();
  });
  if (other == objects.end()) return std::nullopt;
  const bool is_new = c.target.connection.server().version >= db::Version{8, 2, 0};
  const char* privilege = c.target.is_mariadb() ? "SET USER" : is_new ? "SET_ANY_DEFINER" : "SET_USER_ID";
  return warning(Code::privilege_missing, c.target.name(), fmt::format("{} may not create {} {} in the name of {}", held.account(), catalog::to_string(other->kind), sql::quote_table(other->schema, other->name), other->definer), fmt::format("GRANT {} ON *.* TO {}", privilege, held.account()));
}

Findings definers(const Context& c) {
  Findings findings;
  std::set<std::string> seen;
  std::set<catalog::AccountName> there;
  try {
    there = accounts_of(c.target);
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
    return {warning(Code::privilege_missing, c.target.name(), error.cause() + ": definers are not compared", error.remedy())};
  }
  for (const auto& object : c.catalog.objects) {
    if (object.definer.empty() || !seen.insert(object.definer).second) continue;
    const auto at = object.definer.rfind('@');
    const catalog::AccountName definer{.user = object.definer.substr(0, at), .host = object.definer.substr(at + 1)};
    if (catalog::is_system_account(definer.user) || there.count(definer) != 0) continue;
    findings.push_back(warning(Code::account_missing, to_string(definer), fmt::format("{} {} is defined by an account that the target lacks", catalog::to_string(object.kind), sql::quote_table(object.schema, object.name)), fmt::format("--accounts {}@{}, or CREATE USER it on the target", definer.user, definer.host)));
  }
  if (const auto lacking = lacks_definer_privilege(c)) findings.push_back(*lacking);
  if (findings.empty()) findings.push_back(ok("every definer is there"));
  return findings;
}

struct Session {
  std::string user;
  std::string host;  // of the client, without its port
};

// Who is connected now, and on servers that count them, who has been since the server started.
std::vector<Session> sessions_of(const ServerView& server) {
  std::vector<Session> sessions;
  db::Rows rows = server.connection.query("SELECT DISTINCT USER AS u, SUBSTRING_INDEX(HOST, ':', 1) AS h FROM information_schema.PROCESSLIST");
  for (std::size_t i = 0; i < rows.size(); ++i) sessions.push_back({.user = rows.text(i, "u"), .host = rows.text(i, "h")});
  return sessions;
}

// MariaDB keeps the table empty when performance_schema is off, its default; some accounts may not read it.
std::vector<Session> past_sessions_of(const ServerView& server) {
  std::vector<Session> sessions;
  try {
    const db::Rows rows = server.connection.query("SELECT USER AS u, HOST AS h FROM performance_schema.accounts WHERE USER IS NOT NULL");
    for (std::size_t i = 0; i < rows.size(); ++i) sessions.push_back({.user = rows.text(i, "u"), .host = rows.text(i, "h")});
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
  }
  return sessions;
}

bool has_session(const std::vector<Session>& sessions, const catalog::AccountName& account) {
  return std::any_of(sessions.begin(), sessions.end(), [&](const Session& session) {
    // Host names and netmasks are the server's to resolve: the user's name alone then decides.
    const bool is_address = account.host.find_first_not_of("0123456789.%_") == std::string::npos;
    return session.user == account.user && (!is_address || db::matches_grant(account.host, session.host));
  });
}

Finding missing_account(const Context& c, const catalog::AccountName& account, const catalog::AccountOptions& options, std::string_view connected) {
  const auto plan = catalog::plan_account(catalog::read_account(c.source.connection, account), options);
  const std::string cause = fmt::format("the source has this account{}, the target has not", connected);
  const std::string flag = fmt::format("--accounts '{}@{}'", account.user, account.host);
  if (!plan.needs_password) return warning(Code::account_missing, to_string(account), cause, fmt::format("godwit copy {} carries it with its grants", flag));
  return warning(Code::account_not_portable, to_string(account), fmt::format("{}; {}", cause, plan.why), fmt::format("godwit copy {} prints the statements, for you to add the password", flag));
}

Findings missing_accounts(const Context& c) {
  Findings findings;
  const auto here = catalog::application_accounts(c.source.connection);
  const auto there = accounts_of(c.target);
  const auto now = sessions_of(c.source);
  const auto before = past_sessions_of(c.source);
  const auto options = catalog::account_options(c.source.connection, c.target.connection, c.catalog, c.request.names);
  const auto carried = catalog::select_accounts(here, c.request.accounts);
  for (const auto& account : here) {
    if (there.count(account) != 0) continue;
    if (std::find(carried.begin(), carried.end(), account) != carried.end()) {
      findings.push_back(ok(to_string(account) + " goes along (--accounts)"));
      continue;
    }
    const auto connected = has_session(now, account) ? ", connected now" : has_session(before, account) ? ", seen since the server started" : "";
    findings.push_back(missing_account(c, account, options, connected));
  }
  if (!carried.empty() && !c.target.privileges.has_global("CREATE USER")) {
    findings.push_back(blocker(Code::privilege_missing, c.target.name(), c.target.privileges.account() + " lacks CREATE USER, for --accounts", fmt::format("GRANT CREATE USER ON *.* TO {}", c.target.privileges.account())));
  }
  return findings;
}

Findings accounts(const Context& c) {
  try {
    auto findings = missing_accounts(c);
    if (findings.empty()) findings.push_back(ok("every account of the source is on the target"));
    return findings;
  } catch (const Error& error) {
    if (error.is_retryable() || error.code() == Code::no_such_account) throw;
    // With --accounts they must be read.
    const auto severity = c.request.accounts.empty() ? warning : blocker;
    return {severity(Code::privilege_missing, error.object(), error.cause() + ": accounts are not compared", error.remedy())};
  }
}

Findings online_schema_change(const Context& c) {
  Findings findings;
  for (const auto& table : c.catalog.tables) {
    for (const std::string_view suffix : {"_gho", "_ghc", "_new", "_old"}) {
      if (!table.name.starts_with('_') || !table.name.ends_with(suffix)) continue;
      findings.push_back(warning(Code::table_changed, name_of(table), "it looks like the work of an online schema change", "let it end first, or --exclude-tables '_*'"));
    }
  }
  if (findings.empty()) findings.push_back(ok("none is at work"));
  return findings;
}

}  // namespace

std::vector<Check> schema_checks() {
  return {
      {"table_keys", "every table has a key to copy and match rows by", table_keys},
      {"definitions", "types, collations, engines and features fit the target", definitions, Scope::target},
      {"unique_values", "values stay different under the target's collations", unique_values, Scope::target},
      {"foreign_keys", "foreign keys refer to tables that are copied", foreign_keys},
      {"cascades", "whether the binlog holds what cascades change", cascades},
      {"triggers_and_events", "what only the switch creates, and what is not carried", triggers_and_events},
      {"definers", "the accounts that define views and routines exist", definers, Scope::target},
      {"accounts", "the source's accounts exist on the target", accounts, Scope::target},
      {"online_schema_change", "no online schema change is at work", online_schema_change},
  };
}

}  // namespace godwit::check
