// Copies tables from one snapshot group to one target or several, in parallel, chunk by chunk. One cycle of the copy: the caller opens the
// snapshot, catches up to its `low` first, and calls copy_from() until nothing is left.
//
//   scheduler ─ chunk → lane: reader (snapshot session) ─┬ bounded queue → writer (session with a target) ─ one transaction per chunk
//                                                        └ bounded queue → writer (session with the next target) ─ …
//
// A chunk is read once for all targets that still need it. On each of them its rows and its record commit together (I1), guarded by that target's epoch
// (I3), and independently of the others: a chunk may be done on one target and pending on another, whoever is killed. So the ledgers are the targets'
// own, and what a target has committed is never written to it again: a chunk that failed is given back for the targets that have not committed it.
// Ranges agree between ledgers as long as nobody is killed; where they do not (a chunk was cut on one target only), each is read for its own targets.
// A lane that fails for a passing reason is built again and its chunks are read again; a lost snapshot ends the cycle.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "godwit/catalog/ddl.h"
#include "godwit/copy/ledger.h"
#include "godwit/copy/throttle.h"
#include "godwit/db/snapshot.h"
#include "godwit/shard/layout.h"
#include "godwit/util/stop.h"

namespace godwit::copy {

// To which target a row of a table goes.
struct RowRoute {
  const shard::Route* route = nullptr;
  std::vector<std::size_t> positions;  // of its columns among the transfers
};

// One table on one target. What is said of the source is the same for all targets.
struct TableTask {
  TableName source;
  std::string target_schema;
  std::string target_table;
  std::optional<KeySpec> key;  // none: the table is one chunk
  std::vector<catalog::Transfer> transfers;
  std::uint64_t rows_estimate = 0;
  std::uint64_t bytes_estimate = 0;
  std::uint64_t row_bytes_avg = 0;
  std::optional<RowRoute> route;  // none: all of its rows go to each target that wants the table
  bool is_wanted = true;          // false: it has no place on this target, or is copied there
  bool is_counting = false;       // has an AUTO_INCREMENT column
  bool overwrites = false;        // rows of chunks not yet copied may be there: the stream was applied between two cycles
};

struct CopyLimits {
  std::uint64_t chunk_bytes = 16U << 20;          // of the source's estimate
  std::uint64_t chunk_rows_max = 1'000'000;
  std::size_t block_bytes = 256U << 10;           // what travels from reader to writer at a time
  std::size_t queue_bytes_max = 4U << 20;         // per lane, of all its targets together
  std::chrono::milliseconds snapshot_age_max{15 * 60 * 1000};
  unsigned attempts_max = 10;                     // of one lane, in a row, without any chunk committed
};

// What can be seen while it runs; written by the lanes, read by anyone.
struct TableProgress {
  std::atomic<std::uint64_t> rows{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<bool> is_started{false};
  std::atomic<bool> is_done{false};
};

struct WriterOptions {
  bool use_load_data = true;  // false: plain INSERTs, whatever else the target takes
  bool skip_binlog = false;
};

struct Target {
  db::Endpoint endpoint;
  Ledger& ledger;
  std::vector<TableTask> tasks;         // the same tables in the same order for all targets
  std::vector<TableProgress> progress;  // one per task
};

enum class CycleEnd { all_copied, snapshot_too_old, snapshot_lost };

class Copier {
 public:
  Copier(std::vector<Target>& targets, WriterOptions writer, CopyLimits limits, Throttle& throttle, const Stop& stop);

  // By the target's number.
  using OnTableCopied = std::function<void(std::size_t target, const TableTask&)>;

  // `planner`: a session of its own with the source, in a consistent snapshot (any) and Encoding::bytes, as the readers are. on_table_copied is called from a lane's
  // thread as soon as a table is proved complete on a target. Throws the first error that cannot be retried.
  CycleEnd copy_from(db::Snapshot& snapshot, db::Connection& planner, const OnTableCopied& on_table_copied);

 private:
  std::vector<Target>& targets_;
  WriterOptions writer_;
  CopyLimits limits_;
  Throttle& throttle_;
  const Stop& stop_;
};

}  // namespace godwit::copy
