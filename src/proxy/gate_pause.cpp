// The gate is closed: each session is held at its next statement, or named; then it is read what they are made of. A lease opens the gate again by itself.
#include <fmt/format.h>

#include <asio/detached.hpp>

#include "gate_command.h"
#include "godwit/util/log.h"

namespace godwit::proxy {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLook{20};  // between two looks at sessions that are not at a safe point
constexpr std::chrono::milliseconds kSettleMin{100};  // for sessions that only have to be told
constexpr std::chrono::milliseconds kOwnersAsked{100};  // between two looks at who owns locks
constexpr int kKillRoundsMax = 3;
constexpr std::size_t kNamedMax = 5;

double ms(std::chrono::microseconds us) { return static_cast<double>(us.count()) / 1000; }

}  // namespace

asio::awaitable<Worker::Standing> Proxy::standing() {
  Worker::Standing all;
  std::mutex mutex;
  co_await each([&](Worker& worker) -> asio::awaitable<void> {
    const auto standing = worker.standing();
    const std::lock_guard lock(mutex);
    all.held += standing.held;
    all.open += standing.open;
    all.refused += standing.refused;
    all.unread += standing.unread;
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
    if (is_pause_cancelled_) throw refused("it was told to RESUME before all sessions were held", "PAUSE again");
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
      if (now.open == 0 && now.refused == 0 && now.unread == 0) co_return true;
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

// Those that do not come to a safe point. More than once: with the first of them gone the others are asked, and some may say that they cannot be moved.
asio::awaitable<std::size_t> Proxy::end_stragglers(PauseReport& report) {
  std::size_t ended_in_all = 0;
  bool is_settled = false;
  for (int round = 0; round < kKillRoundsMax && !is_settled; ++round) {
    std::atomic<std::size_t> ended{0};
    co_await each([&ended](Worker& worker) -> asio::awaitable<void> {
      ended += worker.end_stragglers();
      co_return;
    });
    ended_in_all += ended;
    is_settled = co_await settle(Clock::now() + kSettleMin, report);
  }
  if (is_settled) co_return ended_in_all;
  const std::string stragglers = co_await name_stragglers();
  throw Error(Code::drain_timed_out, {.object = "the gate", .cause = stragglers, .remedy = "PAUSE again"});
}

std::uint64_t Proxy::close_gate(const PauseRequest& request) {
  if (!context_.gate.is_closed()) {
    closed_at_ = Clock::now();
    served_before_ = context_.gate.serving();
    context_.hold_figures.begin();
    lease_.expires_at(Deadline::max());
    ++context_.stats.holds;
  }
  if (!request.epoch) return context_.gate.close();
  switch_hold_ = SwitchHold{.epoch = *request.epoch, .lease_end = Deadline::max()};
  return context_.gate.close(*request.epoch);
}

// A hold of a switch that is said again has its lease anew; one that finds another's, whose switch is over, goes on with all that are held.
asio::awaitable<PauseReport> Proxy::pause(PauseRequest request) {
  if (request.epoch) co_await until_free();
  const Turn turn(*this);
  const bool was_closed = context_.gate.is_closed();
  if (was_closed && !(request.epoch && switch_hold_)) throw refused("it is closed already", "RESUME first");
  const auto began = Clock::now();
  co_await steward_.renew_facts(context_.gate.serving());
  if (request.epoch) {
    co_await desk_.warm();  // what RESUME will ask by
    co_await require_switching(*request.epoch);
  }
  PauseReport report;
  if (was_closed && switch_hold_->epoch == *request.epoch && !switch_hold_->is_joined) co_return co_await renew_lease(request.lease);
  report.hold = close_gate(request);
  pausing_for_ = request.epoch;
  is_pause_cancelled_ = false;
  std::exception_ptr failure;
  try {
    const bool is_settled = co_await settle(Clock::now() + std::max(request.drain, kSettleMin), report);
    if (!is_settled && request.on_straggler == Straggler::abort) {
      const std::string stragglers = co_await name_stragglers();
      throw Error(Code::drain_timed_out, {.object = "the gate", .cause = stragglers, .remedy = "SHOW SESSIONS names them; let them end, --on-straggler kill, or PAUSE … DRAIN with more seconds"});
    }
    if (!is_settled) report.killed = co_await end_stragglers(report);
    if (request.epoch) co_await bring_all(view_.route->serving);
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  pausing_for_.reset();
  // Nobody has heard that all are held: nothing was fenced in the name of this hold. What an earlier one has left behind is looked after as its lease is.
  if (failure && !was_closed) co_await release("pause_failed");
  if (failure && was_closed) switch_hold_->lease_end = Clock::now();
  if (failure) std::rethrow_exception(failure);
  report.held = (co_await standing()).held;
  report.serving = context_.gate.serving();
  report.took = since(began);
  if (request.epoch) {
    switch_hold_->lease_end = Clock::now() + request.lease;
    watch_timer_.cancel();
  } else {
    begin_lease(report.hold, request.lease);
  }
  co_return report;
}

asio::awaitable<PauseReport> Proxy::renew_lease(std::chrono::milliseconds lease) {
  switch_hold_->lease_end = Clock::now() + lease;
  PauseReport report{.hold = switch_hold_->epoch, .serving = context_.gate.serving()};
  report.held = (co_await standing()).held;
  co_return report;
}

// A hold that is nobody's switch ends without word by itself, on the side that served.
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
        co_await each([](Worker& worker) -> asio::awaitable<void> {
          worker.move_all_back();
          co_return;
        });
        context_.gate.serve(served_before_);
        co_await release("lease");
      },
      asio::detached);
}

}  // namespace godwit::proxy
