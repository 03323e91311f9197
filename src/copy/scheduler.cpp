#include "scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/text.h"

namespace godwit::copy {
namespace {

constexpr std::size_t kPlannedAtOnce = 16;
constexpr std::uint64_t kPartsMax = 1U << 20;       // of one table, by value
constexpr std::uint64_t kCutFactor = 4;             // a chunk this many times larger than planned is cut
constexpr std::uint64_t kRestPartsMax = 64;

}  // namespace

Scheduler::Scheduler(db::Connection& planner, const std::vector<TableTask>& tasks, const CopyLimits& limits,
                     Ledger& ledger, std::vector<TableProgress>& progress)
    : planner_(planner),
      tasks_(tasks),
      limits_(limits),
      ledger_(ledger),
      progress_(progress),
      states_(tasks.size()),
      order_(tasks.size()) {
  std::iota(order_.begin(), order_.end(), 0U);
  for (std::size_t i = 0; i < tasks.size(); ++i) states_[i].is_copied = progress[i].is_done;  // by an earlier cycle
}

std::optional<Assignment> Scheduler::next() {
  std::unique_lock lock(mutex_);
  while (!is_closed_) {
    bool is_any_in_flight = false;
    // Lanes spread over the tables: two that fill one B-tree hold each other up. Ties go to the larger table.
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(states_[a].in_flight, tasks_[b].bytes_estimate) < std::pair(states_[b].in_flight, tasks_[a].bytes_estimate);
    });
    for (const std::size_t table : order_) {
      if (states_[table].is_copied) continue;
      if (auto assignment = take(table)) return assignment;
      is_any_in_flight = is_any_in_flight || states_[table].in_flight > 0;
    }
    if (!is_any_in_flight) return std::nullopt;
    changed_.wait(lock);
  }
  return std::nullopt;
}

std::optional<Assignment> Scheduler::take(std::size_t table) {
  TableState& state = states_[table];
  if (!state.is_loaded) load(table);
  if (state.is_copied || state.is_in_doubt) return std::nullopt;
  if (state.pending.empty() && !state.is_planned_to_end) plan_more(table);
  if (state.pending.empty()) return std::nullopt;
  Assignment assignment{.table = table, .chunk = state.pending.front(), .rows_max = 0};
  const TableTask& task = tasks_[table];
  if (task.key && task.key->is_split_by_value()) assignment.rows_max = chunk_rows(task) * kCutFactor;
  state.pending.pop_front();
  ++state.in_flight;
  return assignment;
}

void Scheduler::give_back(const Assignment& assignment) {
  std::lock_guard lock(mutex_);
  TableState& state = states_[assignment.table];
  state.pending.push_front(assignment.chunk);
  --state.in_flight;
  changed_.notify_all();
}

bool Scheduler::settle(const Assignment& assignment, const Chunk& done, const std::vector<Chunk>& rest) {
  std::lock_guard lock(mutex_);
  TableState& state = states_[assignment.table];
  --state.in_flight;
  state.pending.insert(state.pending.begin(), rest.begin(), rest.end());
  progress_[assignment.table].rows += done.rows;
  progress_[assignment.table].bytes += done.bytes;
  changed_.notify_all();  // before anything that may throw: they look once the lock is free
  return finish_if_complete(assignment.table);
}

std::vector<Chunk> Scheduler::cut_rest(const Assignment& assignment, const Bound& last, std::uint64_t rows_read) {
  std::lock_guard lock(mutex_);
  const TableTask& task = tasks_[assignment.table];
  TableState& state = states_[assignment.table];
  const KeyColumn& column = task.key->columns.at(0);
  const KeyRange& whole = assignment.chunk.range;
  std::vector<Bound> inner;
  // As dense as what was read, the rest would be about this many chunks; too few is mended by the next cut.
  if (!whole.lower.empty() && !whole.upper.empty()) {
    const std::uint64_t parts = std::clamp<std::uint64_t>(rows_read / chunk_rows(task), 2, kRestPartsMax);
    inner = split_by_value(column, {.first = last[0], .last = whole.upper[0]}, parts);
  }
  inner.push_back(whole.upper);
  std::vector<Chunk> rest;
  Bound lower = last;
  for (const auto& upper : inner) {
    rest.push_back({.number = state.next_number++, .range = {.lower = lower, .upper = upper}, .is_planned = false});
    lower = upper;
  }
  return rest;
}

