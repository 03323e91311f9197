// The proxy as one: its workers, and the gate's commands over all of them, one at a time, in the first worker's thread. docs/proxy.md, "Moving".
#pragma once

#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "context.h"
#include "steward.h"
#include "worker.h"

namespace godwit::proxy {

struct PauseRequest {
  std::chrono::milliseconds lease;
  std::chrono::milliseconds drain;
};

struct PauseReport {
  std::uint64_t hold = 0;
  std::size_t held = 0;
  std::size_t killed = 0;
  std::chrono::microseconds took{0};
};

struct MoveReport {
  db::Side side = db::Side::source;
  std::size_t sessions = 0;
  std::chrono::microseconds took{0};
};

class Proxy {
 public:
  Proxy(Context& context, Steward& steward, std::size_t threads);
  ~Proxy();

  // Any thread.
  Worker& least_loaded(Worker& asking);
  void wake();  // something a command may wait for has happened
  void log_access(const Session& session);
  Context& context() { return context_; }
  asio::io_context& loop() { return workers_.front()->loop(); }
  std::vector<std::unique_ptr<Worker>>& workers() { return workers_; }
  std::string prometheus() const;

  // In the first worker's thread. Throw Error(gate_refused) where the gate is not as they need it, or another command is under way.
  asio::awaitable<PauseReport> pause(PauseRequest request);   // drain_timed_out: everything goes on where it was
  asio::awaitable<MoveReport> warm(db::Side side);
  asio::awaitable<MoveReport> move(db::Side side);            // session_immovable: all are where they were, and held still
  asio::awaitable<std::size_t> resume();
  asio::awaitable<std::vector<SessionRow>> sessions();
  asio::awaitable<bool> end_session(std::uint32_t client_id);
  asio::awaitable<std::size_t> end_sessions(bool is_forced);

 private:
  // One command at a time.
  class Turn;
  asio::awaitable<Worker::Standing> standing();
  asio::awaitable<bool> settle(Deadline deadline, PauseReport& report);
  asio::awaitable<std::string> name_stragglers();
  asio::awaitable<void> release();
  asio::awaitable<void> sleep_until_woken(Deadline deadline);
  void begin_lease(std::uint64_t hold, std::chrono::milliseconds lease);
  template <typename Deed>
  asio::awaitable<void> each(Deed deed);

  Context& context_;
  Steward& steward_;
  std::vector<std::unique_ptr<Worker>> workers_;
  asio::steady_timer woken_;
  asio::steady_timer lease_;
  std::optional<db::Side> moved_from_;  // since the gate was closed
  std::chrono::steady_clock::time_point closed_at_;
  bool is_busy_ = false;
  std::mutex access_mutex_;
  std::ofstream access_log_;
};

}  // namespace godwit::proxy
