// The PROXY protocol, versions 1 and 2: what a load balancer says of its client before the client's first byte. Pure and total.
// Format: haproxy.org, "The PROXY protocol", sections 2.1 and 2.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::layer {

struct Peer {
  std::string address;  // as inet_ntop writes it
  std::uint16_t port = 0;
};

struct ProxyHeader {
  enum class Kind {
    needs_more,  // the bytes begin like a header
    absent,      // they are the client's own
    malformed,   // a header that cannot be one: the connection is to be closed
    local,       // a header that names nobody: a health check, a client on a socket file
    client,      // `source` is the client
  };
  Kind kind = Kind::needs_more;
  Peer source;
  Peer destination;
  std::size_t bytes = 0;  // of the header: the client's own begin there
};

inline constexpr std::size_t kProxyHeaderBytesMax = 4096 + 16;  // of version 2, with what is appended to the addresses; of version 1 it is 107

// The first bytes of a connection, as many as have come. Decided after kProxyHeaderBytesMax at the latest.
ProxyHeader read_proxy_header(std::string_view bytes);

// Version 2. Addresses that are none (a socket file's) make a header that names nobody; IPv4 and IPv6 together become IPv6.
std::string make_proxy_header(const Peer& source, const Peer& destination);

}  // namespace godwit::layer
