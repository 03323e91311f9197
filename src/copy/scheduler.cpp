#include "scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

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

bool is_same_chunk(const Chunk& a, const Chunk& b) { return a.number == b.number && a.range.lower == b.range.lower && a.range.upper == b.range.upper; }

}  // namespace

struct Scheduler::Ledgered {
  std::size_t target = 0;
  std::vector<Chunk> chunks;
  std::map<std::string, Chunk> by_lower;
  Bound frontier;
  bool is_end = false;

  void add(const Chunk& chunk) {
    chunks.push_back(chunk);
    by_lower.emplace(to_text(chunk.range.lower), chunk);
  }
  const Chunk* next() const {
    const auto found = is_end ? by_lower.end() : by_lower.find(to_text(frontier));
    return found == by_lower.end() ? nullptr : &found->second;
  }
  // The frontier is where the chunks lead to, not the bound that was planned last: that chunk may have been cut since.
  void follow() {
    while (const Chunk* chunk = next()) {
      frontier = chunk->range.upper;
      is_end = frontier.empty();
    }
  }
};

bool Scheduler::TableState::is_copied() const {
  return std::ranges::all_of(on, [](const OnTarget& target) { return target.is_copied; });
}

bool Scheduler::TableState::is_planned_to_end() const {
  return std::ranges::all_of(fronts, [](const Front& front) { return front.is_end; });
}

Scheduler::Scheduler(db::Connection& planner, std::vector<Target>& targets, const CopyLimits& limits)
    : planner_(planner), targets_(targets), limits_(limits), states_(targets[0].tasks.size()), order_(states_.size()) {
  std::iota(order_.begin(), order_.end(), 0U);
  for (std::size_t table = 0; table < states_.size(); ++table) {
    // By an earlier cycle, where it is wanted.
    for (const auto& target : targets) states_[table].on.push_back({.is_copied = !target.tasks[table].is_wanted || target.progress[table].is_done});
  }
}

std::optional<Assignment> Scheduler::next() {
  std::unique_lock lock(mutex_);
  while (!is_closed_) {
    bool is_any_in_flight = false;
    // Lanes spread over the tables: two that fill one B-tree hold each other up. Ties go to the larger table.
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(states_[a].in_flight, task(b).bytes_estimate) < std::pair(states_[b].in_flight, task(a).bytes_estimate);
    });
    for (const std::size_t table : order_) {
      if (states_[table].is_copied()) continue;
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
  if (state.is_copied() || state.is_in_doubt) return std::nullopt;
  if (state.pending.empty() && !state.is_planned_to_end()) plan_more(table);
  if (state.pending.empty()) return std::nullopt;
  const Unit unit = std::move(state.pending.front());
  state.pending.pop_front();
  Assignment assignment{.id = next_id_++, .table = table, .chunk = unit.chunk, .targets = unit.targets};
  if (task(table).key && task(table).key->is_split_by_value()) assignment.rows_max = chunk_rows(task(table)) * kCutFactor;
  state.in_flight += unit.targets.size();
  given_[assignment.id].parts = unit.targets.size();
  return assignment;
}

void Scheduler::give_back(const Assignment& assignment) {
  std::lock_guard lock(mutex_);
  auto& pending = states_[assignment.table].pending;
  const auto found = std::ranges::find_if(pending, [&](const Unit& unit) { return is_same_chunk(unit.chunk, assignment.chunk); });
  // Where another target's part of it waits already they go together.
  if (found == pending.end()) {
    pending.push_front({.chunk = assignment.chunk, .targets = assignment.targets});
  } else {
    found->targets.insert(found->targets.end(), assignment.targets.begin(), assignment.targets.end());
  }
  for (std::size_t i = 0; i < assignment.targets.size(); ++i) end_part(assignment);
  changed_.notify_all();
}

bool Scheduler::settle(const Assignment& assignment, std::size_t target, const Chunk& done, const std::vector<Chunk>& rest) {
  std::lock_guard lock(mutex_);
  OnTarget& on = states_[assignment.table].on[target];
  on.open += rest.size();
  --on.open;
  TableProgress& progress = targets_[target].progress[assignment.table];
  progress.rows += done.rows;
  progress.bytes += done.bytes;
  if (!rest.empty()) {
    given_[assignment.id].rest = rest;
    given_[assignment.id].rest_targets.push_back(target);
  }
  end_part(assignment);
  changed_.notify_all();  // before anything that may throw: they look once the lock is free
  return finish_if_complete(assignment.table, target);
}

