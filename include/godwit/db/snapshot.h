// A group of sessions that read one consistent state each, with two positions around them (ARCHITECTURE.md, I2):
// `low` is provably not later than any of the snapshots, `high` provably not earlier; with must_be_exact low is the
// exact instant of all of them. No lock, but as the last resort for that. One thread opens it; each reader session then belongs to one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/util/stop.h"

namespace godwit::db {

struct SnapshotOptions {
  std::size_t readers = 4;
  bool must_be_exact = false;
  std::vector<std::string> exact_tables;  // quoted `schema`.`table`: for which it must, and what may be locked for it. Without any, Error(lock_contention) on a MariaDB that commits XA transactions too often
  std::chrono::milliseconds quiet_max{5000};  // so long an instant is looked for in which all readers begin; then exact_tables are locked, or, on MariaDB, fewer read
  std::chrono::milliseconds lock_attempt{25};  // for those locks; later writers wait behind an attempt, so it is short
  bool needs_low = true;  // when not exact. MariaDB finds it by reading a binlog file from its beginning: some 100 ms for a full one
  std::chrono::seconds lock_total_max{600};  // gives up with Error(lock_unavailable) after that, naming the blocker
};

struct Snapshot {
  std::vector<Connection> readers;  // at least one, on MariaDB maybe fewer than asked for when exact; each inside its transaction, Encoding::bytes, time_zone '+00:00'
  gtid::Position low;
  gtid::Position high;
  std::chrono::steady_clock::time_point opened;
  std::chrono::microseconds writes_held{0};  // how long exact_tables were locked; 0 without them
};

Snapshot open_snapshot(const Endpoint& source, const SnapshotOptions& options, const Stop& stop);

// The same in two steps, for those who must be quick in the second: sessions first, their views later.
struct SnapshotSessions {
  std::vector<Connection> readers;
  Connection watcher;
};
SnapshotSessions connect_snapshot(const Endpoint& source, std::size_t readers);
Snapshot open_snapshot(SnapshotSessions sessions, const SnapshotOptions& options, const Stop& stop);

// One session's consistent state from begin_snapshot() on, without positions; prepare_snapshot() once before.
void prepare_snapshot(Connection& reader);
void begin_snapshot(Connection& reader);

// The XA transactions that are prepared and neither committed nor rolled back, as XA RECOVER tells them apart.
std::set<std::string> prepared_xa(Connection& connection);

// MariaDB: whether any XA COMMIT has begun since the server's start.
bool has_committed_xa(Connection& connection);

// The end of the server's binlog now: not earlier than anything any session can have seen.
gtid::Position end_of_binlog(Connection& connection);

}  // namespace godwit::db
