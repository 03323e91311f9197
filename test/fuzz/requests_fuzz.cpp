// [file after u8, and whether numbers are made anew][seed u16][bytes]: what a client sends; behind so many requests the server asks for a file. However it is cut, the same is found.
#include "godwit/wire/requests.h"
#include "input.h"
#include "wire_replay.h"

using namespace godwit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const std::uint8_t first = in.u8();
  const std::size_t file_after = first % 8;
  const bool is_renumbering = (first & 0x80) != 0;
  const fuzz::Pieces pieces(in.u16());
  const auto bytes = in.rest();
  const auto once = test::replay_requests(bytes, test::whole(), file_after, is_renumbering);
  fuzz::demand(test::replay_requests(bytes, pieces, file_after, is_renumbering) == once);
  fuzz::demand(test::replay_requests(bytes, test::bytewise(), file_after, is_renumbering) == once);
  return 0;
}
