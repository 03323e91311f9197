#include "godwit/binlog/value.h"

#include <array>
#include <cstring>

#include "bytes.h"
#include "compression.h"
#include "decimal.h"
#include "digits.h"
#include "godwit/binlog/json.h"
#include "godwit/util/error.h"
#include "special.h"
#include "temporal.h"

namespace godwit::binlog {
namespace {

void append_signed_integer(std::string& out, std::string_view bytes) {
  const auto raw = little_endian<std::uint64_t>(bytes);
  const unsigned unused_bits = static_cast<unsigned>(64 - 8 * bytes.size());
  append_signed(out, static_cast<std::int64_t>(raw << unused_bits) >> unused_bits);
}

template <typename Number, typename Bits>
void append_float(std::string& out, std::string_view bytes, const ColumnLayout& column) {
  const auto bits = little_endian<Bits>(bytes);
  Number value;
  static_assert(sizeof value == sizeof bits);
  std::memcpy(&value, &bits, sizeof value);
  const bool is_plain_zero = value == 0 && column.is_zero_unsigned;
  append_double(out, is_plain_zero ? 0.0 : static_cast<double>(value));
}

void append_year(std::string& out, std::string_view bytes) {
  const unsigned year = byte_at(bytes, 0);
  append_padded(out, year == 0 ? 0 : 1900 + year, 4);
}

void append_padded_bytes(std::string& out, std::string_view bytes, std::size_t size) {
  if (bytes.size() > size) fail_corrupt("more bytes than the column takes");
  out.append(bytes);
  out.append(size - bytes.size(), '\0');
}

bool ends_in_blank(std::string_view bytes, const ColumnLayout& column) {
  const auto tail = bytes.substr(bytes.size() - column.pad_bytes);
  const std::size_t blank_at = column.is_pad_first ? 0 : tail.size() - 1U;
  for (std::size_t i = 0; i < tail.size(); ++i) {
    if (tail[i] != (i == blank_at ? ' ' : '\0')) return false;
  }
  return true;
}

void append_character(std::string& out, std::string_view bytes, const ColumnLayout& column) {
  while (bytes.size() >= column.pad_bytes && ends_in_blank(bytes, column))
    bytes.remove_suffix(column.pad_bytes);
  out.append(bytes);
}

// MariaDB's COMPRESSED columns: one byte (algorithm << 4; 0: plain), for zlib the bytes of the length, 8 for raw deflate.
void append_compressed(std::string& out, std::string_view bytes) {
  constexpr unsigned kZlib = 8;
  constexpr unsigned kNoWrap = 8;
  if (bytes.empty()) return;
  Bytes in(bytes);
  const unsigned head = in.u8();
  if (head >> 4 == 0) {
    out.append(in.rest());
    return;
  }
  const std::size_t length_bytes = head & 7U;
  if (head >> 4 != kZlib || length_bytes == 0 || length_bytes > 4)
    fail_corrupt("a compressed column whose algorithm is not known");
  const auto size = big_endian<std::size_t>(in.take(length_bytes));
  append_inflated(out, in.rest(), size, (head & kNoWrap) == 0);
}

[[noreturn]] void fail_unreadable(const ColumnLayout& column) {
  throw Error(Code::value_unreadable,
              {.object = "a column",
               .cause = column.trouble,
               .remedy = "SET GLOBAL binlog_row_metadata = FULL on the source, convert the column, "
                         "or leave the table out"});
}

}  // namespace

void append_value(std::string& out, const Cell& cell, const ColumnLayout& column) {
  GODWIT_CHECK(cell.state == Cell::State::value);
  const auto bytes = cell.bytes;
  switch (column.kind) {
    case ValueKind::signed_integer: return append_signed_integer(out, bytes);
    case ValueKind::unsigned_integer:
      return append_unsigned(out, little_endian<std::uint64_t>(bytes));
    case ValueKind::float_number: return append_float<float, std::uint32_t>(out, bytes, column);
    case ValueKind::double_number: return append_float<double, std::uint64_t>(out, bytes, column);
    case ValueKind::decimal: return append_decimal(out, bytes, column.precision, column.scale);
    case ValueKind::bit: return append_unsigned(out, big_endian<std::uint64_t>(bytes));
    case ValueKind::member_number: return append_unsigned(out, little_endian<std::uint64_t>(bytes));
    case ValueKind::year: return append_year(out, bytes);
    case ValueKind::date:
    case ValueKind::time:
    case ValueKind::datetime:
    case ValueKind::timestamp:
    case ValueKind::time_old:
    case ValueKind::datetime_old:
    case ValueKind::timestamp_old:
    case ValueKind::time_hires:
    case ValueKind::datetime_hires:
    case ValueKind::timestamp_hires: return append_temporal(out, bytes, column);
    case ValueKind::bytes: out.append(bytes); return;
    case ValueKind::padded_bytes: return append_padded_bytes(out, bytes, column.bytes);
    case ValueKind::character: return append_character(out, bytes, column);
    case ValueKind::json: return append_json(out, bytes);
    case ValueKind::compressed: return append_compressed(out, bytes);
    case ValueKind::uuid: return append_uuid_record(out, bytes);
    case ValueKind::inet6: return append_inet6(out, bytes);
    case ValueKind::inet4: return append_inet4(out, bytes);
    case ValueKind::unreadable: break;
  }
  fail_unreadable(column);
}

// my_gcvt() of both servers: digits of the shortest text that reads back the same, in exponent form outside 1e-15 … 1e15
// (unless more digits than places before the point are needed anyway).
void append_double(std::string& out, double value) {
  constexpr int kPointMax = 15;
  char buffer[40];
  const auto end =
      std::to_chars(std::begin(buffer), std::end(buffer), value, std::chars_format::scientific).ptr;
  std::string_view text(std::begin(buffer), static_cast<std::size_t>(end - std::begin(buffer)));
  if (text.front() == '-') {
    out.push_back('-');
    text.remove_prefix(1);
  }
  const auto e_at = text.find('e');
  if (e_at == std::string_view::npos) fail_corrupt("a number that is infinite or none");
  int exponent = 0;
  const auto exponent_text = text.substr(e_at + (text[e_at + 1] == '+' ? 2 : 1));
  std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
  std::string digits(1, text.front());
  if (e_at > 2) digits.append(text.substr(2, e_at - 2));
  if (digits == "0") {
    out.push_back('0');
    return;
  }

  const int count = static_cast<int>(digits.size());
  const int point = exponent + 1;  // digits before the decimal point
  const bool is_plain = point >= -kPointMax + 1 && (point <= kPointMax || count > point);
  if (!is_plain) {
    out.push_back(digits.front());
    if (count > 1) out.append(1, '.').append(digits, 1);
    out.push_back('e');
    return append_integer(out, exponent);
  }
  if (point <= 0) {
    out.append("0.").append(static_cast<std::size_t>(-point), '0').append(digits);
    return;
  }
  const auto before = static_cast<std::size_t>(point);
  if (count <= point) {
    out.append(digits).append(before - digits.size(), '0');
    return;
  }
  out.append(digits, 0, before).append(1, '.').append(digits, before);
}

}  // namespace godwit::binlog
