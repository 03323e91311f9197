#include "bytes.h"

#include <utility>

#include "godwit/util/error.h"

namespace godwit::binlog {

void fail_corrupt(std::string cause) {
  throw Error(Code::event_corrupt,
              {.object = "binlog",
               .cause = std::move(cause),
               .remedy = "godwit inspect binlog shows the events before it; compare with the "
                         "server's own reader"});
}

void fail_short() { fail_corrupt("it ends in the middle of a field"); }

std::uint64_t Bytes::packed() {
  const std::uint8_t first = u8();
  if (first < 251) return first;
  if (first == 252) return u16();
  if (first == 253) return u24();
  if (first == 254) return u64();
  fail_corrupt("a packed integer begins with a byte that none begins with");
}

std::size_t Bytes::packed_size() {
  const std::uint64_t value = packed();
  if (value > rest_.size()) fail_short();
  return static_cast<std::size_t>(value);
}

std::uint64_t Bytes::varint() {
  const std::uint8_t first = u8();
  std::size_t more = 0;
  while (more < 8 && (first >> more & 1U) != 0) ++more;
  const auto tail = take(more);
  if (more == 8) return little_endian<std::uint64_t>(tail);
  // The first byte's upper bits are the lowest of the value.
  const std::uint64_t low = static_cast<std::uint64_t>(first) >> (more + 1);
  return low | little_endian<std::uint64_t>(tail) << (7 - more);
}

std::int64_t Bytes::signed_varint() {
  const std::uint64_t value = varint();
  const auto magnitude = static_cast<std::int64_t>(value >> 1);
  return (value & 1U) != 0 ? ~magnitude : magnitude;
}

}  // namespace godwit::binlog
