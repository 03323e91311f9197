#include <fmt/format.h>

#include <set>

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

// A routine keeps the mode it was written under, but for names that the other flavour does not know and whose meaning does not
// touch a routine's statements. Any other unknown name stays, and the target says so.
std::string mode_on_target(const Object& object, const DdlOptions& options) {
  if (options.source.flavour == options.target.flavour) return object.sql_mode;
  static const std::set<std::string> dropped{"NO_AUTO_CREATE_USER", "IGNORE_BAD_TABLE_OPTIONS", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS",
                                             "NO_FIELD_OPTIONS",    "TIME_TRUNCATE_FRACTIONAL"};
  std::vector<std::string> kept;
  for (const auto& name : split(object.sql_mode, ',')) {
    if (dropped.count(name) == 0) kept.push_back(name);
  }
  return join(kept, ",");
}

Issue not_carried(const Object& object, Severity severity, std::string cause, std::string remedy) {
  return {severity,
          Code::unsupported_feature,
          fmt::format("{} {}", to_string(object.kind), sql::quote_table(object.schema, object.name)),
          std::move(cause),
          std::move(remedy)};
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
                                          "GRANT SHOW VIEW, TRIGGER, EVENT, SHOW_ROUTINE (or SELECT ON mysql.proc) to it"));
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
                              .sql_mode = mode_on_target(object, options),
                              .creates = {object.name}});
  }
  return result;
}

}  // namespace godwit::catalog
