#include "godwit/vdiff/compare.h"

#include <fmt/format.h>


#include <algorithm>
#include <optional>
#include <unordered_map>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "rows.h"

namespace godwit::vdiff {
namespace {

using db::Side;

// No range is divided so often unless its order is not an order.
constexpr unsigned kDepthMax = 8;  // of a part, because of the other side's rows in it: once, by rights
constexpr unsigned kPartsMax = 1'000'000;

// A row out of step, or one that differs: its key, and what stands for the rest of it until the other side's row comes.
using Waiting = std::unordered_map<std::string, Digest>;

[[noreturn]] void order_is_wrong(const TablePlan& plan) {
  throw Error(Code::key_order_wrong,
              {.object = sql::quote_table(plan.source_schema, plan.source_table),
               .cause = "a range of its key cannot be divided: rows before a bound come after it too",
               .remedy = "CHECK TABLE on both sides; is an index damaged?"});
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::missing:
      return "missing";
    case Kind::extra:
      return "extra";
    case Kind::different:
      return "different";
  }
  return "";
}

// The lockstep of two streams of one range. Equal sides go through without anything being remembered; where one is ahead, its rows wait.
class Comparer::Lockstep {
 public:
  Lockstep(const TablePlan& plan, std::uint64_t rows_max) : plan_(plan), rows_max_(rows_max) {}

  void run(db::Connection& source, db::Connection& target, const Range& range) {
    RowReader left(source.stream(select_rows(plan_, Side::source, range, rows_max_ + 1)), plan_);
    RowReader right(target.stream(select_rows(plan_, Side::target, range, rows_max_ + 1)), plan_);
    while (true) {
      const bool has_left = left.next();
      const bool has_right = right.next();
      if (has_left) note(left, source_);
      if (has_right) note(right, target_);
      if (!has_left && !has_right) break;
      if (has_left && has_right && left.is_same_row(right)) continue;
      if (has_left) take(left, source_.waiting, target_.waiting);
      if (has_right) take(right, target_.waiting, source_.waiting);
    }
  }

  std::uint64_t source_rows() const { return source_.rows; }
  std::uint64_t target_rows() const { return target_.rows; }
  const Waiting& source_only() const { return source_.waiting; }
  const Waiting& target_only() const { return target_.waiting; }
  const std::vector<std::string>& different() const { return different_; }

  // Where to divide the range when a side has more rows than it may: a key amid those read.
  std::optional<Bound> middle() const {
    if (source_.rows > rows_max_) return split_key(source_.middle);
    if (target_.rows > rows_max_) return split_key(target_.middle);
    return std::nullopt;
  }

 private:
  struct Half {
    std::uint64_t rows = 0;
    std::string middle;
    Waiting waiting;
  };

  void note(const RowReader& reader, Half& half) {
    if (++half.rows == rows_max_ / 2) half.middle = reader.key();
  }

  void take(const RowReader& row, Waiting& own, Waiting& others) {
    std::string key = row.key();
    const auto found = others.find(key);
    if (found == others.end()) {
      own.emplace(std::move(key), row.digest());
      return;
    }
    if (found->second != row.digest()) different_.push_back(found->first);
    others.erase(found);
  }

