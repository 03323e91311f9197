// The tables that a comparison is about: chosen by --tables, planned from both catalogs, recorded; and with --resume those of them that need not
// be compared again. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "godwit/catalog/ddl.h"
#include "godwit/state/sidecar.h"
#include "godwit/state/vdiff_store.h"
#include "godwit/vdiff/plan.h"
#include "godwit/workflow/vdiff.h"
#include "preparation.h"
#include "vdiff_shards.h"

namespace godwit::workflow {

struct VdiffTarget {  // one table
  vdiff::TablePlan plan;
  std::shared_ptr<const shard::Route> route;  // where there are shards; the plan has it
  std::vector<catalog::Transfer> transfers;  // for repair: how the row travels
  state::VdiffTableRow row;
};

// What is compared, as the sidecar has it: only a comparison of the same is gone on with, or left out of.
std::string selection_text(const VdiffTuning& tuning);

class VdiffSelection {
 public:
  // sources, targets: sessions with each server. layout: nothing without shards; lives longer than the tables.
  VdiffSelection(const VdiffShards& shards, const VdiffTuning& tuning, std::vector<db::Connection>& sources, std::vector<db::Connection>& targets, const std::optional<shard::Layout>& layout)
      : shards_(shards), definition_(shards[0].definition), tuning_(tuning), sources_(sources), targets_(targets), source_(sources[0]), target_(targets[0]), layout_(layout), stream_(shards[0].stream.id) {}

  // Throws Error(nothing_selected).
  void require_any();

  // Each with what is recorded of it by now. Throws Error(no_such_table), Error(table_changed) when it is not the table that the comparison began with,
  // and Error(schema_differs) when a shard's is another than the first's.
  std::vector<VdiffTarget> plan(std::uint64_t vdiff);

  // --resume: tables that were equal in the last comparison of the same, and that nobody has written to since, become "unchanged".
  void leave_out_unchanged(std::uint64_t vdiff, std::vector<VdiffTarget>& tables);

 private:
  bool is_selected(const state::TableRow& table) const;
  VdiffTarget plan_table(const state::TableRow& names, const Preparation& prepared);
  void place(VdiffTarget& table, const catalog::Table& source, const catalog::Table& target);
  void require_same_on_shards(const catalog::Table& first);
  bool is_unchanged(const VdiffTarget& table, std::uint64_t elapsed_s);

  std::vector<std::string> names_on_shards(const std::string& first) const;

  const VdiffShards& shards_;
  const Definition& definition_;
  const VdiffTuning& tuning_;
  std::vector<db::Connection>& sources_;
  std::vector<db::Connection>& targets_;
  db::Connection& source_;
  db::Connection& target_;
  const std::optional<shard::Layout>& layout_;
  const std::uint64_t stream_;
};

}  // namespace godwit::workflow
