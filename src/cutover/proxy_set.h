// The proxies of a switch, driven through their admin accounts, all at once. One thread; move() has threads of its own until moved() returns. Private to cutover.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "godwit/cutover/cutover.h"

namespace godwit::cutover {

struct PauseTimes {
  std::chrono::milliseconds lease;
  std::chrono::milliseconds drain;
};

struct RefusedSession {
  std::size_t proxy = 0;
  std::string id;  // on that proxy
  std::string who;
  std::string why;
};

class ProxySet {
 public:
  explicit ProxySet(const Proxies& proxies);
  ~ProxySet();

  // Throws Error(proxy_unreachable), naming the first that does not answer.
  void connect();
  bool has(const std::string& instance) const;  // after connect()
  void require_side(db::Side serving);  // throws Error(switch_refused) where one serves another
  void warm(db::Side side);             // throws what a proxy says of a session that cannot be logged in there
  std::vector<std::string> immovable(); // sessions, and why
  // Those that stand at safe points and that the side refuses all the same, each time that it is asked: no moment is better than another. After warm().
  std::vector<RefusedSession> refused(db::Side side);
  void kill(const RefusedSession& session);  // one that has gone by itself is no failure
  std::vector<std::string> holding();   // those whose gate is closed
  std::uint64_t sessions();

  // False where sessions of a proxy came to no safe point in time; others may hold. `why` says which. A proxy lets go of a hold when the authority has ended it: abort, then release().
  bool pause(std::uint64_t hold, const PauseTimes& times, OnStraggler on_straggler, std::string& why);
  // A hold of no switch, which ends by itself when the lease is over. False: somebody came to no safe point.
  bool pause_briefly(const PauseTimes& times);
  void resume();  // those that hold so
  void move(db::Side side);
  void moved();  // waits for it; throws what the first that could not says
  // Clients of that hold go on at `serving`. What each says to it; one that was started since, and serves that side, has nothing to say. Tried for so long; throws the first failure after
  // all have been told. A proxy that was told nothing finds out by itself when its lease ends.
  // One that does not answer is no failure of this: it learns from the authority, and its row here says so.
  std::vector<ProxyPause> release(std::uint64_t hold, db::Side serving, std::chrono::milliseconds patience);
  bool empty() const { return proxies_.empty(); }
  std::size_t size() const { return proxies_.size(); }

 private:
  struct One;
  std::vector<RefusedSession> refused_now(db::Side side);
  static ProxyPause release_one(One& proxy, std::uint64_t hold, db::Side serving);
  template <typename Deed>
  std::vector<std::exception_ptr> each(Deed deed);
  std::vector<std::unique_ptr<One>> proxies_;
  std::vector<std::thread> movers_;
};

}  // namespace godwit::cutover
