// Looks at single rows of both sides at one exact instant: to settle what a scan suspected, and to rewrite what differs. One thread.
//
// The order is the proof. (1) The stream stands still. (2) The source's row is read at a position P that is exact: on MariaDB the snapshot's own;
// on MySQL the row is locked (shared, for milliseconds) while the end of the binlog is read. P is not before where the stream stands.
// (3) The stream goes to P and stands there: the target is the source at P. (4) The target's row is read. (5) The stream's note says that it
// stood all the while. So a row that differs, differs: no write under way can look like a difference.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "stream_hold.h"
#include "vdiff_selection.h"

namespace godwit::workflow {

class Recheck {
 public:
  // held_max grows with what it holds the stream. source, control: sessions for what is asked in passing, of the source and of the target.
  Recheck(const Definition& definition, StreamHold& hold, const std::vector<VdiffTarget>& tables, db::Connection& source, db::Connection& control,
          std::chrono::microseconds& held_max, const Stop& stop)
      : definition_(definition), hold_(hold), tables_(tables), source_(source), control_(control), held_max_(held_max), stop_(stop) {}

  // Those that are settled are gone from the sidecar, those that are proved are confirmed there. Gives how many are neither: their rows were
  // locked by somebody at every attempt.
  enum class Confirmed { left, looked_at_again };
  std::size_t settle(std::uint64_t vdiff, Confirmed confirmed);

  // Confirmed differences are rewritten from the source, journaled by `note` first, some at a time. Those that cannot be are confirmed still: false then,
  // unless they are of a table without a key.
  using Batch = std::vector<state::VdiffDifferenceRow>;
  using Note = std::function<void(const VdiffTarget&, const Batch&)>;
  bool repair(std::uint64_t vdiff, const Note& note);

  // Rows that were rewritten are looked at again: one that still differs is confirmed once more.
  void verify_repaired(std::uint64_t vdiff);

 private:
  struct Seen {
    std::vector<vdiff::RowPair::Values> source;
    std::vector<vdiff::RowPair::Values> target;
    std::vector<std::vector<std::optional<std::string>>> raw;  // for repair: the source's row as it travels
    bool is_read = false;
  };
  using Conclude = std::function<void(const state::VdiffDifferenceRow&, const Seen&)>;

  const VdiffTarget& table_of(const state::VdiffDifferenceRow& row) const;
  std::vector<Seen> read_exact(const Batch& batch, bool for_repair, StreamHold::Standing& standing);
  gtid::Position read_mariadb(const Batch& batch, bool for_repair, std::vector<Seen>& seen);
  gtid::Position read_mysql(const Batch& batch, bool for_repair, std::vector<Seen>& seen);
  void read_source(db::Connection& source, const state::VdiffDifferenceRow& row, bool for_repair, std::string_view locking, Seen& seen);
  void leave_other_spellings(const state::VdiffDifferenceRow& row, Seen& seen) const;
  Batch look_at(const Batch& all, const Conclude& conclude);
  void conclude(const state::VdiffDifferenceRow& row, const Seen& seen);
  Batch look_over(Batch rows, const Conclude& conclude);
  bool rewrite_together(const VdiffTarget& table, const Batch& batch);
  void remove(db::Connection& writer, const VdiffTarget& table, const state::VdiffDifferenceRow& row);
  void insert(db::Connection& writer, const VdiffTarget& table, const Seen& seen);

  const Definition& definition_;
  StreamHold& hold_;
  const std::vector<VdiffTarget>& tables_;
  db::Connection& source_;
  db::Connection& control_;
  std::chrono::microseconds& held_max_;
  const Stop& stop_;
};

}  // namespace godwit::workflow
