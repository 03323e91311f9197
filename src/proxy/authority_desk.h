// What the proxy asks of the authority and of the two fences, and how it tells that it lives: by connections and threads of its own, so that a target that
// does not answer keeps nothing else waiting. Throws what connecting and asking throw; each wait is bounded by seconds.
#pragma once

#include <array>
#include <asio/awaitable.hpp>
#include <asio/thread_pool.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/fence/fence.h"
#include "godwit/fence/reconciler.h"
#include "godwit/state/authority.h"
#include "godwit/state/proxy_registry.h"
#include "godwit/util/error.h"

namespace godwit::proxy {

struct Context;

// Of an authority that was there, or that a switch says it has.
Error row_is_gone(const std::string& workflow);

class AuthorityDesk {
 public:
  explicit AuthorityDesk(const Context& context);
  ~AuthorityDesk();

  // Nothing: there is no authority, since no switch was ever prepared. In the caller's thread, before the event loops run.
  std::optional<state::Route> read_now();
  // Where the authority cannot be asked: whether the source knows of a switch that was prepared. Without one the source serves.
  bool knows_source_of_switches();

  // Opens what the next questions need, so that nobody waits for it then. Never throws.
  asio::awaitable<void> warm();
  asio::awaitable<std::optional<state::Route>> read();
  asio::awaitable<bool> abort(std::uint64_t hold);
  // The fence of that side made to follow the authority, inside the server's named lock (R1); of several servers of a side each, and it is open when all are (R2).
  asio::awaitable<fence::Seen> follow(db::Side side);
  // Both at once: the authority, and whether the side has a fence of that kind.
  struct Look {
    std::optional<state::Route> route;
    bool is_fenced = false;
  };
  asio::awaitable<Look> look(db::Side side, std::string fence);

  // For the fences of a workflow whose kind of fence is decided.
  asio::awaitable<fence::ReconcilerOptions> reconciler_options();

  std::string authority_name() const;
  // False where there is no sidecar.
  asio::awaitable<bool> note(state::ProxyRow proxy);
  void forget(const std::string& instance);  // in the caller's thread, when the loops have ended

 private:
  // One connection, made again where it was lost.
  struct Lane {
    db::Endpoint at;
    std::chrono::seconds patience{2};
    std::mutex mutex{};
    std::optional<db::Connection> connection{};
  };
  void open(Lane& lane);
  template <typename Deed>
  auto with(Lane& lane, Deed deed);
  template <typename Deed>
  auto ask(Deed deed) -> asio::awaitable<decltype(deed())>;
  using Lanes = std::vector<std::unique_ptr<Lane>>;
  Lanes& fence_lanes(db::Side side) { return fences_[side == db::Side::source ? 0 : 1]; }
  bool is_any_fenced(db::Side side, const fence::Plan& plan);
  fence::Seen follow_one(Lane& server, const fence::Plan& plan);
  std::optional<state::Route> read_by(Lane& lane);
  std::vector<fence::Table> tables_of(db::Side side);
  fence::Plan plan_of(db::Side side, const std::string& fence);

  const Context& context_;
  Lane authority_;
  Lane fences_authority_;  // what follow() reads the authority by
  Lane registry_;
  std::array<Lanes, 2> fences_;  // of the servers of each side
  std::mutex plans_mutex_;
  std::array<std::optional<fence::Plan>, 2> plans_;
  asio::thread_pool threads_;
};

}  // namespace godwit::proxy
