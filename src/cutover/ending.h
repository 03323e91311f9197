// How a migration was completed: in the state file alone, since nothing of it is left on the servers. Private to cutover.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "godwit/cutover/cutover.h"
#include "godwit/state/state_file.h"

namespace godwit::cutover {

struct Ending {
  OldSide old_side = OldSide::read_only;
  std::vector<fence::Remainder> left;  // on the source
};

std::string_view to_string(OldSide side);  // as --old-side has it

void forget_ending(state::StateFile& state, const std::string& workflow);
void record_ending(state::StateFile& state, const std::string& workflow, const Ending& ending);
std::optional<Ending> find_ending(state::StateFile& state, const std::string& workflow);

// What makes of a source that was left as `ending` says one that is as `wanted`, for the operator to do.
std::string by_hand(const std::string& workflow, const Ending& ending, OldSide wanted);

}  // namespace godwit::cutover
