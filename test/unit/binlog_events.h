// Events of a binlog, put together field by field, so that one field can be wrong. Without checksums.
#pragma once

#include <zlib.h>
#include <zstd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/binlog/event.h"

namespace godwit::binlog::made {

inline std::string little_endian(std::uint64_t value, std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> (8 * i)));
  return text;
}
inline std::string u8(unsigned value) { return little_endian(value, 1); }
inline std::string u16(unsigned value) { return little_endian(value, 2); }
inline std::string u32(std::uint32_t value) { return little_endian(value, 4); }
inline std::string u48(std::uint64_t value) { return little_endian(value, 6); }
inline std::string u64(std::uint64_t value) { return little_endian(value, 8); }
// A packed integer or a text's length of one byte.
inline std::string short_text(std::string_view text) { return u8(static_cast<unsigned>(text.size())) + std::string(text); }
// mysql::serialization; below 2^14.
inline std::string varint(unsigned value) { return value < 128 ? u8(value << 1U) : u8((value & 0x3fU) << 2U | 1U) + u8(value >> 6U); }

inline std::string deflated(std::string_view text) {
  std::string out(compressBound(text.size()), '\0');
  uLongf size = out.size();
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(text.data()), text.size());
  return out.substr(0, size);
}
inline std::string zstd_frame(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  return out.substr(0, ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
}

inline std::string event(EventType type, std::string_view body) {
  constexpr std::uint32_t kSomeTime = 1'700'000'000;
  const auto size = static_cast<std::uint32_t>(Header::kBytes + body.size());
  return u32(kSomeTime) + u8(static_cast<unsigned>(type)) + u32(1) + u32(size) + u32(1000) + u16(0) + std::string(body);
}

struct Format {
  unsigned version = 4;
  std::string server = "8.4.0";
  std::size_t described_types = 40;
  unsigned checksum_algorithm = 0;
};
inline std::string format_description(const Format& it = {}) {
  constexpr std::size_t kVersionBytes = 50;
  std::string server = it.server;
  server.resize(kVersionBytes, '\0');
  return event(EventType::format_description, u16(it.version) + server + u32(0) + u8(Header::kBytes) + std::string(it.described_types, '\x08') + u8(it.checksum_algorithm) + u32(0));
}

// Of one column by default: id INT NOT NULL.
struct Table {
  std::uint64_t id = 7;
  std::string schema_end = u8(0);
  std::string types = u8(3);
  std::string meta;
  std::string optional;
};
inline std::string table_map(const Table& it = {}) {
  const std::string nullable((it.types.size() + 7) / 8, '\0');
  return event(EventType::table_map,
               u48(it.id) + u16(0) + short_text("shop") + it.schema_end + short_text("orders") + u8(0) + short_text(it.types) + short_text(it.meta) + nullable + it.optional);
}
inline std::string optional_metadata(unsigned type, std::string_view value) { return u8(type) + short_text(value); }

struct Inserted {
  std::uint64_t table_id = 7;
  std::string extra = u16(2);
  unsigned columns = 1;
  std::string rows;
};
inline std::string write_rows(const Inserted& it) {
  const std::string present((it.columns + 7) / 8, '\xff');
  return event(EventType::write_rows, u48(it.table_id) + u16(1) + it.extra + u8(it.columns) + present + it.rows);
}

// { field, length, value }: 1 bytes that follow, 2 algorithm (0 zstd, 255 none), 3 bytes after decompression; 0 ends them.
inline std::string transaction_payload(std::string_view payload, unsigned algorithm, std::size_t said_bytes) {
  const std::string packed_algorithm = algorithm < 251 ? u8(algorithm) : u8(252) + u16(algorithm);
  return event(EventType::transaction_payload, u8(1) + short_text(u8(static_cast<unsigned>(said_bytes))) + u8(2) + short_text(packed_algorithm) + u8(0) + std::string(payload));
}
inline std::string transaction_payload(std::string_view payload, unsigned algorithm) { return transaction_payload(payload, algorithm, payload.size()); }

}  // namespace godwit::binlog::made
