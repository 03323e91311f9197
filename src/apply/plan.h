// From the transactions of a window to jobs that may run side by side. Pure. Private to apply.
//
// A window is applied as if its transactions had been applied one after another:
//   one job       in the source's order, in one target transaction, with the position (I1)
//   several jobs  each its own target transaction. Rows are divided by key: changes to one row stay in one job, in order. Where rows can
//                 collide beyond their key (other unique keys, collated text keys) all of the table stays in one job, and what leaves
//                 goes before what comes.
// Squashed, a row's changes become one: what it was before the window, and what it is after it.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "godwit/apply/change.h"
#include "operations.h"

namespace godwit::apply {

struct PlanOptions {
  std::size_t workers = 4;
  bool squash = true;
  bool is_overlap = false;            // idempotent forms (docs/replicate.md)
  std::size_t single_job_rows = 256;  // up to here one target transaction is cheaper than several
  std::size_t job_rows_max = 4000;
};

struct Job {
  std::vector<Operation> operations;
};

struct Plan {
  std::vector<Job> jobs;
  // Jobs that must all be one transaction with the position: changes that cannot be repeated (tables without a key).
  bool is_single = false;
};

// Views into `window`, which must stay as it is while the plan lives.
Plan make_plan(const std::vector<Transaction>& window, const PlanOptions& options);

// In the source's order, in one job.
Job ordered_job(const std::vector<Transaction>& window, bool is_overlap);

}  // namespace godwit::apply
