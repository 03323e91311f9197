// Copies tables from one snapshot group, in parallel, chunk by chunk. One cycle of the copy: the caller opens the
// snapshot, catches up to its `low` first, and calls copy_from() until nothing is left.
//
//   scheduler ─ chunk → lane: reader (snapshot session) ─ bounded queue → writer (target session) ─ one transaction per chunk
//
// A chunk's rows and its record commit together (I1), guarded by the epoch (I3). A lane that fails for a passing reason
// is built again and its chunks are read again; a lost snapshot ends the cycle.
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
#include "godwit/util/stop.h"

namespace godwit::copy {

struct TableTask {
  TableName source;
  std::string target_schema;
  std::string target_table;
  std::optional<KeySpec> key;  // none: the table is one chunk
  std::vector<catalog::Transfer> transfers;
  std::uint64_t rows_estimate = 0;
  std::uint64_t bytes_estimate = 0;
  std::uint64_t row_bytes_avg = 0;
  bool overwrites = false;  // rows of chunks not yet copied may be there: the stream was applied between two cycles
};

struct CopyLimits {
  std::uint64_t chunk_bytes = 16U << 20;          // of the source's estimate
  std::uint64_t chunk_rows_max = 1'000'000;
  std::size_t block_bytes = 256U << 10;           // what travels from reader to writer at a time
  std::size_t queue_bytes_max = 4U << 20;         // per lane
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

enum class CycleEnd { all_copied, snapshot_too_old, snapshot_lost };

class Copier {
 public:
  Copier(db::Endpoint target, WriterOptions writer, CopyLimits limits, Ledger& ledger, Throttle& throttle,
         const Stop& stop);

  // `planner`: a session of its own with the source, in a consistent snapshot (any) and Encoding::bytes, as the readers are. progress has one entry per task. on_table_copied is
  // called from a lane's thread as soon as a table is proved complete. Throws the first error that cannot be retried.
  CycleEnd copy_from(db::Snapshot& snapshot, db::Connection& planner, const std::vector<TableTask>& tasks,
                     std::vector<TableProgress>& progress,
                     const std::function<void(const TableTask&)>& on_table_copied);

 private:
  db::Endpoint target_;
  WriterOptions writer_;
  CopyLimits limits_;
  Ledger& ledger_;
  Throttle& throttle_;
  const Stop& stop_;
};

}  // namespace godwit::copy
