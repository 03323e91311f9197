// Follows one source's binlog and applies it to its targets: one, or the shards of one. A reader thread decodes, routes and renders, once for all of them;
// for each target a thread cuts what has come for it into windows, and W workers write them. Caught up, a window is one transaction, applied 1:1 with its
// position; behind, it is many.
//
//   reader: binlog → assembler → Inbox per target (bounded) ─ window → plan → jobs → sessions: START; rows; guard or position; COMMIT
//
// Why a kill between any two statements loses and doubles nothing:
//   one job        rows and position commit together (I1).
//   several jobs   first the window's end is recorded (overlap_end), then the jobs run, then the position moves to that end. Killed in
//                  between, the stream goes on from the old position, and up to the recorded end every change is applied in its
//                  idempotent form, which leads to the same rows (docs/replicate.md).
//   every one of these transactions checks the epoch (I3).
//   shards         each has its own position, overlap and epoch, and what is said above holds for each alone. They share the reader and nothing else:
//                  it begins where all of them have been, and gives each what is behind its own position. The parts of one source transaction
//                  commit on each when they do; a row that goes from one shard to another is, until both have passed it, on both or on none
//                  (src/apply/row_routing.h).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "godwit/apply/assembler.h"
#include "godwit/apply/binding.h"
#include "godwit/apply/checkpoint.h"
#include "godwit/db/connection.h"
#include "godwit/gtid/set.h"
#include "godwit/util/stop.h"

namespace godwit::apply {

enum class OnDdl { stop, ignore, exec };

struct ApplyOptions {
  std::size_t workers = 4;
  bool squash = true;
  OnDdl on_ddl = OnDdl::stop;
  std::set<std::string> skipped_gtids;         // statements of these are not applied, as if with OnDdl::ignore
  bool takes_new_tables = true;
  std::size_t window_bytes_max = 8U << 20;     // of changes; two of them are held at most
  std::size_t window_transactions_max = 20'000;
  std::size_t xa_bytes_max = 64U << 20;
  std::chrono::seconds deadline{30};           // silence of a server that counts as its loss; doubled with each failure in a row
  unsigned attempts_max = 0;                   // failures in a row before giving up; 0: never
  std::chrono::milliseconds backoff_max{10'000};
};

// Written by the applier, read by anyone.
struct ApplyProgress {
  std::atomic<std::uint64_t> transactions{0};
  std::atomic<std::uint64_t> rows{0};
  std::atomic<std::uint64_t> target_transactions{0};
  std::atomic<std::uint64_t> bytes_read{0};
  std::atomic<std::uint64_t> applied_source_us{0};   // commit time, on the source's clock, of the newest applied transaction
  std::atomic<std::uint64_t> heartbeat_us{0};        // newest heartbeat row that arrived on the target
  std::atomic<std::uint64_t> heartbeat_seen_us{0};   // our clock when it did
  std::atomic<bool> is_caught_up{false};             // all that the source has sent is applied
  std::atomic<std::uint64_t> caught_up_us{0};        // our clock when it last was so
  std::atomic<std::uint64_t> retries{0};
  std::atomic<std::uint64_t> inbox_bytes{0};
  std::atomic<std::uint64_t> parked{0};              // rows that wait for another shard's row to go
  std::atomic<std::uint64_t> parked_us{0};           // our clock since when there have been any
};

enum class ApplyEnd { reached, stopped, definitions_changed };

class Feed;

// What is written to. All of it must outlive the applier.
struct Target {
  std::string shard;  // its key range, for messages; "" where there is one target
  db::Endpoint endpoint;
  TargetTables tables;
  Checkpoint& checkpoint;
  ApplyProgress& progress;  // bytes_read: all that the reader has read, counted at the first target
};

class Applier {
 public:
  Applier(db::Endpoint source, db::Endpoint target, const std::vector<TableBinding>& bindings, ApplyOptions options, Checkpoint& checkpoint,
          ApplyProgress& progress, const Stop& stop);
  // Of shards in the order of their numbers; each in a thread of its own while run() runs.
  Applier(db::Endpoint source, std::vector<Target> targets, ApplyOptions options, const Stop& stop);

  // Called before the stream is read and at every reconnect, with the source's session: throws when it is not the right server.
  std::function<void(const db::Server&)> on_connected;
  // Called now and then from each applying thread while it runs; may wait (throttle).
  std::function<void()> on_window;

  // Until the positions of all targets contain `until` (nothing beyond it is applied), or without it until a stop is requested. Each target retries
  // by itself what passes by itself; throws the first error that does not, once all have ended: drift, ddl_met, position_purged, stream_fenced …
  // definitions_changed: on every target.
  ApplyEnd run(const std::optional<gtid::Set>& until);
  // The same, each target until its own position contains its own goal: one per target.
  ApplyEnd run_each(const std::vector<std::optional<gtid::Set>>& untils);

 private:
  ApplyEnd follow(Feed& feed, std::size_t target, const std::optional<gtid::Set>& until, const Stop& stop);

  db::Endpoint source_;
  std::vector<Target> targets_;
  ApplyOptions options_;
  const Stop& stop_;
};

std::uint64_t now_us();  // since 1970, UTC

}  // namespace godwit::apply
