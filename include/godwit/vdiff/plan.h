// How the rows of one table are read from both sides by SQL, so that equal rows give equal bytes: its canonical form. Shares nothing with copy
// and apply: neither their expressions nor their ranges (DESIGN section 7). Pure; any thread. docs/vdiff.md says what counts as equal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/catalog/catalog.h"
#include "godwit/db/connection.h"
#include "godwit/shard/layout.h"

namespace godwit::vdiff {

// What is left to be done here before two renderings of one value are the same bytes.
enum class Normal {
  none,
  decimal,   // of other scales: 1.50 is 1.5
  fraction,  // of other precisions: 12:00:00.500000 is 12:00:00.5
  number,    // the servers print doubles each in its own way; where one of them stores no -0, it is 0
  json,      // by value: order of keys, white space and the spelling of numbers do not count
  padding,   // BINARY of other lengths: zeros at the end do not count
};

// How a canonical value is written in SQL, so that the server compares it with the column as its index does.
enum class Literal { number, text, bytes, quoted, ordinal };

struct Column {
  std::string name;         // on the source
  std::string target_name;
  std::string source_form;  // the expression that gives the canonical bytes there
  std::string target_form;
  Normal normal = Normal::none;
  bool is_plain = false;    // digits, signs, colons: needs no length before it when rows are hashed
  bool is_text = false;     // has a charset, in which a server may take it to another's before it hashes
  bool is_nullable = true;  // on either side
  bool folds_minus_zero = false;
};

struct KeyColumn {
  std::size_t column = 0;  // of TablePlan::columns
  Literal literal = Literal::number;
  std::string source_charset;  // of text: what the canonical bytes are in, by each server's name for it
  std::string target_charset;
  std::string source_conversion;  // "latin1) COLLATE latin1_bin": what follows USING; "" where the column has every character of the other side
  std::string target_conversion;
  std::size_t source_length = 0;  // of BINARY whose lengths are not the same: its zeros are put back before it is compared
  std::size_t target_length = 0;
};

// Which of its rows each shard has, where one side is several.
enum class Spread { first_shard, by_key, everywhere };

// A column that says where a row lives. Read as it is: functions are computed from what a SELECT gives.
struct RouteColumn {
  std::string source_name;
  std::string target_name;
};

struct TablePlan {
  std::string source_schema;
  std::string source_table;
  std::string target_schema;
  std::string target_table;
  std::string source_index;  // "": none to be forced
  std::string target_index;
  std::vector<Column> columns;
  std::vector<KeyColumn> key;  // empty: rows are compared as a multiset
  bool is_hashed = false;      // both servers can hash what they render
  bool is_hash_whole = false;  // both are MySQL: see select_hash
  std::string why_streamed;    // the first column that keeps them from it
  bool has_charsets = false;   // its texts are of several, or of one that is not written in single bytes
  bool may_exceed_packet = false;  // a row may be longer than a server's max_allowed_packet: its hash is NULL then
  bool is_key_integer = false;     // one column, of integers: a range of so many numbers holds no more rows
  bool are_ranges_exact = false;   // both servers put every key into the same range
  std::uint64_t rows_estimate = 0;
  std::uint64_t row_bytes_avg = 0;
  std::vector<std::string> left_out;  // columns that one side alone has
  Spread spread = Spread::first_shard;
  const shard::Route* route = nullptr;  // by_key; lives longer
  std::vector<RouteColumn> route_columns;  // in the route's order
  // Shards whose databases have names of their own: the statements for that side name the table alone, and each session's database is its shard's.
  std::optional<db::Side> by_session;
};

// As the statements for that side name it.
std::string table_name(const TablePlan& plan, db::Side side);

struct PlanOptions {
  bool only_keys = false;   // is every row there, whatever is in it
  bool never_hash = false;
};

// Throws Error(schema_differs) when the target lacks a column of the source.
TablePlan plan_table(const catalog::Table& source, const catalog::Table& target, const db::Server& source_server, const db::Server& target_server, const PlanOptions& options);

// One side of it is shards. `routed` is the table that the route was made of: the migration's source has it, whichever side that is here.
// The route must outlive the plan. Throws Error(schema_differs) when a side lacks a column of the shard key.
struct Placing {
  const shard::Route& route;
  const catalog::Table& routed;
};
void place(TablePlan& plan, const Placing& placing, const catalog::Table& source, const catalog::Table& target);

// The canonical values of a row's key, in the key's order.
using Bound = std::vector<std::string>;
std::string to_text(const Bound& bound);  // JSON array of hexadecimal texts
Bound bound_from_text(const std::string& text);

struct Range {
  std::optional<Bound> lower;  // exclusive
  std::optional<Bound> upper;  // inclusive
};

// Statements for one side. A range of nothing and nothing is the whole table. With the columns of the shard key behind the others, where it has one.
std::string select_rows(const TablePlan& plan, db::Side side, const Range& range, std::uint64_t rows_max);
std::string select_row(const TablePlan& plan, db::Side side, const Bound& key);
// The key of each row, and its shard key.
std::string select_places(const TablePlan& plan, db::Side side, const Range& range);
// Rows, rows without a hash, and the hash in one or more columns.
std::string select_hash(const TablePlan& plan, db::Side side, const Range& range);
// The key of the row that ends the next so many rows after `lower`; no row when there are fewer.
std::string select_bound(const TablePlan& plan, db::Side side, const std::optional<Bound>& lower, std::uint64_t rows);
// The key of the row that stands `rows` before the last; no row when there are fewer.
std::string select_tail(const TablePlan& plan, db::Side side, std::uint64_t rows);
// Of a key of one column: the first and the last.
std::string select_ends(const TablePlan& plan, db::Side side);
std::string key_equals(const TablePlan& plan, db::Side side, const Bound& key);

// Of a value as a server gave it; the views may point into `room`.
std::string_view normalize(const Column& column, std::string_view value, std::string& room);

}  // namespace godwit::vdiff
