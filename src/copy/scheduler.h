// Hands chunks to lanes: plans them as far ahead as a batch, records them as pending, and notices when a table is
// complete. Any thread. Private to copy.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "godwit/copy/copier.h"

namespace godwit::copy {

struct Assignment {
  std::size_t table = 0;  // index of the task
  Chunk chunk;
  std::uint64_t rows_max = 0;  // LIMIT, 0 for none: what lies beyond becomes chunks of its own
};

class Scheduler {
 public:
  Scheduler(db::Connection& planner, const std::vector<TableTask>& tasks, const CopyLimits& limits, Ledger& ledger,
            std::vector<TableProgress>& progress);

  // The next chunk; nothing when no more will come (all given out and settled, or closed). Waits while others may still give
  // chunks back or cut them.
  std::optional<Assignment> next();
  void give_back(const Assignment& assignment);
  // Committed. True when this was the table's last chunk and the table is proved complete.
  bool settle(const Assignment& assignment, const Chunk& done, const std::vector<Chunk>& rest);
  // What remains of a chunk that was cut at `last`, as chunks with numbers of their own.
  std::vector<Chunk> cut_rest(const Assignment& assignment, const Bound& last, std::uint64_t rows_read);
  // No more chunks are given out.
  void close();
  bool is_all_copied();

 private:
  struct TableState {
    std::deque<Chunk> pending;
    std::uint64_t in_flight = 0;
    std::uint64_t next_number = 1;
    Bound frontier;              // upper bound of what is planned
    bool is_planned_to_end = false;
    bool is_loaded = false;      // the ledger's chunks were read
    bool is_copied = false;
    bool is_in_doubt = false;    // planning failed, and may have been recorded all the same: left to the next cycle
    std::deque<Bound> boundaries;  // computed, not yet planned (split by value)
    bool has_boundaries = false;
    std::chrono::steady_clock::time_point started;
  };

  void load(std::size_t table);
  void plan_more(std::size_t table);
  std::vector<Bound> next_bounds(std::size_t table);
  std::vector<Bound> bounds_by_value(std::size_t table);
  std::vector<Bound> bounds_by_walking(std::size_t table);
  void prove_bound(const TableTask& task, const Bound& bound);
  std::uint64_t chunk_rows(const TableTask& task) const;
  bool finish_if_complete(std::size_t table);
  std::optional<Assignment> take(std::size_t table);

  db::Connection& planner_;
  const std::vector<TableTask>& tasks_;
  const CopyLimits limits_;
  Ledger& ledger_;
  std::vector<TableProgress>& progress_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<TableState> states_;
  std::vector<std::size_t> order_;  // largest first
  bool is_closed_ = false;
};

}  // namespace godwit::copy
