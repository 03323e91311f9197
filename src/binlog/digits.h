// Decimal digits, appended. Private to binlog.
#pragma once

#include <charconv>
#include <cstdint>
#include <iterator>
#include <string>

namespace godwit::binlog {

template <typename Integer>
void append_integer(std::string& out, Integer value) {
  char buffer[24];
  const auto end = std::to_chars(std::begin(buffer), std::end(buffer), value).ptr;
  out.append(std::begin(buffer), end);
}
inline void append_unsigned(std::string& out, std::uint64_t value) { append_integer(out, value); }
inline void append_signed(std::string& out, std::int64_t value) { append_integer(out, value); }

// With leading zeros; a value of more digits loses its first ones.
inline void append_padded(std::string& out, std::uint64_t value, unsigned digits) {
  char buffer[20];
  for (unsigned i = digits; i-- > 0; value /= 10) buffer[i] = static_cast<char>('0' + value % 10);
  out.append(buffer, digits);
}

}  // namespace godwit::binlog
