// How the rows of several shards come back into one table: N streams, each with a position of its own, and none knows how far the others are.
// Private to apply.
//
// A row k that goes from shard A to shard B is a delete in A's binlog and an insert in B's. They arrive in either order, and each shard may be any number
// of moves ahead of another: A may still insert, or delete, what was over long ago when B inserted k. So no stream can tell from what it finds under k
// whether that is older or newer than what it brings; writing over it loses rows as surely as leaving it does. What is kept instead is, for each
// stream X on its own,
//
//     X has k at its position   ⇔   k is in the table with a shard key of X's, or k is parked for X
//
//   insert  k into the table. Where another row is in its way (of the key, or of another unique key), k is parked for X, in the same transaction
//   delete  X's row: found by key *and* shard key, so that no other shard's row under k is touched; if it is not in the table it is parked, and is
//           taken from there; if it is in neither, that is drift (I5)
//   update  delete and insert; a plain UPDATE, by key and shard key, where neither changes
//   parked  rows are tried again every moment: what is in their way goes when its own stream gets to it
//
// Each step keeps the equivalence for X, and touches nothing of the others', in any order and with any interleaving: an insert that meets another
// stream's uncommitted row or delete waits for its lock. Row, parked row and position are one transaction (I1), or of a window whose end was recorded; in the overlap a row is
// first taken from wherever it is, and then put, so that repeating it leads to the same. On the target k is on one shard at a time (a transaction across shards
// counts as one moment). So once all streams are at their ends, one stream has k: nothing is in its way any more, and it is in the table. Until then a row
// may be missing that is in the middle of a move; and a position is reached by all streams together only when nothing is parked.
//
// What stays parked although the others have brought all that they had is drift: something else is in its way.
#pragma once

#include <string>

#include "operations.h"

namespace godwit::apply {

inline std::string place_of(const Operation& operation) { return operation.table->target + " " + std::string(operation.key); }

// A row that could not be put, to be put later.
inline Change parked_change(const Operation& operation) {
  Change change;
  change.table = operation.table;
  change.kind = ChangeKind::insert;
  change.new_key = std::string(operation.key);
  change.values = std::string(operation.values);
  return change;
}

}  // namespace godwit::apply
