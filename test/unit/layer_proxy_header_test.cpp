#include "godwit/layer/proxy_header.h"

#include "catch.h"

using namespace godwit::layer;
using Kind = ProxyHeader::Kind;

namespace {

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string binary(unsigned char command, unsigned char family, std::string_view body) {
  std::string bytes = kSignature;
  bytes.push_back(static_cast<char>(command));
  bytes.push_back(static_cast<char>(family));
  bytes.push_back(static_cast<char>(body.size() >> 8));
  bytes.push_back(static_cast<char>(body.size()));
  return bytes.append(body);
}

const std::string kIpv4Body("\x0a\x01\x02\x03\x7f\x00\x00\x01\x9c\x40\x0c\xea", 12);

// Every beginning of it asks for more; the whole is decided, with whatever follows.
ProxyHeader read_stepwise(const std::string& header) {
  for (std::size_t size = 0; size < header.size(); ++size) CHECK(read_proxy_header(header.substr(0, size)).kind == Kind::needs_more);
  const auto read = read_proxy_header(header + "\x01\x02\x03");
  CHECK(read.bytes == header.size());
  return read;
}

}  // namespace

TEST_CASE("proxy header: version 1", "[layer]") {
  const auto tcp4 = read_stepwise("PROXY TCP4 10.1.2.3 127.0.0.1 40000 3306\r\n");
  CHECK(tcp4.kind == Kind::client);
  CHECK(tcp4.source.address == "10.1.2.3");
  CHECK(tcp4.source.port == 40000);
  CHECK(tcp4.destination.port == 3306);
  CHECK(read_stepwise("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n").source.address == "2001:db8::1");
  CHECK(read_stepwise("PROXY UNKNOWN\r\n").kind == Kind::local);
  CHECK(read_stepwise("PROXY UNKNOWN ffff:: whatever 1 2\r\n").kind == Kind::local);
}

TEST_CASE("proxy header: version 2", "[layer]") {
  const auto tcp4 = read_stepwise(binary(0x21, 0x11, kIpv4Body));
  CHECK(tcp4.kind == Kind::client);
  CHECK(tcp4.source.address == "10.1.2.3");
  CHECK(tcp4.source.port == 40000);
  CHECK(tcp4.destination.address == "127.0.0.1");
  CHECK(tcp4.destination.port == 3306);
  CHECK(read_stepwise(binary(0x21, 0x11, kIpv4Body + std::string(300, 't'))).source.port == 40000);  // with TLVs
  CHECK(read_stepwise(binary(0x21, 0x21, std::string(36, '\1'))).source.address == "101:101:101:101:101:101:101:101");
  CHECK(read_stepwise(binary(0x20, 0x00, "")).kind == Kind::local);
  CHECK(read_stepwise(binary(0x20, 0x11, kIpv4Body)).kind == Kind::local);
  CHECK(read_stepwise(binary(0x21, 0x31, std::string(216, '/'))).kind == Kind::local);
}

TEST_CASE("proxy header: a client's own first bytes are none", "[layer]") {
  CHECK(read_proxy_header("").kind == Kind::needs_more);
  CHECK(read_proxy_header(std::string("\x20\x00\x00\x01\x85", 5)).kind == Kind::absent);
  CHECK(read_proxy_header("PROXX").kind == Kind::absent);
  CHECK(read_proxy_header("\r\n\r\nx").kind == Kind::absent);
}

TEST_CASE("proxy header: what cannot be a header is refused, and none is waited for without end", "[layer]") {
  CHECK(read_proxy_header("PROXY TCP4 10.1.2.3 127.0.0.1 40000\r\n").kind == Kind::malformed);
  CHECK(read_proxy_header("PROXY TCP4 10.1.2.3 127.0.0.1 40000 3306 7\r\n").kind == Kind::malformed);
  CHECK(read_proxy_header("PROXY TCP4 10.1.2.300 127.0.0.1 40000 3306\r\n").kind == Kind::malformed);
  CHECK(read_proxy_header("PROXY TCP4 ::1 ::1 40000 3306\r\n").kind == Kind::malformed);
  CHECK(read_proxy_header("PROXY TCP4 10.1.2.3 127.0.0.1 40000 65536\r\n").kind == Kind::malformed);
  CHECK(read_proxy_header("PROXY \r\n").kind == Kind::malformed);
  CHECK(read_proxy_header("PROXY UNKNOWN" + std::string(100, ' ')).kind == Kind::malformed);
  CHECK(read_proxy_header(binary(0x11, 0x11, kIpv4Body)).kind == Kind::malformed);
  CHECK(read_proxy_header(binary(0x22, 0x11, kIpv4Body)).kind == Kind::malformed);
  CHECK(read_proxy_header(binary(0x21, 0x11, kIpv4Body.substr(1))).kind == Kind::malformed);
  CHECK(read_proxy_header(binary(0x21, 0x11, kIpv4Body + std::string(5000, 't')).substr(0, 20)).kind == Kind::malformed);
}

TEST_CASE("proxy header: what is written is read", "[layer]") {
  CHECK(make_proxy_header({.address = "10.1.2.3", .port = 40000}, {.address = "127.0.0.1", .port = 3306}) == binary(0x21, 0x11, kIpv4Body));
  const auto mixed = read_stepwise(make_proxy_header({.address = "10.1.2.3", .port = 1}, {.address = "2001:db8::1", .port = 2}));
  CHECK(mixed.source.address == "::ffff:10.1.2.3");
  CHECK(mixed.destination.address == "2001:db8::1");
  CHECK(read_stepwise(make_proxy_header({.address = "/run/socket", .port = 0}, {.address = "127.0.0.1", .port = 2})).kind == Kind::local);
}
