// A table as the binlog describes it before its rows (TABLE_MAP_EVENT), with all optional metadata that was logged.
// Immutable once made; any thread. Source: MySQL libs/mysql/binlog/event/rows_event.h, MariaDB sql/log_event.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/gtid/position.h"

namespace godwit::binlog {

// enum_field_types of both flavours, as far as a table map can name them.
// clang-format off
enum class ColumnType : std::uint8_t {
  decimal_old = 0, tiny = 1, short_int = 2, long_int = 3, float_number = 4, double_number = 5, null = 6, timestamp = 7, longlong = 8,
  int24 = 9, date = 10, time = 11, datetime = 12, year = 13, newdate = 14, varchar = 15, bit = 16, timestamp2 = 17, datetime2 = 18,
  time2 = 19, typed_array = 20, blob_compressed = 140, varchar_compressed = 141, vector = 242, json = 245, newdecimal = 246,
  enumeration = 247, set = 248, tiny_blob = 249, medium_blob = 250, long_blob = 251, blob = 252, var_string = 253, string = 254,
  geometry = 255
};
// clang-format on
std::string type_name(ColumnType type);  // "newdecimal"; "type 99" for one that is not known

struct Column {
  ColumnType type = ColumnType::null;  // string is split: enumeration and set are named as such
  std::uint16_t meta = 0;  // of the type: precision, maximal length, bytes of a length …
  bool is_nullable = false;
  // Optional metadata: absent where the server did not log it.
  std::optional<bool> is_unsigned;
  std::optional<std::uint32_t> collation;  // the server's collation id; 63 is binary
  std::string name;
  std::vector<std::string> members;  // of ENUM and SET, in the column's charset
  std::optional<std::uint32_t> geometry_type;
  std::optional<std::uint32_t> vector_dimension;
  std::optional<bool> is_visible;
};

struct KeyColumn {
  std::uint32_t column = 0;
  std::uint32_t prefix_length = 0;  // 0: the whole column
};

struct TableMap {
  std::uint64_t id = 0;
  gtid::Flavour flavour = gtid::Flavour::mysql;  // of the server that wrote it
  bool has_negative_zero = true;                 // false: that server prints a negative zero as 0
  std::string schema;
  std::string table;
  std::vector<Column> columns;
  std::vector<KeyColumn> primary_key;  // empty when not logged
  bool has_names() const { return !columns.empty() && !columns.front().name.empty(); }
};

}  // namespace godwit::binlog
