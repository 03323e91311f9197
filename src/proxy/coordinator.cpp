#include "coordinator.h"

#include <fmt/format.h>

#include <asio/post.hpp>
#include <random>

#include "gate_command.h"
#include "godwit/util/log.h"

namespace godwit::proxy {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::minutes kWarmMax{5};  // nobody waits for it
constexpr std::chrono::seconds kTurnMax{15};  // that a command of a switch waits for the one that is under way
constexpr std::chrono::milliseconds kTurnLook{5};

std::string random_name() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

}  // namespace

Proxy::Turn::Turn(Proxy& proxy) : proxy_(proxy) {
  if (proxy.is_busy_) throw refused("another command is under way", "wait for it, and say SHOW ROUTE");
  proxy.is_busy_ = true;
  set_alert(true);
}

Proxy::Turn::~Turn() {
  proxy_.is_busy_ = false;
  set_alert(proxy_.context_.gate.is_closed());
}

// Workers ask each other a lot now, and clients wait for it; between two commands, too, while the gate is closed.
void Proxy::Turn::set_alert(bool is_alert) {
  for (const auto& worker : proxy_.workers_) worker->stay_alert(is_alert);
}

asio::awaitable<void> Proxy::until_free() {
  const auto end = Clock::now() + kTurnMax;
  while (is_busy_ && Clock::now() < end) {
    asio::steady_timer look(loop(), kTurnLook);
    std::error_code ignored;
    co_await look.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

Proxy::Proxy(Context& context, Steward& steward, AuthorityDesk& desk, std::size_t threads)
    : context_(context), steward_(steward), workers_([&] {
        std::vector<std::unique_ptr<Worker>> workers;
        for (std::size_t i = 0; i < threads; ++i) workers.push_back(std::make_unique<Worker>(*this, context, steward, i));
        return workers;
      }()),
      woken_(workers_.front()->loop(), Deadline::max()), lease_(workers_.front()->loop()), desk_(desk), instance_(random_name()), watch_timer_(workers_.front()->loop()),
      register_timer_(workers_.front()->loop()) {
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

asio::awaitable<ResumeReport> Proxy::release(std::string_view ended_by) {
  lease_.cancel();
  ResumeReport report{.hold = context_.gate.hold(), .serving = context_.gate.serving(), .epoch = {}, .ended_by = std::string(ended_by), .figures = {}};
  const bool is_of_switch = switch_hold_.has_value();
  switch_hold_.reset();
  context_.gate.open();
  co_await each([](Worker& worker) { return worker.release_all(); });
  report.closed = since(closed_at_);
  report.figures = context_.hold_figures.summary();
  context_.stats.hold_us_last = static_cast<std::uint64_t>(report.closed.count());
  if (is_of_switch) {
    if (view_.route) report.epoch = view_.route->epoch;
    last_release_ = report;
    watch_timer_.cancel();  // where it serves now is to be remembered
  }
  co_return report;
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

asio::awaitable<std::size_t> Proxy::left_behind(db::Side side) {
  std::atomic<std::size_t> count{0};
  co_await each([&count, side](Worker& worker) -> asio::awaitable<void> {
    count += worker.left_behind(side);
    co_return;
  });
  co_return count.load();
}

// All sessions are held. Where one cannot be moved, all are where they were; or it is ended, and the others are there.
asio::awaitable<MoveReport> Proxy::bring_all(db::Side side, Immovable immovable) {
  MoveReport report{.side = side};
  if (context_.upstream(side).facts.get() == nullptr) co_await steward_.renew_facts(side);
  const auto away = co_await left_behind(side);
  if (away == 0) {
    context_.gate.serve(side);
    co_return report;
  }
  const auto began = Clock::now();
  std::mutex mutex;
  std::string failure;
  co_await each([&](Worker& worker) -> asio::awaitable<void> {
    const auto moved = co_await worker.move_all(side, Clock::now() + kMoveMax);
    const std::lock_guard lock(mutex);
    report.sessions += moved.sessions;
    if (failure.empty()) failure = moved.first_failure;
  });
  if (!failure.empty() && immovable == Immovable::all_stay) {
    co_await each([](Worker& worker) -> asio::awaitable<void> {
      worker.move_all_back();
      co_return;
    });
    context_.gate.serve(served_before_);
    throw Error(Code::session_immovable, {.object = context_.upstream(side).name(), .cause = failure, .remedy = "all sessions are where they were, and held: RESUME, or MOVE again"});
  }
  if (!failure.empty()) {
    std::atomic<std::size_t> ended{0};
    co_await each([&ended, side](Worker& worker) -> asio::awaitable<void> {
      ended += worker.end_left_behind(side);
      co_return;
    });
    log::warning("the {} serves, and {} sessions could not be moved there: they are ended ({})", db::to_string(side), ended.load(), failure);
  }
  context_.gate.serve(side);
  report.took = since(began);
  co_return report;
}

asio::awaitable<MoveReport> Proxy::move(db::Side side) {
  if (switch_hold_) co_await until_free();
  const Turn turn(*this);
  if (!context_.gate.is_closed()) throw refused("it is open", "PAUSE first");
  // A switch moves, and then the authority says who serves; without one nobody would, and the fence would meet the clients.
  if (!switch_hold_ && view_.route && view_.route->serving != side) {
    throw refused(fmt::format("the authority says that the {} serves", db::to_string(view_.route->serving)), "godwit switch, or godwit reverse, goes to the other side");
  }
  co_return co_await bring_all(side);
}

asio::awaitable<ResumeReport> Proxy::resume() {
  const Turn turn(*this);
  if (!context_.gate.is_closed()) throw refused("it is open", "SHOW ROUTE says what is");
  if (switch_hold_) throw refused(fmt::format("it is held in the name of a switch, hold {}", switch_hold_->epoch), fmt::format("RESUME HOLD {0}; it ends by itself, with its lease", switch_hold_->epoch));
  co_await bring_all(context_.gate.serving());  // those whose new server has ended since MOVE
  co_return co_await release("resume");
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

asio::awaitable<void> Proxy::count_statements() {
  co_await each([](Worker& worker) -> asio::awaitable<void> {
    worker.count_statements();
    co_return;
  });
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
  add("statements_total", "counter", "Requests relayed, as of a second ago.", u(s.statements));
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
