// TLS records from a peer that is none: in both roles, during the handshake and after it.
#include <array>

#include "input.h"
#include "godwit/layer/tls.h"
#include "godwit/util/error.h"

using namespace godwit;
using layer::Tls;
using layer::TlsContext;

namespace {

void carry(Tls& from, Tls& to) {
  to.feed(from.pending());
  from.consume_pending(from.pending().size());
}

// As far as `steps` says: 0 is a peer that has just come.
void shake(Tls& client, Tls& server, int steps) {
  for (int i = 0; i < steps; ++i) {
    client.handshake();
    carry(client, server);
    server.handshake();
    carry(server, client);
  }
}

void drive(Tls& tls, fuzz::Input& input) {
  std::array<char, 4096> piece{};
  while (!input.is_at_end()) {
    tls.feed(input.sized());
    if (!tls.is_established()) tls.handshake();
    while (tls.is_established() && tls.read(piece) == piece.size()) {
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto server_context = TlsContext::self_signed();
  static const auto client_context = TlsContext::client(layer::TlsVerify::none, {});
  fuzz::Input input(data, size);
  const int how = input.u8();
  Tls client(client_context);
  Tls server(server_context);
  try {
    shake(client, server, how / 2 % 4);
    drive(how % 2 == 0 ? server : client, input);
  } catch (const Error&) {
  }
  return 0;
}
