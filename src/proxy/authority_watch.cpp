// How the proxy keeps to the authority: how a hold of a switch ends, by RESUME HOLD or without a word, and what becomes of a proxy that the authority has gone on
// without. The rules R1 to R3 are in docs/model/; the order in end_hold() is theirs:
//
//   the commit of the hold's epoch is made impossible, or has been → the fence of the side that serves now is lifted, inside its server's lock, by a reading
//   of the authority from within → everybody is moved there → the authority is in that epoch still → they go on
//
// Between the last two nothing can begin: a switch fences when all its proxies have said that they hold, and while a Turn lasts this one does not say so.
#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include "authority_start.h"
#include "coordinator.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "gate_command.h"

namespace godwit::proxy {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kWatch{1};
constexpr std::chrono::milliseconds kAgain{100};  // between attempts to end a hold
constexpr std::chrono::milliseconds kDoubt{50};   // between readings, however many sessions doubt
constexpr std::chrono::milliseconds kRegister{2000};
constexpr std::chrono::milliseconds kRegisterFirst{250};  // while there is no sidecar: the switch that follows the copy counts on it
constexpr std::chrono::seconds kLogged{5};
constexpr std::chrono::milliseconds kJoinDrain{1000};  // what does not come to a safe point by then has its transaction on a side that takes no commit
constexpr std::chrono::milliseconds kOwnLease{5000};
constexpr int kMoveAttempts = 3;
constexpr std::uint64_t kUndecided = ~std::uint64_t{0};  // the hold of a proxy that does not know the authority: no epoch

std::string describe(const state::Route& route) { return fmt::format("the authority is in epoch {}: {} serves{}", route.epoch, db::to_string(route.serving), route.is_switching ? ", and a switch is under way" : ""); }

Knowledge knowledge_after(const Error& error) { return error.code() == Code::privilege_missing ? Knowledge::unreadable : Knowledge::unreachable; }

}  // namespace

std::string_view to_string(Knowledge knowledge) {
  switch (knowledge) {
    case Knowledge::unasked:
      return "unasked";
    case Knowledge::none:
      return "none";
    case Knowledge::known:
      return "known";
    case Knowledge::unreachable:
      return "unreachable";
    case Knowledge::unreadable:
      return "unreadable";
  }
  return "";
}

// --- before the loops run ------------------------------------------------------------------------------------------

StartView look_at_start(AuthorityDesk& desk, const ProxyOptions& options) {
  StartView found;
  try {
    found.view.route = desk.read_now();
    found.view.knowledge = found.view.route ? Knowledge::known : Knowledge::none;
  } catch (const Error& error) {
    found.view.knowledge = knowledge_after(error);
    if (found.view.knowledge == Knowledge::unreadable) {
      log::warning("which side serves cannot be read, and is taken for the one that was said: GRANT SELECT, INSERT, UPDATE, DELETE ON _godwit.* ({})", error.cause());
    } else {
      found.is_undecided = desk.knows_source_of_switches();
      if (found.is_undecided) log::warning("the authority cannot be asked, and a switch was prepared before: nobody is served until it answers, or RESUME FORCE is said ({})", error.cause());
    }
  }
  if (!found.view.route) return found;
  if (options.serving && *options.serving != found.view.route->serving) log::warning("--serving {} is not obeyed: {}", db::to_string(*options.serving), describe(*found.view.route));
  if (found.view.route->is_switching) log::warning("{}: nobody is served until that is decided", describe(*found.view.route));
  return found;
}

void Proxy::begin(const StartView& found) {
  view_ = found.view;
  served_before_ = context_.gate.serving();
  closed_at_ = Clock::now();
  if (found.is_undecided) {
    switch_hold_ = SwitchHold{.epoch = kUndecided, .lease_end = Deadline::max(), .is_joined = true};
  } else if (view_.route && view_.route->is_switching) {
    switch_hold_ = SwitchHold{.epoch = view_.route->epoch, .lease_end = Clock::now() + own_lease(), .is_joined = true};
  }
  if (switch_hold_) context_.gate.close(switch_hold_->epoch);
}

void Proxy::start_watching() {
  watchers_ = 2;
  asio::co_spawn(loop(), watch(), asio::detached);
  asio::co_spawn(loop(), keep_registered(), asio::detached);
}