  const TablePlan& plan_;
  const std::uint64_t rows_max_;
  Half source_;
  Half target_;
  std::vector<std::string> different_;
};

RangeResult Comparer::compare(const TablePlan& plan, const Range& range) {
  RangeResult result;
  if (plan.is_hashed && are_hashes_equal(plan, range, result)) return result;
  result = {};
  compare_rows(plan, range, result, 0);
  return result;
}

bool Comparer::are_hashes_equal(const TablePlan& plan, const Range& range, RangeResult& result) {
  const auto ask = [&](db::Connection& connection, Side side) { return connection.query(select_hash(plan, side, range)).rows.at(0); };
  const auto source = ask(source_, Side::source);
  const auto target = ask(target_, Side::target);
  const auto is_hashed = [](const std::vector<db::Rows::Cell>& row) { return row.at(1) == "0"; };  // a row that was too long for the server has no hash
  const bool is_empty = source[0] == "0";
  const bool are_hashed = is_hashed(source) && is_hashed(target) && std::all_of(source.begin(), source.end(), [](const db::Rows::Cell& cell) { return cell.has_value(); });
  const bool are_equal = source[0] == target[0] && (is_empty || (are_hashed && source == target));
  if (!are_equal) return false;
  result.source_rows = result.target_rows = parse_u64(*source[0]).value_or(0);
  return true;
}

// Where a side has more rows than may be read, the first so many of them are a part by themselves, and what follows is read anew.
void Comparer::compare_rows(const TablePlan& plan, Range range, RangeResult& result, unsigned depth) {
  if (depth > kDepthMax) order_is_wrong(plan);
  for (unsigned parts = 0; parts < kPartsMax; ++parts) {
    Lockstep lockstep(plan, limits_.rows_per_read_max);
    lockstep.run(source_, target_, range);
    const auto middle = lockstep.middle();
    if (!middle) return conclude(plan, lockstep, result);
    if (middle == range.lower) order_is_wrong(plan);
    compare_rows(plan, {.lower = range.lower, .upper = middle}, result, depth + 1);
    range.lower = middle;
  }
  order_is_wrong(plan);
}

void Comparer::conclude(const TablePlan& plan, const Lockstep& lockstep, RangeResult& result) {
  result.source_rows += lockstep.source_rows();
  result.target_rows += lockstep.target_rows();
  result.streamed_rows += lockstep.source_rows() + lockstep.target_rows();
  for (const auto& key : lockstep.different()) result.suspects.push_back({.kind = Kind::different, .key = split_key(key)});
  // Where the servers order a key each in its own way, a row may lie in another range on the other side: it is looked up there before it
  // is called missing. One that is found under another spelling of its key is reported as different, by the source's spelling.
  const auto is_elsewhere = [&](db::Connection& other, Side side, const std::string& key, const Digest& digest) -> std::optional<Kind> {
    const auto rows = read_row(other, plan, side, split_key(key));
    const Kind absent = side == Side::target ? Kind::missing : Kind::extra;
    if (rows.empty()) return absent;
    const bool is_same_key = join_key(plan, rows[0]) == key;
    if (side == Side::target) {
      if (!is_same_key) return Kind::different;
      return digest_of(rows[0]) == digest ? std::nullopt : std::optional(Kind::different);
    }
    // The one that the source has in another range is compared there, from the source's row. So is one that the source spells otherwise, if its
    // row finds it: the target may tell apart what the source does not, and then this one is nobody's.
    if (is_same_key || holds_spelling(plan, read_row(target_, plan, Side::target, split_key(join_key(plan, rows[0]))), split_key(key))) return std::nullopt;
    return absent;
  };
  for (const auto& [key, digest] : lockstep.source_only()) {
    const auto kind = plan.are_ranges_exact ? std::optional(Kind::missing) : is_elsewhere(target_, Side::target, key, digest);
    if (kind) result.suspects.push_back({.kind = *kind, .key = split_key(key)});
  }
  for (const auto& [key, digest] : lockstep.target_only()) {
    const auto kind = plan.are_ranges_exact ? std::optional(Kind::extra) : is_elsewhere(source_, Side::source, key, digest);
    if (kind) result.suspects.push_back({.kind = *kind, .key = split_key(key)});
  }
}

bool holds_spelling(const TablePlan& plan, const std::vector<RowPair::Values>& rows, const Bound& key) {
  return std::any_of(rows.begin(), rows.end(), [&](const RowPair::Values& row) { return split_key(join_key(plan, row)) == key; });
}

std::vector<RowPair::Values> read_row(db::Connection& connection, const TablePlan& plan, Side side, const Bound& key, std::string_view locking) {
  std::vector<RowPair::Values> result;
  RowReader reader(connection.stream(select_row(plan, side, key) + std::string(locking)), plan);
  while (reader.next()) result.push_back(reader.values());
  return result;
}

}  // namespace godwit::vdiff
