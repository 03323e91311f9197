// What all sessions of the proxy share. Made before the threads, read by all of them; what changes guards itself.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "backend.h"
#include "gate.h"
#include "godwit/auth/sha2.h"
#include "godwit/proxy/proxy.h"
#include "registry.h"
#include "stats.h"
#include "vault.h"

namespace godwit::proxy {

struct Context {
  explicit Context(const ProxyOptions& given) : options(given), gate(given.serving) {}

  const ProxyOptions options;
  Gate gate;
  std::array<Upstream, 2> upstreams;  // source, target
  wire::Capabilities offered = 0;     // source ∩ target ∩ proxy
  std::unique_ptr<const layer::TlsContext> client_tls;
  std::unique_ptr<const auth::RsaKey> rsa;
  Registry registry;
  Vault vault;
  Stats stats;

  const Upstream& upstream(db::Side side) const { return upstreams[side == db::Side::source ? 0 : 1]; }
  Upstream& upstream(db::Side side) { return upstreams[side == db::Side::source ? 0 : 1]; }
};

}  // namespace godwit::proxy