asio::awaitable<void> Proxy::stop_watching() {
  is_watch_stopping_ = true;
  while (watchers_ > 0) {
    watch_timer_.cancel();
    register_timer_.cancel();
    asio::steady_timer look(loop(), std::chrono::milliseconds(5));
    std::error_code ignored;
    co_await look.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

// --- reading -------------------------------------------------------------------------------------------------------

// Of two readings under way the one that was begun later counts, in whichever order their answers come.
void Proxy::note_reading(std::uint64_t number, const std::optional<state::Route>& route) {
  if (number < reading_noted_) return;
  reading_noted_ = number;
  if (reconciler_ && route && (!view_.route || route->epoch != view_.route->epoch)) reconciler_->look_now();
  const bool was_lost = view_.knowledge == Knowledge::unreachable || view_.knowledge == Knowledge::unreadable;
  if (was_lost) log::info("the authority is read again");
  view_.knowledge = route ? Knowledge::known : Knowledge::none;
  view_.route = route;
}

void Proxy::note_unread(const Error& error) {
  // Once, not at each look.
  const bool was_read = view_.knowledge == Knowledge::known || view_.knowledge == Knowledge::none;
  if (was_read) log::warning("the authority cannot be read any more: a switch is not heard of until it can ({})", error.cause());
  view_.knowledge = knowledge_after(error);
  throw Error(Code::authority_lost, {.object = desk_.authority_name(), .cause = error.cause(), .remedy = "the target has the authority: bring it back, or say RESUME FORCE source|target where it is gone for good"});
}

asio::awaitable<std::optional<state::Route>> Proxy::read_authority() {
  const auto number = ++readings_;
  try {
    const auto route = co_await desk_.read();
    note_reading(number, route);
  } catch (const Error& error) {
    note_unread(error);
  }
  co_return view_.route;
}

asio::awaitable<bool> Proxy::abort(std::uint64_t hold) {
  bool was_aborted = false;
  try {
    was_aborted = co_await desk_.abort(hold);
  } catch (const Error& error) {
    note_unread(error);
  }
  co_return was_aborted;
}

asio::awaitable<AuthorityDesk::Look> Proxy::look(db::Side side) {
  const auto number = ++readings_;
  const std::string fence = view_.route ? view_.route->fence : "";
  AuthorityDesk::Look look;
  try {
    look = co_await desk_.look(side, fence);
    note_reading(number, look.route);
  } catch (const Error& error) {
    note_unread(error);
  }
  if (!look.route) throw row_is_gone(context_.options.name);
  co_return look;
}

// --- what is said --------------------------------------------------------------------------------------------------

// A PAUSE that comes late, when its switch is over, would hold for nobody.
asio::awaitable<void> Proxy::require_switching(std::uint64_t epoch) {
  const auto route = co_await read_authority();
  if (!route) throw row_is_gone(context_.options.name);
  if (route->is_switching && route->epoch == epoch) co_return;
  throw Error(Code::switch_fenced, {.object = fmt::format("hold {}", epoch), .cause = describe(*route), .remedy = "godwit switch begins another one"});
}

ResumeReport Proxy::what_came_of(std::uint64_t epoch) const {
  if (last_release_ && last_release_->hold == epoch) return *last_release_;
  std::string present = "it is open";
  if (context_.gate.is_closed()) present = switch_hold_ ? fmt::format("hold {} is the present one", switch_hold_->epoch) : std::string("it is held by a PAUSE that names no hold");
  throw refused(fmt::format("hold {} is not its hold: {}", epoch, present), "a hold is ended by its own number");
}

// R2 at the cost of one question to each: who says so has lifted the fence in the epoch behind the hold's, inside the lock. Whoever fences that side
// in the name of an older epoch had the lock before; and in a later epoch, only when this proxy holds again. Where the epoch is another, or the fence is there, all is
// done as at a lease's end.
asio::awaitable<ResumeReport> Proxy::resume_hold(std::uint64_t epoch) {
  if (pausing_for_ == epoch) {
    is_pause_cancelled_ = true;
    wake();
  }
  co_await until_free();
  if (!switch_hold_ || switch_hold_->epoch != epoch) co_return what_came_of(epoch);
  const Turn turn(*this);
  auto seen = co_await look(context_.gate.serving());
  if (seen.route->is_switching) throw refused(describe(*seen.route), "a hold ends when its switch is committed or aborted");
  const auto away = co_await left_behind(seen.route->serving);
  if (seen.route->serving != context_.gate.serving() || away > 0) {
    co_await bring_all(seen.route->serving);
    seen = co_await look(seen.route->serving);
  }
  const auto& route = *seen.route;
  if (!route.is_switching && route.epoch == epoch + 1 && route.serving == context_.gate.serving() && !seen.is_fenced) co_return co_await release("resume");
  const auto followed = co_await desk_.follow(route.serving);
  auto report = co_await resume_on(followed, "resume");
  if (!report) throw refused(describe(*view_.route), "it holds on, and looks again when its lease ends; RESUME HOLD again");
  co_return std::move(*report);
}

// Where the authority answers, its word is the one that counts.
asio::awaitable<ResumeReport> Proxy::resume_force(db::Side side) {
  co_await until_free();
  const Turn turn(*this);
  if (!context_.gate.is_closed()) throw refused("it is open", "SHOW ROUTE says what is");
  std::optional<state::Route> route;
  try {
    route = co_await read_authority();
  } catch (const Error& error) {
    log::warning("RESUME FORCE {}: {}", db::to_string(side), error.cause());
  }
  if (route && (route->is_switching || route->serving != side)) throw refused(describe(*route), "its word is obeyed while it answers");
  co_await bring_all(side);
  co_return co_await release("force");
}

std::optional<std::chrono::milliseconds> Proxy::lease_left() const {
  if (!context_.gate.is_closed()) return std::nullopt;
  const Deadline end = switch_hold_ ? switch_hold_->lease_end : lease_.expiry();
  if (end == Deadline::max()) return std::nullopt;
  return std::max(std::chrono::milliseconds(0), std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()));
}

// --- without a word ------------------------------------------------------------------------------------------------

std::chrono::milliseconds Proxy::own_lease() const { return context_.options.limits.lease.count() > 0 ? context_.options.limits.lease : kOwnLease; }

void Proxy::log_waiting(const std::string& why) {
  const auto now = Clock::now();
  if (now - waiting_logged_ < kLogged) return;
  waiting_logged_ = now;
  log::warning("the gate stays closed: {}", why);
}

// Its hold is over, and another switch has begun that this proxy was not asked to hold for: it holds for that one, for as long as a lease lasts.
void Proxy::follow_switch(const state::Route& route) {
  switch_hold_ = SwitchHold{.epoch = route.epoch, .lease_end = Clock::now() + own_lease(), .is_joined = true};
  context_.gate.close(route.epoch);
}

// With a Turn. Nothing where it is to be looked at again.
asio::awaitable<std::optional<ResumeReport>> Proxy::resume_on(fence::Seen seen, std::string_view ended_by) {
  std::optional<ResumeReport> report;
  if (seen.route.is_switching) co_return report;
  // Its own fence is lifted. That somebody else has made the server read-only is no reason to keep those waiting who read.
  if (seen.is_fenced) log::warning("the {} serves and is read-only, not by godwit", db::to_string(seen.route.serving));
  const bool has_tried = switch_hold_->failures >= kMoveAttempts;
  const auto immovable = has_tried ? Immovable::it_ends : Immovable::all_stay;
  ++switch_hold_->failures;
  co_await bring_all(seen.route.serving, immovable);
  const auto route = co_await read_authority();
  if (!route || route->is_switching || route->epoch != seen.route.epoch) co_return report;
  report = co_await release(ended_by);
  co_return report;
}

// One attempt. Throws what asking throws: nothing was decided then, and the gate stays closed.
asio::awaitable<void> Proxy::end_hold() {
  const SwitchHold hold = *switch_hold_;
  const auto is_over = [&] { return !switch_hold_ || switch_hold_->epoch != hold.epoch; };
  if (hold.epoch != kUndecided) {
    const bool was_aborted = co_await abort(hold.epoch);
    if (was_aborted) log::warning("hold {}: its lease has ended without a word, and no commit can follow any more", hold.epoch);
  }
  const auto route = co_await read_authority();
  if (!route) throw row_is_gone(context_.options.name);
  if (route->is_switching) {
    co_await until_free();
    const Turn turn(*this);
    if (!is_over()) follow_switch(*route);
    co_return;
  }
  const auto seen = co_await desk_.follow(route->serving);
  co_await until_free();
  if (is_over()) co_return;
  const Turn turn(*this);
  const std::string_view ended_by = hold.is_joined ? "authority" : "lease";
  const auto report = co_await resume_on(seen, ended_by);
  if (report) log::warning("hold {} is over: the {} serves, in epoch {}; {} sessions go on there", hold.epoch, db::to_string(report->serving), report->epoch.value_or(0), report->figures.sessions);
}

// The authority has gone on without this proxy: its side serves no more. What is under way there cannot be committed.
asio::awaitable<void> Proxy::join() {
  co_await until_free();
  if (context_.gate.is_closed() || !view_.route || view_.route->serving == context_.gate.serving()) co_return;
  const Turn turn(*this);
  log::warning("{}, and this proxy was not told: its sessions go there", describe(*view_.route));
  close_gate({.lease = own_lease(), .drain = kJoinDrain, .epoch = view_.route->epoch});
  switch_hold_->is_joined = true;
  switch_hold_->lease_end = Clock::now() + own_lease();
  PauseReport report;
  const bool is_settled = co_await settle(Clock::now() + kJoinDrain, report);
  if (!is_settled) report.killed = co_await end_stragglers(report);
  if (report.killed > 0) log::warning("{} sessions were at no safe point, and are ended", report.killed);
}

// From when there is a fence to look after.
asio::awaitable<void> Proxy::begin_reconciling() {
  if (reconciler_ || !view_.route || view_.route->fence.empty()) co_return;
  auto options = co_await desk_.reconciler_options();
  reconciler_ = std::make_unique<fence::Reconciler>(std::move(options));
}

// For the time when there is no authority any more. A gate that is closed may open on the other side.
void Proxy::remember_serving() {
  const auto serving = context_.gate.serving();
  const bool is_told = view_.knowledge == Knowledge::known && view_.route && !view_.route->is_switching && view_.route->serving == serving;
  has_known_authority_ = has_known_authority_ || view_.knowledge == Knowledge::known;
  const bool is_completed = view_.knowledge == Knowledge::none && has_known_authority_ && serving == db::Side::target;  // so fast that nobody looked in between
  if (!(is_told || is_completed) || context_.gate.is_closed() || !context_.options.on_serving || remembered_ == serving) return;
  remembered_ = serving;
  context_.options.on_serving(serving);
}

asio::awaitable<void> Proxy::watch_once() {
  if (!switch_hold_) {
    const auto route = co_await read_authority();
    if (!route || context_.gate.is_closed() || route->serving == context_.gate.serving()) co_return;
    co_await join();
    if (!switch_hold_) co_return;
  }
  const bool is_due = Clock::now() >= switch_hold_->lease_end;
  if (!is_due && !switch_hold_->is_joined) co_return;
  if (!is_due) {
    const auto route = co_await read_authority();
    if (!switch_hold_ || !switch_hold_->is_joined || (route && route->is_switching && route->epoch == switch_hold_->epoch)) co_return;
  }
  co_await end_hold();
}

Deadline Proxy::next_watch() const {
  const auto now = Clock::now();
  if (switch_hold_ && switch_hold_->is_joined) return now + kAgain;
  if (switch_hold_) return std::clamp(switch_hold_->lease_end, now + kAgain, now + kWatch);
  return now + (has_doubt_ ? std::chrono::milliseconds(kDoubt) : std::chrono::milliseconds(kWatch));
}

asio::awaitable<void> Proxy::watch() {
  while (!is_watch_stopping_) {
    has_doubt_ = false;
    try {
      co_await watch_once();
    } catch (const Error& error) {
      if (context_.gate.is_closed() && switch_hold_) log_waiting(fmt::format("{} ({})", error.cause(), error.object()));
    }
    try {
      co_await begin_reconciling();
    } catch (const Error& error) {  // the next time
      log::debug("the fences are not looked after: {}", error.cause());
    }
    remember_serving();
    watch_timer_.expires_at(next_watch());
    std::error_code ignored;
    co_await watch_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  --watchers_;
}

void Proxy::doubt() {
  if (!has_doubt_.exchange(true)) asio::post(loop(), [this] { watch_timer_.cancel(); });
}

// --- that it lives -------------------------------------------------------------------------------------------------

namespace {

// As another host may call it.
std::string endpoint_of(const std::string& listen) {
  const auto colon = listen.rfind(':');
  const std::string host = listen.substr(0, colon);
  if (colon == std::string::npos || (!host.empty() && host != "0.0.0.0" && host != "*" && host != "[::]")) return listen;
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name + listen.substr(colon);
}

}  // namespace

asio::awaitable<void> Proxy::keep_registered() {
  bool has_warned = false;
  while (!is_watch_stopping_) {
    state::ProxyRow row{.instance = instance_, .endpoint = endpoint_of(context_.options.listen.front()), .serving = context_.gate.serving()};
    bool is_there = true;
    try {
      is_there = co_await desk_.note(row);
      has_warned = false;
    } catch (const Error& error) {
      // A target that is away is no news of the registry's.
      if (!has_warned && !error.is_retryable()) log::warning("this proxy cannot be registered in _godwit.proxy, and `switch` will not miss it when it is not named ({})", error.cause());
      has_warned = has_warned || !error.is_retryable();
    }
    register_timer_.expires_after(is_there ? kRegister : kRegisterFirst);
    std::error_code ignored;
    co_await register_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  --watchers_;
}

}  // namespace godwit::proxy
