#include "godwit/layer/proxy_header.h"

#include <arpa/inet.h>

#include <array>
#include <optional>

#include "godwit/util/text.h"

namespace godwit::layer {
namespace {

using Kind = ProxyHeader::Kind;

constexpr std::string_view kText = "PROXY ";
constexpr std::string_view kBinary{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t kTextBytesMax = 107;
constexpr std::size_t kBinaryHeadBytes = 16;
constexpr std::size_t kIpv4Bytes = 4;
constexpr std::size_t kIpv6Bytes = 16;
constexpr unsigned kVersion2 = 2;
constexpr unsigned kIpv4 = 1;
constexpr unsigned kIpv6 = 2;

ProxyHeader of(Kind kind) { return {.kind = kind, .source = {}, .destination = {}, .bytes = 0}; }

unsigned byte_at(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }
unsigned big_u16(std::string_view bytes, std::size_t at) { return byte_at(bytes, at) << 8U | byte_at(bytes, at + 1); }

// --- Version 1 ----------------------------------------------------------------------------------------------------

std::optional<Peer> text_peer(int family, const std::string& address, std::string_view port) {
  std::array<unsigned char, kIpv6Bytes> parsed{};
  const auto number = parse_u64(port);
  const bool is_fine = inet_pton(family, address.c_str(), parsed.data()) == 1 && number && *number <= 65535;
  if (!is_fine) return std::nullopt;
  return Peer{.address = address, .port = static_cast<std::uint16_t>(*number)};
}

ProxyHeader read_text(std::string_view bytes) {
  const auto end = bytes.substr(0, kTextBytesMax).find("\r\n");
  if (end == std::string_view::npos) return of(bytes.size() < kTextBytesMax ? Kind::needs_more : Kind::malformed);
  const auto words = split(bytes.substr(kText.size(), end - kText.size()), ' ');
  ProxyHeader header = of(Kind::local);
  header.bytes = end + 2;
  if (words.front() == "UNKNOWN") return header;
  const bool is_known = (words.front() == "TCP4" || words.front() == "TCP6") && words.size() == 5;
  if (!is_known) return of(Kind::malformed);
  const int family = words.front() == "TCP4" ? AF_INET : AF_INET6;
  const auto source = text_peer(family, words[1], words[3]);
  const auto destination = text_peer(family, words[2], words[4]);
  if (!source || !destination) return of(Kind::malformed);
  header.kind = Kind::client;
  header.source = *source;
  header.destination = *destination;
  return header;
}

// --- Version 2 ----------------------------------------------------------------------------------------------------

Peer binary_peer(int family, std::string_view address, unsigned port) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family, address.data(), text.data(), text.size());
  return {.address = text.data(), .port = static_cast<std::uint16_t>(port)};
}

void read_addresses(ProxyHeader& header, int family, std::size_t address_bytes, std::string_view body) {
  header.kind = Kind::client;
  header.source = binary_peer(family, body.substr(0, address_bytes), big_u16(body, 2 * address_bytes));
  header.destination = binary_peer(family, body.substr(address_bytes, address_bytes), big_u16(body, 2 * address_bytes + 2));
}

ProxyHeader read_binary(std::string_view bytes) {
  if (bytes.size() < kBinaryHeadBytes) return of(Kind::needs_more);
  const unsigned command = byte_at(bytes, 12) & 0x0fU;
  const unsigned family = byte_at(bytes, 13) >> 4U;
  const std::size_t body_bytes = big_u16(bytes, 14);
  const bool is_fine = byte_at(bytes, 12) >> 4U == kVersion2 && command <= 1 && kBinaryHeadBytes + body_bytes <= kProxyHeaderBytesMax;
  if (!is_fine) return of(Kind::malformed);
  if (bytes.size() < kBinaryHeadBytes + body_bytes) return of(Kind::needs_more);
  const auto body = bytes.substr(kBinaryHeadBytes, body_bytes);
  ProxyHeader header = of(Kind::local);
  header.bytes = kBinaryHeadBytes + body_bytes;
  const bool is_local = command == 0 || (family != kIpv4 && family != kIpv6);
  if (is_local) return header;
  const std::size_t address_bytes = family == kIpv4 ? kIpv4Bytes : kIpv6Bytes;
  if (body.size() < 2 * address_bytes + 4) return of(Kind::malformed);
  read_addresses(header, family == kIpv4 ? AF_INET : AF_INET6, address_bytes, body);
  return header;
}

// --- Writing ------------------------------------------------------------------------------------------------------

std::string binary_address(int family, const Peer& peer) {
  std::array<char, kIpv6Bytes> bytes{};
  const std::size_t size = family == AF_INET ? kIpv4Bytes : kIpv6Bytes;
  if (inet_pton(family, peer.address.c_str(), bytes.data()) != 1) return {};
  return {bytes.data(), size};
}

bool is_ipv4(const Peer& peer) { return !binary_address(AF_INET, peer).empty(); }

std::string as_ipv6(const Peer& peer) { return binary_address(AF_INET6, is_ipv4(peer) ? Peer{.address = "::ffff:" + peer.address, .port = peer.port} : peer); }

void put_u16(std::string& out, std::size_t value) {
  out.push_back(static_cast<char>(value >> 8U));
  out.push_back(static_cast<char>(value));
}

bool begins_alike(std::string_view bytes, std::string_view signature) {
  return bytes.substr(0, signature.size()) == signature.substr(0, bytes.size());
}

}  // namespace

ProxyHeader read_proxy_header(std::string_view bytes) {
  if (begins_alike(bytes, kText)) return bytes.size() < kText.size() ? of(Kind::needs_more) : read_text(bytes);
  if (begins_alike(bytes, kBinary)) return bytes.size() < kBinary.size() ? of(Kind::needs_more) : read_binary(bytes);
  return of(Kind::absent);
}

std::string make_proxy_header(const Peer& source, const Peer& destination) {
  const bool is_all_ipv4 = is_ipv4(source) && is_ipv4(destination);
  const std::string from = is_all_ipv4 ? binary_address(AF_INET, source) : as_ipv6(source);
  const std::string to = is_all_ipv4 ? binary_address(AF_INET, destination) : as_ipv6(destination);
  const bool is_local = from.empty() || to.empty();
  std::string header(kBinary);
  header.push_back(is_local ? '\x20' : '\x21');
  header.push_back(is_local ? '\x00' : is_all_ipv4 ? '\x11' : '\x21');
  put_u16(header, is_local ? 0 : from.size() + to.size() + 4);
  if (is_local) return header;
  header += from + to;
  put_u16(header, source.port);
  put_u16(header, destination.port);
  return header;
}

}  // namespace godwit::layer
