// The proxies that live, in `_godwit.proxy` on the target: each writes itself there every few seconds, so that a switch finds the one that nobody has
// named to it. One thread per connection.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "godwit/db/connection.h"

namespace godwit::state {

// How soon each proxy that lives is in a registry that has just come to be: they look for it every 250 ms. In whole seconds, as a registry's age is.
inline constexpr std::chrono::seconds kProxiesKnownAfter{2};
inline constexpr std::chrono::milliseconds kProxySilenceMax{6'500};  // of one that lives: it notes itself every 2 s

struct ProxyRow {
  std::string instance;  // another one for each process, as its SHOW ROUTE says it
  std::string endpoint;  // where its admin is spoken to, as seen from its own host
  db::Side serving = db::Side::source;
  std::chrono::milliseconds seen_ago{0};  // by the target's clock
};

class ProxyRegistry {
 public:
  ProxyRegistry(db::Connection& target, std::string workflow) : db_(target), workflow_(std::move(workflow)) {}

  // False where there is no sidecar to be registered in.
  bool note(const ProxyRow& proxy);
  void remove(const std::string& instance);
  // For how long it has been there, by the target's clock, rounded down; nothing where there is none.
  std::optional<std::chrono::seconds> age();
  // Seen within `max_age`, latest first.
  std::vector<ProxyRow> live(std::chrono::milliseconds max_age);

 private:
  db::Connection& db_;
  std::string workflow_;
};

}  // namespace godwit::state
