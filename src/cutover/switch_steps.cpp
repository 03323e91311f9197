// The steps. What must hold between any two of them is in docs/model/README.md; each can be repeated.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "godwit/state/sidecar.h"
#include "godwit/util/duration.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/live_objects.h"
#include "godwit/workflow/switching.h"
#include "prove.h"
#include "switch_run.h"

namespace godwit::cutover {
namespace {

constexpr std::chrono::milliseconds kFollowPatience{5'000};
constexpr std::chrono::milliseconds kArmPatience{60'000};       // for moments in which a busy table is not in use: nobody waits for that
constexpr std::chrono::milliseconds kArmOneTable{300};          // more for each: three triggers, on a slow disk
constexpr std::chrono::milliseconds kArmMoment{200};            // at a time, while the proxies hold; what is left is done in the next
constexpr std::chrono::milliseconds kGateDrain{250};       // how long one attempt holds those that are at a safe point already
constexpr std::chrono::milliseconds kGatePause{250};       // between two attempts
constexpr std::chrono::milliseconds kLeaseMore{2'000};     // beyond --pause-max: the coordinator gives up first
constexpr std::chrono::milliseconds kReleasePatience{2'000};  // with a proxy that does not answer
constexpr std::chrono::milliseconds kCommitLook{100};
constexpr int kWarmRounds = 4;
constexpr std::chrono::milliseconds kWarmEnough{50};
constexpr std::chrono::milliseconds kCommitUnknownMax{60'000};

}  // namespace

std::string SwitchRun::prepare() {
  auto authority = this->authority();
  if (route_.fence.empty()) {
    authority.set_fence(fence_wish_);
    route_ = *authority.read();
  }
  prepare_sidecars();
  prepare_fences();
  follow_fences(to_, kFollowPatience);
  for (auto& stream : streams()) stream.get().announce_return();
  const auto raised = raise_counters(kCounterMargin);
  bring_back_ = std::make_unique<workflow::BringBack>(definition_, to_);
  warm_proxies();
  check_refused_sessions();
  end_refused_sessions();
  return fmt::format("the {} is fenced ({}), {} counters raised, {} proxies warm", db::to_string(to_), route_.fence == "none" ? "not at all" : route_.fence, raised, proxies_.size());
}

// The stream back will keep its position there; the head over shards, its fence, triggers and events.
void SwitchRun::prepare_sidecars() {
  for (auto* one : sides_.databases(from_)) state::Sidecar(one->session()).create();
  if (sides_.head() != nullptr) workflow::announce_head(definition_);
}

// To create a trigger on a table that is in use makes everybody wait behind it, and ends a transaction that has read from it with a deadlock: on the side that serves
// it is done in moments in which the proxies hold. Where they find none, it is done all the same.
void SwitchRun::prepare_fences() {
  const auto plan = fence_plan(from_);
  const auto work = kArmOneTable * static_cast<int>(plan.tables.size());
  const auto deadline = Clock::now() + options_.drain_timeout + work;
  while (!proxies_.empty() && !are_fences_prepared(plan) && Clock::now() < deadline) {
    if (prepare_while_held(plan)) break;
    stop_.sleep_for(kGatePause);
    stop_.throw_if_requested();
  }
  for (auto* one : sides_.all(from_)) fence::prepare(one->session(), plan, kArmPatience + work);
  const auto passive = fence_plan(to_);
  for (auto* one : sides_.all(to_)) fence::prepare(one->session(), passive, kArmPatience + work);
}

bool SwitchRun::are_fences_prepared(const fence::Plan& plan) {
  const auto servers = sides_.all(from_);
  return std::all_of(servers.begin(), servers.end(), [&](SideServer* one) { return fence::is_prepared(one->session(), plan); });
}

bool SwitchRun::prepare_while_held(const fence::Plan& plan) {
  bool is_done = false;
  std::exception_ptr failure;
  if (proxies_.pause_briefly({.lease = kLeaseMore, .drain = kGateDrain})) {
    try {
      const auto servers = sides_.all(from_);
      for_each(servers.size(), [&](std::size_t i) { fence::prepare(servers[i]->session(), plan, kArmMoment); });
      is_done = true;
    } catch (const Error& error) {
      if (error.code() != Code::lock_contention) failure = std::current_exception();
    }
  }
  proxies_.resume();
  if (failure) std::rethrow_exception(failure);
  return is_done;
}

// What was warm a moment ago, and has done nothing since, costs nothing; so each round is about fewer sessions, until they do something as fast as they are warmed.
void SwitchRun::warm_proxies() {
  std::optional<std::chrono::milliseconds> before;
  for (int round = 0; round < kWarmRounds; ++round) {
    const auto began = Clock::now();
    proxies_.warm(to_);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
    if (took < kWarmEnough || (before && took > *before * 2 / 3)) return;
    before = took;
  }
}

// Of shards that are to serve, each its own; on a source that is to, one after the other, beyond all of them. The head over shards counts on from theirs.
std::uint64_t SwitchRun::raise_counters(std::uint64_t margin) {
  std::vector<workflow::RaisedCounters> raised(streams().size());
  const auto raise = [&](std::size_t i) {
    ShardStream& stream = streams()[i];
    if (!stream.counters) stream.counters = std::make_unique<workflow::Counters>(stream.definition, to_);
    raised[i] = stream.counters->raise(margin);
  };
  if (to_ == db::Side::target) for_each(streams().size(), raise);
  for (std::size_t i = 0; i < streams().size() && to_ == db::Side::source; ++i) raise(i);
  std::uint64_t total = 0;
  for (const auto& one : raised) {
    require_counters(one);
    total += one.tables + one.sequences;
  }
  return total;
}

void SwitchRun::require_counters(const workflow::RaisedCounters& counters) const {
  if (!counters.exhausted.empty()) throw Error(Code::switch_refused, {.object = join(counters.exhausted, ", "), .cause = "the column holds no value beyond those that the other side has handed out", .remedy = "a wider type, on both sides"});
  if (!counters.missing.empty()) throw Error(Code::switch_refused, {.object = join(counters.missing, ", "), .cause = fmt::format("the {} has no such sequence", db::to_string(to_)), .remedy = "create it there"});
}

std::string SwitchRun::begin() {
  auto authority = this->authority();
  const auto begun = authority.begin(route_.epoch, coordinator_name());
  if (!begun) throw Error(Code::switch_fenced, {.object = "the authority", .cause = "another switch has begun", .remedy = "godwit status; then run this again"});
  route_ = *begun;
  hold_ = begun->epoch;
  const auto plan = fence_plan(from_);
  const auto servers = sides_.all(from_);
  for_each(servers.size(), [&](std::size_t i) {
    auto own = servers[i]->authority();
    fence::announce(servers[i]->session(), own, plan, hold_, kFollowPatience);
  });
  return fmt::format("epoch {}", hold_);
}

// Clients that are held wait for those that are not at a safe point: so moments are tried, none of them long. Each is a hold of its own, so that nothing late of the one
// before can be taken for this one's.
std::string SwitchRun::gate() {
  const auto deadline = Clock::now() + options_.drain_timeout;
  const auto drain = std::min(kGateDrain, options_.pause_max / 2);
  const auto lease = options_.pause_max + kLeaseMore;
  std::string why;
  for (int attempt = 1;; ++attempt) {
    const bool is_last = Clock::now() + drain >= deadline;
    closed_at_ = Clock::now();
    const auto policy = is_last ? options_.on_straggler : OnStraggler::abort;
    if (proxies_.pause(hold_, {.lease = lease, .drain = drain}, policy, why)) return fmt::format("{} proxies hold, at attempt {}", proxies_.size(), attempt);
    closed_at_.reset();
    if (is_last) throw Error(Code::drain_timed_out, {.object = "the gate", .cause = why, .remedy = "let them end; --on-straggler kill; or --drain-timeout with more"});
    log::info("{}: not every session is at a safe point: {}", command_, why);
    auto authority = this->authority();
    authority.abort(hold_);
    let_go(hold_);
    hold_ = 0;
    stop_.sleep_for(kGatePause);
    stop_.throw_if_requested();
    route_ = *authority.read();
    begin();
  }
}

// The head over shards first: a transaction over several of them that comes through it ends whole, as far as it depends on the fence.
std::string SwitchRun::close_fence() {
  if (!closed_at_) closed_at_ = Clock::now();
  const auto plan = fence_plan(from_);
  const auto close = [&](SideServer& one) {
    auto authority = one.authority();
    fence::close(one.session(), authority, plan, hold_, std::max(time_left(), std::chrono::milliseconds(1)));
  };
  if (from_ == db::Side::target && sides_.head() != nullptr) close(*sides_.head());
  const auto servers = sides_.databases(from_);
  for_each(servers.size(), [&](std::size_t i) { close(*servers[i]); });
  // Nobody is given a number there any more.
  raised_ = std::async(std::launch::async, [this] { return raise_counters(0); });
  return route_.fence;
}

std::string SwitchRun::final_position() {
  for_each_stream([](ShardStream& stream) { stream.final = stream.get().end_of_serving(); });
  std::vector<std::string> texts;
  for (const auto& stream : streams()) {
    if (texts.empty() || from_ == db::Side::target) texts.push_back(stream.final.text);
  }
  return join(texts, "; ");
}

std::string SwitchRun::catch_up() {
  const auto deadline = Clock::now() + time_left();
  for_each_stream([&](ShardStream& stream) {
    if (stream.get().reaches(stream.final, deadline, stop_)) return;
    throw Error(Code::switch_undone, {.object = stream.object(), .cause = fmt::format("the {} does not reach {} in time", db::to_string(to_), stream.final.text), .remedy = "is `godwit replicate` running, and caught up? godwit status says so"});
  });
  return "";
}

std::string SwitchRun::freeze() {
  lock_->require();
  for_each_stream([&](ShardStream& stream) { stream.frozen_epoch = stream.get().freeze(hold_); });
  std::vector<std::string> epochs;
  for (const auto& stream : streams()) epochs.push_back(fmt::format("{}", *stream.frozen_epoch));
  return fmt::format("its epoch is {}", join(epochs, ", "));
}

// Its own freezing and no other. Where the answer to it was lost, it is one that is over: the abort has gone before.
void SwitchRun::unfreeze(ShardStream& stream) {
  stream.frozen_epoch ? stream.get().unfreeze(*stream.frozen_epoch) : stream.get().let_go();
  stream.frozen_epoch.reset();
}

// Nothing is written on either side from here on, except what `objects` makes: no rows.
std::string SwitchRun::prove() {
  proved_ = std::async(std::launch::async, [this, time_max = time_left() / 2] { return newest_rows_->prove(time_max); });
  return "";
}

std::string SwitchRun::objects() {
  const auto bring_back = std::exchange(bring_back_, nullptr);  // its lock is given back here, whatever happens
  const auto created = bring_back->run(hold_);
  const auto raised = raised_.get();
  const auto proved = proved_.get();
  renew_head();
  report_.objects.insert(report_.objects.end(), created.begin(), created.end());
  return fmt::format("{} counters raised, {} triggers and events created; {} are the same", raised, created.size(), proved);
}

// The head over shards counts by itself, and has not noticed what came to them by the streams, nor that their counters were raised: it reads them when it opens a table anew.
// Nobody can write by way of it before the commit.
void SwitchRun::renew_head() {
  if (to_ == db::Side::target && sides_.head() != nullptr) sides_.head()->session().execute("FLUSH LOCAL TABLES");
}

std::string SwitchRun::return_position() {
  lock_->require();
  returns_.assign(streams().size(), {});
  for_each(streams().size(), [&](std::size_t i) { returns_[i] = streams()[i].get().prepare_return(hold_); });
  std::vector<std::string> texts;
  for (const auto& position : returns_) texts.push_back(position.text);
  if (to_ == db::Side::source) texts.resize(1);
  return join(texts, "; ");
}

// A MariaDB that was restarted since has forgotten its fence, and the sessions of ours with it: what it accepted then is not on the other side. And a shard that is gone by
// now could not serve.
void SwitchRun::require_all_there() {
  const auto plan = fence_plan(from_);
  const auto servers = sides_.all(from_);
  for_each(servers.size(), [&](std::size_t i) {
    if (route_.fence == "none" || fence::is_fenced(servers[i]->session(), plan)) return;
    throw Error(Code::switch_undone, {.object = servers[i]->describe(), .cause = "it is not fenced any more: was it restarted?", .remedy = "run it again"});
  });
  if (!sides_.are_shards()) return;
  const auto next = sides_.all(to_);
  for_each(next.size(), [&](std::size_t i) { next[i]->session().scalar("SELECT 1"); });
}

std::string SwitchRun::commit() {
  proxies_.moved();
  require_time();
  lock_->require();
  require_all_there();
  bool is_committed = false;
  try {
    is_committed = authority().commit(hold_);
  } catch (const Error& error) {
    log::warning("{}: the answer to the commit is lost: {}", command_, error.what());
    is_committed = learn_outcome();
  }
  if (!is_committed) throw Error(Code::switch_fenced, {.object = "the authority", .cause = fmt::format("the hold {} is over: another ended it, or a proxy whose lease was over", hold_), .remedy = "run it again"});
  is_committed_ = true;
  report_.serving = to_;
  report_.epoch = hold_ + 1;
  return fmt::format("the {} serves, epoch {}", db::to_string(to_), report_.epoch);
}

// The statement may be on its way still: the abort waits for its row, and is then either first, or too late. Nothing else may be done before that is known.
// One epoch further on, the serving side says which it was. Where another switch has gone on since, it does not: then this run has nothing to undo, nor to finish,
// for whatever it left is settled by that one.
bool SwitchRun::learn_outcome() {
  const auto deadline = Clock::now() + kCommitUnknownMax;
  while (true) {
    try {
      sides_.first(db::Side::target).forget();
      auto authority = this->authority();
      if (authority.abort(hold_)) return false;
      const auto route = authority.read();
      if (route && route->epoch == hold_ + 1) return route->serving == to_;
      throw_overtaken(route);
    } catch (const Error& error) {
      if (error.code() == Code::switch_fenced) throw;
      if (Clock::now() >= deadline || stop_.is_requested()) {
        outcome_is_unknown_ = true;
        throw Error(Code::authority_lost, {.object = "the authority", .cause = "whether the switch is committed is not known: " + error.cause(), .remedy = fmt::format("run godwit {} {} again when the target can be reached; the proxies find out by themselves", command_, definition_.name)});
      }
    }
    stop_.sleep_for(kCommitLook);
  }
}

void SwitchRun::throw_overtaken(const std::optional<state::Route>& route) {
  outcome_is_unknown_ = true;
  const std::string now = route ? fmt::format("another switch, of {}, has gone on since: epoch {}, the {} serves{}", route->coordinator, route->epoch, db::to_string(route->serving), route->is_switching ? ", a switch is under way" : "")
                                : "the authority has no such workflow any more: was it completed?";
  throw Error(Code::switch_fenced, {.object = "the authority", .cause = fmt::format("whether hold {} was committed cannot be told any more; {}", hold_, now), .remedy = fmt::format("nothing is undone here; godwit status says which side serves; run godwit {} {} if it is not the {}", command_, definition_.name, db::to_string(to_))});
}

// R4 for each of them; the head over shards when all are open.
std::string SwitchRun::unfence() {
  const auto plan = fence_plan(to_);
  const auto open = [&](SideServer& one) {
    auto authority = one.authority();
    const auto seen = fence::open(one.session(), authority, plan, kFollowPatience);
    const bool is_ours = seen.route.epoch == hold_ + 1 && !seen.route.is_switching;
    if (!is_ours) throw Error(Code::switch_fenced, {.object = "the authority", .cause = fmt::format("epoch {} is not the one of this switch any more: another has begun", seen.route.epoch), .remedy = "this one is committed; the other goes on from there"});
  };
  const auto servers = sides_.databases(to_);
  for_each(servers.size(), [&](std::size_t i) { open(*servers[i]); });
  if (to_ == db::Side::target && sides_.head() != nullptr) open(*sides_.head());
  return "";
}

std::string SwitchRun::release() {
  report_.proxies = proxies_.release(hold_, to_, kReleasePatience);
  for (const auto& proxy : report_.proxies) {
    if (proxy.failure.empty()) continue;
    report_.warnings.push_back(fmt::format("proxy {} was not told: it learns from the authority ({})", proxy.endpoint, proxy.failure));
    log::warning("{}: {}", command_, report_.warnings.back());
  }
  if (closed_at_) report_.pause = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - *closed_at_);
  closed_at_.reset();
  return fmt::format("clients were held {:.1f} ms", static_cast<double>(report_.pause.count()) / 1000);
}

std::string SwitchRun::settle_old_side() {
  for (const auto side : {to_, from_}) follow_fences(side, kFollowPatience);
  workflow::enable_events(definition_, to_);
  // `replicate` sets triggers and events aside there before it writes the first row.
  if (!await_stream(true, options_.return_wait)) {
    report_.warnings.push_back(fmt::format("the stream back does not run yet: godwit replicate {}", definition_.name));
    log::warning("{}: {}", command_, report_.warnings.back());
  }
  return "";
}

}  // namespace godwit::cutover
