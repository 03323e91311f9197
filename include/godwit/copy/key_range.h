// Ranges of a table's key as SQL: (lower, upper], each bound a list of literals that the server itself rendered, one
// per key column. Pure; any thread. Bounds are compared with each other as text only; order is the server's business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/catalog/catalog.h"

namespace godwit::copy {

// How a key column's values become literals that the server compares just as it orders the index.
enum class KeyKind {
  integer,   // 42
  number,    // 1.50 (decimal), BIT as a number
  text,      // _latin1 X'6162', under the column's own collation
  bytes,     // X'00FF'
  quoted,    // _latin1'2020-01-01 00:00:00', UUID, INET6: compared in the column's type
  ordinal,   // ENUM and SET: by index, `c`+0
};

struct KeyColumn {
  std::string name;
  KeyKind kind = KeyKind::integer;
  std::string charset;  // of text
  bool is_unsigned = false;
  bool is_descending = false;
};

struct KeySpec {
  std::string index;
  std::vector<KeyColumn> columns;
  // One integer column: ranges are split by value. All others by walking the index.
  bool is_split_by_value() const {
    return columns.size() == 1 && columns[0].kind == KeyKind::integer && !columns[0].is_descending;
  }
};

// A literal per key column; empty: unbounded.
using Bound = std::vector<std::string>;
std::string to_text(const Bound& bound);        // JSON array, "" for unbounded
Bound bound_from_text(const std::string& text);  // throws Error(copy_incomplete) for what to_text never wrote

struct KeyRange {
  Bound lower;  // exclusive
  Bound upper;  // inclusive
};

// Throws Error(no_usable_key) for a type that cannot bound ranges.
KeySpec key_spec(const catalog::Table& table, const catalog::Key& key);

// `a` > 1 or (`a` = 1 and `b` > 2) …, or "" for the whole table. Never row constructors: servers scan for those.
std::string predicate(const KeySpec& key, const KeyRange& range);
// `a` = 1 AND `b` = 2: the one row of a bound.
std::string equality(const KeySpec& key, const Bound& bound);
std::string order_by(const KeySpec& key);
// Select expressions, one per key column, whose values are the literals of a bound.
std::string literal_expressions(const KeySpec& key);

// Integers: the values in between, evenly; at most parts_max - 1 of them. Signed and unsigned alike.
struct Span {
  std::string first;  // as the server prints it
  std::string last;
};
std::vector<Bound> split_by_value(const KeyColumn& column, const Span& span, std::uint64_t parts);

}  // namespace godwit::copy
