// How the tables of a migration are compared, for those that compare without a vdiff. One thread.
#pragma once

#include <vector>

#include "godwit/vdiff/plan.h"
#include "godwit/workflow/copy.h"

namespace godwit::workflow {

// Of each table that the target's sidecar lists. Through sessions of its own. Throws Error(no_such_table, schema_differs).
std::vector<vdiff::TablePlan> comparison_plans(const Definition& definition);

}  // namespace godwit::workflow
