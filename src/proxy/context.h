// What all sessions of the proxy share. Made before the threads; what changes later guards itself.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>

#include "backend.h"
#include "failures.h"
#include "gate.h"
#include "hold_figures.h"
#include "godwit/layer/proxy_header.h"
#include "godwit/accounts/passwords.h"
#include "godwit/auth/sha2.h"
#include "godwit/proxy/proxy.h"
#include "godwit/routing/replay.h"
#include "registry.h"
#include "standby.h"
#include "stats.h"
#include "vault.h"

namespace godwit::proxy {

class Steward;

struct Context {
  explicit Context(const ProxyOptions& given);

  // Reads what is known of a side: its facts and its greeting. The serving side must be there; the other one may come later.
  void learn(db::Side side, Steward& steward);
  // As a server does that was given no certificate: clients that do not look at it are encrypted all the same, and may say their passwords.
  void settle_tls();
  // What clients are offered from the first of them on: what one has been given, it must find on the other side too.
  void settle_capabilities();

  wire::Capabilities offered_to_clients() const { return offered_; }
  bool has_one_flavour() const;
  wire::Greeting last_greeting(db::Side side) const { return greetings_[index(side)]; }
  bool trusts_header_of(const std::string& host) const;
  // Of a client that came without one, for the servers; what it connected to is part of it.
  std::string proxy_header_of(const layer::Peer& client, const layer::Peer& listener) const;

  const ProxyOptions options;
  Gate gate;
  std::array<Upstream, 2> upstreams;  // source, target
  std::unique_ptr<const layer::TlsContext> client_tls;
  std::unique_ptr<const auth::RsaKey> rsa;
  accounts::Passwords passwords;  // of --accounts
  routing::ReplayOptions replay_options;
  routing::VariablesPool variables;
  FreshStates fresh_states;
  Registry registry;
  Failures failures;
  Vault vault;
  Stats stats;
  HoldFigures hold_figures;

  static std::size_t index(db::Side side) { return side == db::Side::source ? 0 : 1; }
  const Upstream& upstream(db::Side side) const { return upstreams[index(side)]; }
  Upstream& upstream(db::Side side) { return upstreams[index(side)]; }

 private:
  std::array<wire::Greeting, 2> greetings_;
  wire::Capabilities offered_ = 0;
};

}  // namespace godwit::proxy
