// The tables that a comparison is about: chosen by --tables, planned from both catalogs, recorded; and with --resume those of them that need not
// be compared again. One thread.
#pragma once

#include <string>
#include <vector>

#include "godwit/catalog/ddl.h"
#include "godwit/state/sidecar.h"
#include "godwit/state/vdiff_store.h"
#include "godwit/vdiff/plan.h"
#include "godwit/workflow/vdiff.h"
#include "preparation.h"

namespace godwit::workflow {

struct VdiffTarget {  // one table
  vdiff::TablePlan plan;
  std::vector<catalog::Transfer> transfers;  // for repair: how the row travels
  state::VdiffTableRow row;
};

// What is compared, as the sidecar has it: only a comparison of the same is gone on with, or left out of.
std::string selection_text(const VdiffTuning& tuning);

class VdiffSelection {
 public:
  VdiffSelection(const Definition& definition, const VdiffTuning& tuning, db::Connection& source, db::Connection& target, std::uint64_t stream)
      : definition_(definition), tuning_(tuning), source_(source), target_(target), stream_(stream) {}

  // Throws Error(nothing_selected).
  void require_any();

  // Each with what is recorded of it by now. Throws Error(no_such_table), and Error(table_changed) when it is not the table that the comparison began with.
  std::vector<VdiffTarget> plan(std::uint64_t vdiff);

  // --resume: tables that were equal in the last comparison of the same, and that nobody has written to since, become "unchanged".
  void leave_out_unchanged(std::uint64_t vdiff, std::vector<VdiffTarget>& tables);

 private:
  bool is_selected(const state::TableRow& table) const;
  VdiffTarget plan_table(const state::TableRow& names, const Preparation& prepared);
  bool is_unchanged(const state::VdiffTableRow& table, std::uint64_t elapsed_s);

  const Definition& definition_;
  const VdiffTuning& tuning_;
  db::Connection& source_;
  db::Connection& target_;
  const std::uint64_t stream_;
};

}  // namespace godwit::workflow
