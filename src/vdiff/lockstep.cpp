#include "lockstep.h"

#include <algorithm>

namespace godwit::vdiff {

using db::Side;

namespace {

Side other(Side side) { return side == Side::source ? Side::target : Side::source; }

}  // namespace

Lockstep::Lockstep(const Sessions& sessions, const TablePlan& plan, const CompareLimits& limits)
    : sessions_(sessions), plan_(plan), limits_(limits), single_(other(sessions.sharded_side())) {}

// What all shards together may have remembered is not much more than what one may; and a range as long as they are made is not divided because
// all of its rows are on one of them.
Lockstep::Stream Lockstep::open(Side side, std::size_t shard, const Range& range) {
  const auto& sessions = sessions_.of(side);
  const std::uint64_t share = limits_.rows_per_read_max / sessions.size();
  const std::uint64_t rows_max = std::max({share, std::min(limits_.rows_per_read_max, limits_.rows_per_chunk), std::uint64_t(2)});
  return {.reader = RowReader(sessions[shard]->stream(select_rows(plan_, side, range, rows_max + 1)), plan_), .half = side == single_ ? one_ : many_, .shard = shard, .rows_max = rows_max};
}

void Lockstep::run(const Range& range) {
  Stream one = open(single_, 0, range);
  for (std::size_t shard = 0; shard < sessions_.shards(); ++shard) {
    shards_.push_back(open(other(single_), shard, range));
    advance_shard(shards_.back());
  }
  for (advance(one); one.has_row; advance(one)) {
    if (Stream* equal = equal_to(one)) {
      advance_shard(*equal);
      continue;
    }
    if (settle(one, many_.waiting)) continue;
    wait(one);
    pass_oldest();
  }
  while (pass_oldest()) {
  }
  divide_at(one);
  for (const auto& stream : shards_) divide_at(stream);
  shards_.clear();
}

void Lockstep::advance(Stream& stream) {
  stream.has_row = stream.reader.next();
  if (!stream.has_row) return;
  ++stream.half.rows;
  if (++stream.rows == stream.rows_max / 2) stream.middle = stream.reader.key();
}

// To its next row that is not waited for.
void Lockstep::advance_shard(Stream& stream) {
  stream.stands_since = ++clock_;
  for (advance(stream); stream.has_row; advance(stream)) {
    if (plan_.route != nullptr && stream.reader.shard() != stream.shard) misplaced_.push_back({.key = stream.reader.key(), .shard = stream.shard});
    if (one_.waiting.empty() || !settle(stream, one_.waiting)) return;
  }
}

Lockstep::Stream* Lockstep::equal_to(const Stream& one) {
  const auto found = std::find_if(shards_.begin(), shards_.end(), [&](const Stream& shard) { return shard.has_row && one.reader.is_same_row(shard.reader); });
  return found == shards_.end() ? nullptr : &*found;
}

bool Lockstep::pass_oldest() {
  Stream* oldest = nullptr;
  for (auto& shard : shards_) {
    if (shard.has_row && (oldest == nullptr || shard.stands_since < oldest->stands_since)) oldest = &shard;
  }
  if (oldest == nullptr) return false;
  if (!settle(*oldest, one_.waiting)) wait(*oldest);
  advance_shard(*oldest);
  return true;
}

bool Lockstep::settle(const Stream& stream, Waiting& others) {
  if (others.empty()) return false;
  const auto found = others.find(stream.reader.key());
  if (found == others.end()) return false;
  const std::size_t shard = &stream.half == &many_ ? stream.shard : found->second.shard;
  if (found->second.digest != stream.reader.digest()) different_.push_back({.key = found->first, .shard = shard});
  others.erase(found);
  return true;
}

void Lockstep::wait(const Stream& stream) {
  std::string key = stream.reader.key();
  const auto [at, is_new] = stream.half.waiting.try_emplace(std::move(key), Only{.digest = stream.reader.digest(), .shard = stream.shard});
  if (!is_new) repeated_.push_back({.key = at->first, .shard = stream.shard});
}

void Lockstep::divide_at(const Stream& stream) {
  if (stream.rows > stream.rows_max && middle_.empty()) middle_ = stream.middle;
}

std::optional<Bound> Lockstep::middle() const {
  return middle_.empty() ? std::nullopt : std::optional(split_key(middle_));
}

}  // namespace godwit::vdiff
