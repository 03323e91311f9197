// What is to be done to one row of the target, and the statements that do it to many at once. Pure. Private to apply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/apply/change.h"

namespace godwit::apply {

enum class Op : std::uint8_t {
  // Strict: what they do not find, or find too much, is drift (I5).
  insert,   // no such row is there
  rewrite,  // the row is there and gets these values
  update,   // the row is there and gets these assignments
  erase,    // the row is there
  // In the overlap, where the row may already be as it will be.
  upsert,
  update_if_there,
  erase_if_there,
  // The row is on another shard.
  cascade_only,
};

// Views into the changes of a window, which must outlive it.
struct Operation {
  const TableBinding* table = nullptr;
  Op op = Op::insert;
  std::string_view key;          // locator of the row that is there, or will be
  std::string_view row;          // without a key: all its columns
  std::string_view values;
  std::string_view columns;      // of an insert that has not all of them
  std::string_view assignments;
  std::string_view cascades;     // as in Change
  std::string_view new_key;      // of a partial update that moves the row to another key
};

// What a statement's count of affected rows must be, on a session that counts rows found (CLIENT_FOUND_ROWS).
enum class Expect : std::uint8_t {
  anything,
  one_each,  // found, inserted or deleted
  two_each,  // ON DUPLICATE KEY UPDATE that changed an existing row; less may be right too, and is looked at row by row
};

struct Statement {
  std::string sql;
  Expect expect = Expect::anything;
  std::size_t first = 0;  // of the operations it does
  std::size_t count = 0;
};

struct StatementLimits {
  std::size_t rows_max = 256;
  std::size_t bytes_max = 256U << 10;
};

// Operations in order; neighbours of one kind on one table share a statement. Those of one run must be of different rows.
std::vector<Statement> statements(std::span<const Operation> operations, const StatementLimits& limits);

// "`shop`.`orders` key 5": for messages.
std::string describe(const Operation& operation);

// SELECT COUNT(*) of the row that an operation expects, locking.
std::string count_statement(const Operation& operation);

// These cannot be sent in a pack: what they do depends on answers, or takes statements of its own.
inline bool is_alone(const Operation& operation) { return !operation.cascades.empty() || !operation.new_key.empty(); }

}  // namespace godwit::apply
