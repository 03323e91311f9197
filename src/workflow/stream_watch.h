// Looks at a running stream, or those of several shards, once a second: a line on a terminal, a log line every ten seconds elsewhere, a document in the state file for
// `status`, and Prometheus text. Warns early when the source is about to purge what is still needed. A thread of its own from
// construction to destruction; the state file is its alone meanwhile.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "godwit/apply/applier.h"
#include "godwit/copy/throttle.h"
#include "godwit/metrics/server.h"
#include "godwit/state/state_file.h"
#include "godwit/util/stop.h"
#include "godwit/workflow/replicate.h"

namespace godwit::workflow {

struct WatchOptions {
  std::string workflow;
  std::string direction;
  db::Endpoint source;
  std::string metrics_address;
};

struct WatchedStream {
  std::string shard;  // its range; "" where there is one target
  const apply::ApplyProgress& progress;
};

class StreamWatch {
 public:
  // Throws Error(bad_usage) when the metrics cannot be served at the address.
  StreamWatch(WatchOptions options, std::vector<WatchedStream> streams, const copy::Throttle& throttle, state::StateFile& state);
  ~StreamWatch();

 private:
  struct Watched {
    WatchedStream stream;
    StreamFigures figures;  // under mutex_
    std::uint64_t transactions_before = 0;
    std::uint64_t rows_before = 0;
  };

  void run();
  void look();
  void look(Watched& watched, double passed_s);
  std::vector<StreamFigures> figures();
  void look_at_retention();
  std::string metrics();

  const WatchOptions options_;
  const copy::Throttle& throttle_;
  state::StateFile& state_;
  std::mutex mutex_;
  std::vector<Watched> watched_;
  std::chrono::steady_clock::time_point looked_ = std::chrono::steady_clock::now();
  std::optional<std::chrono::seconds> retention_;  // how long the source keeps its binlog
  bool has_warned_ = false;
  std::unique_ptr<metrics::Server> server_;
  Stop ended_;
  std::thread thread_;
};

}  // namespace godwit::workflow
