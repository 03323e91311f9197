#include "switch_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "godwit/fence/plan.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/duration.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/live_objects.h"
#include "godwit/workflow/switching.h"

namespace godwit::cutover {
namespace {

constexpr std::chrono::seconds kAnswerTimeout{20};  // of a server, in a step
constexpr std::chrono::milliseconds kHookMax{60'000};
constexpr std::chrono::milliseconds kRetryPause{200};
constexpr int kAttemptsMax = 50;

}  // namespace

SwitchRun::SwitchRun(const workflow::Definition& definition, const SwitchOptions& options, state::StateFile& state, const Stop& stop)
    : definition_(definition),
      options_(options),
      state_(state),
      stop_(stop),
      hooks_(options.hook_dir),
      to_(options.to),
      from_(workflow::other(options.to)),
      direction_(options.to == db::Side::target ? workflow::Direction::forward : workflow::Direction::reverse),
      command_(options.to == db::Side::target ? "switch" : "reverse"),
      sides_(definition, direction_),
      proxies_(options.proxies) {}

// The first shard lists every table of the migration; what is not on a server is left out there.
fence::Plan SwitchRun::fence_plan(db::Side side) { return fence::read_plan(server(db::Side::target), workflow::stream_key(streams().front().definition), side, route_.fence); }

void SwitchRun::follow_fences(db::Side side, std::chrono::milliseconds patience) {
  const auto plan = fence_plan(side);
  const auto servers = sides_.all(side);
  for_each(servers.size(), [&](std::size_t i) {
    auto authority = servers[i]->authority();
    fence::follow(servers[i]->session(), authority, plan, patience);
  });
}

void SwitchRun::for_each_stream(const std::function<void(ShardStream&)>& deed) {
  for_each(streams().size(), [&](std::size_t i) { deed(streams()[i]); });
}

std::string SwitchRun::coordinator_name() const {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  return fmt::format("{} {}", host, ::getpid());
}

void SwitchRun::connect() {
  sides_.open();
  lock_ = std::make_unique<state::CoordinatorLock>(db::Endpoint{.side = db::Side::target, .dsn = definition_.target, .read_timeout = kAnswerTimeout}, definition_.name);
}

std::chrono::milliseconds SwitchRun::time_left() const {
  if (!closed_at_) return options_.pause_max;
  return std::max(std::chrono::milliseconds(0), options_.pause_max - std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - *closed_at_));
}

// Before the commit alone: later there is only forward.
void SwitchRun::require_time() const {
  if (time_left().count() > 0) return;
  throw Error(Code::switch_undone, {.object = "workflow " + definition_.name, .cause = fmt::format("clients were held for {} and more (--pause-max)", format_duration(options_.pause_max)), .remedy = "the steps' times say where it went; try again at a quieter moment, or with a larger --pause-max"});
}

void SwitchRun::hook(const char* when, const StepInfo& step) {
  const std::map<std::string, std::string> environment{{"GODWIT_WORKFLOW", definition_.name}, {"GODWIT_COMMAND", command_}, {"GODWIT_FROM", std::string(db::to_string(from_))}, {"GODWIT_TO", std::string(db::to_string(to_))}, {"GODWIT_EPOCH", std::to_string(hold_)}};
  const bool must_succeed = std::string_view(when) == "before" && !step.is_after_commit;
  try {
    hooks_.run(when, std::string(step.name), environment, closed_at_ ? std::max(time_left(), std::chrono::milliseconds(1)) : kHookMax);
  } catch (const Error& error) {
    if (must_succeed) throw;
    log::warning("{}", error.what());
    report_.warnings.push_back(error.what());
  }
}

// From `begin` on a full disk, or somebody's long write to the state file, is no reason to leave anything as it is.
void SwitchRun::journal(const std::function<void()>& deed) {
  try {
    deed();
  } catch (const Error& error) {
    if (hold_ == 0 && !is_undoing_) throw;
    log::warning("{}: not recorded in the state file: {}", command_, error.what());
  }
}

void SwitchRun::perform(const StepInfo& step) {
  try {
    attempt(step);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {  // no thread, no memory: what is closed must be opened again all the same
    throw Error(Code::internal_error, {.object = std::string(step.name), .cause = error.what(), .remedy = "look whether the machine has memory and threads left"});
  }
}

void SwitchRun::attempt(const StepInfo& step) {
  hook("before", step);
  std::int64_t entry = 0;
  journal([&] { entry = state_.start_step(definition_.name, command_, step.name); });
  const auto began = Clock::now();
  begun_.push_back(step.id);
  StepReport report{.name = std::string(step.name), .state = "done"};
  try {
    failpoint(step.before);
    report.detail = run_step(step.id);
    failpoint(step.after);
    verify_step(step.id);
  } catch (const Error& error) {
    report.state = "failed";
    report.detail = error.what();
    report.took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began);
    report_.steps.push_back(report);
    journal([&] { state_.end_step(entry, "failed", error.what()); });
    throw;
  }
  report.took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began);
  report_.steps.push_back(report);
  journal([&] { state_.end_step(entry, "done", report.detail); });
  log::info("{}: {} ({:.1f} ms){}{}", command_, step.name, static_cast<double>(report.took.count()) / 1000, report.detail.empty() ? "" : ": ", report.detail);
  hook("after", step);
}

