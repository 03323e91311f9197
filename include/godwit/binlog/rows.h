// Takes the rows of a Rows event apart, without copying: each row is a before image, an after image, or both.
// Layout is made once per table map (and the facts a catalog knows); it says how each column's bytes are found and read.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/binlog/event.h"
#include "godwit/binlog/table.h"

namespace godwit::binlog {

// What a table's definition knows and the table map may not. Empty or zero means: not known.
struct ColumnFacts {
  std::string data_type;  // as information_schema prints it, lower case: "bigint", "uuid", "binary"
  bool is_unsigned = false;
  std::string charset;           // "binary" or empty for byte strings
  unsigned fraction_digits = 0;  // of TIME, DATETIME, TIMESTAMP
};

// From what information_schema.COLUMNS says: DATA_TYPE, COLUMN_TYPE ("timestamp(6)", "bigint(20) unsigned"), CHARACTER_SET_NAME.
ColumnFacts column_facts(std::string_view data_type,
                         std::string_view column_type,
                         std::string_view charset);

// How a value's bytes are read.
// clang-format off
enum class ValueKind : std::uint8_t {
  signed_integer, unsigned_integer, float_number, double_number, decimal, bit, member_number, date, year, time, datetime, timestamp,
  time_old, datetime_old, timestamp_old, time_hires, datetime_hires, timestamp_hires, bytes, padded_bytes, character, json, compressed,
  uuid, inet6, inet4, unreadable
};
// clang-format on

// How a cell's bytes are found in a row.
enum class Width : std::uint8_t { fixed, prefix1, prefix2, prefix3, prefix4, unknown };

struct ColumnLayout {
  ValueKind kind = ValueKind::unreadable;
  Width width = Width::unknown;
  std::uint32_t bytes = 0;             // of a fixed width; of padded_bytes: the column's length
  std::uint8_t precision = 0;          // decimal: digits; temporals: digits of the fraction
  std::uint8_t scale = 0;              // decimal
  std::uint8_t pad_bytes = 1;          // character: bytes of one blank
  bool is_pad_first = false;           // character: little-endian blank (utf16le)
  bool is_zero_unsigned = false;       // float_number, double_number: -0 is printed as 0
  bool is_signedness_guessed = false;  // neither table map nor facts tell; read as signed
  std::string trouble;                 // unreadable: why
};

// What to do about columns that neither the table map nor the facts explain. assume is for people who look at a log: integers are
// signed, CHAR and BINARY are shown as stored. A width is never assumed: what follows would be nonsense.
enum class Unexplained { refuse, assume };

struct Layout {
  std::shared_ptr<const TableMap> table;
  std::vector<ColumnLayout> columns;
  std::uint32_t json_columns = 0;
};

// facts: none, or one per column of the table map in its order. Never throws: what cannot be read is `unreadable` and refused
// by append_value; a width that is not known stops RowReader.
Layout make_layout(std::shared_ptr<const TableMap> table,
                   std::span<const ColumnFacts> facts = {},
                   Unexplained unexplained = Unexplained::refuse);

struct Cell {
  enum class State : std::uint8_t {
    absent,
    null,
    value,
    json_diff
  };  // absent: not in this image; it is not NULL
  State state = State::absent;
  std::string_view bytes;  // without its length prefix
};
using Image = std::span<
    const Cell>;  // one cell per column of the table; empty where the row has no such image

struct Row {
  Image before;
  Image after;
};

// One thread. The layout and the event must outlive it; a row is valid until the next next().
class RowReader {
 public:
  // Throws Error(event_corrupt) when the event's columns are not the layout's.
  RowReader(const Layout& layout, const Rows& rows);
  // False at the end. Throws Error(event_corrupt), or Error(value_unreadable) for a width that is not known.
  bool next(Row& row);

 private:
  class Cursor;
  void read_image(Cursor& in,
                  std::string_view present,
                  std::vector<Cell>& cells,
                  bool may_hold_diffs) const;

  const Layout& layout_;
  const Rows& event_;
  std::string_view rest_;
  std::vector<Cell> before_;
  std::vector<Cell> after_;
};

}  // namespace godwit::binlog