void Scheduler::close() {
  std::lock_guard lock(mutex_);
  is_closed_ = true;
  changed_.notify_all();
}

bool Scheduler::is_all_copied() {
  std::lock_guard lock(mutex_);
  return std::all_of(states_.begin(), states_.end(), [](const TableState& state) { return state.is_copied; });
}

// What an earlier run or cycle left: pending chunks are read now, planning goes on behind the last planned bound.
void Scheduler::load(std::size_t table) {
  TableState& state = states_[table];
  TableProgress& progress = progress_[table];
  state.started = std::chrono::steady_clock::now();
  state.is_loaded = true;
  progress.is_started = true;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::map<std::string, const Chunk*> by_lower;
  const std::vector<Chunk> chunks = ledger_.chunks(tasks_[table].source);
  for (const auto& chunk : chunks) {
    state.next_number = std::max(state.next_number, chunk.number + 1);
    by_lower.emplace(to_text(chunk.range.lower), &chunk);
    if (chunk.is_done) {
      rows += chunk.rows;
      bytes += chunk.bytes;
    } else {
      state.pending.push_back(chunk);
    }
  }
  // The frontier is where the chunks lead to, not the bound that was planned last: that chunk may have been cut since.
  for (auto at = by_lower.find(""); at != by_lower.end() && !state.is_planned_to_end;) {
    state.frontier = at->second->range.upper;
    state.is_planned_to_end = state.frontier.empty();
    at = by_lower.find(to_text(state.frontier));
  }
  progress.rows = rows;
  progress.bytes = bytes;
  finish_if_complete(table);
}

void Scheduler::plan_more(std::size_t table) {
  TableState& state = states_[table];
  std::vector<Chunk> planned;
  Bound lower = state.frontier;
  for (auto& upper : next_bounds(table)) {
    planned.push_back({.number = state.next_number++, .range = {.lower = lower, .upper = upper}});
    lower = std::move(upper);
  }
  // When this throws, the ledger may hold the chunks or not: what it holds is seen when it is read again, by the next cycle.
  state.is_in_doubt = true;
  ledger_.plan(tasks_[table].source, planned);
  failpoint(Fp::copy_chunks_planned);
  state.is_in_doubt = false;
  state.frontier = lower;
  state.is_planned_to_end = lower.empty();
  state.pending.insert(state.pending.end(), planned.begin(), planned.end());
}

// The upper bounds of the next chunks, never none; an unbounded one is the last.
std::vector<Bound> Scheduler::next_bounds(std::size_t table) {
  const TableTask& task = tasks_[table];
  if (!task.key) return {Bound{}};
  return task.key->is_split_by_value() ? bounds_by_value(table) : bounds_by_walking(table);
}

