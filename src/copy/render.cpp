#include "render.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "godwit/sql/quote.h"
#include "godwit/util/text.h"

namespace godwit::copy {
namespace {

constexpr std::string_view kPlaceholder = "{v}";

bool is_special(char c) { return c == '\\' || c == '\t' || c == '\n' || c == '\0'; }

constexpr std::uint64_t repeat(unsigned char byte) { return 0x0101010101010101ULL * byte; }

// Non-zero when one of the eight bytes is zero.
constexpr std::uint64_t zero_byte(std::uint64_t word) {
  return (word - repeat(1)) & ~word & repeat(0x80);
}

// Eight bytes at a time: rows are mostly plain, and this loop sees every byte of the database.
bool has_special(std::uint64_t word) {
  return (zero_byte(word) | zero_byte(word ^ repeat('\\')) | zero_byte(word ^ repeat('\t')) |
          zero_byte(word ^ repeat('\n'))) != 0;
}

std::size_t plain_prefix(const char* data, std::size_t size) {
  std::size_t at = 0;
  while (at + 8 <= size) {
    std::uint64_t word;
    std::memcpy(&word, data + at, 8);
    if (has_special(word)) break;
    at += 8;
  }
  while (at < size && !is_special(data[at])) ++at;
  return at;
}

void append_escaped(std::string& out, const char* data, std::size_t size) {
  while (size > 0) {
    const std::size_t plain = plain_prefix(data, size);
    out.append(data, plain);
    if (plain == size) return;
    const char c = data[plain];
    out.push_back('\\');
    out.push_back(c == '\t' ? 't' : c == '\n' ? 'n' : c == '\0' ? '0' : c);
    data += plain + 1;
    size -= plain + 1;
  }
}

std::string replaced(std::string text, std::string_view what, const std::string& with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
  return text;
}

void append_length(std::string& out, std::size_t length) {
  const auto append = [&](char prefix, unsigned bytes) {
    out.push_back(prefix);
    for (unsigned i = 0; i < bytes; ++i) out.push_back(static_cast<char>(length >> (8 * i) & 0xff));
  };
  if (length < 251) {
    out.push_back(static_cast<char>(length));
  } else if (length < 1U << 16) {
    append('\xfc', 2);
  } else if (length < 1U << 24) {
    append('\xfd', 3);
  } else {
    append('\xfe', 8);
  }
}

std::string user_variable(std::size_t index) { return fmt::format("@c{}", index); }

}  // namespace

void append_bulk_row(std::string& out, db::Row row) {
  constexpr char kValue = 0;
  constexpr char kNull = 1;
  for (const auto& value : row) {
    out.push_back(value.is_null() ? kNull : kValue);
    if (value.is_null()) continue;
    append_length(out, value.size);
    out.append(value.data, value.size);
  }
}

void append_load_row(std::string& out, db::Row row) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) out.push_back('\t');
    if (row[i].is_null()) {
      out += "\\N";
    } else {
      append_escaped(out, row[i].data, row[i].size);
    }
  }
  out.push_back('\n');
}

void append_long_load_row(std::string& out, db::Row row, std::size_t slice_bytes, const std::function<void()>& take) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) out.push_back('\t');
    if (row[i].is_null()) out += "\\N";
    for (std::size_t at = 0; at < row[i].size; at += slice_bytes) {
      append_escaped(out, row[i].data + at, std::min(slice_bytes, row[i].size - at));
      if (out.size() >= slice_bytes) take();
    }
  }
  out.push_back('\n');
}

ValuesRenderer::ValuesRenderer(const std::vector<catalog::Transfer>& transfers) {
  for (const auto& transfer : transfers) {
    Around around;
    around.expression = transfer.set_expression;
    const auto at = transfer.set_expression.find(kPlaceholder);
    if (at != std::string::npos) {
      around.before = transfer.set_expression.substr(0, at);
      around.after = transfer.set_expression.substr(at + kPlaceholder.size());
      around.is_repeated = around.after.find(kPlaceholder) != std::string::npos;
    }
    around_.push_back(std::move(around));
  }
}

void ValuesRenderer::append_row(std::string& out, db::Row row) const {
  out.push_back('(');
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) out.push_back(',');
    if (row[i].is_null()) {
      out += "NULL";
      continue;
    }
    const std::string literal = sql::quote_string(row[i].view());
    const Around& around = around_[i];
    out += around.is_repeated ? replaced(around.expression, kPlaceholder, literal)
                              : around.before + literal + around.after;
  }
  out.push_back(')');
}

std::string select_statement(const TableTask& task, const KeyRange& range, std::uint64_t limit_rows) {
  std::vector<std::string> expressions;
  for (const auto& transfer : task.transfers) expressions.push_back(transfer.select);
  std::string statement = fmt::format(
      "SELECT {} FROM {}", join(expressions, ", "), sql::quote_table(task.source.schema, task.source.name));
  if (!task.key) return statement;
  // The order of the index, so that a cut leaves no hole, and so that the target's rows arrive in clustered order.
  statement += fmt::format(" FORCE INDEX ({})", sql::quote_identifier(task.key->index));
  const std::string where = predicate(*task.key, range);
  if (!where.empty()) statement += " WHERE " + where;
  statement += " ORDER BY " + order_by(*task.key);
  if (limit_rows > 0) statement += fmt::format(" LIMIT {}", limit_rows);
  return statement;
}

std::string load_statement(const TableTask& task) {
  std::vector<std::string> columns;
  std::vector<std::string> settings;
  for (std::size_t i = 0; i < task.transfers.size(); ++i) {
    const auto& transfer = task.transfers[i];
    const std::string column = sql::quote_identifier(transfer.column);
    if (transfer.set_expression.empty()) {
      columns.push_back(column);
      continue;
    }
    columns.push_back(user_variable(i));
    settings.push_back(column + " = " + replaced(transfer.set_expression, kPlaceholder, user_variable(i)));
  }
  std::string statement = fmt::format(
      "LOAD DATA LOCAL INFILE 'godwit' {}INTO TABLE {} CHARACTER SET binary FIELDS TERMINATED BY '\\t' "
      "ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({})",
      task.overwrites ? "REPLACE " : "",
      sql::quote_table(task.target_schema, task.target_table),
      join(columns, ", "));
  if (!settings.empty()) statement += " SET " + join(settings, ", ");
  return statement;
}

std::string insert_statement_head(const TableTask& task) {
  std::vector<std::string> columns;
  for (const auto& transfer : task.transfers) columns.push_back(sql::quote_identifier(transfer.column));
  return fmt::format("{} INTO {} ({}) VALUES ",
                     task.overwrites ? "REPLACE" : "INSERT",
                     sql::quote_table(task.target_schema, task.target_table),
                     join(columns, ", "));
}

std::string bulk_statement(const TableTask& task) {
  std::vector<std::string> values;
  for (const auto& transfer : task.transfers) {
    values.push_back(transfer.set_expression.empty() ? "?" : replaced(transfer.set_expression, kPlaceholder, "?"));
  }
  return insert_statement_head(task) + "(" + join(values, ", ") + ")";
}

}  // namespace godwit::copy
