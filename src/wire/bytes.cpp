#include "godwit/wire/bytes.h"

#include <algorithm>

namespace godwit::wire {

std::uint64_t Input::number(std::size_t bytes) {
  if (rest_.size() < bytes) {
    is_good_ = false;
    rest_ = {};
    return 0;
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value |= std::uint64_t{static_cast<std::uint8_t>(rest_[i])} << (8 * i);
  rest_.remove_prefix(bytes);
  return value;
}

std::uint64_t Input::lenenc() {
  const std::uint8_t first = u8();
  switch (first) {
    case 0xFC:
      return number(2);
    case 0xFD:
      return number(3);
    case 0xFE:
      return number(8);
    case 0xFB:
    case 0xFF:
      is_good_ = false;
      return 0;
    default:
      return first;
  }
}

std::string_view Input::take(std::uint64_t size) {
  if (size > rest_.size()) {
    is_good_ = false;
    rest_ = {};
    return {};
  }
  const auto taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

std::string_view Input::lenenc_string() { return take(lenenc()); }

std::string_view Input::nul_string() {
  const auto end = rest_.find('\0');
  if (end == std::string_view::npos) {
    is_good_ = false;
    rest_ = {};
    return {};
  }
  const auto text = take(end);
  take(1);
  return text;
}

std::string_view Input::nul_or_rest() {
  return rest_.find('\0') == std::string_view::npos ? rest() : nul_string();
}

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

void put_lenenc(std::string& out, std::uint64_t value) {
  if (value < 0xFB) return put(out, value, 1);
  if (value <= 0xFFFF) {
    out.push_back('\xFC');
    return put(out, value, 2);
  }
  if (value <= 0xFFFFFF) {
    out.push_back('\xFD');
    return put(out, value, 3);
  }
  out.push_back('\xFE');
  put(out, value, 8);
}

void put_lenenc_string(std::string& out, std::string_view text) {
  put_lenenc(out, text.size());
  out += text;
}

void put_nul_string(std::string& out, std::string_view text) {
  out += text;
  out.push_back('\0');
}

void overwrite(char* at, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) at[i] = static_cast<char>(value >> (8 * i));
}

std::uint32_t frame_length(const char* header) {
  return std::uint32_t{static_cast<std::uint8_t>(header[0])} | std::uint32_t{static_cast<std::uint8_t>(header[1])} << 8 | std::uint32_t{static_cast<std::uint8_t>(header[2])} << 16;
}

std::uint8_t put_packet(std::string& out, std::uint8_t sequence, std::string_view payload) {
  while (true) {
    const std::size_t size = std::min(payload.size(), kFrameMax);
    put(out, size, 3);
    out.push_back(static_cast<char>(sequence++));
    out += payload.substr(0, size);
    payload.remove_prefix(size);
    if (size < kFrameMax) return sequence;
  }
}

}  // namespace godwit::wire
