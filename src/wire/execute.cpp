#include "godwit/wire/execute.h"

#include "godwit/wire/bytes.h"

namespace godwit::wire {
namespace {

constexpr std::size_t kHeadBytes = 10;                     // command, statement, flags, iterations
constexpr std::uint8_t kCountAvailable = 0x08;             // flag: the count of parameters is in the packet
constexpr std::uint16_t kBulkTypes = 128;                  // flag: the types are in the packet
constexpr ExecuteRead kNeedsMore{HeadState::needs_more, {}};

// Two bytes each; with query attributes a name behind them. 0 where they are not all there.
std::size_t types_size(std::string_view bytes, std::uint64_t count, bool has_names) {
  if (!has_names) return bytes.size() < 2 * count ? 0 : 2 * count;
  Input in(bytes);
  for (std::uint64_t i = 0; i < count; ++i) {
    in.u16();
    in.lenenc_string();
  }
  return in.is_good() ? bytes.size() - in.left() : 0;
}

}  // namespace

ExecuteRead read_execute(std::string_view payload, std::uint16_t parameters, Capabilities capabilities) {
  ExecuteRead read{HeadState::complete, {}};
  if (payload.size() < kHeadBytes) return kNeedsMore;
  Input in(payload.substr(1));
  read.head.statement = in.u32();
  const std::uint8_t flags = in.u8();
  in.u32();
  read.head.asks_for_cursor = (flags & kCursorFlags) != 0;
  const bool has_attributes = (capabilities & cap::query_attributes) != 0;
  std::uint64_t count = parameters;
  if (has_attributes && (flags & kCountAvailable) != 0) {
    const auto first = payload.size() > kHeadBytes ? static_cast<std::uint8_t>(payload[kHeadBytes]) : std::uint8_t{0};
    count = in.lenenc();
    if (first == 0xFB || first == 0xFF || count > 0xFFFF) return {HeadState::malformed, {}};
    if (!in.is_good()) return kNeedsMore;
  }
  if (count == 0) return read;
  in.take((count + 7) / 8);
  const std::size_t flag_at = payload.size() - in.left();
  const bool has_types = in.u8() != 0;
  if (!in.is_good()) return kNeedsMore;
  read.head.flag_at = flag_at;
  read.head.types_at = flag_at + 1;
  read.head.has_types = has_types;
  if (!has_types) return read;
  read.head.types_bytes = types_size(payload.substr(flag_at + 1), count, has_attributes);
  return read.head.types_bytes == 0 ? kNeedsMore : read;
}

ExecuteRead read_bulk_execute(std::string_view payload, std::uint16_t parameters) {
  ExecuteRead read{HeadState::complete, {}};
  Input in(payload);
  in.u8();
  read.head.statement = in.u32();
  const std::uint16_t flags = in.u16();
  if (!in.is_good()) return kNeedsMore;
  read.head.flag_at = 5;
  read.head.types_at = 7;
  read.head.has_types = (flags & kBulkTypes) != 0;
  if (!read.head.has_types) return read;
  read.head.types_bytes = types_size(payload.substr(7), parameters, false);
  return read.head.types_bytes == 0 && parameters > 0 ? kNeedsMore : read;
}

}  // namespace godwit::wire
