#include "coordinator.h"

#include <fmt/format.h>

#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <atomic>

#include "godwit/util/error.h"
#include "godwit/util/log.h"

namespace godwit::proxy {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLook{20};  // between two looks at sessions that are not at a safe point
constexpr std::chrono::milliseconds kSettleMin{100};  // for sessions that only have to be told
constexpr std::chrono::milliseconds kOwnersAsked{100};  // between two looks at who owns locks
constexpr int kKillRoundsMax = 3;
constexpr std::chrono::seconds kMoveMax{10};
constexpr std::chrono::minutes kWarmMax{5};  // nobody waits for it
constexpr std::size_t kNamedMax = 5;

std::chrono::microseconds since(Clock::time_point then) { return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - then); }

double ms(std::chrono::microseconds us) { return static_cast<double>(us.count()) / 1000; }

Error refused(std::string cause, std::string remedy) { return Error(Code::gate_refused, {.object = "the gate", .cause = std::move(cause), .remedy = std::move(remedy)}); }

}  // namespace

class Proxy::Turn {
 public:
  explicit Turn(Proxy& proxy) : proxy_(proxy) {
    if (proxy.is_busy_) throw refused("another command is under way", "wait for it, and say SHOW ROUTE");
    proxy.is_busy_ = true;
  }
  ~Turn() { proxy_.is_busy_ = false; }

 private:
  Proxy& proxy_;
};

Proxy::Proxy(Context& context, Steward& steward, std::size_t threads)
    : context_(context), steward_(steward), workers_([&] {
        std::vector<std::unique_ptr<Worker>> workers;
        for (std::size_t i = 0; i < threads; ++i) workers.push_back(std::make_unique<Worker>(*this, context, steward, i));
        return workers;
      }()),
      woken_(workers_.front()->loop(), Deadline::max()), lease_(workers_.front()->loop()) {
  if (!context.options.access_log.empty()) {
    access_log_.open(context.options.access_log, std::ios::app);
    if (!access_log_) throw Error(Code::bad_usage, {.object = "--access-log " + context.options.access_log, .cause = "it cannot be written", .remedy = "name a file in a folder that is there"});
  }
}

Proxy::~Proxy() = default;

Worker& Proxy::least_loaded(Worker& asking) {
  Worker* best = &asking;
  for (const auto& worker : workers_) {
    if (worker->load() < best->load()) best = worker.get();
  }
  return *best;
}

void Proxy::wake() {
  asio::post(loop(), [this] { woken_.cancel(); });
}

