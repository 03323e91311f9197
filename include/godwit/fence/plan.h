// What of a workflow is fenced, and how: from the sidecar and the servers. One thread per connection.
#pragma once

#include <string>

#include <vector>

#include "godwit/db/connection.h"
#include "godwit/fence/fence.h"
#include "godwit/state/sidecar.h"

namespace godwit::fence {

// The tables of that side come from a forward stream's list, where it keeps its position: on `target`. `kind` is the authority's word.
Plan read_plan(db::Connection& target, const state::StreamKey& stream, db::Side side, const std::string& kind);

// Tables of anybody else, whom a fence around the whole server would keep from writing. `ours`: those of the migration there.
bool has_others(db::Connection& server, const std::vector<Table>& ours);

}  // namespace godwit::fence
