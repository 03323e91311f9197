#include "godwit/copy/key_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::copy {
namespace {

using sql::quote_identifier;

bool is_one_of(std::string_view type, std::initializer_list<std::string_view> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

std::optional<KeyKind> kind_of(const catalog::Column& column) {
  const std::string& type = column.data_type;
  if (is_one_of(type, {"tinyint", "smallint", "mediumint", "int", "bigint"})) return KeyKind::integer;
  if (is_one_of(type, {"decimal", "numeric", "bit", "year"})) return KeyKind::number;
  if (is_one_of(type, {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})) return KeyKind::bytes;
  if (is_one_of(type, {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})) return KeyKind::text;
  if (is_one_of(type, {"date", "datetime", "timestamp", "time", "uuid", "inet6", "inet4"})) return KeyKind::quoted;
  if (is_one_of(type, {"enum", "set"})) return KeyKind::ordinal;
  return std::nullopt;
}

// What stands on the left of a comparison.
std::string operand(const KeyColumn& column) {
  const std::string name = quote_identifier(column.name);
  return column.kind == KeyKind::ordinal ? name + "+0" : name;
}

std::string_view beyond(const KeyColumn& column) { return column.is_descending ? "<" : ">"; }
std::string_view before(const KeyColumn& column) { return column.is_descending ? ">" : "<"; }

// The arms of the expanded comparison: equal in the first i columns, then `comparison` in the next.
template <typename Comparison>
std::string expanded(const KeySpec& key, const Bound& bound, Comparison comparison) {
  GODWIT_CHECK(bound.size() == key.columns.size());
  std::vector<std::string> arms;
  std::string equal_so_far;
  for (std::size_t i = 0; i < bound.size(); ++i) {
    const std::string left = operand(key.columns[i]);
    arms.push_back(fmt::format("({}{} {} {})", equal_so_far, left, comparison(i), bound[i]));
    equal_so_far += fmt::format("{} = {} AND ", left, bound[i]);
  }
  return "(" + join(arms, " OR ") + ")";
}

std::uint64_t as_offset(const KeyColumn& column, const std::string& text) {
  if (column.is_unsigned) return parse_u64(text).value();
  return static_cast<std::uint64_t>(parse_i64(text).value());
}

std::string from_offset(const KeyColumn& column, std::uint64_t value) {
  if (column.is_unsigned) return fmt::format("{}", value);
  return fmt::format("{}", static_cast<std::int64_t>(value));
}

}  // namespace

std::string to_text(const Bound& bound) { return bound.empty() ? "" : nlohmann::json(bound).dump(); }

Bound bound_from_text(const std::string& text) {
  if (text.empty()) return {};
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_array()) {
    throw Error(Code::copy_incomplete,
                {.object = "_godwit.copy_chunk",
                 .cause = "a bound is no JSON array: " + text,
                 .remedy = "the sidecar was changed by hand: godwit cancel, then copy again"});
  }
  return json.get<Bound>();
}

KeySpec key_spec(const catalog::Table& table, const catalog::Key& key) {
  KeySpec spec{.index = key.name, .columns = {}};
  for (const auto& part : key.parts) {
    const catalog::Column& column = table.column(part.column);
    const auto kind = kind_of(column);
    if (!kind) {
      throw Error(Code::no_usable_key,
                  {.object = sql::quote_table(table.schema, table.name),
                   .cause = fmt::format("key {} has column {} of type {}", key.name, column.name, column.column_type),
                   .remedy = "add a primary key of another type, or copy it whole with --allow-no-key"});
    }
    spec.columns.push_back({.name = column.name,
                            .kind = *kind,
                            .charset = column.charset,
                            .is_unsigned = column.is_unsigned,
                            .is_descending = part.is_descending});
  }
  return spec;
}

std::string predicate(const KeySpec& key, const KeyRange& range) {
  std::vector<std::string> conditions;
  if (!range.lower.empty()) {
    conditions.push_back(
        expanded(key, range.lower, [&](std::size_t i) { return std::string(beyond(key.columns[i])); }));
  }
  if (!range.upper.empty()) {
    const std::size_t last = range.upper.size() - 1;
    conditions.push_back(expanded(key, range.upper, [&](std::size_t i) {
      return std::string(before(key.columns[i])) + (i == last ? "=" : "");
    }));
  }
  return join(conditions, " AND ");
}

std::string equality(const KeySpec& key, const Bound& bound) {
  GODWIT_CHECK(bound.size() == key.columns.size());
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < bound.size(); ++i) parts.push_back(fmt::format("{} = {}", operand(key.columns[i]), bound[i]));
  return join(parts, " AND ");
}

std::string order_by(const KeySpec& key) {
  std::vector<std::string> parts;
  for (const auto& column : key.columns) {
    parts.push_back(quote_identifier(column.name) + (column.is_descending ? " DESC" : ""));
  }
  return join(parts, ", ");
}

std::string literal_expressions(const KeySpec& key) {
  std::vector<std::string> expressions;
  for (const auto& column : key.columns) {
    const std::string name = quote_identifier(column.name);
    switch (column.kind) {
      case KeyKind::integer:
        expressions.push_back(name);
        break;
      case KeyKind::number:
      case KeyKind::ordinal:
        expressions.push_back(name + "+0");
        break;
      case KeyKind::text:
        expressions.push_back(fmt::format("CONCAT('_{} X''', HEX({}), '''')", column.charset, name));
        break;
      case KeyKind::bytes:
        expressions.push_back(fmt::format("CONCAT('X''', HEX({}), '''')", name));
        break;
      case KeyKind::quoted:
        // Named as text: under SET NAMES binary a bare literal would be the raw value of a UUID or INET6, or none at all.
        expressions.push_back(fmt::format("CONCAT('_latin1''', {}, '''')", name));
        break;
    }
  }
  return join(expressions, ", ");
}

std::vector<Bound> split_by_value(const KeyColumn& column, const Span& span, std::uint64_t parts) {
  // Two's complement makes the distance right for signed values too.
  const std::uint64_t first = as_offset(column, span.first);
  const std::uint64_t distance = as_offset(column, span.last) - first;
  const std::uint64_t count = std::min(parts, distance);
  if (count < 2) return {};
  const std::uint64_t step = distance / count;
  std::vector<Bound> bounds;
  for (std::uint64_t i = 1; i < count; ++i) bounds.push_back({from_offset(column, first + step * i)});
  return bounds;
}

}  // namespace godwit::copy
