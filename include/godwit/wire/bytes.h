// Fields of a packet, in the protocol's little-endian forms. Reading is total: past the end every field is empty or 0, and is_good() says so once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::wire {

class Input {
 public:
  explicit Input(std::string_view bytes) : rest_(bytes) {}
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u24() { return static_cast<std::uint32_t>(number(3)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  // A length-encoded integer; 0xFB and 0xFF, which are none, are not good.
  std::uint64_t lenenc();
  std::string_view lenenc_string();
  std::string_view nul_string();     // up to a NUL, which must be there
  std::string_view nul_or_rest();    // up to a NUL, or all
  std::string_view take(std::uint64_t size);
  std::string_view rest() { return take(rest_.size()); }
  std::size_t left() const { return rest_.size(); }
  bool is_good() const { return is_good_; }

 private:
  std::uint64_t number(std::size_t bytes);
  std::string_view rest_;
  bool is_good_ = true;
};

void put(std::string& out, std::uint64_t value, int bytes);
void put_lenenc(std::string& out, std::uint64_t value);
void put_lenenc_string(std::string& out, std::string_view text);
void put_nul_string(std::string& out, std::string_view text);
// Into bytes that are there.
void overwrite(char* at, std::uint64_t value, int bytes);

// A packet is frames of at most kFrameMax bytes, each behind a header of three bytes of length and a sequence number; a frame of just kFrameMax
// bytes is followed by another of the same packet.
inline constexpr std::size_t kHeaderBytes = 4;
inline constexpr std::size_t kFrameMax = 0xFFFFFF;
std::uint32_t frame_length(const char* header);
// Appends the payload as one packet, of as many frames as it needs; gives the sequence number after the last.
std::uint8_t put_packet(std::string& out, std::uint8_t sequence, std::string_view payload);

}  // namespace godwit::wire
