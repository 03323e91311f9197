// DECIMAL's binary form (strings/decimal.cc of both servers): nine digits in four bytes, big-endian, the rest in fewer; the
// first bit is inverted, and all bits of a negative number. Private to binlog.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace godwit::binlog {

bool is_decimal_form(unsigned precision, unsigned scale);
std::size_t decimal_bytes(unsigned precision, unsigned scale);
// `bytes` has decimal_bytes(). Throws Error(event_corrupt) for digits that are none.
void append_decimal(std::string& out, std::string_view bytes, unsigned precision, unsigned scale);

}  // namespace godwit::binlog
