// Opens snapshots of both sides of a migration, the target's just behind the source's, while both are busy: on the servers themselves, or on the
// replicas that were named. One thread opens a pair; each of its sessions then belongs to one thread.
//
// The order (I2): the stream stands still; the source's views; the stream goes on to where the newest of them may be, and stands there; the
// target's views; the stream goes on. Rows that changed while the source's views were opened may look different: they are settled one by one.
// One view whose instant is known needs no settling: db/snapshot.h, must_be_exact.
// Replicas are waited for twice: until they are near, and then, while the stream stands, for the rest.
// Where one side is shards, all their streams stand: at one position of one source, or, where the shards serve, each at that of its own shard.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "godwit/db/snapshot.h"
#include "godwit/workflow/vdiff.h"
#include "vdiff_shards.h"

namespace godwit::workflow {

struct SnapshotPair {
  std::vector<db::Snapshot> sources;                // of each server
  std::vector<std::vector<db::Connection>> targets; // of each server as many as a source has readers
  std::string position;                    // of the target's views, and of the source's where that is exact
  std::chrono::microseconds held{0};       // how long a stream stood still for it
  std::chrono::microseconds writes_held{0};

  std::chrono::steady_clock::time_point opened() const { return sources[0].opened; }
  std::size_t lanes() const { return targets[0].size(); }
  vdiff::Sessions lane(std::size_t number);
};

// Where that side is scanned: its replica, where one was named.
db::Endpoint scanned_endpoint(const Definition& definition, const VdiffTuning& tuning, db::Side side);

class PairOpener {
 public:
  // sources, targets: sessions for what is asked in passing, with each server.
  PairOpener(VdiffShards& shards, const VdiffTuning& tuning, std::vector<db::Connection>& sources, std::vector<db::Connection>& targets, const Stop& stop)
      : shards_(shards), tuning_(tuning), sources_(sources), targets_(targets), stop_(stop) {}

  // exact_tables: quoted, as in SnapshotOptions. Throws Error(hold_lost, replica_behind, position_unavailable), and what opening a snapshot throws.
  SnapshotPair open(std::size_t sessions, const std::vector<std::string>& exact_tables);

 private:
  std::vector<std::vector<db::Connection>> connect_targets(std::size_t sessions) const;
  void reach_sources(std::vector<db::SnapshotSessions>& sources);
  gtid::Position open_source(db::SnapshotSessions sessions, const std::vector<std::string>& exact_tables, SnapshotPair& pair) const;
  void await_source(db::Connection& scanned, const gtid::Position& position) const;
  void await_target(std::vector<db::Connection>& scanned) const;

  VdiffShards& shards_;
  const VdiffTuning& tuning_;
  std::vector<db::Connection>& sources_;
  std::vector<db::Connection>& targets_;
  const Stop& stop_;
};

}  // namespace godwit::workflow
