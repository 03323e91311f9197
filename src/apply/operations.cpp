#include "operations.h"

#include <fmt/format.h>

namespace godwit::apply {
namespace {

bool is_insert_like(Op op) { return op == Op::insert || op == Op::rewrite || op == Op::upsert; }
bool is_erase(Op op) { return op == Op::erase || op == Op::erase_if_there; }

// Only whole rows share a statement, and only rows that a key tells apart.
bool can_share(const Operation& a, const Operation& b) {
  if (a.table != b.table || a.op != b.op || !a.table->has_key() || is_alone(a) || is_alone(b)) return false;
  return is_insert_like(a.op) ? a.columns.empty() && b.columns.empty() : is_erase(a.op);
}

std::string where(const Operation& operation) {
  if (!operation.table->has_key()) return fmt::format("{} LIMIT 1", operation.row);
  if (operation.table->has_compound_locator()) return std::string(operation.key);
  return fmt::format("{} = {}", operation.table->columns[operation.table->key[0]].name, operation.key);
}

// Displacing rows that hold one of its unique values is what REPLACE does; where there is no other unique key, an upsert is cheaper and
// leaves columns alone that only the target has.
bool must_displace(const Operation& operation) { return operation.op == Op::upsert && !operation.table->other_uniques.empty() && operation.columns.empty(); }

std::string insert_head(const Operation& operation) {
  return fmt::format("{} INTO {} ({}) VALUES ",
                     must_displace(operation) ? "REPLACE" : "INSERT",
                     operation.table->target,
                     operation.columns.empty() ? std::string_view(operation.table->column_list) : operation.columns);
}

// For a partial row: each of its columns from the value that did not fit.
std::string partial_duplicate_clause(const Operation& operation) {
  const bool has_alias = !operation.table->row_alias.empty();
  std::string clause;
  std::size_t begin = 0;
  const std::string_view columns = operation.columns;
  for (const auto& column : operation.table->columns) {
    const auto at = columns.find(column.name, begin);
    const bool is_named = at != std::string_view::npos && (at == 0 || columns[at - 1] == ' ');
    if (!is_named) {
      if (!column.keep.empty()) clause += (clause.empty() ? "" : ", ") + column.keep;
      continue;
    }
    clause += (clause.empty() ? "" : ", ") + (has_alias ? fmt::format("{0} = godwit_new.{0}", column.name) : fmt::format("{0} = VALUES({0})", column.name));
    begin = at + column.name.size();
  }
  return clause;
}

std::string insert_tail(const Operation& operation) {
  if (operation.op == Op::insert || must_displace(operation)) return "";
  return fmt::format("{} ON DUPLICATE KEY UPDATE {}",
                     operation.table->row_alias,
                     operation.columns.empty() ? operation.table->on_duplicate : partial_duplicate_clause(operation));
}

Expect expectation(Op op) {
  switch (op) {
    case Op::insert:
    case Op::update:
    case Op::erase:
      return Expect::one_each;
    case Op::rewrite:
      return Expect::two_each;
    case Op::upsert:
    case Op::update_if_there:
    case Op::erase_if_there:
    case Op::cascade_only:
      return Expect::anything;
  }
  return Expect::anything;
}

std::string one(const Operation& operation) {
  switch (operation.op) {
    case Op::insert:
    case Op::rewrite:
    case Op::upsert:
      return fmt::format("{}({}){}", insert_head(operation), operation.values, insert_tail(operation));
    case Op::update:
    case Op::update_if_there:
      return fmt::format("UPDATE {} SET {} WHERE {}", operation.table->target, operation.assignments, where(operation));
    case Op::erase:
    case Op::erase_if_there:
      return fmt::format("DELETE FROM {} WHERE {}", operation.table->target, where(operation));
    case Op::cascade_only:
      break;
  }
  return {};
}

std::string erase_many(std::span<const Operation> operations) {
  const TableBinding& table = *operations[0].table;
  const bool is_composite = table.has_compound_locator();
  std::string sql = fmt::format("DELETE FROM {} WHERE ", table.target);
  if (!is_composite) sql += table.columns[table.key[0]].name + " IN (";
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (i > 0) sql += is_composite ? " OR " : ",";
    sql += operations[i].key;
  }
  if (!is_composite) sql += ")";
  return sql;
}

std::string insert_many(std::span<const Operation> operations) {
  std::string sql = insert_head(operations[0]);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (i > 0) sql += ",";
    sql += "(";
    sql += operations[i].values;
    sql += ")";
  }
  return sql + insert_tail(operations[0]);
}

}  // namespace

std::vector<Statement> statements(std::span<const Operation> operations, const StatementLimits& limits) {
  std::vector<Statement> result;
  std::size_t first = 0;
  while (first < operations.size()) {
    std::size_t end = first + 1;
    std::size_t bytes = operations[first].values.size() + operations[first].key.size();
    while (end < operations.size() && end - first < limits.rows_max && can_share(operations[first], operations[end])) {
      bytes += operations[end].values.size() + operations[end].key.size();
      if (bytes > limits.bytes_max) break;
      ++end;
    }
    const auto run = operations.subspan(first, end - first);
    std::string sql = run.size() == 1 ? one(run[0]) : is_erase(run[0].op) ? erase_many(run) : insert_many(run);
    result.push_back({.sql = std::move(sql), .expect = expectation(run[0].op), .first = first, .count = run.size()});
    first = end;
  }
  return result;
}

std::string describe(const Operation& operation) {
  constexpr std::size_t kShown = 300;
  std::string_view which = operation.table->has_key() ? operation.key : operation.row;
  return fmt::format("{} row {}{}", operation.table->target, which.substr(0, kShown), which.size() > kShown ? "…" : "");
}

std::string count_statement(const Operation& operation) {
  if (!operation.table->has_key()) return fmt::format("SELECT COUNT(*) FROM {} WHERE {}", operation.table->target, operation.row);
  return fmt::format("SELECT COUNT(*) FROM {} WHERE {} FOR UPDATE", operation.table->target, where(operation));
}

}  // namespace godwit::apply
