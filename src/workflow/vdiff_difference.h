// How one row that differs is described in the sidecar (docs/sidecar.md, vdiff_difference.detail: JSON), for people and reports. Values are
// shortened, and hexadecimal where they are no text. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "godwit/state/vdiff_store.h"
#include "godwit/vdiff/compare.h"
#include "godwit/workflow/vdiff.h"

namespace godwit::workflow {

struct RowSides {  // null: that side has no such row
  const vdiff::RowPair::Values* source = nullptr;
  const vdiff::RowPair::Values* target = nullptr;
};

// Where a row is, and how many of its key have been counted. Of one target only the counts, which follow from the kind.
struct Place {
  std::optional<std::size_t> shard;
  std::optional<std::size_t> belongs;  // misplaced: where it should be
  int source_rows = 1;
  int target_rows = 1;
};
Place place_of(const state::VdiffDifferenceRow& row);
// The detail of one that is suspected; "" where there are no shards.
std::string describe_suspect(const vdiff::Suspect& suspect, const std::vector<std::string>& names);

struct Placed {
  Place place;
  std::vector<std::string> names;  // of the shards; empty: there are none
};
// A row that its key names: the columns that differ, all of them where one side alone has it.
std::string describe(const vdiff::TablePlan& plan, const vdiff::Bound& key, const RowSides& sides, const Placed& placed);
// What one pass over a table without a key found, confirmed: the rows that were sampled, and how many there are besides.
std::vector<state::VdiffDifferenceRow> keyless_differences(const vdiff::TablePlan& plan, const vdiff::KeylessResult& result, const std::vector<std::string>& names);

// As it goes into the report.
VdiffDifference difference_of(const state::VdiffDifferenceRow& row);

}  // namespace godwit::workflow
