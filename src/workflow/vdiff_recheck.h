// Looks again at single rows of both sides at one exact instant (vdiff_exact.h has the proof): to settle what a scan suspected, and to rewrite what
// differs. One thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "vdiff_exact.h"

namespace godwit::workflow {

class Recheck {
 public:
  // held_max grows with what it holds a stream. sources: sessions for what is asked in passing, with each server; control: with that whose sidecar has the
  // comparison.
  Recheck(VdiffShards& shards, const std::vector<VdiffTarget>& tables, std::vector<db::Connection>& sources, db::Connection& control, std::chrono::microseconds& held_max, const Stop& stop)
      : shards_(shards), tables_(tables), reader_(shards, tables, stop), sources_(sources), control_(control), held_max_(held_max), stop_(stop) {}

  // Those that are settled are gone from the sidecar, those that are proved are confirmed there. Gives how many are neither: their rows were
  // locked by somebody at every attempt.
  enum class Confirmed { left, looked_at_again };
  std::size_t settle(std::uint64_t vdiff, Confirmed confirmed);

  // Confirmed differences are rewritten from the source, journaled by `note` first, some at a time. Those that cannot be are confirmed still: false then,
  // unless they are such as never can be: of a table without a key; on shards that serve, a row on a wrong one, or one of a reference table that
  // differs from the first's.
  using Batch = ExactReader::Batch;
  using Note = std::function<void(const VdiffTarget&, const Batch&)>;
  bool repair(std::uint64_t vdiff, const Note& note);

  // Rows that were rewritten are looked at again: one that still differs is confirmed once more.
  void verify_repaired(std::uint64_t vdiff);

 private:
  using Conclude = std::function<void(const state::VdiffDifferenceRow&, const Seen&)>;
  using Writers = std::vector<db::Connection>;

  Judgement judged(const state::VdiffDifferenceRow& row, const Seen& seen) const { return judge(table_of(tables_, row).plan, row, seen, reader_.sharded()); }
  void reach();
  Batch look_at(const Batch& all, unsigned round, const Conclude& conclude);
  Batch without_repeated(Batch rows);
  void conclude(const state::VdiffDifferenceRow& row, const Seen& seen);
  bool is_to_be_seen_again(const state::VdiffDifferenceRow& row, const Seen& seen, unsigned round) const;
  Batch look_over(Batch rows, const Conclude& conclude);
  bool can_be_repaired(const state::VdiffDifferenceRow& row) const;
  bool rewrite_together(const VdiffTarget& table, const Batch& batch);
  bool write_rows(Writers& writers, const VdiffTarget& table, const Batch& batch, std::vector<Seen>& seen);
  Writers open_writers();
  std::size_t writer_of(const VdiffTarget& table, const state::VdiffDifferenceRow& row, const SeenRow& seen) const;
  void remove(db::Connection& writer, const VdiffTarget& table, const state::VdiffDifferenceRow& row);
  void insert(db::Connection& writer, const VdiffTarget& table, const SeenRow& row);
  void commit(Writers& writers, const Batch& batch, const std::vector<Seen>& seen);

  VdiffShards& shards_;
  const std::vector<VdiffTarget>& tables_;
  ExactReader reader_;
  std::vector<db::Connection>& sources_;
  db::Connection& control_;
  std::chrono::microseconds& held_max_;
  const Stop& stop_;
};

// What the stream did not do, or a lock was another's: a moment later it may be otherwise. A session that is lost is not for here to mend.
bool is_of_the_moment(const Error& error);
// A scan counts a missing row on the source, an extra one on the target, a different one on both. A row that has come or gone since is counted
// as it is now, so that the sides of a table which is identical have one number of rows.
struct RowCounts {
  std::size_t source = 0;
  std::size_t target = 0;
};
state::VdiffStore::Counted uncounted(const state::VdiffDifferenceRow& row, const RowCounts& now);

}  // namespace godwit::workflow