std::vector<Bound> Scheduler::bounds_by_value(std::size_t table) {
  const TableTask& task = tasks_[table];
  TableState& state = states_[table];
  if (!state.has_boundaries) {
    const std::string column = sql::quote_identifier(task.key->columns[0].name);
    const db::Rows ends = planner_.query(fmt::format("SELECT MIN({0}) AS a, MAX({0}) AS b FROM {1}",
                                                     column,
                                                     sql::quote_table(task.source.schema, task.source.name)));
    if (!ends.is_null(0, "a")) {
      const std::string first = state.frontier.empty() ? ends.text(0, "a") : state.frontier[0];
      const std::string last = ends.text(0, "b");
      const bool is_beyond = task.key->columns[0].is_unsigned
                                 ? parse_u64(first).value() >= parse_u64(last).value()
                                 : parse_i64(first).value() >= parse_i64(last).value();
      const std::uint64_t parts = std::min(task.rows_estimate / chunk_rows(task) + 1, kPartsMax);
      if (!is_beyond) {
        const auto bounds = split_by_value(task.key->columns[0], {.first = first, .last = last}, parts);
        state.boundaries.assign(bounds.begin(), bounds.end());
      }
    }
    state.boundaries.emplace_back();
    state.has_boundaries = true;
  }
  std::vector<Bound> next;
  while (next.size() < kPlannedAtOnce && !state.boundaries.empty()) {
    next.push_back(std::move(state.boundaries.front()));
    state.boundaries.pop_front();
  }
  return next;
}

std::vector<Bound> Scheduler::bounds_by_walking(std::size_t table) {
  const TableTask& task = tasks_[table];
  const KeySpec& key = *task.key;
  std::vector<Bound> next;
  Bound lower = states_[table].frontier;
  while (next.size() < 4) {
    std::string statement = fmt::format("SELECT {} FROM {} FORCE INDEX ({})",
                                        literal_expressions(key),
                                        sql::quote_table(task.source.schema, task.source.name),
                                        sql::quote_identifier(key.index));
    if (!lower.empty()) statement += " WHERE " + predicate(key, {.lower = lower, .upper = {}});
    statement += fmt::format(" ORDER BY {} LIMIT 1 OFFSET {}", order_by(key), chunk_rows(task) - 1);
    const db::Rows found = planner_.query(statement);
    if (found.empty()) {
      next.emplace_back();
      return next;
    }
    lower.clear();
    for (const auto& cell : found.rows[0]) lower.push_back(cell.value());
    prove_bound(task, lower);
    next.push_back(lower);
  }
  return next;
}

// The planner reads one consistent state, so the row that gave the bound must be found by it. A literal that the server takes for
// something else makes the comparison NULL, and a range that holds no row looks just like one that was copied.
void Scheduler::prove_bound(const TableTask& task, const Bound& bound) {
  const db::Rows found = planner_.query(fmt::format("SELECT COUNT(*) FROM {} FORCE INDEX ({}) WHERE {}",
                                                    sql::quote_table(task.source.schema, task.source.name),
                                                    sql::quote_identifier(task.key->index),
                                                    equality(*task.key, bound)));
  if (found.scalar() == "1") return;
  throw Error(Code::no_usable_key,
              {.object = sql::quote_table(task.source.schema, task.source.name),
               .cause = fmt::format("the bound {} of key {} finds {} rows instead of its own", to_text(bound), task.key->index, found.scalar()),
               .remedy = "add a primary key of another type, or copy it whole with --allow-no-key; please report the type"});
}

std::uint64_t Scheduler::chunk_rows(const TableTask& task) const {
  const std::uint64_t row_bytes = std::max<std::uint64_t>(task.row_bytes_avg, 1);
  return std::clamp<std::uint64_t>(limits_.chunk_bytes / row_bytes, 1, limits_.chunk_rows_max);
}

bool Scheduler::finish_if_complete(std::size_t table) {
  TableState& state = states_[table];
  if (state.is_in_doubt || !state.is_planned_to_end || !state.pending.empty() || state.in_flight > 0) return false;
  failpoint(Fp::copy_table_copied);
  prove_complete(tasks_[table].source, ledger_.chunks(tasks_[table].source));
  const auto duration = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                              state.started);
  ledger_.finish_table(tasks_[table].source,
                       progress_[table].rows,
                       progress_[table].bytes,
                       static_cast<std::uint64_t>(duration.count()));
  state.is_copied = true;
  progress_[table].is_done = true;
  return true;
}

}  // namespace godwit::copy
