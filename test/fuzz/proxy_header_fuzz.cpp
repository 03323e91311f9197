// PROXY headers: decided once, whatever follows; what is read as a client's can be written, and reads the same.
#include <cstdlib>

#include "input.h"
#include "godwit/layer/proxy_header.h"

using namespace godwit::layer;
using Kind = ProxyHeader::Kind;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto header = read_proxy_header(bytes);
  if (header.kind == Kind::needs_more && size >= kProxyHeaderBytesMax) std::abort();
  if (header.bytes > size) std::abort();
  if (header.kind != Kind::needs_more && read_proxy_header(std::string(bytes) + "more").kind != header.kind) std::abort();
  if (header.kind != Kind::client) return 0;
  const auto again = read_proxy_header(make_proxy_header(header.source, header.destination));
  if (again.kind != Kind::client || again.source.port != header.source.port || again.destination.port != header.destination.port) std::abort();
  return 0;
}
