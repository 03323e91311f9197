#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>

#include "create_table.h"
#include "godwit/catalog/ddl.h"
#include "godwit/sql/quote.h"
#include "godwit/util/text.h"
#include "translate.h"

namespace godwit::catalog {
namespace {

constexpr std::array<std::pair<PostCopyKind, std::string_view>, 8> kKinds{{
    {PostCopyKind::keys, "keys"},
    {PostCopyKind::unique_keys, "unique_keys"},
    {PostCopyKind::foreign_keys, "foreign_keys"},
    {PostCopyKind::view, "view"},
    {PostCopyKind::procedure, "procedure"},
    {PostCopyKind::function, "function"},
    {PostCopyKind::trigger, "trigger"},
    {PostCopyKind::event, "event"},
}};

// AUTO_INCREMENT needs a key that begins with its column, from the beginning.
bool serves_auto_increment(const Table& table, const std::string& key_name) {
  const auto key = std::find_if(table.keys.begin(), table.keys.end(), [&](const Key& k) { return k.name == key_name; });
  return key != table.keys.end() && !key->parts.empty() && !key->parts[0].column.empty() &&
         table.column(key->parts[0].column).is_auto_increment;
}

// FULLTEXT, SPATIAL and VECTOR keys stay: the server builds only one of a kind per ALTER.
std::optional<PostCopyKind> deferral(const Table& table, const Element& element, const std::string& row_key_name) {
  switch (element.kind) {
    case ElementKind::key:
      if (serves_auto_increment(table, element.name)) return std::nullopt;
      return PostCopyKind::keys;
    case ElementKind::unique_key:
      if (element.name == row_key_name || serves_auto_increment(table, element.name)) return std::nullopt;
      return PostCopyKind::unique_keys;
    case ElementKind::foreign_key:
      return PostCopyKind::foreign_keys;
    case ElementKind::column:
    case ElementKind::primary_key:
    case ElementKind::fulltext_key:
    case ElementKind::spatial_key:
    case ElementKind::vector_key:
    case ElementKind::check:
    case ElementKind::other:
      return std::nullopt;
  }
  return std::nullopt;
}

// SHOW CREATE names the referenced schema only where it is another one; on the target either may have another name.
void map_referenced_table(Element& element, const Table& table, const DdlOptions& options) {
  Tokens& tokens = element.tokens;
  const auto references =
      std::find_if(tokens.begin(), tokens.end(), [](const Token& token) { return token.is("REFERENCES"); });
  if (references == tokens.end() || references + 1 == tokens.end()) return;
  const auto first = references + 1;
  const bool is_qualified = first + 2 < tokens.end() && (first + 1)->is(".");
  const std::string schema = is_qualified ? unquoted(*first) : table.schema;
  const std::string name = unquoted(is_qualified ? *(first + 2) : *first);
  const auto [target_schema, target_name] = options.names.table(schema, name);
  const Token mapped{TokenKind::identifier, sql::quote_table(target_schema, target_name), true};
  const auto at = tokens.erase(first, first + (is_qualified ? 3 : 1));
  tokens.insert(at, mapped);
}

struct Deferred {
  std::vector<std::string> clauses;
  std::vector<std::string> names;
};

}  // namespace

std::string_view to_string(PostCopyKind kind) {
  for (const auto& [known, name] : kKinds) {
    if (known == kind) return name;
  }
  return "";
}

TargetTable target_table(const Table& table, const DdlOptions& options) {
  TargetTable result;
  std::tie(result.schema, result.name) = options.names.table(table.schema, table.name);
  const std::string target = sql::quote_table(result.schema, result.name);
  CreateTable parsed = parse_create_table(table);
  Translator translator(table, options, result.issues);
  const Key* key = row_key(table);
  const std::string row_key_name = key == nullptr ? "" : key->name;

  std::vector<std::string> kept;
  std::map<PostCopyKind, Deferred> deferred;
  for (auto& element : parsed.elements) {
    if (!translator.translate(element)) continue;
    const bool is_left_out = element.kind == ElementKind::foreign_key && options.left_out_keys.count(sql::quote_table(table.schema, table.name) + "." + sql::quote_identifier(element.name)) != 0;
    if (is_left_out) continue;
    if (element.kind == ElementKind::foreign_key) map_referenced_table(element, table, options);
    const auto later = deferral(table, element, row_key_name);
    if (!later) {
      kept.push_back("  " + to_sql(element.tokens));
      continue;
    }
    deferred[*later].clauses.push_back("ADD " + to_sql(element.tokens));
    deferred[*later].names.push_back(element.name);
  }
  if (table.engine != "InnoDB") {
    result.issues.push_back({Severity::blocker,
                             Code::unsupported_engine,
                             sql::quote_table(table.schema, table.name),
                             fmt::format("engine {} has no consistent snapshot", table.engine),
                             fmt::format("ALTER TABLE {} ENGINE=InnoDB, or exclude it with --exclude-tables",
                                         sql::quote_table(table.schema, table.name))});
  }
  if (table.is_system_versioned && options.source.flavour == options.target.flavour) {
    result.issues.push_back({Severity::blocker,
                             Code::unsupported_feature,
                             sql::quote_table(table.schema, table.name),
                             "the history of a system-versioned table is not carried, and its changes are logged in a form that is not followed",
                             "ALTER TABLE … DROP SYSTEM VERSIONING, or exclude it with --exclude-tables"});
  }
  result.create_sql = fmt::format("CREATE TABLE {} (\n{}\n) {}",
                                  target,
                                  join(kept, ",\n"),
                                  to_sql(translator.translate_options(std::move(parsed.options))));
  for (const auto& [kind, what] : deferred) {
    result.deferred.push_back({.kind = kind,
                               .schema = result.schema,
                               .name = result.name,
                               .sql = fmt::format("ALTER TABLE {} {}", target, join(what.clauses, ", ")),
                               .creates = what.names});
  }
  return result;
}

TargetClauses target_clauses(const Table& table, const DdlOptions& options) {
  TargetClauses result;
  std::tie(result.schema, result.name) = options.names.table(table.schema, table.name);
  std::vector<Issue> issues;  // target_table() has told them
  Translator translator(table, options, issues);
  for (auto& element : parse_create_table(table).elements) {
    if (!translator.translate(element)) continue;
    if (element.kind == ElementKind::column) result.columns.push_back(to_sql(element.tokens));
    if (element.kind == ElementKind::check) result.checks.push_back(to_sql(element.tokens));
    if (element.kind == ElementKind::fulltext_key) result.fulltext_keys.push_back(to_sql(element.tokens));
  }
  result.charset = "DEFAULT CHARSET=" + target_charset(table.charset, options);
  if (const auto collation = target_collation_name(table.collation, options)) result.charset += " COLLATE=" + *collation;
  return result;
}

std::string target_schema_sql(std::string_view source_schema, const DdlOptions& options) {
  std::string sql = fmt::format("CREATE DATABASE IF NOT EXISTS {}",
                                sql::quote_identifier(options.names.schema(source_schema)));
  const auto defaults = options.schemas.find(std::string(source_schema));
  if (defaults == options.schemas.end()) return sql;
  sql += " CHARACTER SET " + target_charset(defaults->second.charset, options);
  if (const auto collation = target_collation_name(defaults->second.collation, options)) sql += " COLLATE " + *collation;
  return sql;
}

}  // namespace godwit::catalog