// What comes after the commit is tried until it succeeds, or a stop is asked for: the next run, or the proxies and `replicate` by themselves, complete it.
void SwitchRun::walk() {
  for (const auto& step : switch_steps()) {
    if (!step.is_after_commit) {
      stop_.throw_if_requested();
      if (closed_at_) require_time();
      try {
        perform(step);
      } catch (const Error& error) {  // behind the commit there is only forward
        if (!is_committed_) throw;
        log::warning("{}: {}", command_, error.what());
      }
      continue;
    }
    for (int attempt = 1;; ++attempt) {
      try {
        perform(step);
        break;
      } catch (const Error& error) {
        if (error.code() == Code::switch_fenced || attempt == kAttemptsMax || !stop_.sleep_for(kRetryPause)) throw;
        log::warning("{}: {} failed, and is tried again: {}", command_, step.name, error.what());
        sides_.forget();
      }
    }
  }
}

SwitchReport SwitchRun::run() {
  connect();
  if (!state::Sidecar::exists(server(db::Side::target))) throw Error(Code::switch_refused, {.object = "workflow " + definition_.name, .cause = "the target knows nothing of it", .remedy = fmt::format("godwit copy {0}, then godwit replicate {0}", definition_.name)});
  if (options_.is_dry_run) return plan();
  state::Sidecar(server(db::Side::target)).create();  // one of an earlier version is brought up to date
  route_ = authority().create();
  recover();
  if (report_.was_done) return report_;
  state_.add_event(definition_.name, "info", command_ + "_started", fmt::format("to the {}", db::to_string(to_)));
  state_.set_relaxed(true);
  try {
    walk();
  } catch (const Error& error) {
    if (is_committed_ || outcome_is_unknown_) {
      journal([&] { state_.add_event(definition_.name, "error", command_ + "_unfinished", error.what()); });
      if (outcome_is_unknown_ || error.reaction() == Reaction::cancelled) throw;
      throw Error(Code::switch_unfinished, {.object = "workflow " + definition_.name, .cause = fmt::format("the {} serves, epoch {}; what follows the commit is not done: {}: {}", db::to_string(to_), report_.epoch, error.object(), error.cause()), .remedy = fmt::format("run godwit {} {} again: it does what is left. {}", command_, definition_.name, error.remedy())});
    }
    if (!has_begun(StepId::begin)) throw;
    undo(std::current_exception());
    if (is_ended_by_others_ && error.code() != Code::switch_fenced) {
      throw Error(Code::switch_fenced, {.object = "workflow " + definition_.name, .cause = fmt::format("hold {} was ended by another, or by a proxy whose lease was over ({})", hold_, error.cause()), .remedy = "nothing is lost: godwit status says which side serves; run it again, if nobody else does"});
    }
    if (error.reaction() == Reaction::precondition || error.code() == Code::switch_undone || error.reaction() == Reaction::cancelled) throw;
    throw Error(Code::switch_undone, {.object = "workflow " + definition_.name, .cause = fmt::format("{}: {}", error.object(), error.cause()), .remedy = error.remedy()});
  }
  journal([&] { note_done(); });
  return report_;
}

void SwitchRun::note_done() {
  state_.set_relaxed(false);
  state_.set_phase(definition_.name, to_ == db::Side::target ? "switched" : "reversed");
  state_.add_event(definition_.name, "info", command_ + "_done", fmt::format("the {} serves, epoch {}, clients were held {:.1f} ms", db::to_string(to_), report_.epoch, static_cast<double>(report_.pause.count()) / 1000));
}

SwitchReport run_switch(const workflow::Definition& definition, const SwitchOptions& options, state::StateFile& state, const Stop& stop) { return SwitchRun(definition, options, state, stop).run(); }

std::string SwitchRun::run_step(StepId id) {
  switch (id) {
    case StepId::check: return check();
    case StepId::prepare: return prepare();
    case StepId::begin: return begin();
    case StepId::gate: return gate();
    case StepId::move: proxies_.move(to_); return "";
    case StepId::fence: return close_fence();
    case StepId::final_position: return final_position();
    case StepId::catch_up: return catch_up();
    case StepId::freeze: return freeze();
    case StepId::prove: return prove();
    case StepId::objects: return objects();
    case StepId::return_position: return return_position();
    case StepId::commit: return commit();
    case StepId::unfence: return unfence();
    case StepId::release: return release();
    case StepId::old_side: return settle_old_side();
  }
  throw Error(Code::internal_error, {.object = "step", .cause = "it is unknown", .remedy = "this is a defect: please report it"});
}

}  // namespace godwit::cutover
