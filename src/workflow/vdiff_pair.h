// Opens snapshots of both sides of a migration, the target's just behind the source's, while both are busy: on the servers themselves, or on the
// replicas that were named. One thread opens a pair; each of its sessions then belongs to one thread.
//
// The order (I2): the stream stands still; the source's views; the stream goes on to where the newest of them may be, and stands there; the
// target's views; the stream goes on. Rows that changed while the source's views were opened may look different: they are settled one by one.
// One view whose instant is known needs no settling: on MariaDB that of a single session, on MySQL that of tables which are locked as it begins.
// Replicas are waited for twice: until they are near, and then, while the stream stands, for the rest.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "godwit/db/snapshot.h"
#include "stream_hold.h"

namespace godwit::workflow {

struct SnapshotPair {
  db::Snapshot source;
  std::vector<db::Connection> target;  // as many as the source has readers
  gtid::Position position;             // of the target's views, and of the source's where that is exact
  std::chrono::microseconds held{0};   // how long the stream stood still for it
};

// Where that side is scanned: its replica, where one was named.
db::Endpoint scanned_endpoint(const Definition& definition, const VdiffTuning& tuning, db::Side side);

class PairOpener {
 public:
  // source, target: sessions for what is asked in passing.
  PairOpener(const Definition& definition, const VdiffTuning& tuning, db::Connection& source, db::Connection& target, StreamHold& hold, const Stop& stop)
      : definition_(definition), tuning_(tuning), source_(source), target_(target), hold_(hold), stop_(stop) {}

  // exact_tables: quoted, as in SnapshotOptions. Throws Error(hold_lost, replica_behind, position_unavailable), and what opening a snapshot throws.
  SnapshotPair open(std::size_t sessions, const std::vector<std::string>& exact_tables);

 private:
  std::vector<db::Connection> connect_target(std::size_t sessions) const;
  void await_source(db::Connection& scanned, const gtid::Position& position) const;
  void await_target(db::Connection& scanned) const;

  const Definition& definition_;
  const VdiffTuning& tuning_;
  db::Connection& source_;
  db::Connection& target_;
  StreamHold& hold_;
  const Stop& stop_;
};

}  // namespace godwit::workflow
