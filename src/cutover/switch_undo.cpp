// What a switch that did not come to its commit takes back. First a commit is made impossible; then triggers and events go again, before any stream can write; then the
// stream goes on and the fence is lifted, under the server's lock, if the authority still says so; then the proxies go on. Of shards, one that is away keeps none of the
// others waiting, nor the clients, where it is not on the side that serves: what is left frozen there `replicate` lets go of when it is back, or the next run.
#include <fmt/format.h>

#include <algorithm>

#include "godwit/util/log.h"
#include "godwit/workflow/live_objects.h"
#include "switch_run.h"

namespace godwit::cutover {
namespace {

constexpr std::chrono::milliseconds kUndoPatience{5'000};
constexpr std::chrono::milliseconds kRetryPause{200};
constexpr int kAttemptsMax = 50;
constexpr int kAwayAttempts = 5;  // with shards that are away, once the side that serves is open again

std::string words_of(const std::exception_ptr& reason) {
  try {
    std::rethrow_exception(reason);
  } catch (const std::exception& error) {
    return error.what();
  }
}

// Of what is no Error nothing is known: it goes on up.
Error error_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error;
  }
}

}  // namespace

struct SwitchRun::Undoing {
  StepId id;
  std::size_t part = 0;  // of the streams, or of the servers of the side that serves
};

bool SwitchRun::has_begun(StepId id) const { return std::find(begun_.begin(), begun_.end(), id) != begun_.end(); }

// In the order that is safe, not simply backwards.
std::vector<SwitchRun::Undoing> SwitchRun::what_to_undo() {
  std::vector<Undoing> result;
  if (has_begun(StepId::begin)) result.push_back({.id = StepId::begin});
  if (has_begun(StepId::objects)) result.push_back({.id = StepId::objects});
  const auto add_streams = [&] {
    for (std::size_t i = 0; i < streams().size() && has_begun(StepId::freeze); ++i) result.push_back({.id = StepId::freeze, .part = i});
  };
  // A stream that cannot be reached is nothing that clients should wait for.
  if (!sides_.are_shards()) add_streams();
  for (std::size_t i = 0; i < sides_.all(from_).size() && has_begun(StepId::begin); ++i) result.push_back({.id = StepId::fence, .part = i});  // `begin` announces the fence
  if (sides_.are_shards()) add_streams();
  return result;
}

void SwitchRun::undo_one(const Undoing& what, const fence::Plan& plan) {
  if (what.id == StepId::begin) {
    auto authority = this->authority();
    find_lost_hold();
    if (hold_ != 0) is_ended_by_others_ = !authority.abort(hold_);  // what was committed never comes here
  }
  if (what.id == StepId::objects) workflow::set_aside(definition_, to_);
  if (what.id == StepId::freeze) unfreeze(streams().at(what.part));
  if (what.id == StepId::fence) {
    SideServer& server = *sides_.all(from_).at(what.part);
    auto authority = server.authority();
    fence::follow(server.session(), authority, plan, kUndoPatience);
  }
}

// Gives the first failure, and leaves what is still to be done. What comes after one that failed is tried all the same only between shards, and when no commit can follow
// any more, and no trigger be fired by a stream.
std::exception_ptr SwitchRun::undo_round(std::vector<Undoing>& left) {
  std::exception_ptr first;
  std::vector<Undoing> failed;
  const auto plan = fence_plan(from_);
  while (!left.empty()) {
    const auto end = std::find_if(left.begin(), left.end(), [&](const Undoing& one) { return one.id != left.front().id; });
    const std::vector<Undoing> group(left.begin(), end);
    const auto failures = try_each(group.size(), [&](std::size_t i) { undo_one(group[i], plan); });
    left.erase(left.begin(), end);
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (!failures[i]) continue;
      failed.push_back(group[i]);
      if (!first) first = failures[i];
    }
    const bool must_be_first = !sides_.are_shards() || group.front().id == StepId::begin || group.front().id == StepId::objects;
    if (first && must_be_first) break;
  }
  left.insert(left.begin(), failed.begin(), failed.end());
  return first;
}

