// flags and id were read before:
//   schema: u8 length, text, 0 · table: likewise · columns: packed · type per column: u8 · metadata: packed length, bytes ·
//   nullable: bitmap · optional metadata: { type u8, packed length, bytes }
#include "table_map.h"

#include <algorithm>
#include <utility>

namespace godwit::binlog {
namespace {

constexpr std::size_t kColumnsMax = 4096;  // of both servers

// clang-format off
enum class Optional : std::uint8_t {
  signedness = 1, default_charset = 2, column_charset = 3, column_name = 4, set_members = 5, enum_members = 6, geometry_type = 7,
  simple_primary_key = 8, primary_key_with_prefix = 9, member_default_charset = 10, member_column_charset = 11, visibility = 12,
  vector_dimension = 13
};
// clang-format on

void read_string_meta(Column& column, Bytes& in) {
  // The first byte is the real type; its bits 4 and 5, inverted, are the length's bits 8 and 9.
  const unsigned first = in.u8();
  const unsigned second = in.u8();
  const bool is_long = (first & 0x30U) != 0x30U;
  const unsigned real = first | 0x30U;
  if (!is_long && (first == 247 || first == 248)) {
    column.type = static_cast<ColumnType>(first);
    column.meta = static_cast<std::uint16_t>(second);
    return;
  }
  if (real != 254 && real != 253) fail_corrupt("a string column's metadata names another type");
  column.meta =
      static_cast<std::uint16_t>(second | (is_long ? ((first & 0x30U) ^ 0x30U) << 4 : 0U));
}

void read_meta(Column& column, Bytes& in) {
  switch (column.type) {
    case ColumnType::float_number:
    case ColumnType::double_number:
    case ColumnType::tiny_blob:
    case ColumnType::medium_blob:
    case ColumnType::long_blob:
    case ColumnType::blob:
    case ColumnType::blob_compressed:
    case ColumnType::geometry:
    case ColumnType::json:
    case ColumnType::vector:
    case ColumnType::time2:
    case ColumnType::datetime2:
    case ColumnType::timestamp2: column.meta = in.u8(); return;
    case ColumnType::varchar:
    case ColumnType::varchar_compressed:
    case ColumnType::bit: column.meta = in.u16(); return;
    case ColumnType::newdecimal:
    case ColumnType::var_string:
    case ColumnType::enumeration:
    case ColumnType::set: column.meta = big_endian<std::uint16_t>(in.take(2)); return;
    case ColumnType::string: return read_string_meta(column, in);
    case ColumnType::typed_array: {
      Column element{.type = static_cast<ColumnType>(in.u8())};
      if (element.type == ColumnType::typed_array) fail_corrupt("an array of arrays");
      read_meta(element, in);
      return;
    }
    case ColumnType::decimal_old:
    case ColumnType::tiny:
    case ColumnType::short_int:
    case ColumnType::long_int:
    case ColumnType::null:
    case ColumnType::timestamp:
    case ColumnType::longlong:
    case ColumnType::int24:
    case ColumnType::date:
    case ColumnType::time:
    case ColumnType::datetime:
    case ColumnType::year:
    case ColumnType::newdate: return;
  }
  // A type that is not known: nobody can say where the next column's metadata begins.
  fail_corrupt("a column of " + type_name(column.type));
}

bool is_numeric(const Column& column) {
  switch (static_cast<int>(column.type)) {
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 8:
    case 9:
    case 13:
    case 246: return true;
    default: return false;
  }
}

bool is_text(const Column& column) {
  switch (static_cast<int>(column.type)) {
    case 15:
    case 140:
    case 141:
    case 249:
    case 250:
    case 251:
    case 252:
    case 253:
    case 254: return true;
    default: return false;
  }
}

bool is_member(const Column& column) {
  return column.type == ColumnType::enumeration || column.type == ColumnType::set;
}

class OptionalMetadata {
 public:
  explicit OptionalMetadata(TableMap& table) : table_(table) {}

  void read(std::uint8_t type, Bytes in) {
    switch (static_cast<Optional>(type)) {
      case Optional::signedness: return signedness(in);
      case Optional::default_charset: return default_charset(in, is_text);
      case Optional::column_charset: return column_charset(in, is_text);
      case Optional::column_name: return names(in);
      case Optional::set_members: return members(in, ColumnType::set);
      case Optional::enum_members: return members(in, ColumnType::enumeration);
      case Optional::geometry_type:
        return numbers(in, ColumnType::geometry, &Column::geometry_type);
      case Optional::simple_primary_key: return primary_key(in, false);
      case Optional::primary_key_with_prefix: return primary_key(in, true);
      case Optional::member_default_charset: return default_charset(in, is_member);
      case Optional::member_column_charset: return column_charset(in, is_member);
      case Optional::visibility: return visibility(in);
      case Optional::vector_dimension:
        return numbers(in, ColumnType::vector, &Column::vector_dimension);
    }
    // One of a newer server: optional by name and by nature.
  }

