// [form u8][parameters u16][cut u16][payload]: the head of an execution. Cut short it says the same, or that more is needed.
#include "godwit/wire/execute.h"
#include "input.h"

using namespace godwit;
using fuzz::demand;
using wire::HeadState;

namespace {

wire::ExecuteRead read(std::uint8_t form, std::string_view payload, std::uint16_t parameters) {
  if (form % 3 == 0) return wire::read_bulk_execute(payload, parameters);
  return wire::read_execute(payload, parameters, form % 3 == 1 ? wire::cap::protocol_41 : wire::cap::protocol_41 | wire::cap::query_attributes);
}

void check(const wire::ExecuteRead& it, std::string_view payload) {
  if (it.state != HeadState::complete) return;
  demand(it.head.flag_at < payload.size());
  demand(it.head.types_at <= payload.size());
  demand(it.head.types_bytes <= payload.size() - it.head.types_at);
  demand(it.head.flag_at < it.head.types_at || it.head.types_at == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const std::uint8_t form = in.u8();
  const std::uint16_t parameters = in.u16();
  const std::size_t cut = in.u16();
  const auto payload = in.rest();
  const auto all = read(form, payload, parameters);
  check(all, payload);
  const auto part = read(form, payload.substr(0, cut), parameters);
  check(part, payload.substr(0, cut));
  if (part.state == HeadState::needs_more) return 0;
  demand(part.state == all.state);
  demand(part.head.types_at == all.head.types_at && part.head.types_bytes == all.head.types_bytes && part.head.flag_at == all.head.flag_at && part.head.has_types == all.head.has_types);
  return 0;
}
