// Hands chunks to lanes: plans them as far ahead as a batch, records them as pending with each target, and notices when a table is complete on one.
// Any thread. Private to copy.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "godwit/copy/copier.h"

namespace godwit::copy {

struct Assignment {
  std::uint64_t id = 0;
  std::size_t table = 0;  // index of the task
  Chunk chunk;
  std::vector<std::size_t> targets;  // that have not committed it; never none
  std::uint64_t rows_max = 0;        // LIMIT, 0 for none: what lies beyond becomes chunks of its own
};

class Scheduler {
 public:
  Scheduler(db::Connection& planner, std::vector<Target>& targets, const CopyLimits& limits);

  // The next chunk; nothing when no more will come (all given out and settled, or closed). Waits while others may still give
  // chunks back or cut them.
  std::optional<Assignment> next();
  // For those of its targets that are named.
  void give_back(const Assignment& assignment);
  // Committed on this target. True when this was the table's last chunk there, and the table is proved complete.
  bool settle(const Assignment& assignment, std::size_t target, const Chunk& done, const std::vector<Chunk>& rest);
  // What remains of a chunk that was cut at `last`, as chunks with numbers of their own.
  std::vector<Chunk> cut_rest(const Assignment& assignment, const Bound& last, std::uint64_t rows_read);
  // No more chunks are given out.
  void close();
  bool is_all_copied();
  // Whether a target still lacks a table.
  bool is_wanted(std::size_t target);

 private:
  struct Unit {  // a range to be read, once, for some targets
    Chunk chunk;
    std::vector<std::size_t> targets;
  };
  // Targets whose chunks lead to the same bound: planned on together. Mostly there is one.
  struct Front {
    std::vector<std::size_t> targets;
    Bound bound;  // upper bound of what is planned
    bool is_end = false;
    std::deque<Bound> boundaries;  // computed, not yet planned (split by value)
    bool has_boundaries = false;
  };
  struct OnTarget {
    bool is_copied = false;
    std::uint64_t open = 0;  // chunks that are known and not committed there
  };
  struct Given {  // an assignment on its way
    std::size_t parts = 0;                  // targets that have neither committed it nor given it back
    std::vector<Chunk> rest;                // what was cut off
    std::vector<std::size_t> rest_targets;  // that have committed the cut: given out when no part is left, so that it is read for all of them at once
  };
  struct TableState {
    std::deque<Unit> pending;
    std::uint64_t in_flight = 0;  // parts
    std::uint64_t next_number = 1;
    std::vector<OnTarget> on;  // by target
    std::vector<Front> fronts;
    bool is_loaded = false;    // the ledgers' chunks were read
    bool is_in_doubt = false;  // planning failed, and may have been recorded all the same: left to the next cycle
    std::chrono::steady_clock::time_point started;
    bool is_copied() const;
    bool is_planned_to_end() const;
  };
  struct Ledgered;  // what one target's ledger says of a table

  const TableTask& task(std::size_t table) const { return targets_[0].tasks[table]; }  // for what is said of the source
  void load(std::size_t table);
  std::vector<Ledgered> read_ledgers(std::size_t table);
  void align(std::size_t table, std::vector<Ledgered>& all);
  void plan_more(std::size_t table);
  std::vector<Bound> next_bounds(std::size_t table, Front& front);
  std::vector<Bound> bounds_by_value(std::size_t table, Front& front);
  std::vector<Bound> bounds_by_walking(std::size_t table, const Front& front);
  void prove_bound(const TableTask& task, const Bound& bound);
  std::uint64_t chunk_rows(const TableTask& task) const;
  void end_part(const Assignment& assignment);
  bool finish_if_complete(std::size_t table, std::size_t target);
  std::optional<Assignment> take(std::size_t table);

  db::Connection& planner_;
  std::vector<Target>& targets_;
  const CopyLimits limits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<TableState> states_;
  std::map<std::uint64_t, Given> given_;  // by the assignment's id
  std::uint64_t next_id_ = 1;
  std::vector<std::size_t> order_;  // largest first
  bool is_closed_ = false;
};

}  // namespace godwit::copy
