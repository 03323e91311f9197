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
  KeylessComparison(db::Connection& source, db::Connection& target, const TablePlan& plan, const std::function<void()>& on_block)
      : source_(source), target_(target), plan_(plan), on_block_(on_block) {}

  KeylessResult run(std::uint64_t rows_per_pass, std::size_t samples_max) {
    const std::uint64_t rows = std::max(count(source_, Side::source), count(target_, Side::target));
    const std::uint64_t passes = rows / rows_per_pass + 1;
    for (std::uint64_t pass = 0; pass < passes; ++pass) {
      Surplus surplus;
      read(source_, Side::source, [&](const Digest& digest, const RowReader&) { add(surplus, digest, 1, pass, passes, result_.source_rows); });
      read(target_, Side::target, [&](const Digest& digest, const RowReader&) { add(surplus, digest, -1, pass, passes, result_.target_rows); });
      for (const auto& [digest, more] : surplus) (more > 0 ? result_.missing : result_.extra) += static_cast<std::uint64_t>(std::abs(more));
      sample(surplus, samples_max);
    }
    return std::move(result_);
  }

 private:
  std::uint64_t count(db::Connection& connection, Side side) {
    std::uint64_t rows = 0;
    read(connection, side, [&](const Digest&, const RowReader&) { ++rows; });
    return rows;
  }

  template <typename Take>
  void read(db::Connection& connection, Side side, const Take& take) {
    RowReader reader(connection.stream(select_rows(plan_, side, {}, 0)), plan_);
    for (std::uint64_t rows = 1; reader.next(); ++rows) {
      take(reader.digest(), reader);
      if (rows % kRowsPerBlock == 0) on_block_();
    }
  }

  static void add(Surplus& surplus, const Digest& digest, std::int64_t one, std::uint64_t pass, std::uint64_t passes, std::uint64_t& rows) {
    if (digest.high % passes != pass) return;
    ++rows;
    const auto at = surplus.emplace(digest, 0).first;
    if ((at->second += one) == 0) surplus.erase(at);
  }

  // Read once more, for the few rows that a report shows.
  void sample(const Surplus& surplus, std::size_t samples_max) {
    Surplus wanted;
    for (const auto& [digest, more] : surplus) {
      if (result_.samples.size() + wanted.size() >= samples_max) break;
      wanted.emplace(digest, more);
    }
    for (const Side side : {Side::source, Side::target}) {
      if (wanted.empty()) return;
      read(side == Side::source ? source_ : target_, side, [&](const Digest& digest, const RowReader& reader) {
        const auto at = wanted.find(digest);
        if (at == wanted.end() || (at->second > 0) != (side == Side::source)) return;
        result_.samples.push_back({.kind = at->second > 0 ? Kind::missing : Kind::extra, .count = static_cast<std::uint64_t>(std::abs(at->second)), .row = reader.values()});
        wanted.erase(at);
      });
    }
  }

  db::Connection& source_;
  db::Connection& target_;
  const TablePlan& plan_;
  const std::function<void()>& on_block_;
  KeylessResult result_;
};

}  // namespace

KeylessResult compare_keyless(db::Connection& source, db::Connection& target, const TablePlan& plan, std::uint64_t rows_per_pass, std::size_t samples_max,
                              const std::function<void()>& on_block) {
  return KeylessComparison(source, target, plan, on_block).run(rows_per_pass, samples_max);
}

}  // namespace godwit::vdiff
