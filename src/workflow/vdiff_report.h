// What a comparison has found, out of what the sidecar has of it. One thread.
#pragma once

#include <vector>

#include "godwit/state/vdiff_store.h"
#include "godwit/workflow/vdiff.h"
#include "vdiff_selection.h"

namespace godwit::workflow {

constexpr std::size_t kSamplesMax = 20;  // differences of one table in the report

// Of each table, in the order given, and with what is recorded of its differences.
std::vector<VdiffTable> report_tables(state::VdiffStore& store, std::uint64_t vdiff, const std::vector<VdiffTarget>& tables);

// Identical only when every range of every table was compared (I10). Pure.
Verdict verdict_on(const std::vector<VdiffTable>& tables);

}  // namespace godwit::workflow