void Scheduler::end_part(const Assignment& assignment) {
  TableState& state = states_[assignment.table];
  --state.in_flight;
  Given& given = given_.at(assignment.id);
  if (--given.parts > 0) return;
  for (auto chunk = given.rest.rbegin(); chunk != given.rest.rend(); ++chunk) state.pending.push_front({.chunk = *chunk, .targets = given.rest_targets});
  given_.erase(assignment.id);
}

std::vector<Chunk> Scheduler::cut_rest(const Assignment& assignment, const Bound& last, std::uint64_t rows_read) {
  std::lock_guard lock(mutex_);
  const TableTask& cut = task(assignment.table);
  TableState& state = states_[assignment.table];
  const KeyColumn& column = cut.key->columns.at(0);
  const KeyRange& whole = assignment.chunk.range;
  std::vector<Bound> inner;
  // As dense as what was read, the rest would be about this many chunks; too few is mended by the next cut.
  if (!whole.lower.empty() && !whole.upper.empty()) {
    const std::uint64_t parts = std::clamp<std::uint64_t>(rows_read / chunk_rows(cut), 2, kRestPartsMax);
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
  return std::ranges::all_of(states_, [](const TableState& state) { return state.is_copied(); });
}

bool Scheduler::is_wanted(std::size_t target) {
  std::lock_guard lock(mutex_);
  return std::ranges::any_of(states_, [&](const TableState& state) { return !state.on[target].is_copied; });
}

// What an earlier run or cycle left: pending chunks are read now, each once for all targets that lack just this range; planning goes on behind the last
// planned bound.
void Scheduler::load(std::size_t table) {
  TableState& state = states_[table];
  state.started = std::chrono::steady_clock::now();
  auto all = read_ledgers(table);
  align(table, all);
  std::map<std::tuple<std::uint64_t, std::string, std::string>, Unit> units;
  state.fronts.clear();
  for (const auto& ledgered : all) {
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
    OnTarget& on = state.on[ledgered.target];
    on.open = 0;
    for (const auto& chunk : ledgered.chunks) {
      state.next_number = std::max(state.next_number, chunk.number + 1);
      rows += chunk.rows;
      bytes += chunk.bytes;
      if (chunk.is_done) continue;
      ++on.open;
      Unit& unit = units[{chunk.number, to_text(chunk.range.lower), to_text(chunk.range.upper)}];
      unit.chunk = chunk;
      unit.targets.push_back(ledgered.target);
    }
    TableProgress& progress = targets_[ledgered.target].progress[table];
    progress.is_started = true;
    progress.rows = rows;
    progress.bytes = bytes;
    auto front = std::ranges::find_if(state.fronts, [&](const Front& f) { return f.is_end == ledgered.is_end && f.bound == ledgered.frontier; });
    if (front == state.fronts.end()) front = state.fronts.insert(front, {.targets = {}, .bound = ledgered.frontier, .is_end = ledgered.is_end});
    front->targets.push_back(ledgered.target);
  }
  for (auto& [place, unit] : units) state.pending.push_back(std::move(unit));
  state.is_loaded = true;
  for (const auto& ledgered : all) finish_if_complete(table, ledgered.target);
}

std::vector<Scheduler::Ledgered> Scheduler::read_ledgers(std::size_t table) {
  std::vector<Ledgered> all;
  for (std::size_t target = 0; target < targets_.size(); ++target) {
    if (states_[table].on[target].is_copied) continue;
    Ledgered& ledgered = all.emplace_back();
    ledgered.target = target;
    for (const auto& chunk : targets_[target].ledger.chunks(task(table).source)) ledgered.add(chunk);
    ledgered.follow();
  }
  return all;
}

// A target may not know of ranges that were planned with another one: whoever planned was killed in between. It gets the same, under the same numbers, which are
// of no other chunk there: a number that is in any ledger is not given out again.
void Scheduler::align(std::size_t table, std::vector<Ledgered>& all) {
  for (auto& behind : all) {
    std::vector<Chunk> planned;
    while (!behind.is_end) {
      const std::string at = to_text(behind.frontier);
      const auto ahead = std::ranges::find_if(all, [&](const Ledgered& other) { return other.by_lower.count(at) != 0; });
      if (ahead == all.end()) break;
      const Chunk& known = ahead->by_lower.at(at);
      planned.push_back({.number = known.number, .range = known.range, .is_done = false, .is_planned = known.is_planned});
      behind.add(planned.back());
      behind.follow();
    }
    if (!planned.empty()) targets_[behind.target].ledger.plan(task(table).source, planned);
  }
}

void Scheduler::plan_more(std::size_t table) {
  TableState& state = states_[table];
  Front& front = *std::ranges::find_if(state.fronts, [](const Front& f) { return !f.is_end; });
  std::vector<Chunk> planned;
  Bound lower = front.bound;
  for (auto& upper : next_bounds(table, front)) {
    planned.push_back({.number = state.next_number++, .range = {.lower = lower, .upper = upper}});
    lower = std::move(upper);
  }
  // When this throws, the ledgers may hold the chunks or not: what they hold is seen when they are read again, by the next cycle.
  state.is_in_doubt = true;
  for (const std::size_t target : front.targets) targets_[target].ledger.plan(task(table).source, planned);
  failpoint(Fp::copy_chunks_planned);
  state.is_in_doubt = false;
  front.bound = lower;
  front.is_end = lower.empty();
  for (const std::size_t target : front.targets) state.on[target].open += planned.size();
  for (const auto& chunk : planned) state.pending.push_back({.chunk = chunk, .targets = front.targets});
}

// The upper bounds of the next chunks, never none; an unbounded one is the last.
std::vector<Bound> Scheduler::next_bounds(std::size_t table, Front& front) {
  if (!task(table).key) return {Bound{}};
  return task(table).key->is_split_by_value() ? bounds_by_value(table, front) : bounds_by_walking(table, front);
}

std::vector<Bound> Scheduler::bounds_by_value(std::size_t table, Front& front) {
  const TableTask& task = this->task(table);
  if (!front.has_boundaries) {
    const std::string column = sql::quote_identifier(task.key->columns[0].name);
    const db::Rows ends = planner_.query(fmt::format("SELECT MIN({0}) AS a, MAX({0}) AS b FROM {1}",
                                                     column,
                                                     sql::quote_table(task.source.schema, task.source.name)));
    if (!ends.is_null(0, "a")) {
      const std::string first = front.bound.empty() ? ends.text(0, "a") : front.bound[0];
      const std::string last = ends.text(0, "b");
      const bool is_beyond = task.key->columns[0].is_unsigned
                                 ? parse_u64(first).value() >= parse_u64(last).value()
                                 : parse_i64(first).value() >= parse_i64(last).value();
      const std::uint64_t parts = std::min(task.rows_estimate / chunk_rows(task) + 1, kPartsMax);
      if (!is_beyond) {
        const auto bounds = split_by_value(task.key->columns[0], {.first = first, .last = last}, parts);
        front.boundaries.assign(bounds.begin(), bounds.end());
      }
    }
    front.boundaries.emplace_back();
    front.has_boundaries = true;
  }
  std::vector<Bound> next;
  while (next.size() < kPlannedAtOnce && !front.boundaries.empty()) {
    next.push_back(std::move(front.boundaries.front()));
    front.boundaries.pop_front();
  }
  return next;
}

std::vector<Bound> Scheduler::bounds_by_walking(std::size_t table, const Front& front) {
  const TableTask& task = this->task(table);
  const KeySpec& key = *task.key;
  std::vector<Bound> next;
  Bound lower = front.bound;
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

bool Scheduler::finish_if_complete(std::size_t table, std::size_t target) {
  TableState& state = states_[table];
  OnTarget& on = state.on[target];
  const auto is_end = [&](const Front& front) { return front.is_end && std::ranges::find(front.targets, target) != front.targets.end(); };
  if (state.is_in_doubt || on.open > 0 || std::ranges::none_of(state.fronts, is_end)) return false;
  failpoint(Fp::copy_table_copied);
  Ledger& ledger = targets_[target].ledger;
  TableProgress& progress = targets_[target].progress[table];
  prove_complete(task(table).source, ledger.chunks(task(table).source));
  const auto duration = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - state.started);
  ledger.finish_table(task(table).source, progress.rows, progress.bytes, static_cast<std::uint64_t>(duration.count()));
  on.is_copied = true;
  progress.is_done = true;
  return true;
}

}  // namespace godwit::copy
