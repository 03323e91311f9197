// One event loop in one thread, with the sessions that are pinned to it. What is not marked otherwise is called in that thread.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "context.h"
#include "godwit/util/error.h"
#include "kept_memory.h"
#include "listener.h"
#include "session.h"
#include "steward.h"
#include "turns.h"

namespace godwit::proxy {

class Proxy;

class Worker {
 public:
  Worker(Proxy& proxy, Context& context, Steward& steward, std::size_t index);
  ~Worker();

  // Before the thread runs.
  void listen(const asio::ip::tcp::endpoint& endpoint);
  void start();
  void join();
  // Any thread.
  asio::io_context& loop() { return loop_; }
  std::size_t load() const { return load_.load(std::memory_order_relaxed); }
  void adopt(int socket, const Worker& giver);  // a client's; in the giver's thread
  void stay_alert(bool is_alert) { poller_.stay_alert(is_alert); }

  Context& context() { return context_; }
  Steward& steward() { return steward_; }
  Proxy& proxy() { return proxy_; }
  layer::Compressor& compressor() { return compressor_; }
  // Of sessions that are warmed: their clients, and all others, go on working meanwhile.
  Turns& warm_turns() { return warm_turns_; }

  // The gate, for all sessions here.
  void close_gate();
  struct Standing {
    std::size_t held = 0;
    std::size_t open = 0;     // not at a safe point yet
    std::size_t refused = 0;  // it is, and cannot be moved
    std::size_t unread = 0;   // of those that are held: was let go on, has done something, and stands again
    auto operator<=>(const Standing&) const = default;
  };
  Standing standing() const;
  // Some: only those that may own locks.
  enum class Pull { all, lock_owners };
  asio::awaitable<void> pull_held(std::shared_ptr<const Census> census, Pull which, Deadline deadline);
  struct Moved {
    std::size_t sessions = 0;
    std::string first_failure;
  };
  asio::awaitable<Moved> move_all(db::Side side, Deadline deadline);
  asio::awaitable<Moved> warm_all(db::Side side, Deadline deadline);
  void move_all_back();
  // Those that are not on that side; `end` them: what they were cannot be had there.
  std::size_t left_behind(db::Side side) const;
  std::size_t end_left_behind(db::Side side);
  asio::awaitable<void> release_all();
  std::vector<SessionRow> rows() const;
  void count_statements();  // into the figures, up to now
  std::vector<SessionRow> stragglers() const;
  std::size_t end_stragglers();
  bool end_session(std::uint32_t client_id, std::string_view why);
  // Ends those at a safe point, or all of them. What is left.
  std::size_t end_sessions(bool is_forced);
  void stop_listening();
  void stop();

  // What sessions tell.
  asio::awaitable<void> until_open(Session& session, Deadline deadline);
  void on_served(Session& session);
  void on_settled();
  void on_ended(Session& session);
  void end_later(std::shared_ptr<Backend> backend);  // one that no session needs any more
  void note_hold(const Session& session, std::chrono::steady_clock::duration held);
  void note_unreachable(const Error& error);
  bool may_log_in(const std::string& host);
  void note_failed_login(const std::string& host);
  std::string known_account(const std::string& user, const std::string& host) const;
  void know_account(const std::string& user, const std::string& host, const std::string& account);

 private:
  void welcome(int socket);
  asio::awaitable<void> look_after_sessions();
  asio::awaitable<void> end_left_over();
  asio::awaitable<Moved> for_each_held(Deadline deadline, const std::function<asio::awaitable<void>(Session&)>& deed);

  Proxy& proxy_;
  Context& context_;
  Steward& steward_;
  const std::size_t index_;
  asio::io_context loop_{1};
  Poller& poller_;
  std::list<Listener> listeners_;
  std::unordered_set<std::shared_ptr<Session>> sessions_;
  std::deque<std::shared_ptr<Backend>> left_over_;
  std::list<asio::steady_timer*> waiting_for_gate_;
  std::unordered_map<std::string, std::string> accounts_;  // "user@address" → account
  asio::steady_timer sweep_;
  asio::steady_timer ending_;
  layer::Compressor compressor_;
  KeptMemory kept_memory_;
  Turns warm_turns_{1};
  std::atomic<std::size_t> load_{0};
  Deadline unreachable_logged_{};
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace godwit::proxy
