// What a step has done is looked at once more, at the servers and by sessions' own eyes, when it says that it is done: between two statements a server may have
// been restarted, or somebody may have changed by hand what the step relies on. Before the commit a step that does not hold is undone with all others; behind it
// there is only forward, and what is not as it should be is said. Clients wait meanwhile: one question for each step.
//
//   begin, commit   nothing to look at: one row, changed by a statement that names the epoch it was decided upon, and says whether it was
//   gate, move      the proxies' answers are about what they have seen; `commit` looks at the fence again
//   release         each proxy has looked at the authority and at the fence itself, before it let anybody go on
#include <fmt/format.h>

#include "godwit/util/log.h"
#include "switch_run.h"

namespace godwit::cutover {

void SwitchRun::verify_step(StepId id) {
  switch (id) {
    case StepId::prepare: return require_fenced(to_);
    case StepId::fence: return require_fenced(from_);
    case StepId::freeze: return require_frozen();
    case StepId::return_position: return require_return();
    case StepId::unfence: return note_fence(to_, false);
    case StepId::old_side: return note_fence(from_, true);
    case StepId::check:
    case StepId::begin:
    case StepId::gate:
    case StepId::move:
    case StepId::final_position:
    case StepId::catch_up:
    case StepId::prove:
    case StepId::objects:
    case StepId::commit:
    case StepId::release:
      return;
  }
}

void SwitchRun::require_fenced(db::Side side) {
  if (route_.fence == "none") return;
  const auto plan = fence_plan(side);
  const auto servers = sides_.all(side);
  for_each(servers.size(), [&](std::size_t i) {
    if (fence::is_fenced(servers[i]->session(), plan)) return;
    throw Error(Code::switch_undone, {.object = servers[i]->describe(), .cause = "it was fenced a moment ago, and is not any more: was it restarted, or opened by hand?", .remedy = "run it again"});
  });
}

void SwitchRun::require_frozen() {
  for_each_stream([&](ShardStream& stream) {
    const auto row = stream.get().row();
    if (row && row->state == "frozen" && row->epoch == stream.frozen_epoch) return;
    const std::string now = row ? fmt::format("it is {}, epoch {}", row->state, row->epoch) : std::string("it is gone");
    throw Error(Code::switch_undone, {.object = "the stream of " + stream.object(), .cause = fmt::format("it was frozen a moment ago with epoch {}; now {}", stream.frozen_epoch.value_or(0), now), .remedy = "run it again, and let nobody else change _godwit.stream"});
  });
}

void SwitchRun::require_return() {
  for_each(streams().size(), [&](std::size_t i) {
    const auto at = streams()[i].get().return_begins_at();
    if (at && at->text == returns_[i].text) return;
    throw Error(Code::switch_undone, {.object = "the stream back of " + streams()[i].object(), .cause = fmt::format("where it begins was recorded a moment ago as {}; now it is {}", returns_[i].text, at ? at->text : "nowhere"), .remedy = "run it again, and let nobody else change _godwit.stream"});
  });
}

// The proxies look for themselves, and a fence that is not godwit's keeps nobody from reading.
void SwitchRun::note_fence(db::Side side, bool must_be_fenced) {
  if (route_.fence == "none") return;
  const auto plan = fence_plan(side);
  for (auto* server : sides_.all(side)) {
    if (fence::is_fenced(server->session(), plan) == must_be_fenced) continue;
    report_.warnings.push_back(fmt::format("{} {}", server->describe(), must_be_fenced ? "is not fenced: writers that go around the proxies are not stopped there until a proxy or replicate fences it again" : "serves, and takes no writes: somebody else has made it read-only"));
    log::warning("{}: {}", command_, report_.warnings.back());
  }
}

}  // namespace godwit::cutover
