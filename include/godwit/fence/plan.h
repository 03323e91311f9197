// What of a workflow is fenced, and how: from the sidecar and the servers. One thread per connection.
#pragma once

#include <string>

#include "godwit/db/connection.h"
#include "godwit/fence/fence.h"

namespace godwit::fence {

// The tables of that side come from the forward stream's list on the target; `kind` is the authority's word.
Plan read_plan(db::Connection& target, const std::string& workflow, db::Side side, const std::string& kind);

// "read_only" where neither server holds schemas that do not belong to the migration, so that the whole server may be fenced; else "triggers".
std::string fitting_kind(db::Connection& source, db::Connection& target, const std::string& workflow);

}  // namespace godwit::fence
