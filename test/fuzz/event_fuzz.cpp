// Any sequence of events of any type: [flavour u8] { [type u8][size u16][body] }.
#include "drive.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  auto decoder = fuzz::small_decoder();
  fuzz::decode_all(decoder, fuzz::format_description((in.u8() & 1U) != 0));
  while (!in.is_at_end()) {
    const std::uint8_t type = in.u8();
    fuzz::decode_all(decoder, fuzz::event_of(type, in.sized()));
  }
  // The bytes as they are, too: header, size and checksum are the input's own.
  auto raw = fuzz::small_decoder();
  const std::string event(reinterpret_cast<const char*>(data), size);
  if (size >= binlog::Header::kBytes) fuzz::decode_all(raw, event);
  return 0;
}
