#include "vdiff_report.h"

#include <algorithm>

#include "godwit/sql/quote.h"
#include "vdiff_difference.h"

namespace godwit::workflow {
namespace {

std::string manner_of(const vdiff::TablePlan& plan) {
  if (plan.key.empty()) return "multiset";
  if (plan.is_hashed) return "hash";
  return plan.why_streamed.empty() ? "rows" : "rows: " + plan.why_streamed;
}

VdiffTable report_of(const VdiffTarget& table) {
  return {.source = sql::quote_table(table.plan.source_schema, table.plan.source_table),
          .target = sql::quote_table(table.plan.target_schema, table.plan.target_table),
          .state = table.row.state,
          .is_everywhere = table.plan.spread == vdiff::Spread::everywhere,
          .why = table.row.why,
          .manner = manner_of(table.plan),
          .source_rows = table.row.source_rows,
          .target_rows = table.row.target_rows,
          .duration = std::chrono::milliseconds(table.row.compare_ms),
          .left_out = table.plan.left_out};
}

void add_difference(VdiffTable& table, const state::VdiffDifferenceRow& row) {
  if (row.state == "suspected") {
    ++table.unsettled;
    return;
  }
  const VdiffDifference difference = difference_of(row);
  if (row.state == "repaired") {
    ++table.repaired;
  } else {
    (row.kind == "missing" ? table.missing : row.kind == "extra" ? table.extra : row.kind == "misplaced" ? table.misplaced : table.different) += difference.count;
  }
  if (table.samples.size() < kSamplesMax) table.samples.push_back(difference);
}

}  // namespace

std::uint64_t VdiffTable::equal() const { return source_rows - std::min(source_rows, missing + different + misplaced + unsettled); }

std::vector<VdiffTable> report_tables(state::VdiffStore& store, std::uint64_t vdiff, const std::vector<VdiffTarget>& tables) {
  std::vector<VdiffTable> result(tables.size());
  std::transform(tables.begin(), tables.end(), result.begin(), report_of);
  for (const char* state : {"confirmed", "repaired", "suspected"}) {
    for (const auto& row : store.differences(vdiff, state)) {
      const auto at = std::find_if(tables.begin(), tables.end(), [&](const VdiffTarget& table) { return table.row.id == row.table_id; });
      if (at != tables.end()) add_difference(result[static_cast<std::size_t>(at - tables.begin())], row);
    }
  }
  return result;
}

Verdict verdict_on(const std::vector<VdiffTable>& tables) {
  bool is_whole = true;
  bool is_equal = true;
  for (const auto& table : tables) {
    is_whole = is_whole && (table.state == "compared" || table.state == "unchanged") && table.unsettled == 0;
    is_equal = is_equal && table.missing == 0 && table.extra == 0 && table.different == 0 && table.misplaced == 0;
  }
  if (!is_equal) return Verdict::different;
  return is_whole ? Verdict::identical : Verdict::partial;
}

}  // namespace godwit::workflow
