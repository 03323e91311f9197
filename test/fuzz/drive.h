// What the targets share. An input is taken apart here, never in the decoder: [type u8][size u16 LE][body] for each event.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "godwit/binlog/decoder.h"
#include "godwit/binlog/json.h"
#include "godwit/binlog/rows.h"
#include "godwit/binlog/value.h"
#include "godwit/util/error.h"
#include "input.h"

namespace godwit::fuzz {

inline void append_little_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

// A whole event around a body.
inline std::string event_of(std::uint8_t type, std::string_view body) {
  std::string event;
  append_little_endian(event, 1, 4);
  event.push_back(static_cast<char>(type));
  append_little_endian(event, 1, 4);
  append_little_endian(event, binlog::Header::kBytes + body.size(), 4);
  append_little_endian(event, 0, 6);
  return event.append(body);
}

// A format description without checksums, of either flavour.
inline std::string format_description(bool is_mariadb) {
  std::string body;
  append_little_endian(body, 4, 2);
  std::string version = is_mariadb ? "10.11.0-MariaDB" : "9.7.0";
  version.resize(50);
  body += version;
  append_little_endian(body, 0, 4);
  body.push_back(19);
  body.append(171, '\x0a');
  body.append(5, '\0');
  return event_of(15, body);
}

inline void read_rows(const binlog::Rows& rows) {
  if (rows.table == nullptr) return;
  const auto layout = binlog::make_layout(rows.table, {}, binlog::Unexplained::assume);
  binlog::RowReader reader(layout, rows);
  binlog::Row row;
  std::string out;
  while (reader.next(row)) {
    for (const auto& image : {row.before, row.after}) {
      for (std::size_t i = 0; i < image.size(); ++i) {
        out.clear();
        try {
          if (image[i].state == binlog::Cell::State::value)
            binlog::append_value(out, image[i], layout.columns[i]);
          if (image[i].state == binlog::Cell::State::json_diff)
            binlog::decode_json_diffs(image[i].bytes);
        } catch (const Error&) {
        }
      }
    }
  }
}

inline void decode_all(binlog::Decoder& decoder, const std::string& event) {
  try {
    decoder.feed(event);
    while (const binlog::Event* decoded = decoder.next()) {
      if (const auto* rows = decoded->as<binlog::Rows>()) read_rows(*rows);
    }
  } catch (const Error&) {
  }
}

inline binlog::Decoder small_decoder() {
  return binlog::Decoder(
      {.event_bytes_max = std::size_t{16} << 20, .table_bytes_max = std::size_t{1} << 20});
}

}  // namespace godwit::fuzz
