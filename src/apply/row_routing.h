// Which targets a row of a row event is for, and what it means for each. Pure. Private to apply.
//
// A row is on one shard, by the values of its shard key (shard::Route), or on all of them (a reference table). An update that gives it a shard key
// of another shard is a departure there and an arrival here. The two are of one source transaction, and reach two servers that share no
// transaction: each commits its part with its own position, before or after the other. Killed between the two, each goes on from what its position
// says; neither looks at the other, so nothing is lost or doubled, and until both have passed the transaction, the row is on both or on none.
#pragma once

#include <optional>
#include <vector>

#include "godwit/apply/assembler.h"
#include "row_change.h"

namespace godwit::apply {

// One table as one target has it. Without a binding it has not: the table is not migrated, or lives on another shard.
struct TargetTable {
  const TableBinding* binding = nullptr;
  const shard::Route* route = nullptr;  // none: all its rows are for the target
  std::size_t shard = 0;                // the target's number among the shards, which may not all be targets here
  binlog::Layout layout;
  std::vector<bool> unroutable;  // of the binding's cascades: they change rows that may then belong, or be, elsewhere
};

std::vector<bool> unroutable_cascades(const TargetTables& target, const TableBinding& binding);

class RowRouting {
 public:
  // Both must outlive it. is_wanted: which of the targets take part at all.
  RowRouting(const std::vector<TargetTable>& tables, const std::vector<bool>& is_wanted) : tables_(tables), is_wanted_(is_wanted) {}

  // Appends to `changes`. Throws Error(row_image_incomplete) where the image lacks a column of the shard key, row_unplaced, cascades_not_logged.
  void route(const RowOfEvent& it, std::vector<Change>& changes) const;

 private:
  void add(std::size_t target, Change change, std::vector<Change>& changes) const;
  void add_cascades(const RowOfEvent& it, std::optional<std::size_t> home, bool has_left, std::vector<Change>& changes) const;
  std::size_t first() const;
  std::optional<std::size_t> wanted_target(std::size_t shard) const;
  std::size_t home_of(binlog::Image image, binlog::Image before) const;
  std::optional<std::size_t> home_before(binlog::Image before) const;

  const std::vector<TargetTable>& tables_;
  const std::vector<bool>& is_wanted_;
};

}  // namespace godwit::apply
