#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "godwit/vdiff/plan.h"

namespace godwit::vdiff {
namespace {

using db::Side;

const std::string& form(const Column& column, Side side) { return side == Side::source ? column.source_form : column.target_form; }
const std::string& name(const Column& column, Side side) { return side == Side::source ? column.name : column.target_name; }

std::string from(const TablePlan& plan, Side side) {
  std::string text = " FROM " + table_name(plan, side);
  const std::string& index = side == Side::source ? plan.source_index : plan.target_index;
  if (!index.empty()) text += fmt::format(" FORCE INDEX ({})", sql::quote_identifier(index));
  return text;
}

// What the server compares as it orders the index.
std::string key_expression(const TablePlan& plan, const KeyColumn& key, Side side) {
  const std::string quoted = sql::quote_identifier(name(plan.columns[key.column], side));
  return key.literal == Literal::ordinal ? quoted + "+0" : quoted;
}

std::string literal(const KeyColumn& key, Side side, const std::string& value) {
  const auto hexadecimal = [&] { return value.empty() ? std::string("''") : sql::hex_literal(value); };
  switch (key.literal) {
    case Literal::number:
    case Literal::ordinal:
      return value;
    case Literal::text: {
      const std::string text = fmt::format("_{} {}", side == Side::source ? key.source_charset : key.target_charset, hexadecimal());
      const std::string& conversion = side == Side::source ? key.source_conversion : key.target_conversion;
      return conversion.empty() ? text : fmt::format("CONVERT({} USING {}", text, conversion);
    }
    case Literal::bytes: {
      const std::size_t length = side == Side::source ? key.source_length : key.target_length;
      if (value.size() < length) return sql::hex_literal(value + std::string(length - value.size(), '\0'));
      return hexadecimal();
    }
    case Literal::quoted:
      return "_latin1" + sql::quote_string(value);
  }
  return {};
}

// (`a` > 1 OR (`a` = 1 AND `b` > 2)): never row constructors, which servers do not look up in an index.
std::string beyond(const TablePlan& plan, Side side, const Bound& bound, std::string_view last_operator, std::string_view operator_before) {
  std::vector<std::string> alternatives;
  std::string equal_so_far;
  for (std::size_t i = 0; i < plan.key.size(); ++i) {
    const std::string column = key_expression(plan, plan.key[i], side);
    const std::string value = literal(plan.key[i], side, bound[i]);
    const bool is_last = i + 1 == plan.key.size();
    alternatives.push_back(fmt::format("({}{} {} {})", equal_so_far, column, is_last ? last_operator : operator_before, value));
    equal_so_far += fmt::format("{} = {} AND ", column, value);
  }
  return "(" + join(alternatives, " OR ") + ")";
}

std::string where(const TablePlan& plan, Side side, const Range& range) {
  std::vector<std::string> parts;
  if (range.lower) parts.push_back(beyond(plan, side, *range.lower, ">", ">"));
  if (range.upper) parts.push_back(beyond(plan, side, *range.upper, "<=", "<"));
  return parts.empty() ? "" : " WHERE " + join(parts, " AND ");
}

std::string order(const TablePlan& plan, Side side) {
  std::vector<std::string> parts;
  for (const auto& key : plan.key) parts.push_back(sql::quote_identifier(name(plan.columns[key.column], side)));
  return parts.empty() ? "" : " ORDER BY " + join(parts, ", ");
}

void add_route_columns(const TablePlan& plan, Side side, std::vector<std::string>& parts) {
  for (const auto& column : plan.route_columns) parts.push_back(sql::quote_identifier(side == Side::source ? column.source_name : column.target_name));
}

std::string select_columns(const TablePlan& plan, Side side) {
  std::vector<std::string> parts;
  for (const auto& column : plan.columns) parts.push_back(form(column, side));
  add_route_columns(plan, side, parts);
  return "SELECT " + join(parts, ", ");
}

// CONCAT takes its arguments to one charset: MySQL converts latin1 beside utf8mb4, by which bytes that differ may become the same, and MariaDB
// refuses utf16 there. Named as bytes, they stay what they are.
std::string hashed_form(const TablePlan& plan, const Column& column, Side side) {
  const std::string& value = form(column, side);
  return column.is_text && plan.has_charsets ? fmt::format("CAST({} AS BINARY)", value) : value;
}

// One text for a row that no other row has. First the values that are digits and signs, then the others, then the lengths of these: read from its end,
// it can be taken apart in one way only. NULL is an N among the first, and among the lengths. The session's names are binary, so that no byte
// is converted on the way. CONCAT_WS, since it costs MariaDB a quarter less than CONCAT does.
std::string row_text(const TablePlan& plan, Side side) {
  std::vector<std::string> parts;
  std::vector<std::string> texts;
  std::vector<std::string> lengths;
  for (const auto& column : plan.columns) {
    const std::string value = hashed_form(plan, column, side);
    if (column.is_plain) {
      parts.push_back(column.is_nullable ? fmt::format("IFNULL({},'N')", value) : value);
    } else {
      texts.push_back(column.is_nullable ? fmt::format("IFNULL({},'')", value) : value);
      lengths.push_back(column.is_nullable ? fmt::format("IFNULL(LENGTH({}),'N')", value) : fmt::format("LENGTH({})", value));
    }
  }
  parts.insert(parts.end(), texts.begin(), texts.end());
  parts.insert(parts.end(), lengths.begin(), lengths.end());
  return "CONCAT_WS('|'," + join(parts, ",") + ")";
}

}  // namespace

std::string table_name(const TablePlan& plan, Side side) {
  const bool is_source = side == Side::source;
  const std::string& table = is_source ? plan.source_table : plan.target_table;
  return plan.by_session == side ? sql::quote_identifier(table) : sql::quote_table(is_source ? plan.source_schema : plan.target_schema, table);
}

std::string select_rows(const TablePlan& plan, Side side, const Range& range, std::uint64_t rows_max) {
  std::string text = select_columns(plan, side) + from(plan, side) + where(plan, side, range) + order(plan, side);
  if (rows_max != 0) text += fmt::format(" LIMIT {}", rows_max);
  return text;
}

std::string select_row(const TablePlan& plan, Side side, const Bound& key) {
  return select_columns(plan, side) + from(plan, side) + " WHERE " + key_equals(plan, side, key);
}

std::string select_places(const TablePlan& plan, Side side, const Range& range) {
  std::vector<std::string> parts;
  for (const auto& key : plan.key) parts.push_back(form(plan.columns[key.column], side));
  add_route_columns(plan, side, parts);
  return "SELECT " + join(parts, ", ") + from(plan, side) + where(plan, side, range);
}

// How many rows, how many of them have no hash, and each row's SHA-256 combined by XOR. A key makes rows distinct, so that no two of them cancel; and
// since the hash is of the whole row, values that two rows have swapped do not either.
// MySQL's BIT_XOR takes all 256 bits at once. MariaDB's takes integers: there the hash is kept in a variable, and each half of its digits becomes
// one by CRC32, the cheapest function that makes an integer of a text: 64 bits together, each as random as what goes in, so that ranges which
// differ look equal once in 2^64. Where one side is MariaDB, both do it that way.
std::string select_hash(const TablePlan& plan, Side side, const Range& range) {
  const std::string row = row_text(plan, side);
  std::string what;
  if (plan.is_hash_whole) {
    const std::string unhashed = plan.may_exceed_packet ? fmt::format("COALESCE(SUM({} IS NULL),0)", row) : "0";
    what = fmt::format("SELECT COUNT(*), {}, HEX(BIT_XOR(UNHEX(SHA2({},256))))", unhashed, row);
  } else {
    what = fmt::format(
        "SELECT COUNT(*), COUNT(*) - COUNT(@godwit_h := SHA2({},256)), BIT_XOR(CRC32(LEFT(@godwit_h,32))), BIT_XOR(CRC32(RIGHT(@godwit_h,32)))",
        row);
  }
  return what + from(plan, side) + where(plan, side, range);
}

std::string select_bound(const TablePlan& plan, Side side, const std::optional<Bound>& lower, std::uint64_t rows) {
  std::vector<std::string> parts;
  for (const auto& key : plan.key) parts.push_back(form(plan.columns[key.column], side));
  return "SELECT " + join(parts, ", ") + from(plan, side) + where(plan, side, {.lower = lower, .upper = {}}) + order(plan, side) + fmt::format(" LIMIT 1 OFFSET {}", rows - 1);
}

std::string select_tail(const TablePlan& plan, Side side, std::uint64_t rows) {
  std::vector<std::string> parts;
  std::vector<std::string> columns;
  for (const auto& key : plan.key) {
    parts.push_back(form(plan.columns[key.column], side));
    columns.push_back(sql::quote_identifier(name(plan.columns[key.column], side)) + " DESC");
  }
  return "SELECT " + join(parts, ", ") + from(plan, side) + " ORDER BY " + join(columns, ", ") + fmt::format(" LIMIT 1 OFFSET {}", rows);
}

std::string select_ends(const TablePlan& plan, Side side) {
  const std::string& key = form(plan.columns[plan.key[0].column], side);
  return fmt::format("SELECT MIN({}), MAX({})", key, key) + from(plan, side);
}

std::string key_equals(const TablePlan& plan, Side side, const Bound& key) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < plan.key.size(); ++i) {
    parts.push_back(fmt::format("{} = {}", key_expression(plan, plan.key[i], side), literal(plan.key[i], side, key[i])));
  }
  return join(parts, " AND ");
}

std::string to_text(const Bound& bound) {
  nlohmann::json document = nlohmann::json::array();
  for (const auto& value : bound) document.push_back(hex(value));
  return document.dump();
}

Bound bound_from_text(const std::string& text) {
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'A' + 10); };
  const auto document = nlohmann::json::parse(text, nullptr, false);
  if (!document.is_array()) throw Error(Code::internal_error, {.object = "a bound in the sidecar", .cause = text, .remedy = "godwit vdiff --restart"});
  Bound bound;
  for (const auto& item : document) {
    const std::string digits = item.get<std::string>();
    std::string value;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) value.push_back(static_cast<char>(digit(digits[i]) << 4U | digit(digits[i + 1])));
    bound.push_back(std::move(value));
  }
  return bound;
}

}  // namespace godwit::vdiff
