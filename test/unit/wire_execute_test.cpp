#include "catch.h"
#include "godwit/wire/bytes.h"
#include "godwit/wire/execute.h"

using namespace godwit;
using namespace std::string_literals;

namespace {

constexpr wire::Capabilities kPlain = wire::cap::protocol_41;
constexpr wire::Capabilities kAttributes = wire::cap::protocol_41 | wire::cap::query_attributes;

std::string execute(std::uint8_t flags, const std::string& behind) {
  std::string out("\x17");
  wire::put(out, 9, 4);
  wire::put(out, flags, 1);
  wire::put(out, 1, 4);
  return out + behind;
}

// However much of it has come, what is said of it is the same, or that more is needed.
void check_prefixes(const std::string& payload, std::uint16_t parameters, wire::Capabilities capabilities) {
  const auto all = wire::read_execute(payload, parameters, capabilities);
  REQUIRE(all.state == wire::HeadState::complete);
  for (std::size_t cut = 0; cut <= payload.size(); ++cut) {
    const auto part = wire::read_execute(std::string_view(payload).substr(0, cut), parameters, capabilities);
    INFO(cut << " of " << payload.size());
    if (part.state == wire::HeadState::needs_more) {
      CHECK(cut < all.head.types_at + all.head.types_bytes);
      continue;
    }
    REQUIRE(part.state == wire::HeadState::complete);
    CHECK(part.head.has_types == all.head.has_types);
    CHECK(part.head.flag_at == all.head.flag_at);
    CHECK(part.head.types_at == all.head.types_at);
    CHECK(part.head.types_bytes == all.head.types_bytes);
  }
}

}  // namespace

TEST_CASE("wire: an execution without parameters has no types to look for", "[wire]") {
  const auto read = wire::read_execute(execute(1, ""), 0, kPlain);
  CHECK(read.state == wire::HeadState::complete);
  CHECK(read.head.statement == 9);
  CHECK(read.head.asks_for_cursor);
  CHECK(read.head.flag_at == 0);
  CHECK(read.head.types_bytes == 0);
}

TEST_CASE("wire: the types of an execution are found behind the NULL bits", "[wire]") {
  const std::string payload = execute(0, "\0\0\1"s + std::string(18, '\3') + "values");
  const auto read = wire::read_execute(payload, 9, kPlain);
  REQUIRE(read.state == wire::HeadState::complete);
  CHECK(read.head.flag_at == 12);
  CHECK(read.head.types_at == 13);
  CHECK(read.head.has_types);
  CHECK(read.head.types_bytes == 18);
  check_prefixes(payload, 9, kPlain);
}

TEST_CASE("wire: an execution that leaves the types out says where they would be", "[wire]") {
  const std::string payload = execute(0, "\0\0"s + "values");
  const auto read = wire::read_execute(payload, 8, kPlain);
  REQUIRE(read.state == wire::HeadState::complete);
  CHECK_FALSE(read.head.has_types);
  CHECK(read.head.flag_at == 11);
  CHECK(read.head.types_at == 12);
  check_prefixes(payload, 8, kPlain);
}

TEST_CASE("wire: with query attributes the count is in the packet, and each type has a name", "[wire]") {
  // Two parameters and an attribute named "trace".
  const std::string payload = execute(8, "\3\0\1\3\0\0\xFE\0\0\xFE\0\5trace"s + "values");
  const auto read = wire::read_execute(payload, 2, kAttributes);
  REQUIRE(read.state == wire::HeadState::complete);
  CHECK(read.head.flag_at == 12);
  CHECK(read.head.types_bytes == 14);
  check_prefixes(payload, 2, kAttributes);
}

TEST_CASE("wire: an attribute count that no statement has is malformed, not waited for", "[wire]") {
  CHECK(wire::read_execute(execute(8, "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s), 1, kAttributes).state == wire::HeadState::malformed);
  CHECK(wire::read_execute(execute(8, "\xFB"s + std::string(20, 'x')), 1, kAttributes).state == wire::HeadState::malformed);
  CHECK(wire::read_execute(execute(8, "\xFC"s), 1, kAttributes).state == wire::HeadState::needs_more);
  CHECK(wire::read_execute(execute(8, ""), 1, kAttributes).state == wire::HeadState::needs_more);
}

TEST_CASE("wire: a bulk execution has its types behind its flags", "[wire]") {
  const std::string payload = "\xFA\x09\0\0\0\x80\0\3\0\xFD\0values"s;
  const auto read = wire::read_bulk_execute(payload, 2);
  REQUIRE(read.state == wire::HeadState::complete);
  CHECK(read.head.statement == 9);
  CHECK(read.head.has_types);
  CHECK(read.head.flag_at == 5);
  CHECK(read.head.types_at == 7);
  CHECK(read.head.types_bytes == 4);
  for (std::size_t cut = 0; cut < 11; ++cut) CHECK(wire::read_bulk_execute(std::string_view(payload).substr(0, cut), 2).state == wire::HeadState::needs_more);
  const auto none = wire::read_bulk_execute("\xFA\x09\0\0\0\0\0values"s, 2);
  CHECK(none.state == wire::HeadState::complete);
  CHECK_FALSE(none.head.has_types);
}