std::exception_ptr SwitchRun::try_undo(std::vector<Undoing>& left) {
  try {
    return undo_round(left);
  } catch (const Error&) {  // the authority cannot be asked
    return std::current_exception();
  }
}

// It may have begun, and the answer been lost.
void SwitchRun::find_lost_hold() {
  if (hold_ != 0) return;
  const auto route = authority().read();
  if (route && route->is_switching && route->epoch == route_.epoch + 1 && route->coordinator == coordinator_name()) hold_ = route->epoch;
}

// Of a hold that is aborted. Who cannot be told finds out by the authority when its lease ends, and then nobody waits for this command.
void SwitchRun::let_go(std::uint64_t hold) {
  try {
    for (const auto& proxy : proxies_.release(hold, route_.serving, kUndoPatience)) {
      if (!proxy.failure.empty()) log::warning("{}: proxy {} lets its clients go on when its lease ends, since it cannot be told: {}", command_, proxy.endpoint, proxy.failure);
    }
  } catch (const Error& error) {
    log::warning("{}: a proxy lets its clients go on when its lease ends, since it cannot be told: {}", command_, error.what());
  }
}

// What it changes, or reads, it does before anything is undone.
void SwitchRun::await_what_runs_beside() {
  if (raised_.valid()) raised_.wait();
  if (proved_.valid()) proved_.wait();
  bring_back_.reset();
}

void SwitchRun::let_go_once() {
  if (has_let_go_ || !has_begun(StepId::gate) || hold_ == 0) return;
  has_let_go_ = true;
  let_go(hold_);
}

void SwitchRun::take_back(const std::string& detail) {
  auto left = what_to_undo();
  bool is_abort_heard = true;  // if not, it may have been this run's own
  for (int attempt = 1; !left.empty(); ++attempt) {
    if (attempt > 1) sides_.forget();
    const auto failure = try_undo(left);
    if (!failure) break;
    const Error error = error_of(failure);
    is_abort_heard = is_abort_heard && left.front().id != StepId::begin;
    log::warning("{}: the undo failed, and is tried again: {}", command_, error.what());
    const bool is_serving_again = sides_.are_shards() && std::all_of(left.begin(), left.end(), [](const Undoing& one) { return one.id == StepId::freeze; });
    if (is_serving_again) let_go_once();
    if (is_serving_again && attempt == kAwayAttempts) {
      log::warning("{}: {} streams are left frozen, since their servers are away; `replicate` lets go of them, or the next run", command_, left.size());
      break;
    }
    if (attempt < kAttemptsMax && stop_.sleep_for(kRetryPause)) continue;
    if (left.front().id != StepId::begin) let_go_once();  // the abort is heard: a proxy looks for itself whether it may
    throw Error(Code::authority_lost, {.object = "workflow " + definition_.name, .cause = fmt::format("the switch is to be undone ({}), and that does not succeed: {}", detail, error.cause()), .remedy = fmt::format("run godwit {} {} again when both servers can be reached; the proxies hold on, and come back by themselves as soon as they can read the authority", command_, definition_.name)});
  }
  let_go_once();
  is_ended_by_others_ = is_ended_by_others_ && is_abort_heard;
}

void SwitchRun::undo(const std::exception_ptr& reason) {
  is_undoing_ = true;
  std::int64_t entry = 0;
  journal([&] { entry = state_.start_step(definition_.name, command_, "undo"); });
  await_what_runs_beside();
  const std::string detail = words_of(reason);
  try {
    take_back(detail);
  } catch (const Error& error) {
    journal([&] { state_.end_step(entry, "failed", error.what()); });
    throw;
  }
  for (auto& step : report_.steps) {
    if (step.state == "done" && step.name != "check" && step.name != "prepare") step.state = "undone";
  }
  journal([&] {
    state_.end_step(entry, "undone", detail);
    state_.add_event(definition_.name, "warning", command_ + "_undone", detail);
  });
}

}  // namespace godwit::cutover
