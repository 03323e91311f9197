// Decimals, temporals and the other values: [kind u8][precision u8][scale u8][bytes].
#include <algorithm>

#include "drive.h"

using namespace godwit;

namespace {

// A column as a table map would describe it, so that only layouts that can be are tried.
binlog::Column column_of(std::uint8_t type, std::uint8_t first, std::uint8_t second) {
  binlog::Column column{.type = static_cast<binlog::ColumnType>(type)};
  column.meta = static_cast<std::uint16_t>(first << 8 | second);
  column.collation = second % 2 == 0 ? 63U : 54U;
  column.is_unsigned = (first & 1) != 0;
  return column;
}

constexpr const char* kTypes[] = {
    "", "time", "datetime", "timestamp", "uuid", "inet6", "inet4", "char", "binary"};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  auto table = std::make_shared<binlog::TableMap>();
  const std::uint8_t type = in.u8();
  const std::uint8_t first = in.u8();
  table->columns.push_back(column_of(type, first, in.u8()));
  const std::uint8_t choice = in.u8();
  table->flavour = (choice & 0x80U) != 0 ? gtid::Flavour::mariadb : gtid::Flavour::mysql;
  const binlog::ColumnFacts facts{.data_type = kTypes[(choice & 15U) % std::size(kTypes)],
                                  .charset = "utf16le",
                                  .fraction_digits = choice >> 4 & 7U};
  const auto layout = binlog::make_layout(table, {&facts, 1}, binlog::Unexplained::assume);
  const auto bytes = in.rest();
  const std::string row = std::string(1, '\0').append(bytes);
  const binlog::Rows rows{.table = table,
                          .kind = binlog::RowsKind::insert,
                          .column_count = 1,
                          .present_after = "\x01",
                          .rows = row};
  try {
    fuzz::read_rows(rows);
    binlog::RowReader reader(layout, rows);
    binlog::Row image;
    std::string out;
    while (reader.next(image)) {
      if (image.after[0].state == binlog::Cell::State::value)
        binlog::append_value(out, image.after[0], layout.columns[0]);
    }
  } catch (const Error&) {
  }
  return 0;
}
