// A place in bytes from outside, read field by field. Reading past the end is an Error(event_corrupt), so that whoever reads need not check.
// Private to binlog.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::binlog {

// The object of the error is filled in by those who know it, with Error::in.
[[noreturn]] void fail_corrupt(std::string cause);
[[noreturn]] void fail_short();

inline std::uint8_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}

// Whether bit `at` of a bitmap is set, lowest bit first. The caller knows that it is inside.
inline bool bit_at(std::string_view bitmap, std::size_t at) {
  return (byte_at(bitmap, at / 8) >> (at % 8) & 1U) != 0;
}

template <typename T>
T little_endian(std::string_view bytes) {
  T value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    value = static_cast<T>(static_cast<std::uint64_t>(value) << 8 | byte_at(bytes, i));
  return value;
}

template <typename T>
T big_endian(std::string_view bytes) {
  T value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    value = static_cast<T>(static_cast<std::uint64_t>(value) << 8 | byte_at(bytes, i));
  return value;
}

class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : rest_(bytes) {}

  bool is_at_end() const { return rest_.empty(); }
  std::size_t size() const { return rest_.size(); }
  std::string_view rest() const { return rest_; }

  std::string_view take(std::size_t count) {
    if (rest_.size() < count) fail_short();
    const auto taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::string_view take_rest() { return take(rest_.size()); }

  std::uint8_t u8() { return byte_at(take(1), 0); }
  std::uint16_t u16() { return little_endian<std::uint16_t>(take(2)); }
  std::uint32_t u24() { return little_endian<std::uint32_t>(take(3)); }
  std::uint32_t u32() { return little_endian<std::uint32_t>(take(4)); }
  std::uint64_t u48() { return little_endian<std::uint64_t>(take(6)); }
  std::uint64_t u56() { return little_endian<std::uint64_t>(take(7)); }
  std::uint64_t u64() { return little_endian<std::uint64_t>(take(8)); }
  // A length-encoded integer of the client protocol ("packed integer").
  std::uint64_t packed();
  // As a size that must be inside what is left.
  std::size_t packed_size();
  // mysql::serialization (libs/mysql/serialization): the low bits of the first byte count the bytes that follow.
  std::uint64_t varint();
  std::int64_t signed_varint();
  // One byte for its length, then the text.
  std::string_view short_text() { return take(u8()); }
  std::string_view bitmap(std::size_t bits) { return take((bits + 7) / 8); }

 private:
  std::string_view rest_;
};

}  // namespace godwit::binlog
