// The proxy as one: its workers, and the gate's commands over all of them, one at a time, in the first worker's thread. docs/proxy.md, "Moving" and "Switching".
// gate_pause.cpp closes the gate, coordinator.cpp has moves and all else that concerns sessions; authority_watch.cpp how holds of a switch end, and how the proxy keeps to the side that the authority names.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/steady_timer.hpp>
#include <atomic>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "authority_desk.h"
#include "authority_start.h"
#include "context.h"
#include "steward.h"
#include "worker.h"

namespace godwit::proxy {

struct PauseRequest {
  std::chrono::milliseconds lease;
  std::chrono::milliseconds drain;
  Straggler on_straggler = Straggler::abort;
  std::optional<std::uint64_t> epoch{};  // HOLD e: in the name of the switch that the authority is in
};

struct PauseReport {
  std::uint64_t hold = 0;
  std::size_t held = 0;
  std::size_t killed = 0;
  db::Side serving = db::Side::source;
  std::chrono::microseconds took{0};
};

struct MoveReport {
  db::Side side = db::Side::source;
  std::size_t sessions = 0;
  std::chrono::microseconds took{0};
};

struct ResumeReport {
  std::uint64_t hold = 0;
  db::Side serving = db::Side::source;
  std::optional<std::uint64_t> epoch;  // of the authority, that it ended in
  std::string ended_by;                // "resume", "force", "lease", "authority"
  HoldSummary figures;
  std::chrono::microseconds closed{0};
};

class Proxy {
 public:
  Proxy(Context& context, Steward& steward, AuthorityDesk& desk, std::size_t threads);
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
  asio::awaitable<ResumeReport> resume();
  // Of a hold that is over already: what came of it (R3).
  asio::awaitable<ResumeReport> resume_hold(std::uint64_t epoch);
  asio::awaitable<ResumeReport> resume_force(db::Side side);
  asio::awaitable<std::vector<SessionRow>> sessions();
  asio::awaitable<void> count_statements();  // so that the figures have them all
  asio::awaitable<bool> end_session(std::uint32_t client_id);
  asio::awaitable<std::size_t> end_sessions(bool is_forced);

  // The authority. What was found before the loops ran; from start_watching() on it is looked at each second, and at once when a session has cause to doubt.
  void begin(const StartView& found);
  void start_watching();
  asio::awaitable<void> stop_watching();
  void doubt();  // any thread
  const AuthorityView& authority() const { return view_; }
  std::optional<std::chrono::milliseconds> lease_left() const;
  const std::string& instance() const { return instance_; }

 private:
  // One command at a time.
  class Turn;
  // A hold in the name of a switch. It ends on the side that the authority names, and nowhere else.
  struct SwitchHold {
    std::uint64_t epoch = 0;
    Deadline lease_end;
    bool is_joined = false;  // by the proxy itself, since the authority has gone on without it
    int failures = 0;        // of moving everybody to the serving side
  };
  asio::awaitable<Worker::Standing> standing();
  asio::awaitable<bool> settle(Deadline deadline, PauseReport& report);
  asio::awaitable<std::string> name_stragglers();
  asio::awaitable<std::size_t> end_stragglers(PauseReport& report);
  enum class Immovable { all_stay, it_ends };
  asio::awaitable<MoveReport> bring_all(db::Side side, Immovable immovable = Immovable::all_stay);
  asio::awaitable<std::size_t> left_behind(db::Side side);
  asio::awaitable<ResumeReport> release(std::string_view ended_by);
  asio::awaitable<void> sleep_until_woken(Deadline deadline);
  asio::awaitable<void> until_free();
  std::uint64_t close_gate(const PauseRequest& request);
  asio::awaitable<PauseReport> renew_lease(std::chrono::milliseconds lease);

  // --- authority_watch.cpp
  asio::awaitable<std::optional<state::Route>> read_authority();
  asio::awaitable<AuthorityDesk::Look> look(db::Side side);
  asio::awaitable<bool> abort(std::uint64_t hold);
  void note_reading(std::uint64_t number, const std::optional<state::Route>& route);
  [[noreturn]] void note_unread(const Error& error);
  asio::awaitable<void> require_switching(std::uint64_t epoch);
  ResumeReport what_came_of(std::uint64_t epoch) const;
  asio::awaitable<void> watch();
  asio::awaitable<void> watch_once();
  asio::awaitable<void> begin_reconciling();
  void remember_serving();
  Deadline next_watch() const;
  asio::awaitable<void> keep_registered();
  asio::awaitable<void> join();
  void follow_switch(const state::Route& route);
  asio::awaitable<void> end_hold();
  asio::awaitable<std::optional<ResumeReport>> resume_on(fence::Seen seen, std::string_view ended_by);
  std::chrono::milliseconds own_lease() const;
  void log_waiting(const std::string& why);
  void begin_lease(std::uint64_t hold, std::chrono::milliseconds lease);
  template <typename Deed>
  asio::awaitable<void> each(Deed deed);

  Context& context_;
  Steward& steward_;
  std::vector<std::unique_ptr<Worker>> workers_;
  asio::steady_timer woken_;
  asio::steady_timer lease_;
  db::Side served_before_ = db::Side::source;  // the gate was closed
  std::chrono::steady_clock::time_point closed_at_;
  bool is_busy_ = false;
  std::optional<std::uint64_t> pausing_for_;  // that is under way
  bool is_pause_cancelled_ = false;

  AuthorityDesk& desk_;
  AuthorityView view_;
  std::unique_ptr<fence::Reconciler> reconciler_;
  std::optional<db::Side> remembered_;  // told to on_serving
  bool has_known_authority_ = false;
  std::uint64_t readings_ = 0;        // begun
  std::uint64_t reading_noted_ = 0;  // the latest that has an answer
  std::optional<SwitchHold> switch_hold_;
  std::optional<ResumeReport> last_release_;  // of a hold of a switch
  const std::string instance_;
  asio::steady_timer watch_timer_;
  asio::steady_timer register_timer_;
  std::atomic<bool> has_doubt_{false};
  bool is_watch_stopping_ = false;
  int watchers_ = 0;  // that have not ended
  Deadline waiting_logged_{};

  std::mutex access_mutex_;
  std::ofstream access_log_;
};

}  // namespace godwit::proxy