 private:
  using Predicate = bool (*)(const Column&);

  std::vector<Column*> columns_that(Predicate is_meant) {
    std::vector<Column*> found;
    for (auto& column : table_.columns) {
      if (is_meant(column)) found.push_back(&column);
    }
    return found;
  }

  // One bit per numeric column, highest bit first; set for UNSIGNED.
  void signedness(Bytes& in) {
    auto columns = columns_that(is_numeric);
    const auto bits = in.bitmap(columns.size());
    for (std::size_t i = 0; i < columns.size(); ++i)
      columns[i]->is_unsigned = (byte_at(bits, i / 8) << (i % 8) & 0x80) != 0;
  }

  // The most frequent collation, then pairs of (index among those columns, collation) for the others.
  void default_charset(Bytes& in, Predicate is_meant) {
    auto columns = columns_that(is_meant);
    const auto usual = static_cast<std::uint32_t>(in.packed());
    for (auto* column : columns) column->collation = usual;
    while (!in.is_at_end()) {
      const std::uint64_t index = in.packed();
      if (index >= columns.size()) fail_corrupt("a character set for a column that is not there");
      columns[index]->collation = static_cast<std::uint32_t>(in.packed());
    }
  }

  void column_charset(Bytes& in, Predicate is_meant) {
    for (auto* column : columns_that(is_meant))
      column->collation = static_cast<std::uint32_t>(in.packed());
  }

  void names(Bytes& in) {
    for (auto& column : table_.columns) column.name = in.take(in.packed_size());
  }

  void members(Bytes& in, ColumnType type) {
    for (auto& column : table_.columns) {
      if (column.type != type) continue;
      const std::size_t count = in.packed_size();
      for (std::size_t i = 0; i < count; ++i)
        column.members.emplace_back(in.take(in.packed_size()));
    }
  }

  void numbers(Bytes& in, ColumnType type, std::optional<std::uint32_t> Column::*field) {
    for (auto& column : table_.columns) {
      if (column.type == type) column.*field = static_cast<std::uint32_t>(in.packed());
    }
  }

  void primary_key(Bytes& in, bool has_prefixes) {
    while (!in.is_at_end()) {
      KeyColumn key{.column = static_cast<std::uint32_t>(in.packed())};
      if (has_prefixes) key.prefix_length = static_cast<std::uint32_t>(in.packed());
      if (key.column >= table_.columns.size())
        fail_corrupt("a primary key of a column that is not there");
      table_.primary_key.push_back(key);
    }
  }

  void visibility(Bytes& in) {
    const auto bits = in.bitmap(table_.columns.size());
    for (std::size_t i = 0; i < table_.columns.size(); ++i)
      table_.columns[i].is_visible = (byte_at(bits, i / 8) << (i % 8) & 0x80) != 0;
  }

  TableMap& table_;
};

std::string terminated_text(Bytes& in) {
  std::string text(in.short_text());
  if (in.u8() != 0) fail_corrupt("a name that does not end where it says");
  return text;
}

}  // namespace

std::shared_ptr<const TableMap> decode_table_map(TableMap known, Bytes in) {
  auto table = std::make_shared<TableMap>(std::move(known));
  table->schema = terminated_text(in);
  table->table = terminated_text(in);
  const std::size_t count = in.packed_size();
  if (count > kColumnsMax) fail_corrupt("a table of more columns than a server allows");
  table->columns.resize(count);
  const auto types = in.take(count);
  for (std::size_t i = 0; i < count; ++i)
    table->columns[i].type = static_cast<ColumnType>(byte_at(types, i));
  Bytes meta(in.take(in.packed_size()));
  for (auto& column : table->columns) read_meta(column, meta);
  if (!meta.is_at_end()) fail_corrupt("more column metadata than columns");
  const auto nullable = in.bitmap(count);
  for (std::size_t i = 0; i < count; ++i) table->columns[i].is_nullable = bit_at(nullable, i);
  OptionalMetadata optional(*table);
  while (!in.is_at_end()) {
    const std::uint8_t type = in.u8();
    optional.read(type, Bytes(in.take(in.packed_size())));
  }
  return table;
}

}  // namespace godwit::binlog
