// One table map and rows of it: [flavour u8][kind u8][size u16][table map's body][rows event's body]; the table id is made to agree.
#include "drive.h"

using namespace godwit;

namespace {

constexpr std::uint8_t kTypes[] = {23, 24, 25, 30, 31, 32, 39, 166, 167, 168, 169, 170, 171};

std::string with_table_id(std::string_view body) {
  std::string whole(body);
  if (whole.size() < 6) whole.resize(6);
  return whole.replace(0, 6, std::string("\x01\0\0\0\0\0", 6));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  auto decoder = fuzz::small_decoder();
  fuzz::decode_all(decoder, fuzz::format_description((in.u8() & 1U) != 0));
  const std::uint8_t type = kTypes[in.u8() % sizeof kTypes];
  fuzz::decode_all(decoder, fuzz::event_of(19, with_table_id(in.sized())));
  fuzz::decode_all(decoder, fuzz::event_of(type, with_table_id(in.rest())));
  return 0;
}
