// [capabilities u8][seed u16][count u8][commands][bytes]: a server's answers to commands that were sent. However they are cut, the same is found.
#include "godwit/wire/responses.h"
#include "input.h"
#include "wire_replay.h"

using namespace godwit;

namespace {

wire::Capabilities capabilities_of(std::uint8_t bits) {
  wire::Capabilities capabilities = wire::cap::protocol_41;
  if ((bits & 1) != 0) capabilities |= wire::cap::deprecate_eof;
  if ((bits & 2) != 0) capabilities |= wire::cap::session_track;
  if ((bits & 4) != 0) capabilities |= wire::cap::optional_metadata;
  if ((bits & 8) != 0) capabilities |= wire::cap::cache_metadata;
  if ((bits & 16) != 0) capabilities |= wire::cap::progress;
  return capabilities;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const auto capabilities = capabilities_of(in.u8());
  const fuzz::Pieces pieces(in.u16());
  std::vector<wire::Expected> expected;
  for (const char byte : in.take(in.u8() % 12)) {
    const auto command = static_cast<std::uint8_t>(byte);
    const auto reply = wire::reply_of(command);
    if (reply != wire::Reply::none && reply != wire::Reply::refused) expected.push_back({.reply = reply, .command = static_cast<wire::Command>(command)});
  }
  const auto bytes = in.rest();
  const auto once = test::replay_responses(expected, capabilities, bytes, test::whole());
  fuzz::demand(test::replay_responses(expected, capabilities, bytes, pieces) == once);
  fuzz::demand(test::replay_responses(expected, capabilities, bytes, test::bytewise()) == once);
  return 0;
}
