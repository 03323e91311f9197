// How the tables of a migration are compared, for those that compare without a vdiff. One thread.
#pragma once

#include <memory>
#include <vector>

#include "godwit/shard/layout.h"
#include "godwit/vdiff/plan.h"
#include "godwit/workflow/copy.h"

namespace godwit::workflow {

// Of each table that the target's sidecar lists. Its plans point into what else it holds.
struct ComparisonPlans {
  std::vector<vdiff::TablePlan> tables;
  std::unique_ptr<const shard::Layout> layout;  // where the target is shards: which row belongs where
  std::vector<std::unique_ptr<const shard::Route>> routes;
};

// Through sessions of its own. definition: the forward one. Throws Error(no_such_table, schema_differs).
ComparisonPlans comparison_plans(const Definition& definition);

}  // namespace godwit::workflow
