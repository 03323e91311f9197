#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "godwit/catalog/ddl.h"
#include "godwit/sql/quote.h"
#include "godwit/util/text.h"
#include "lexer.h"

namespace godwit::catalog {
namespace {

std::optional<PostCopyKind> post_copy_kind(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::view:
      return PostCopyKind::view;
    case ObjectKind::procedure:
      return PostCopyKind::procedure;
    case ObjectKind::function:
      return PostCopyKind::function;
    case ObjectKind::trigger:
      return PostCopyKind::trigger;
    case ObjectKind::event:
      return PostCopyKind::event;
    case ObjectKind::sequence:
    case ObjectKind::package:
    case ObjectKind::package_body:
      return std::nullopt;
  }
  return std::nullopt;
}

// `old`.`name` → `new`.`name`: SHOW CREATE VIEW qualifies every name.
std::string with_mapped_names(const Object& object, const DdlOptions& options) {
  Tokens tokens = tokenize(object.create_sql);
  Tokens mapped;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool is_pair = i + 2 < tokens.size() && tokens[i].kind == TokenKind::identifier && tokens[i + 1].is(".") &&
                         tokens[i + 2].kind == TokenKind::identifier;
    if (is_pair && options.schemas.count(unquoted(tokens[i])) != 0) {
      const auto [schema, name] = options.names.table(unquoted(tokens[i]), unquoted(tokens[i + 2]));
      mapped.push_back({TokenKind::identifier, sql::quote_table(schema, name), tokens[i].has_space_before});
      i += 2;
      continue;
    }
    mapped.push_back(tokens[i]);
  }
  return to_sql(mapped);
}

std::string reading_privilege(const Object& object, const DdlOptions& options) {
  const std::string schema = sql::quote_identifier(object.schema) + ".* to the account";
  if (object.kind == ObjectKind::view) return "GRANT SHOW VIEW ON " + schema;
  if (object.kind == ObjectKind::trigger) return "GRANT TRIGGER ON " + schema;
  if (object.kind == ObjectKind::event) return "GRANT EVENT ON " + schema;
  return options.source.is_mariadb() ? "GRANT SELECT ON mysql.proc to the account" : "GRANT SHOW_ROUTINE ON *.* to the account";
}

Issue not_carried(const Object& object, Severity severity, std::string cause, std::string remedy) {
  return {severity,
          Code::unsupported_feature,
          fmt::format("{} {}", to_string(object.kind), sql::quote_table(object.schema, object.name)),
          std::move(cause),
          std::move(remedy)};
}

// What each flavour alone has. The first ones say nothing about how a routine's body runs.
constexpr std::array<std::string_view, 6> kModesWithoutEffect{
    "NO_AUTO_CREATE_USER", "NO_FIELD_OPTIONS", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS", "MYSQL323", "MYSQL40"};
constexpr std::array<std::string_view, 8> kMariadbModes{
    "EMPTY_STRING_IS_NULL", "SIMULTANEOUS_ASSIGNMENT", "TIME_ROUND_FRACTIONAL", "ORACLE", "MSSQL", "DB2", "POSTGRESQL", "MAXDB"};
constexpr std::array<std::string_view, 1> kMysqlModes{"TIME_TRUNCATE_FRACTIONAL"};

template <typename List>
bool has(const List& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::string target_sql_mode(const Object& object, const DdlOptions& options, std::vector<Issue>& issues) {
  if (options.source.flavour == options.target.flavour || object.sql_mode.empty()) return object.sql_mode;
  std::vector<std::string> kept;
  for (const auto& mode : split(object.sql_mode, ',')) {
    const bool is_lost = options.target.is_mariadb() ? has(kMysqlModes, mode) : has(kMariadbModes, mode);
    if (is_lost) issues.push_back(not_carried(object, Severity::warning, fmt::format("it was written under sql_mode {}, which the target lacks", mode), "read it after the copy"));
    const bool is_known = !is_lost && (options.target.is_mariadb() || !has(kModesWithoutEffect, mode));
    if (is_known) kept.push_back(mode);
  }
  return join(kept, ",");
}

}  // namespace

TargetObjects target_objects(const Catalog& catalog, const DdlOptions& options) {
  TargetObjects result;
  for (const auto& object : catalog.objects) {
    const auto kind = post_copy_kind(object.kind);
    if (!kind) {
      result.issues.push_back(not_carried(object, Severity::warning, "is not carried", "create it on the target by hand"));
      continue;
    }
    if (object.create_sql.empty()) {
      result.issues.push_back(not_carried(object,
                                          Severity::warning,
                                          "the account may not read its definition, so it is not carried",
                                          reading_privilege(object, options)));
      continue;
    }
    const bool is_text_kept = *kind != PostCopyKind::view;
    if (is_text_kept && options.names.schema(object.schema) != object.schema) {
      result.issues.push_back(not_carried(object,
                                          Severity::warning,
                                          "its body is carried as it is, and may name the schema by its old name",
                                          "read it after the copy"));
    }
    result.objects.push_back({.kind = *kind,
                              .schema = options.names.schema(object.schema),
                              .name = object.name,
                              .sql = is_text_kept ? object.create_sql : with_mapped_names(object, options),
                              .sql_mode = target_sql_mode(object, options, result.issues),
                              .creates = {object.name}});
  }
  return result;
}

}  // namespace godwit::catalog
