// How the rows of one source table become statements on its target table: columns by position, literals by type, the key rows
// are found by. Made once per stream from both catalogs; immutable; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/binlog/rows.h"
#include "godwit/binlog/value.h"
#include "godwit/catalog/catalog.h"
#include "godwit/catalog/ddl.h"

namespace godwit::apply {

// How a value's text is written into a statement that runs under SET NAMES binary.
enum class LiteralKind {
  bare,    // 42, -1.50: integers, decimals, BIT, YEAR, and ENUM and SET by number
  quoted,  // '…': bytes as they are; the column's charset is the source's
};

struct BoundColumn {
  std::size_t index = 0;         // in the row image
  std::string name;              // quoted
  LiteralKind literal = LiteralKind::quoted;
  std::string before;            // around the literal: "CONVERT(" and " USING utf8mb4)"
  std::string after;
  std::string key_introducer;    // "_utf8mb4" where the column is compared in a key
  std::string match;             // left of <=> where a row without a key is looked for: byte for byte, as far as SQL can
  std::string match_introducer;
  std::string keep;              // "`t` = `shop`.`orders`.`t`" where the target would set it by itself (ON UPDATE CURRENT_TIMESTAMP)
};

// A statement that changes on the target the rows that a foreign key's rule changed on the source, found by the values of the parent's row.
struct Cascade {
  struct Value {
    std::size_t column = 0;  // of the parent, index into its `columns`
    bool is_new = false;     // from the after image
  };
  bool is_on_erase = false;                // else on an update of one of `referenced`
  std::size_t child = 0;                   // the table whose rows are changed; index into the stream's bindings
  std::string child_name;                  // quoted
  std::vector<std::string> assigned;       // its columns that are set; none: its rows are deleted
  std::vector<std::size_t> referenced;     // of the parent, indexes into its `columns`
  std::vector<std::string> pieces;         // of the statement; one more than there are values
  std::vector<Value> values;               // between the pieces
};

struct TableBinding {
  std::string source_schema;
  std::string source_table;
  std::string target;                      // `schema`.`table`
  std::size_t image_columns = 0;           // of a whole row image, generated columns included
  std::vector<std::string> column_names;   // of the image, to be held against the table map's
  std::vector<binlog::ColumnFacts> facts;  // likewise
  std::vector<BoundColumn> columns;        // those that are written
  std::string column_list;                 // "`a`, `b`"
  std::string on_duplicate;                // "`b` = VALUES(`b`)", in the target's words
  std::string row_alias;                   // " AS godwit_new" on MySQL
  std::vector<std::size_t> key;            // indexes into `columns`; empty: the table has no key
  std::vector<std::vector<std::size_t>> other_uniques;  // further unique keys, indexes into `columns`
  bool is_key_exact = false;               // two keys are equal only if their literals are: not so for collated text
  bool is_key_integer = false;             // one integer column
  std::vector<Cascade> cascades;           // what the source changes by foreign keys to this table, and does not log
  // Where the streams of several shards meet in one table, each with its own rows: what tells one shard's rows from another's (share()).
  bool is_shared = false;
  std::vector<std::size_t> shard_key;      // by which rows are found beside the key, byte for byte; indexes into `columns`
  // The rest is the copy's state, not the table's nature.
  bool is_ignored = false;                 // no row of it is copied yet: the next snapshot holds every change so far
  bool is_partial = false;                 // some of its rows are copied: changes are idempotent, later chunks overwrite

  bool has_key() const { return !key.empty(); }
  bool has_compound_locator() const { return key.size() > 1 || !shard_key.empty(); }
};

// Throws Error(no_usable_key) for a key whose type cannot be compared exactly.
TableBinding bind(const catalog::Table& source, const catalog::Table& target, const std::vector<catalog::Transfer>& transfers,
                  const db::Server& target_server);

// For the way back from several shards, of a table whose rows are divided among them by these columns (src/apply/shared_rows.h).
void share(TableBinding& binding, const std::vector<std::string>& shard_key);

// Throws Error(schema_misfit) unless the table map describes the bound table (I6).
void require_fit(const TableBinding& binding, const binlog::TableMap& map);

// Appends a cell as a literal; absent cells are a programmer's mistake. `before` is the same column's cell in the before image, needed for
// JSON diffs; nullptr where there is none.
void append_literal(std::string& out, const BoundColumn& column, const binlog::ColumnLayout& layout, const binlog::Cell& cell,
                    const binlog::Cell* before);
// Likewise, as the right side of a comparison; `introducer` is the column's for keys or for matching.
void append_comparand(std::string& out, const BoundColumn& column, std::string_view introducer, const binlog::ColumnLayout& layout,
                      const binlog::Cell& cell);

}  // namespace godwit::apply