asio::awaitable<void> Proxy::sleep_until_woken(Deadline deadline) {
  woken_.expires_at(deadline);
  std::error_code ignored;
  co_await woken_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

// On every worker at once, in its own thread.
template <typename Deed>
asio::awaitable<void> Proxy::each(Deed deed) {
  std::size_t under_way = workers_.size();
  std::exception_ptr failure;
  asio::steady_timer done(loop(), Deadline::max());
  for (const auto& worker : workers_) {
    asio::co_spawn(worker->loop(), [&deed, it = worker.get()]() -> asio::awaitable<void> { co_await deed(*it); },
                   asio::bind_executor(loop().get_executor(), [&](std::exception_ptr error) {
                     if (error) failure = error;
                     --under_way;
                     done.cancel();
                   }));
  }
  while (under_way > 0) {
    std::error_code ignored;
    co_await done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  if (failure) std::rethrow_exception(failure);
}

asio::awaitable<Worker::Standing> Proxy::standing() {
  Worker::Standing all;
  std::mutex mutex;
  co_await each([&](Worker& worker) -> asio::awaitable<void> {
    const auto standing = worker.standing();
    const std::lock_guard lock(mutex);
    all.held += standing.held;
    all.open += standing.open;
    all.refused += standing.refused;
    co_return;
  });
  co_return all;
}

// Until every session is held and movable. First all that can stand do; then, with nothing under way, one look at the server for all of them, and one at
// each. Those that cannot be moved go on, and are asked again when they have done something. False where time has run out: some may be held by now whose state was
// not read.
asio::awaitable<bool> Proxy::settle(Deadline deadline, PauseReport& report) {
  auto owners_asked = Clock::now();
  while (true) {
    co_await each([](Worker& worker) -> asio::awaitable<void> {
      worker.close_gate();
      co_return;
    });
    auto now = co_await standing();
    // What is under way may be waiting for a lock of a session that is held: such a one goes on.
    if (now.open > 0 && now.held > 0 && Clock::now() >= owners_asked + kOwnersAsked) {
      const auto census = co_await steward_.census(context_.gate.serving());
      co_await each([&](Worker& worker) { return worker.pull_held(census, Worker::Pull::lock_owners, Clock::now() + kMoveMax); });
      owners_asked = Clock::now();
    }
    if (now.open == 0) {
      const auto held_after = since(closed_at_);
      const auto census = co_await steward_.census(context_.gate.serving());
      const auto census_after = since(closed_at_);
      // However little of the drain's time is left: a conversation that is broken off costs the session.
      co_await each([&](Worker& worker) { return worker.pull_held(census, Worker::Pull::all, Clock::now() + kMoveMax); });
      now = co_await standing();
      log::info("the gate is closed: {} sessions stood after {:.1f} ms, the census was taken after {:.1f}, all were read after {:.1f}", now.held, ms(held_after), ms(census_after), ms(since(closed_at_)));
      report.held = now.held;
      if (now.open == 0 && now.refused == 0) co_return true;
    }
    if (Clock::now() >= deadline) co_return false;
    co_await sleep_until_woken(std::min(deadline, Clock::now() + kLook));
  }
}

asio::awaitable<std::string> Proxy::name_stragglers() {
  std::vector<SessionRow> all;
  std::mutex mutex;
  co_await each([&](Worker& worker) -> asio::awaitable<void> {
    const auto rows = worker.stragglers();
    const std::lock_guard lock(mutex);
    all.insert(all.end(), rows.begin(), rows.end());
    co_return;
  });
  std::string text = fmt::format("{} sessions are not at a safe point", all.size());
  for (std::size_t i = 0; i < std::min(all.size(), kNamedMax); ++i) {
    const auto& row = all[i];
    text += fmt::format("{} {} of {} from {} ({})", i == 0 ? ":" : ",", row.id, row.account, row.client, !row.immovable.empty() ? row.immovable : !row.what_it_is_in.empty() ? row.what_it_is_in : row.state);
  }
  co_return text;
}

asio::awaitable<PauseReport> Proxy::pause(PauseRequest request) {
  const Turn turn(*this);
  if (context_.gate.is_closed()) throw refused("it is closed already", "RESUME first");
  const auto began = Clock::now();
  co_await steward_.renew_facts(context_.gate.serving());
  PauseReport report;
  closed_at_ = Clock::now();
  report.hold = context_.gate.close();
  moved_from_.reset();
  ++context_.stats.holds;
  std::exception_ptr failure;
  try {
    bool is_settled = co_await settle(Clock::now() + std::max(request.drain, kSettleMin), report);
    if (!is_settled) {
      if (context_.options.on_straggler == Straggler::abort) {
        const std::string stragglers = co_await name_stragglers();
        throw Error(Code::drain_timed_out, {.object = "the gate", .cause = stragglers, .remedy = "SHOW SESSIONS names them; let them end, --on-straggler kill, or PAUSE … DRAIN with more seconds"});
      }
      // More than once: with the first of them gone the others are asked, and some may say that they cannot be moved.
      for (int round = 0; round < kKillRoundsMax && !is_settled; ++round) {
        std::atomic<std::size_t> ended{0};
        co_await each([&ended](Worker& worker) -> asio::awaitable<void> {
          ended += worker.end_stragglers();
          co_return;
        });
        report.killed += ended;
        is_settled = co_await settle(Clock::now() + kSettleMin, report);
      }
      if (!is_settled) throw Error(Code::drain_timed_out, {.object = "the gate", .cause = co_await name_stragglers(), .remedy = "PAUSE again"});
    }
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await release();
    std::rethrow_exception(failure);
  }
  report.held = (co_await standing()).held;
  report.took = since(began);
  begin_lease(report.hold, request.lease);
  co_return report;
}

// A hold without word ends by itself, on the side that served.
void Proxy::begin_lease(std::uint64_t hold, std::chrono::milliseconds lease) {
  if (lease.count() == 0) return;
  lease_.expires_after(lease);
  asio::co_spawn(
      loop(),
      [this, hold]() -> asio::awaitable<void> {
        std::error_code error;
        co_await lease_.async_wait(asio::redirect_error(asio::use_awaitable, error));
        if (error || context_.gate.hold() != hold) co_return;
        while (is_busy_) co_await sleep_until_woken(Clock::now() + kLook);
        if (context_.gate.hold() != hold) co_return;
        const Turn turn(*this);
        log::warning("the hold's lease has ended without a word: everything goes on where it was");
        if (moved_from_) {
          co_await each([](Worker& worker) -> asio::awaitable<void> {
            worker.move_all_back();
            co_return;
          });
          context_.gate.serve(*moved_from_);
        }
        co_await release();
      },
      asio::detached);
}

asio::awaitable<void> Proxy::release() {
  lease_.cancel();
  context_.gate.open();
  co_await each([](Worker& worker) { return worker.release_all(); });
  const auto us = static_cast<std::uint64_t>(since(closed_at_).count());
  context_.stats.hold_us_last = us;
}

asio::awaitable<MoveReport> Proxy::warm(db::Side side) {
  const Turn turn(*this);
  const auto began = Clock::now();
  co_await steward_.renew_facts(side);
  MoveReport report{.side = side};
  std::mutex mutex;
  std::string failure;
  co_await each([&](Worker& worker) -> asio::awaitable<void> {
    const auto warmed = co_await worker.warm_all(side, Clock::now() + kWarmMax);
    const std::lock_guard lock(mutex);
    report.sessions += warmed.sessions;
    if (failure.empty()) failure = warmed.first_failure;
  });
  if (!failure.empty()) throw Error(Code::session_immovable, {.object = context_.upstream(side).name(), .cause = failure, .remedy = "SHOW ACCOUNTS says how each account is logged in"});
  report.took = since(began);
  co_return report;
}

asio::awaitable<MoveReport> Proxy::move(db::Side side) {
  const Turn turn(*this);
  if (!context_.gate.is_closed()) throw refused("it is open", "PAUSE first");
  MoveReport report{.side = side};
  if (context_.gate.serving() == side) co_return report;
  const auto began = Clock::now();
  if (moved_from_ == side) {  // back, before anybody's statement went the other way
    co_await each([](Worker& worker) -> asio::awaitable<void> {
      worker.move_all_back();
      co_return;
    });
    moved_from_.reset();
    context_.gate.serve(side);
    report.took = since(began);
    co_return report;
  }
  if (context_.upstream(side).facts.get() == nullptr) co_await steward_.renew_facts(side);
  std::mutex mutex;
  std::string failure;
  co_await each([&](Worker& worker) -> asio::awaitable<void> {
    const auto moved = co_await worker.move_all(side, Clock::now() + kMoveMax);
    const std::lock_guard lock(mutex);
    report.sessions += moved.sessions;
    if (failure.empty()) failure = moved.first_failure;
  });
  if (!failure.empty()) {
    co_await each([](Worker& worker) -> asio::awaitable<void> {
      worker.move_all_back();
      co_return;
    });
    throw Error(Code::session_immovable, {.object = context_.upstream(side).name(), .cause = failure, .remedy = "all sessions are where they were, and held: RESUME, or MOVE again"});
  }
  moved_from_ = context_.gate.serving();
  context_.gate.serve(side);
  report.took = since(began);
  co_return report;
}

asio::awaitable<std::size_t> Proxy::resume() {
  const Turn turn(*this);
  if (!context_.gate.is_closed()) throw refused("it is open", "SHOW ROUTE says what is");
  const auto held = (co_await standing()).held;
  co_await release();
  moved_from_.reset();
  co_return held;
}

asio::awaitable<std::vector<SessionRow>> Proxy::sessions() {
  std::vector<SessionRow> all;
  std::mutex mutex;
  co_await each([&](Worker& worker) -> asio::awaitable<void> {
    auto rows = worker.rows();
    const std::lock_guard lock(mutex);
    all.insert(all.end(), rows.begin(), rows.end());
    co_return;
  });
  std::sort(all.begin(), all.end(), [](const SessionRow& a, const SessionRow& b) { return a.id < b.id; });
  co_return all;
}

asio::awaitable<bool> Proxy::end_session(std::uint32_t client_id) {
  std::atomic<bool> was_there{false};
  co_await each([&](Worker& worker) -> asio::awaitable<void> {
    if (worker.end_session(client_id, "Connection was killed")) was_there = true;
    co_return;
  });
  co_return was_there.load();
}

asio::awaitable<std::size_t> Proxy::end_sessions(bool is_forced) {
  std::atomic<std::size_t> left{0};
  co_await each([&](Worker& worker) -> asio::awaitable<void> {
    left += worker.end_sessions(is_forced);
    co_return;
  });
  co_return left.load();
}

void Proxy::log_access(const Session& session) {
  if (context_.options.access_log.empty() || !session.is_served()) return;
  const auto row = session.row();
  const std::lock_guard lock(access_mutex_);
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  access_log_ << fmt::format("{}.{:03} {} {} {} {:.3f} {}\n", now / 1000, now % 1000, row.id, row.client, row.account,
                             std::chrono::duration<double>(Clock::now() - session.began()).count(), row.statements);
  access_log_.flush();
}

std::string Proxy::prometheus() const {
  const Stats& s = context_.stats;
  std::string text;
  const auto add = [&](std::string_view name, std::string_view kind, std::string_view help, double value) {
    text += fmt::format("# HELP godwit_proxy_{0} {1}\n# TYPE godwit_proxy_{0} {2}\ngodwit_proxy_{0} {3}\n", name, help, kind, value);
  };
  const auto u = [](const std::atomic<std::uint64_t>& value) { return static_cast<double>(value.load()); };
  add("sessions", "gauge", "Clients that are logged in.", u(s.sessions));
  add("connections", "gauge", "Client connections, logins included.", u(s.connections));
  add("sessions_total", "counter", "Logins that succeeded.", u(s.sessions_total));
  add("logins_failed_total", "counter", "Logins that failed.", u(s.logins_failed));
  add("refused_total", "counter", "Connections refused by a limit.", u(s.refused));
  add("stalled_total", "counter", "Clients dropped because they did not read, or did not finish.", u(s.stalled));
  add("statements_total", "counter", "Requests relayed by sessions that have ended.", u(s.statements));
  add("moves_total", "counter", "Sessions moved to the other side.", u(s.moves));
  add("moves_failed_total", "counter", "Sessions that could not be moved.", u(s.moves_failed));
  add("holds_total", "counter", "Times the gate was closed.", u(s.holds));
  add("hold_seconds_last", "gauge", "How long the gate was closed the last time.", u(s.hold_us_last) / 1e6);
  add("session_hold_seconds_max", "gauge", "The longest that a session was held.", u(s.hold_us_max) / 1e6);
  add("gate_closed", "gauge", "1 while statements are held.", context_.gate.is_closed() ? 1 : 0);
  add("serving_target", "gauge", "1 while the target serves.", context_.gate.serving() == db::Side::target ? 1 : 0);
  return text;
}

}  // namespace godwit::proxy
