#include <algorithm>
#include <unordered_map>

#include "godwit/vdiff/compare.h"
#include "rows.h"

namespace godwit::vdiff {
namespace {

using db::Side;

struct DigestHash {
  std::size_t operator()(const Digest& digest) const { return digest.low; }
};
// How many more of a row the source has than the target.
using Surplus = std::unordered_map<Digest, std::int64_t, DigestHash>;

constexpr std::uint64_t kRowsPerBlock = 10'000;

class KeylessComparison {
 public:
  KeylessComparison(const Sessions& sessions, const TablePlan& plan, const KeylessLimits& limits, const std::function<void()>& on_block)
      : sessions_(sessions), plan_(plan), limits_(limits), on_block_(on_block) {}

  KeylessResult run() {
    const std::uint64_t rows = std::max(count(Side::source), count(Side::target));
    const std::uint64_t passes = rows / limits_.rows_per_pass + 1;
    for (std::uint64_t pass = 0; pass < passes; ++pass) {
      const auto is_of_pass = [&](const Digest& digest) { return digest.high % passes == pass; };
      Surplus surplus;
      for (const Side side : {Side::source, Side::target}) {
        read(side, [&](const Digest& digest, const RowReader& reader, std::size_t shard) {
          if (!is_of_pass(digest)) return;
          add(surplus, digest, side);
          if (plan_.route != nullptr && side == sessions_.sharded_side()) place(reader, shard);
        });
      }
      for (const auto& [digest, more] : surplus) (more > 0 ? result_.missing : result_.extra) += static_cast<std::uint64_t>(std::abs(more));
      sample(surplus);
    }
    return std::move(result_);
  }

 private:
  std::uint64_t count(Side side) {
    std::uint64_t rows = 0;
    read(side, [&](const Digest&, const RowReader&, std::size_t) { ++rows; });
    return rows;
  }

  template <typename Take>
  void read(Side side, const Take& take) {
    const auto& sessions = sessions_.of(side);
    for (std::size_t shard = 0; shard < sessions.size(); ++shard) {
      RowReader reader(sessions[shard]->stream(select_rows(plan_, side, {}, 0)), plan_);
      for (std::uint64_t rows = 1; reader.next(); ++rows) {
        take(reader.digest(), reader, shard);
        if (rows % kRowsPerBlock == 0) on_block_();
      }
    }
  }

  void add(Surplus& surplus, const Digest& digest, Side side) {
    ++(side == Side::source ? result_.source_rows : result_.target_rows);
    const auto at = surplus.emplace(digest, 0).first;
    if ((at->second += side == Side::source ? 1 : -1) == 0) surplus.erase(at);
  }

  void place(const RowReader& reader, std::size_t shard) {
    const auto belongs = reader.shard();
    if (belongs == shard) return;
    ++result_.misplaced;
    if (result_.samples.size() < limits_.samples_max) result_.samples.push_back({.kind = Kind::misplaced, .count = 1, .row = reader.values(), .shard = shard, .belongs = belongs});
  }

  // Read once more, for the few rows that a report shows.
  void sample(const Surplus& surplus) {
    Surplus wanted;
    for (const auto& [digest, more] : surplus) {
      if (result_.samples.size() + wanted.size() >= limits_.samples_max) break;
      wanted.emplace(digest, more);
    }
    for (const Side side : {Side::source, Side::target}) {
      if (wanted.empty()) return;
      read(side, [&](const Digest& digest, const RowReader& reader, std::size_t shard) {
        const auto at = wanted.find(digest);
        if (at == wanted.end() || (at->second > 0) != (side == Side::source)) return;
        KeylessDifference difference{.kind = at->second > 0 ? Kind::missing : Kind::extra, .count = static_cast<std::uint64_t>(std::abs(at->second)), .row = reader.values()};
        if (plan_.route != nullptr) difference.belongs = reader.shard();
        if (plan_.route != nullptr && side == sessions_.sharded_side()) difference.shard = shard;
        result_.samples.push_back(std::move(difference));
        wanted.erase(at);
      });
    }
  }

  const Sessions& sessions_;
  const TablePlan& plan_;
  const KeylessLimits& limits_;
  const std::function<void()>& on_block_;
  KeylessResult result_;
};

// Each shard by itself.
KeylessResult compare_each(const Sessions& sessions, const TablePlan& plan, const KeylessLimits& limits, const std::function<void()>& on_block) {
  KeylessResult result;
  for (std::size_t shard = 0; shard < sessions.shards(); ++shard) {
    const Sessions own = sessions.with_shard(shard);
    const KeylessLimits rest{.rows_per_pass = limits.rows_per_pass, .samples_max = limits.samples_max - result.samples.size()};
    KeylessResult one = KeylessComparison(own, plan, rest, on_block).run();
    result.source_rows += one.source_rows;
    result.target_rows += one.target_rows;
    result.missing += one.missing;
    result.extra += one.extra;
    for (auto& sample : one.samples) {
      sample.shard = shard;
      result.samples.push_back(std::move(sample));
    }
  }
  return result;
}

}  // namespace

KeylessResult compare_keyless(const Sessions& sessions, const TablePlan& plan, const KeylessLimits& limits, const std::function<void()>& on_block) {
  switch (plan.spread) {
    case Spread::first_shard:
      return KeylessComparison(sessions.with_shard(0), plan, limits, on_block).run();
    case Spread::by_key:
      return KeylessComparison(sessions, plan, limits, on_block).run();
    case Spread::everywhere:
      return compare_each(sessions, plan, limits, on_block);
  }
  return {};
}

}  // namespace godwit::vdiff
