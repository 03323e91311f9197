// Transaction payloads: [mode u8] then a payload event's body as it is, or { [type u8][size u16][body] } compressed here.
#include <zstd.h>

#include "drive.h"

using namespace godwit;

namespace {

void append_field(std::string& out, std::uint8_t field, std::string_view value) {
  out.push_back(static_cast<char>(field));
  out.push_back(static_cast<char>(value.size()));
  out.append(value);
}

std::string packed(std::uint64_t value) {
  std::string out(1, '\xfe');
  fuzz::append_little_endian(out, value, 8);
  return out;
}

std::string payload_of(const std::string& events) {
  std::string frame(ZSTD_compressBound(events.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), events.data(), events.size(), 1));
  std::string body;
  append_field(body, 2, std::string(1, '\0'));
  append_field(body, 3, packed(events.size()));
  append_field(body, 1, packed(frame.size()));
  body.push_back('\0');
  return body + frame;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  auto decoder = fuzz::small_decoder();
  fuzz::decode_all(decoder, fuzz::format_description(false));
  if ((in.u8() & 1U) != 0) {
    fuzz::decode_all(decoder, fuzz::event_of(40, in.rest()));
    return 0;
  }
  std::string events;
  while (!in.is_at_end()) {
    const std::uint8_t type = in.u8();
    events += fuzz::event_of(type, in.sized());
  }
  fuzz::decode_all(decoder, fuzz::event_of(40, payload_of(events)));
  return 0;
}
