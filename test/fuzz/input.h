// A fuzzer's input, taken apart for a target: it never runs out, it gives zeros and nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace godwit::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}
  bool is_at_end() const { return rest_.empty(); }
  std::uint8_t u8() {
    const auto byte = take(1);
    return byte.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(byte.front());
  }
  std::uint16_t u16() {
    const unsigned low = u8();
    return static_cast<std::uint16_t>(low + 256U * u8());
  }
  std::string_view take(std::size_t size) {
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view sized() { return take(u16()); }
  std::string_view rest() { return take(rest_.size()); }

 private:
  std::string_view rest_;
};

inline void demand(bool is_so) {
  if (!is_so) std::abort();
}

// Sizes of the pieces that bytes come in, out of two bytes of the input.
class Pieces {
 public:
  explicit Pieces(std::uint16_t seed) : state_(seed + 1U) {}
  std::size_t operator()() {
    state_ = state_ * 1103515245U + 12345U;
    return 1 + (state_ >> 16) % (1U + (state_ >> 8) % 40U);
  }

 private:
  std::uint32_t state_;
};

}  // namespace godwit::fuzz
