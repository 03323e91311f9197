#include "decimal.h"

#include <array>
#include <cstdint>

#include "bytes.h"
#include "digits.h"

namespace godwit::binlog {
namespace {

constexpr unsigned kGroupDigits = 9;
constexpr std::size_t kGroupBytes = 4;
constexpr std::array<std::size_t, 10> kBytesOfDigits{0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
constexpr std::array<std::uint32_t, 10> kPowersOfTen{
    1, 10, 100, 1000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};

std::size_t bytes_of(unsigned digits) {
  return digits / kGroupDigits * kGroupBytes + kBytesOfDigits[digits % kGroupDigits];
}

class Groups {
 public:
  Groups(std::string_view bytes, std::uint8_t mask) : bytes_(bytes), mask_(mask) {}

  std::uint32_t next(unsigned digits) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < kBytesOfDigits[digits]; ++i, ++at_) {
      const std::uint8_t sign = at_ == 0 ? 0x80 : 0;
      value = value << 8 | static_cast<std::uint8_t>(byte_at(bytes_, at_) ^ mask_ ^ sign);
    }
    if (value >= kPowersOfTen[digits]) fail_corrupt("a decimal of digits that are none");
    return value;
  }

 private:
  std::string_view bytes_;
  std::uint8_t mask_;
  std::size_t at_ = 0;
};

}  // namespace

bool is_decimal_form(unsigned precision, unsigned scale) {
  constexpr unsigned kPrecisionMax = 65;
  constexpr unsigned kScaleMax = 30;
  return precision >= 1 && precision <= kPrecisionMax && scale <= kScaleMax && scale <= precision;
}

std::size_t decimal_bytes(unsigned precision, unsigned scale) {
  return bytes_of(precision - scale) + bytes_of(scale);
}

void append_decimal(std::string& out, std::string_view bytes, unsigned precision, unsigned scale) {
  const bool is_negative = (byte_at(bytes, 0) & 0x80U) == 0;
  Groups groups(bytes, is_negative ? 0xff : 0);
  if (is_negative) out.push_back('-');

  unsigned whole = precision - scale;
  bool has_digits = false;
  const auto append_whole = [&](unsigned digits) {
    const std::uint32_t value = groups.next(digits);
    if (has_digits) return append_padded(out, value, digits);
    if (value == 0) return;
    append_unsigned(out, value);
    has_digits = true;
  };
  if (const unsigned first = whole % kGroupDigits; first != 0) append_whole(first);
  for (whole /= kGroupDigits; whole > 0; --whole) append_whole(kGroupDigits);
  if (!has_digits) out.push_back('0');

  if (scale == 0) return;
  out.push_back('.');
  for (; scale >= kGroupDigits; scale -= kGroupDigits)
    append_padded(out, groups.next(kGroupDigits), kGroupDigits);
  if (scale > 0) append_padded(out, groups.next(scale), scale);
}

}  // namespace godwit::binlog
