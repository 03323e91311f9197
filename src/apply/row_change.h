// One row of a row event as a Change of one target: its texts are rendered by that target's binding. Pure. Private to apply.
#pragma once

#include "godwit/apply/change.h"
#include "godwit/binlog/rows.h"

namespace godwit::apply {

struct RowOfEvent {
  const binlog::Rows& event;
  const binlog::Row& row;
};

inline bool is_present(const binlog::Cell& cell) { return cell.state != binlog::Cell::State::absent; }

// What the source did to the row. Throws Error(row_image_incomplete) for what the event leaves out and is needed.
Change change_of(const TableBinding& binding, const binlog::Layout& layout, const RowOfEvent& it);

// An updated row that goes from one shard to another: what is to be done on the one, and on the other. What its update changed elsewhere by
// foreign keys is in neither.
Change departure_of(const TableBinding& binding, const binlog::Layout& layout, const RowOfEvent& it);
Change arrival_of(const TableBinding& binding, const binlog::Layout& layout, const RowOfEvent& it);

// For a shard that has not this row, but may have rows that refer to it: nothing but the statements of its cascades, maybe none. `moves_children`:
// one per cascade of the binding; one that is fired and sends rows to other shards is Error(cascades_not_logged).
Change cascades_of(const TableBinding& binding, const binlog::Layout& layout, const RowOfEvent& it, const std::vector<bool>& moves_children);

}  // namespace godwit::apply
