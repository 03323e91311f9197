#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "context.h"
#include "godwit/sql/quote.h"
#include "godwit/util/text.h"

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
  return {.verdict = verdict_of(issue.severity), .code = issue.code, .object = issue.object, .cause = issue.cause, .remedy = issue.remedy};
}

Findings table_keys(const Context& c) {
  Findings findings;
  for (const auto& table : c.catalog.tables) {
    if (catalog::row_key(table) != nullptr) continue;
    const std::string cause = "it has neither a primary key nor a unique key over whole not-null columns";
    const std::string remedy = fmt::format("ALTER TABLE {} ADD PRIMARY KEY (…); or --allow-no-key, which locks it against writes for some milliseconds", name_of(table));
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

// The columns of unique keys whose collation becomes another: values that it holds equal would be duplicates.
Findings unique_values(const Context& c) {
  Findings findings;
  for (const auto& table : c.catalog.tables) {
    for (const auto& key : table.keys) {
      if (!key.is_unique) continue;
      std::vector<std::string> terms;
      bool is_other = false;
      for (const auto& part : key.parts) {
        if (part.column.empty()) continue;
        const auto& column = table.column(part.column);
        const auto target = column.collation.empty() ? std::optional<std::string>() : catalog::target_collation_name(column.collation, c.ddl);
        const bool changes = target && *target != column.collation;
        is_other = is_other || changes;
        const auto known = catalog::known_collations(c.source.connection);
        const bool can_ask = changes && std::find(known.begin(), known.end(), *target) != known.end();
        // A collation that only the target has is stood in for by the source's broadest one.
        terms.push_back(changes ? fmt::format("{} COLLATE {}", sql::quote_identifier(part.column), can_ask ? *target : column.charset + "_unicode_ci") : sql::quote_identifier(part.column));
      }
      if (!is_other) continue;
      try {
        const db::Rows rows = c.source.connection.query(fmt::format("SELECT COUNT(*) AS n FROM {} GROUP BY {} HAVING n > 1 LIMIT 1", name_of(table), join(terms, ", ")));
        if (rows.empty()) continue;
        findings.push_back(blocker(Code::values_collide, name_of(table), fmt::format("key {} would have duplicates under the target's collation ({})", key.name, join(terms, ", ")), "--collation-map to a collation that tells them apart, or change the values"));
      } catch (const Error& error) {
        if (error.is_retryable()) throw;
        findings.push_back(warning(Code::values_collide, name_of(table), fmt::format("whether key {} stays unique under the target's collation cannot be asked here", key.name), "if it does not, building the key will say so"));
      }
    }
  }
  if (findings.empty()) findings.push_back(ok("unique keys stay unique"));
  return findings;
}

Findings foreign_keys(const Context& c) {
  Findings findings;
  const auto is_selected = [&](const catalog::ForeignKey& key) {
    return std::any_of(c.catalog.tables.begin(), c.catalog.tables.end(), [&](const catalog::Table& table) {
      return table.schema == key.referenced_schema && table.name == key.referenced_table;
    });
  };
  for (const auto& table : c.catalog.tables) {
    for (const auto& key : table.foreign_keys) {
      if (is_selected(key)) continue;
      findings.push_back(blocker(Code::nothing_selected, name_of(table), fmt::format("foreign key {} refers to {}, which is not copied", key.name, sql::quote_table(key.referenced_schema, key.referenced_table)), "add that table to --tables / --databases, or drop the constraint"));
    }
  }
  if (findings.empty()) findings.push_back(ok("every foreign key finds its table"));
  return findings;
}

Findings triggers_and_events(const Context& c) {
  Findings findings;
  for (const auto& object : c.catalog.objects) {
    const bool waits = object.kind == catalog::ObjectKind::trigger || object.kind == catalog::ObjectKind::event;
    if (waits) findings.push_back(ok(fmt::format("{} {} is created by the switch, not before", catalog::to_string(object.kind), sql::quote_table(object.schema, object.name))));
  }
  for (const auto& issue : catalog::target_objects(c.catalog, c.ddl).issues) findings.push_back(finding_of(issue));
  if (findings.empty()) findings.push_back(ok("none"));
  return findings;
}

bool has_account(db::Connection& connection, const std::string& user, const std::string& host) {
  return !connection.query(fmt::format("SELECT 1 FROM mysql.user WHERE User = {} AND Host = {}", sql::quote_string(user), sql::quote_string(host))).empty();
}

Findings definers(const Context& c) {
  Findings findings;
  std::set<std::string> seen;
  for (const auto& object : c.catalog.objects) {
    if (object.definer.empty() || !seen.insert(object.definer).second) continue;
    const auto at = object.definer.rfind('@');
    try {
      if (has_account(c.target.connection, object.definer.substr(0, at), object.definer.substr(at + 1))) continue;
      findings.push_back(warning(Code::account_not_portable, object.definer, fmt::format("{} {} is defined by an account that the target lacks", catalog::to_string(object.kind), sql::quote_table(object.schema, object.name)), "CREATE USER it on the target"));
    } catch (const Error& error) {
      if (error.is_retryable()) throw;
      return {warning(Code::privilege_missing, c.target.name(), "the account may not read mysql.user: definers are not compared", fmt::format("GRANT SELECT ON mysql.user TO {}", c.target.privileges.account()))};
    }
  }
  if (findings.empty()) findings.push_back(ok("every definer is there"));
  return findings;
}

// Accounts that connect to the source now: the applications'.
Findings accounts(const Context& c) {
  Findings findings;
  try {
    const db::Rows users = c.source.connection.query("SELECT User AS u, Host AS h FROM mysql.user WHERE User NOT IN ('root', 'mysql', 'mariadb.sys', 'mysql.sys', 'mysql.session', 'mysql.infoschema', '')");
    for (std::size_t i = 0; i < users.size(); ++i) {
      if (has_account(c.target.connection, users.text(i, "u"), users.text(i, "h"))) continue;
      findings.push_back(warning(Code::account_not_portable, fmt::format("'{}'@'{}'", users.text(i, "u"), users.text(i, "h")), "the source has this account, the target has not", "CREATE USER and GRANT it on the target before the switch"));
    }
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
    return {warning(Code::privilege_missing, c.source.name(), "the account may not read mysql.user: accounts are not compared", "compare them by hand before the switch")};
  }
  if (findings.empty()) findings.push_back(ok("every account of the source is on the target"));
  return findings;
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
      {"definitions", "types, collations, engines and features fit the target", definitions},
      {"unique_values", "values stay different under the target's collations", unique_values},
      {"foreign_keys", "foreign keys refer to tables that are copied", foreign_keys},
      {"triggers_and_events", "what only the switch creates, and what is not carried", triggers_and_events},
      {"definers", "the accounts that define views and routines exist", definers},
      {"accounts", "the source's accounts exist on the target", accounts},
      {"online_schema_change", "no online schema change is at work", online_schema_change},
  };
}

}  // namespace godwit::check
