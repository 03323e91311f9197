// Compares tables from one pair of snapshot groups, several ranges at a time. The caller opens the pairs, and calls compare() with one after
// another until nothing is left; what is settled is told in the order of each table's key, so that a killed comparison goes on from there.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/util/stop.h"
#include "godwit/vdiff/compare.h"

namespace godwit::vdiff {

struct TableWork {
  TablePlan plan;
  std::optional<Bound> done_upto;  // everything up to here is compared
  bool is_done = false;            // to its end, or cut
};

// Ranges of one table that are settled, without a gap since the last report.
struct Settled {
  std::size_t table = 0;
  std::optional<Bound> upto;  // nothing: to the table's end
  std::uint64_t source_rows = 0;
  std::uint64_t target_rows = 0;
  std::vector<Suspect> suspects;
};

struct DifferHooks {
  std::function<void()> before_chunk;               // may wait (throttle), may throw
  std::function<bool()> is_pair_over;               // too old: take no more from it
  std::function<bool(const Settled&)> on_settled;   // one at a time. False: leave the rest of the table out
  std::function<void(std::size_t table, const RangeResult&)> on_compared;  // at once, of any thread: for progress
};

class Differ {
 public:
  Differ(std::vector<TableWork>& tables, CompareLimits limits, DifferHooks hooks, const Stop& stop)
      : tables_(tables), limits_(limits), hooks_(std::move(hooks)), stop_(stop) {}

  // Each lane has sessions of its own. Returns when every table is done, or the pair is over. Throws the first error of a lane: what was not
  // settled is compared again, from another pair.
  void compare(const std::vector<Sessions>& lanes);
  bool is_done() const;

 private:
  struct Job {
    std::size_t table = 0;
    std::uint64_t number = 0;
    Range range;
  };
  struct Outcome {
    Job job;
    std::optional<RangeResult> result;
  };

  struct Walked {
    db::Connection& connection;
    db::Side side;
  };

  void run_lane(const Sessions& sessions);
  static Walked walked(const Sessions& sessions, const TablePlan& plan);
  std::optional<Job> next(const Sessions& sessions);
  void begin_table(const Walked& walked, const TableWork& table);
  std::optional<Bound> next_bound(const Walked& walked, const TablePlan& plan);
  std::optional<Bound> walk(const Walked& walked, const TablePlan& plan);
  void settle(const Job& job, RangeResult result);
  std::uint64_t rows_per_chunk(const TablePlan& plan) const;

  std::vector<TableWork>& tables_;
  const CompareLimits limits_;
  const DifferHooks hooks_;
  const Stop& stop_;
  std::mutex mutex_;
  std::size_t current_ = 0;          // the table from which ranges are taken
  std::optional<Bound> next_lower_;  // where its next range begins
  bool is_begun_ = false;            // next_lower_ is that of current_
  struct Ends {
    std::uint64_t first = 0;  // two's complement
    std::uint64_t last = 0;
  };
  std::optional<Ends> dense_;        // of current_, where its key is integers with few gaps
  std::uint64_t numbers_ = 0;
  std::deque<Outcome> outstanding_;  // in the order in which they were taken
  std::atomic<bool> has_failed_{false};
};

}  // namespace godwit::vdiff
