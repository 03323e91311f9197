// The steps of a switch, once: names, what each does, and whether it comes before or after the commit point (I8). `switch`, `reverse`, `--dry-run`, the journal,
// the failpoints (switch.NAME.before, switch.NAME.after), the hooks and docs/model/ all use these names.
#pragma once

#include <string_view>
#include <vector>

#include "godwit/util/failpoint.h"

namespace godwit::cutover {

// X(name, "what it does; what its undo does")
#define GODWIT_SWITCH_STEPS(X)                                                                                                     \
  X(check, "look for everything that can refuse a switch; nothing is changed")                                                     \
  X(prepare, "fence the passive side, raise its keys' counters, connect the proxies' sessions to it in advance")                   \
  X(begin, "the authority: a switch is under way, and this is its epoch; undo: the authority says that it can never commit")       \
  X(gate, "every proxy holds its sessions at a safe point; undo: they go on where they were")                                      \
  X(move, "every proxy makes its sessions again on the other side, beside the steps that follow; undo: forgotten")                 \
  X(fence, "nobody but godwit can write on the side that serves; undo: lifted")                                                    \
  X(final_position, "the end of the serving side's binlog")                                                                        \
  X(catch_up, "the other side contains it")                                                                                        \
  X(freeze, "the stream can commit nothing more; undo: it goes on")                                                                \
  X(prove, "the rows changed last are the same on both sides")                                                                     \
  X(objects, "counters, sequences, triggers and events on the other side; undo: triggers and events are set aside again")          \
  X(return_position, "where the stream back begins is recorded")                                                                   \
  X(commit, "the authority: the other side serves. Before it everything is undone, from it on everything is completed")            \
  X(unfence, "the side that serves now accepts writes")                                                                            \
  X(release, "every proxy goes on, on the other side")                                                                             \
  X(old_side, "triggers and events of the side that served are set aside, and the stream back runs")

enum class StepId {
#define GODWIT_STEP_ENUM(name, what) name,
  GODWIT_SWITCH_STEPS(GODWIT_STEP_ENUM)
#undef GODWIT_STEP_ENUM
};

struct StepInfo {
  StepId id;
  std::string_view name;
  std::string_view what;
  Fp before;
  Fp after;
  bool is_after_commit;  // only forward from here
};

const std::vector<StepInfo>& switch_steps();  // in their order

}  // namespace godwit::cutover
