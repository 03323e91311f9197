#include "text_result.h"

#include <algorithm>

#include "godwit/wire/bytes.h"
#include "godwit/wire/ok.h"

namespace godwit::proxy {
namespace {

constexpr std::uint16_t kBinary = 63;  // collations
constexpr std::uint16_t kUtf8mb4 = 45;
constexpr std::uint8_t kLongLong = 8;  // types
constexpr std::uint8_t kVarString = 253;
constexpr std::uint16_t kNotNullNumber = 0x8001;

std::string definition(std::string_view name, bool is_number, std::size_t bytes, wire::Capabilities capabilities) {
  std::string out;
  wire::put_lenenc_string(out, "def");
  for (int i = 0; i < 3; ++i) wire::put_lenenc_string(out, "");  // schema, table, original table
  wire::put_lenenc_string(out, name);
  wire::put_lenenc_string(out, "");
  if ((capabilities & wire::cap::extended_metadata) != 0) wire::put_lenenc_string(out, "");
  wire::put(out, 0x0C, 1);
  wire::put(out, is_number ? kBinary : kUtf8mb4, 2);
  wire::put(out, is_number ? 21 : bytes, 4);
  wire::put(out, is_number ? kLongLong : kVarString, 1);
  wire::put(out, is_number ? kNotNullNumber : 0, 2);
  wire::put(out, is_number ? 0 : 31, 1);
  wire::put(out, 0, 2);
  return out;
}

}  // namespace

void append_text_result(std::string& out, const db::Rows& rows, const ResultForm& form) {
  const bool has_eof = (form.capabilities & wire::cap::deprecate_eof) == 0;
  std::uint8_t sequence = form.first_sequence;
  const auto put = [&](std::string_view payload) { sequence = wire::put_packet(out, sequence, payload); };
  const auto put_end = [&] {
    if (!has_eof) return put(wire::write_ok({.header = 0xFE, .status = form.status, .warnings = static_cast<std::uint16_t>(form.warnings)}, (form.capabilities & wire::cap::session_track) != 0));
    std::string eof("\xFE");
    wire::put(eof, form.warnings, 2);
    wire::put(eof, form.status, 2);
    put(eof);
  };

  std::string count;
  wire::put_lenenc(count, rows.columns.size());
  if ((form.capabilities & (wire::cap::cache_metadata | wire::cap::optional_metadata)) != 0) count.push_back('\x01');
  put(count);
  for (std::size_t i = 0; i < rows.columns.size(); ++i) {
    std::size_t bytes = 64;
    for (const auto& row : rows.rows) bytes = std::max(bytes, row[i] ? row[i]->size() : 0);
    put(definition(rows.columns[i], i < form.is_number.size() && form.is_number[i], 4 * bytes, form.capabilities));
  }
  if (has_eof) put_end();
  for (const auto& row : rows.rows) {
    std::string payload;
    for (const auto& cell : row) {
      if (cell) {
        wire::put_lenenc_string(payload, *cell);
      } else {
        payload.push_back('\xFB');
      }
    }
    put(payload);
  }
  put_end();
}

}  // namespace godwit::proxy
