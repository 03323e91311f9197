// `godwit replicate`: keeps the passive side of a migration in step with the serving one, for as long as the migration lives. Runs in the
// caller's thread and threads of its own, which have ended when it returns. docs/replicate.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "godwit/workflow/copy.h"

namespace godwit::workflow {

struct ReplicateTuning {
  apply::ApplyOptions apply;
  bool until_current = false;         // to where the source is now, then end
  std::string until;                  // to this position, then end
  bool writes_heartbeat = true;       // into _godwit.heartbeat on the source, where the account may
  std::chrono::milliseconds heartbeat_interval{1000};
  bool is_source_moved = false;       // the definition names another server, to which the source has failed over
  std::string metrics_address;        // "127.0.0.1:9306": Prometheus text; empty: none
  copy::ThrottleLimits throttle;
};

// What can be said of a running stream; all times on this machine's clock unless named otherwise.
struct StreamFigures {
  std::string workflow;
  std::string direction;  // "forward", "reverse"
  std::string shard;      // its range; "" where there is one target
  std::uint64_t transactions = 0;
  std::uint64_t rows = 0;
  std::uint64_t target_transactions = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t retries = 0;
  double transactions_per_s = 0;
  double rows_per_s = 0;
  bool is_caught_up = false;
  std::uint64_t parked = 0;  // rows that wait for another shard's row to go
  std::optional<std::chrono::milliseconds> lag;          // end to end
  std::string lag_source;                                // "heartbeat", "event_time", "idle"
  std::optional<std::chrono::seconds> retention_left;    // until the source purges what is still needed
  std::string throttle;                                  // the reason; empty: none
};
std::string to_prometheus(const std::vector<StreamFigures>& figures);  // of one direction, maybe several shards

struct ShardReport {
  std::string shard;  // its range
  std::string position;
  std::uint64_t rows = 0;
};

struct ReplicateReport {
  std::string position;  // of the first shard, where there are several
  std::vector<ShardReport> shards;
  std::uint64_t transactions = 0;
  std::uint64_t rows = 0;
  std::chrono::milliseconds duration{0};
  bool was_stopped = false;  // by a signal, not by its goal
};

// Throws Error(stream_not_ready) when the copy is not finished; stream_fenced when a newer process takes the stream over; and what the
// stream throws. A stop request ends it cleanly.
ReplicateReport run_replicate(const Definition& definition, const ReplicateTuning& tuning, state::StateFile& state, const Stop& stop);

}  // namespace godwit::workflow
