// The fence of some tables: guard triggers, which ask the fence's row whether a write may pass. Private to fence.
#pragma once

#include <string>
#include <vector>

#include "patience.h"
#include "record.h"

namespace godwit::fence {

bool is_armed(db::Connection& server, const Plan& plan);
// Creates the guards that are missing; none of it enters the binlog.
void arm(db::Connection& server, const Plan& plan, const Patience& patience);
std::vector<std::string> guard_names(db::Connection& server, const Plan& plan);  // of this workflow and side, quoted
void disarm(db::Connection& server, const Plan& plan, const Patience& patience);  // every guard of this workflow and side

void close_guards(db::Connection& server, const Plan& plan, const Patience& patience);
void open_guards(db::Connection& server, const Plan& plan);

}  // namespace godwit::fence
