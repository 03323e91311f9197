// What an earlier run has left. This one holds the coordinators' lock, so that nobody is at it any more.
//   switching            it was killed before the commit: aborted and undone, then everything begins anew
//   the wished side serves   it was killed after the commit, or was done: what is left of it is completed
//   the other side serves    nothing, or a hold that a proxy ended: what such a hold may have left is undone
#include <fmt/format.h>

#include <algorithm>

#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/live_objects.h"
#include "godwit/workflow/switching.h"
#include "switch_run.h"

namespace godwit::cutover {
namespace {

constexpr std::chrono::milliseconds kPatience{10'000};

}  // namespace

void SwitchRun::recover() {
  auto authority = this->authority();
  if (route_.is_switching) {
    log::warning("{}: a switch of {} was begun and not ended: it is undone first", command_, route_.coordinator);
    const auto hold = route_.epoch;
    const auto serving = route_.serving;
    authority.abort(hold);
    route_ = *authority.read();
    if (route_.serving == serving) settle_unfinished(hold);
    report_.finished.push_back(fmt::format("hold {} was undone", hold));
  } else if (route_.serving != to_) {
    settle_unfinished(0);
  }
  if (route_.serving != to_) return;
  report_.serving = to_;
  report_.epoch = route_.epoch;
  report_.was_done = true;
  if (!route_.fence.empty()) {
    follow_fences(to_, kPatience);
    follow_fences(from_, kPatience);
  }
  workflow::enable_events(definition_, to_);
  settle_proxies();
  if (!await_stream(true, options_.return_wait)) report_.warnings.push_back(fmt::format("the stream back does not run: godwit replicate {}", definition_.name));
}

// Those that still hold; one that was told already says so, and one that does not answer learns from the authority.
void SwitchRun::settle_proxies() {
  if (proxies_.empty()) return;
  try {
    proxies_.connect();
    let_go(route_.epoch - 1);
    proxies_.require_side(to_);
  } catch (const Error& error) {
    if (error.code() != Code::proxy_unreachable) throw;
    report_.warnings.push_back(fmt::format("{} was not told: it learns from the authority ({})", error.object(), error.cause()));
  }
}

void SwitchRun::note_unfinished() {
  if (route_.is_switching) report_.finished.push_back(fmt::format("hold {} of {} would be undone first: it was begun, and not ended", route_.epoch, route_.coordinator));
  if (route_.serving == to_) return;
  const auto is_frozen = [](ShardStream& stream) {
    const auto row = stream.get().row();
    return row && row->state == "frozen";
  };
  if (!route_.is_switching && std::any_of(streams().begin(), streams().end(), is_frozen)) report_.finished.emplace_back("what a hold that is over has left would be undone first: its stream is frozen");
}

// The side that is asked for serves, and the run that made it so may have been killed behind its commit.
void SwitchRun::note_uncompleted() {
  std::vector<std::string> missing;
  const bool has_fence = !route_.fence.empty() && route_.fence != "none";
  const auto plan = has_fence ? fence_plan(to_) : fence::Plan();
  const auto is_fenced = [&](SideServer* one) { return fence::is_fenced(one->session(), plan); };
  const auto servers = sides_.all(to_);
  if (has_fence && std::any_of(servers.begin(), servers.end(), is_fenced)) missing.push_back(fmt::format("the {} is fenced still", db::to_string(to_)));
  if (!proxies_.empty()) {
    proxies_.connect();
    for (const auto& address : proxies_.holding()) missing.push_back(fmt::format("proxy {} holds its clients still", address));
  }
  if (!missing.empty()) report_.finished.push_back(fmt::format("hold {} is committed, and would be completed: {}", route_.epoch - 1, join(missing, "; ")));
  const auto is_followed = [](ShardStream& stream) { return stream.get().is_return_followed(); };
  if (!std::all_of(streams().begin(), streams().end(), is_followed)) report_.warnings.push_back(fmt::format("the stream back does not run: godwit replicate {}", definition_.name));
}

// The side that served serves still, in a later epoch. In the order of an undo.
void SwitchRun::settle_unfinished(std::uint64_t hold) {
  workflow::set_aside(definition_, to_);
  for_each_stream([](ShardStream& stream) { stream.get().let_go(); });
  if (!route_.fence.empty()) follow_fences(from_, kPatience);
  if (hold == 0 || proxies_.empty()) return;
  proxies_.connect();
  let_go(hold);
}

}  // namespace godwit::cutover
