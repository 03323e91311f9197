#include "vdiff_recheck.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "godwit/db/snapshot.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "vdiff_difference.h"

namespace godwit::workflow {
namespace {

using db::Side;
using std::chrono::milliseconds;

constexpr std::size_t kBatch = 100;  // rows looked at while the stream stands still once
constexpr unsigned kRounds = 40;     // for rows that are locked, or a stream that did not stand
constexpr milliseconds kRoundPause{100};
constexpr unsigned kReferenceRounds = 5;

}  // namespace

bool is_of_the_moment(const Error& error) { return error.code() == Code::hold_lost || error.code() == Code::lock_contention; }

state::VdiffStore::Counted uncounted(const state::VdiffDifferenceRow& row, const RowCounts& now) {
  const Place place = place_of(row);
  const bool is_one = now.source <= 1 && now.target <= 1;
  if (!is_one && place.source_rows <= 1 && place.target_rows <= 1) return {};
  return {.source = static_cast<int>(now.source) - place.source_rows, .target = static_cast<int>(now.target) - place.target_rows};
}

void Recheck::conclude(const state::VdiffDifferenceRow& suspected, const Seen& seen) {
  state::VdiffStore store(control_);
  const RowCounts now{.source = seen.source.size(), .target = seen.target.size()};
  const auto more = uncounted(suspected, now);
  const Judgement judgement = judged(suspected, seen);
  if (judgement.is_equal) {
    store.settle(suspected, more);
    return;
  }
  state::VdiffDifferenceRow row = suspected;
  row.kind = to_string(judgement.kind);
  const Place before = place_of(suspected);
  const Place place{.shard = judgement.shard, .belongs = judgement.belongs, .source_rows = before.source_rows + more.source, .target_rows = before.target_rows + more.target};
  const RowSides sides{.source = judgement.source == nullptr ? nullptr : &judgement.source->values, .target = judgement.target == nullptr ? nullptr : &judgement.target->values};
  row.detail = describe(table_of(tables_, row).plan, vdiff::bound_from_text(row.row_key), sides, {.place = place, .names = names_of(shards_)});
  store.confirm(row, more);
}

// Where the shards serve, only the first one's reference tables are followed; whoever writes to all of them does not do so at one instant.
bool Recheck::is_to_be_seen_again(const state::VdiffDifferenceRow& row, const Seen& seen, unsigned round) const {
  if (reader_.sharded() == Side::target || round >= kReferenceRounds) return false;
  const bool is_followed = table_of(tables_, row).plan.spread != vdiff::Spread::everywhere || place_of(row).shard.value_or(0) == 0;
  return !is_followed && !judged(row, seen).is_equal;
}

void Recheck::reach() {
  std::vector<gtid::Position> ends;
  for (auto& source : sources_) ends.push_back(db::end_of_binlog(source));
  for (std::size_t i = 0; i < shards_.size(); ++i) shards_[i].hold->reach(ends[server_of(shards_, i, Side::source)]);
}

// In batches; gives those that could not be looked at.
Recheck::Batch Recheck::look_at(const Batch& all, unsigned round, const Conclude& conclude) {
  Batch left;
  reach();
  for (std::size_t at = 0; at < all.size(); at += kBatch) {
    stop_.throw_if_requested();
    const Batch batch(all.begin() + static_cast<std::ptrdiff_t>(at), all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), at + kBatch)));
    std::vector<Seen> seen(batch.size());
    try {
      Standings standings(shards_);
      seen = reader_.read(batch, false, standings);
      held_max_ = std::max(held_max_, standings.release());
    } catch (const Error& error) {
      if (!is_of_the_moment(error)) throw;
      log::warning("suspected rows are read again: {}", error.what());
      seen.assign(batch.size(), {});
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const bool is_seen = seen[i].is_read && !is_to_be_seen_again(batch[i], seen[i], round);
      if (is_seen) conclude(batch[i], seen[i]);
      if (!is_seen) left.push_back(batch[i]);
    }
  }
  return left;
}

// Again and again; gives those that could not be looked at in the end.
Recheck::Batch Recheck::look_over(Batch rows, const Conclude& conclude) {
  for (unsigned round = 0; round < kRounds && !rows.empty(); ++round) {
    if (round > 0 && !stop_.sleep_for(kRoundPause)) stop_.throw_if_requested();
    failpoint(Fp::vdiff_rechecking);
    rows = look_at(rows, round, conclude);
  }
  return rows;
}

// A key whose rows lie in two ranges, on two shards, is one difference.
Recheck::Batch Recheck::without_repeated(Batch rows) {
  std::set<std::pair<std::uint64_t, std::string>> known;
  Batch result;
  for (auto& row : rows) {
    const bool is_by_key = table_of(tables_, row).plan.spread == vdiff::Spread::by_key;
    if (is_by_key && !known.insert({row.table_id, row.row_key}).second) {
      state::VdiffStore(control_).settle(row, {});
    } else {
      result.push_back(std::move(row));
    }
  }
  return result;
}

std::size_t Recheck::settle(std::uint64_t vdiff, Confirmed confirmed) {
  state::VdiffStore store(control_);
  Batch rows = store.differences(vdiff, "suspected");
  if (confirmed == Confirmed::looked_at_again) {
    for (auto& row : store.differences(vdiff, "confirmed")) {
      if (!table_of(tables_, row).plan.key.empty()) rows.push_back(std::move(row));
    }
  }
  return look_over(without_repeated(std::move(rows)), [&](const state::VdiffDifferenceRow& row, const Seen& seen) { conclude(row, seen); }).size();
}

void Recheck::verify_repaired(std::uint64_t vdiff) {
  const auto verify = [&](const state::VdiffDifferenceRow& row, const Seen& seen) {
    if (!judged(row, seen).is_equal) conclude(row, seen);
  };
  const Batch left = look_over(state::VdiffStore(control_).differences(vdiff, "repaired"), verify);
  // What could not be looked at is not known to be right.
  for (const auto& row : left) state::VdiffStore(control_).confirm(row, {});
}

}  // namespace godwit::workflow
