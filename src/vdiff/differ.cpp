#include "godwit/vdiff/differ.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <thread>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/text.h"

namespace godwit::vdiff {

bool Differ::is_done() const {
  return std::all_of(tables_.begin(), tables_.end(), [](const TableWork& table) { return table.is_done; });
}

void Differ::compare(const std::vector<Sessions>& lanes_of_sessions) {
  current_ = 0;
  is_begun_ = false;
  outstanding_.clear();
  numbers_ = 0;
  has_failed_ = false;
  std::exception_ptr failure;
  std::vector<std::thread> lanes;
  for (const auto& sessions : lanes_of_sessions) {
    lanes.emplace_back([&] {
      try {
        run_lane(sessions);
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

void Differ::run_lane(const Sessions& sessions) {
  Comparer comparer(sessions, limits_);
  while (!has_failed_) {
    stop_.throw_if_requested();
    hooks_.before_chunk();
    const auto job = next(sessions);
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

// The source's index, whatever is on the target beyond it. Where the source is shards, each has some of the rows: the other side's index then.
Differ::Walked Differ::walked(const Sessions& sessions, const TablePlan& plan) {
  const bool is_divided = plan.spread == Spread::by_key && sessions.source.size() > 1;
  return is_divided ? Walked{*sessions.target[0], db::Side::target} : Walked{*sessions.source[0], db::Side::source};
}

void Differ::begin_table(const Walked& walked, const TableWork& table) {
  next_lower_ = table.done_upto;
  dense_.reset();
  if (!table.plan.is_key_integer) return;
  const auto ends = walked.connection.query(select_ends(table.plan, walked.side)).rows.at(0);
  const auto first = parse_i64(ends[0].value_or(""));
  const auto last = parse_i64(ends[1].value_or(""));
  if (!first || !last) return;  // empty, or beyond 63 bits
  const Ends found{.first = static_cast<std::uint64_t>(*first), .last = static_cast<std::uint64_t>(*last)};
  if (found.last - found.first <= 2 * table.plan.rows_estimate) dense_ = found;
}

// A range ends where so many of the source's rows end, and the last one is open, so that nothing on either side lies outside. Where the key is
// integers with few gaps, a range of so many numbers will do: it holds no more rows. Else the index is walked.
std::optional<Bound> Differ::next_bound(const Walked& walked, const TablePlan& plan) {
  if (!dense_) return walk(walked, plan);
  const std::uint64_t width = rows_per_chunk(plan);
  const auto lower = next_lower_ ? parse_i64(next_lower_->at(0)) : std::nullopt;
  const bool is_beyond = lower && *lower >= static_cast<std::int64_t>(dense_->last);
  const std::uint64_t from = lower ? static_cast<std::uint64_t>(*lower) : dense_->first - 1;
  if (is_beyond || dense_->last - from <= width) return std::nullopt;
  return Bound{fmt::format("{}", static_cast<std::int64_t>(from + width))};
}

std::optional<Bound> Differ::walk(const Walked& walked, const TablePlan& plan) {
  const db::Rows bound = walked.connection.query(select_bound(plan, walked.side, next_lower_, rows_per_chunk(plan)));
  if (bound.empty()) return std::nullopt;
  Bound upper;
  std::string room;
  for (std::size_t i = 0; i < plan.key.size(); ++i) {
    upper.emplace_back(normalize(plan.columns[plan.key[i].column], bound.rows[0][i].value_or(""), room));
  }
  if (upper != next_lower_) return upper;
  throw Error(Code::key_order_wrong,
              {.object = sql::quote_table(plan.source_schema, plan.source_table),
               .cause = "the walk along its key does not move on",
               .remedy = "CHECK TABLE on the source; is an index damaged?"});
}

std::optional<Differ::Job> Differ::next(const Sessions& sessions) {
  std::lock_guard lock(mutex_);
  if (numbers_ > 0 && hooks_.is_pair_over()) return std::nullopt;  // one range at least: however short the pairs live, they come to an end
  while (current_ < tables_.size() && (tables_[current_].is_done || tables_[current_].plan.key.empty())) {
    ++current_;
    is_begun_ = false;
  }
  if (current_ == tables_.size()) return std::nullopt;
  const TableWork& table = tables_[current_];
  const Walked walked = Differ::walked(sessions, table.plan);
  if (!is_begun_) begin_table(walked, table);
  is_begun_ = true;
  Job job{.table = current_, .number = ++numbers_, .range = {.lower = next_lower_, .upper = next_bound(walked, table.plan)}};
  next_lower_ = job.range.upper;
  if (!job.range.upper) {
    ++current_;
    is_begun_ = false;
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
