// Looks at a running stream once a second: a line on a terminal, a log line every ten seconds elsewhere, a document in the state file for
// `status`, and Prometheus text. Warns early when the source is about to purge what is still needed. A thread of its own from
// construction to destruction; the state file is its alone meanwhile.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>

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

class StreamWatch {
 public:
  // Throws Error(bad_usage) when the metrics cannot be served at the address.
  StreamWatch(WatchOptions options, const apply::ApplyProgress& progress, const copy::Throttle& throttle, state::StateFile& state);
  ~StreamWatch();

 private:
  void run();
  void look();
  void look_at_retention();
  std::string line(const StreamFigures& figures) const;
  std::string json(const StreamFigures& figures) const;
  std::string metrics();

  const WatchOptions options_;
  const apply::ApplyProgress& progress_;
  const copy::Throttle& throttle_;
  state::StateFile& state_;
  std::mutex mutex_;
  StreamFigures figures_;  // under mutex_
  std::uint64_t transactions_before_ = 0;
  std::uint64_t rows_before_ = 0;
  std::chrono::steady_clock::time_point looked_ = std::chrono::steady_clock::now();
  std::optional<std::chrono::seconds> retention_;  // how long the source keeps its binlog
  bool has_warned_ = false;
  std::unique_ptr<metrics::Server> server_;
  Stop ended_;
  std::thread thread_;
};

}  // namespace godwit::workflow
