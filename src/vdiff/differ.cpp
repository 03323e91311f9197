#include "godwit/vdiff/differ.h"

#include <algorithm>
#include <exception>
#include <thread>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"

namespace godwit::vdiff {

bool Differ::is_done() const {
  return std::all_of(tables_.begin(), tables_.end(), [](const TableWork& table) { return table.is_done; });
}

void Differ::compare(std::vector<db::Connection>& sources, std::vector<db::Connection>& targets) {
  GODWIT_CHECK(sources.size() == targets.size());
  current_ = 0;
  is_begun_ = false;
  outstanding_.clear();
  numbers_ = 0;
  has_failed_ = false;
  std::exception_ptr failure;
  std::vector<std::thread> lanes;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    lanes.emplace_back([&, i] {
      try {
        run_lane(sources[i], targets[i]);
      } catch (...) {
        has_failed_ = true;
        std::lock_guard lock(mutex_);
        if (!failure) failure = std::current_exception();
      }
    });
  }
  for (auto& lane : lanes) lane.join();
  if (failure) std::rethrow_exception(failure);
}

void Differ::run_lane(db::Connection& source, db::Connection& target) {
  Comparer comparer(source, target, limits_);
  while (!has_failed_) {
    stop_.throw_if_requested();
    hooks_.before_chunk();
    const auto job = next(source);
    if (!job) return;
    RangeResult result = comparer.compare(tables_[job->table].plan, job->range);
    failpoint(Fp::vdiff_chunk_compared);
    hooks_.on_compared(job->table, result);
    settle(*job, std::move(result));
  }
}

std::uint64_t Differ::rows_per_chunk(const TablePlan& plan) const {
  const std::uint64_t by_bytes = limits_.bytes_per_chunk / std::max<std::uint64_t>(plan.row_bytes_avg, 1);
  return std::min(std::max<std::uint64_t>(by_bytes, 100), limits_.rows_per_chunk);
}

// The source's index is walked: a range ends where so many of its rows end, and the last one is open, so that nothing on either side lies outside.
std::optional<Differ::Job> Differ::next(db::Connection& source) {
  std::lock_guard lock(mutex_);
  if (numbers_ > 0 && hooks_.is_pair_over()) return std::nullopt;  // one range at least: however short the pairs live, they come to an end
  while (current_ < tables_.size() && (tables_[current_].is_done || tables_[current_].plan.key.empty())) {
    ++current_;
    is_begun_ = false;
  }
  if (current_ == tables_.size()) return std::nullopt;
  const TableWork& table = tables_[current_];
  if (!is_begun_) next_lower_ = table.done_upto;
  is_begun_ = true;
  Job job{.table = current_, .number = ++numbers_, .range = {.lower = next_lower_, .upper = {}}};
  const db::Rows bound = source.query(select_bound(table.plan, db::Side::source, next_lower_, rows_per_chunk(table.plan)));
  if (bound.empty()) {
    ++current_;
    is_begun_ = false;
  } else {
    Bound upper;
    std::string room;
    for (std::size_t i = 0; i < table.plan.key.size(); ++i) {
      upper.emplace_back(normalize(table.plan.columns[table.plan.key[i].column], bound.rows[0][i].value_or(""), room));
    }
    if (upper == next_lower_) {
      throw Error(Code::key_order_wrong,
                  {.object = sql::quote_table(table.plan.source_schema, table.plan.source_table),
                   .cause = "the walk along its key does not move on",
                   .remedy = "CHECK TABLE on the source; is an index damaged?"});
    }
    job.range.upper = upper;
    next_lower_ = std::move(upper);
  }
  outstanding_.push_back({job, std::nullopt});
  return job;
}

// Told in the order in which the ranges were taken: what a kill leaves recorded is then everything up to a bound.
void Differ::settle(const Job& job, RangeResult result) {
  std::lock_guard lock(mutex_);
  const auto own = std::find_if(outstanding_.begin(), outstanding_.end(), [&](const Outcome& o) { return o.job.number == job.number; });
  GODWIT_CHECK(own != outstanding_.end());
  own->result = std::move(result);
  while (!outstanding_.empty() && outstanding_.front().result) {
    const Outcome first = std::move(outstanding_.front());
    outstanding_.pop_front();
    TableWork& table = tables_[first.job.table];
    if (table.is_done) continue;  // cut meanwhile
    const bool goes_on = hooks_.on_settled({.table = first.job.table,
                                            .upto = first.job.range.upper,
                                            .source_rows = first.result->source_rows,
                                            .target_rows = first.result->target_rows,
                                            .suspects = first.result->suspects});
    failpoint(Fp::vdiff_chunk_recorded);
    table.done_upto = first.job.range.upper;
    table.is_done = !first.job.range.upper || !goes_on;
  }
}

}  // namespace godwit::vdiff
