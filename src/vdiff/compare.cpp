#include "godwit/vdiff/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "lockstep.h"
#include "rows.h"

namespace godwit::vdiff {
namespace {

using db::Side;

// No range is divided so often unless its order is not an order.
constexpr std::size_t kDepthMax = 8;  // of a part, because of other streams' rows in it: once for each, by rights
constexpr unsigned kPartsMax = 1'000'000;

[[noreturn]] void order_is_wrong(const TablePlan& plan) {
  throw Error(Code::key_order_wrong,
              {.object = sql::quote_table(plan.source_schema, plan.source_table),
               .cause = "a range of its key cannot be divided: rows before a bound come after it too",
               .remedy = "CHECK TABLE on both sides; is an index damaged?"});
}

// --- hashes -----------------------------------------------------------------------------------------------------------

// Of a range on one side: as one table, whichever shards its rows are on.
struct Hash {
  std::uint64_t rows = 0;
  bool is_whole = true;  // every row has one
  std::vector<std::string> parts;
  bool operator==(const Hash&) const = default;
};

// Texts of decimal digits, or of hexadecimal ones of one length; both give the number of its bits back.
std::string xor_of(const std::string& a, const std::string& b, bool is_decimal) {
  if (is_decimal) return fmt::format("{}", parse_u64(a).value_or(0) ^ parse_u64(b).value_or(0));
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'A' + 10); };
  std::string result = a;
  for (std::size_t i = 0; i < result.size() && i < b.size(); ++i) result[i] = "0123456789ABCDEF"[digit(a[i]) ^ digit(b[i])];
  return result;
}

void add(Hash& hash, const std::vector<db::Rows::Cell>& row, bool is_decimal) {
  const std::uint64_t rows = parse_u64(row[0].value_or("")).value_or(0);
  hash.is_whole = hash.is_whole && row[1] == "0";  // a row that was too long for the server has no hash
  if (rows == 0) return;
  for (std::size_t i = 2; i < row.size(); ++i) {
    if (!row[i]) hash.is_whole = false;
    const std::string part = row[i].value_or("");
    if (hash.rows == 0) hash.parts.push_back(part);
    if (hash.rows != 0) hash.parts[i - 2] = xor_of(hash.parts[i - 2], part, is_decimal);
  }
  hash.rows += rows;
}

Hash hash_of(const std::vector<db::Connection*>& sessions, const TablePlan& plan, Side side, const Range& range) {
  Hash hash;
  const std::string statement = select_hash(plan, side, range);
  for (auto* session : sessions) add(hash, session->query(statement).rows.at(0), !plan.is_hash_whole);
  return hash;
}

bool are_equal(const Hash& a, const Hash& b) { return a.is_whole && b.is_whole && a == b; }

// --- suspects ---------------------------------------------------------------------------------------------------------

// One for each key: a row on a wrong shard may be seen as such, and as one that another shard's row has the key of.
class Suspects {
 public:
  explicit Suspects(RangeResult& result) : result_(result) {}

  void add(const std::string& key, Suspect suspect) {
    if (!by_key_.try_emplace(key, result_.suspects.size()).second) return;
    suspect.key = split_key(key);
    result_.suspects.push_back(std::move(suspect));
  }
  // Of a key that may be suspected already. A row that the other side lacks is in the wrong place on any shard.
  void add_misplaced(const std::string& key, std::size_t shard) {
    add(key, {.kind = Kind::misplaced, .shard = shard, .source_rows = 1, .target_rows = 1});
    Suspect& suspect = result_.suspects[by_key_.at(key)];
    if (suspect.source_rows == 0 || suspect.target_rows == 0) return;
    suspect.kind = Kind::misplaced;
    suspect.shard = shard;
  }
  void count_once_more(const std::string& key, Side side) {
    Suspect& suspect = result_.suspects[by_key_.at(key)];
    ++(side == Side::source ? suspect.source_rows : suspect.target_rows);
  }

 private:
  RangeResult& result_;
  std::unordered_map<std::string, std::size_t> by_key_;
};

std::vector<RowPair::Values> read_rows(const std::vector<db::Connection*>& sessions, const TablePlan& plan, Side side, const Bound& key) {
  std::vector<RowPair::Values> rows;
  for (auto* session : sessions) {
    for (auto& row : read_row(*session, plan, side, key)) rows.push_back(std::move(row));
  }
  return rows;
}

// --- rows -------------------------------------------------------------------------------------------------------------

class RowComparison {
 public:
  RowComparison(const Sessions& sessions, const TablePlan& plan, const CompareLimits& limits) : sessions_(sessions), plan_(plan), limits_(limits) {}

  RangeResult run(const Range& range) {
    compare(range, 0);
    return std::move(result_);
  }

 private:
  // Where a stream has more rows than may be read, the first so many of them are a part by themselves, and what follows is read anew.
  void compare(Range range, std::size_t depth) {
    if (depth > kDepthMax + sessions_.shards()) order_is_wrong(plan_);
    for (unsigned parts = 0; parts < kPartsMax; ++parts) {
      Lockstep lockstep(sessions_, plan_, limits_);
      lockstep.run(range);
      const auto middle = lockstep.middle();
      if (!middle) return conclude(lockstep);
      if (middle == range.lower) order_is_wrong(plan_);
      compare({.lower = range.lower, .upper = middle}, depth + 1);
      range.lower = middle;
    }
    order_is_wrong(plan_);
  }

  void conclude(const Lockstep& lockstep) {
    result_.source_rows += lockstep.rows(Side::source);
    result_.target_rows += lockstep.rows(Side::target);
    result_.streamed_rows += lockstep.rows(Side::source) + lockstep.rows(Side::target);
    Suspects suspects(result_);
    for (const auto& [key, shard] : lockstep.different()) {
      suspects.add(key, {.kind = Kind::different, .shard = is_sharded() ? std::optional(shard) : std::nullopt, .source_rows = 1, .target_rows = 1});
    }
    for (const Side side : {Side::source, Side::target}) {
      for (const auto& [key, only] : lockstep.only(side)) {
        if (const auto suspect = suspect_of(side, key, only)) suspects.add(key, *suspect);
      }
    }
    if (!is_sharded()) return;
    const Side sharded = sessions_.sharded_side();
    for (const auto& [key, shard] : lockstep.misplaced()) suspects.add_misplaced(key, shard);
    for (const auto& [key, shard] : lockstep.repeated()) {
      if (lockstep.only(sharded).count(key) > 0) continue;  // counted as it was looked up
      suspects.add_misplaced(key, shard);
      suspects.count_once_more(key, sharded);
    }
  }

  bool is_sharded() const { return plan_.route != nullptr; }

  std::optional<Suspect> suspect_of(Side side, const std::string& key, const Lockstep::Only& only) const {
    if (is_sharded() && side == sessions_.sharded_side()) return of_shard_only(side, key, only.shard);
    const auto kind = side == Side::source ? of_source_only(key, only.digest) : of_target_only(key);
    if (!kind) return std::nullopt;
    return Suspect{.kind = *kind, .source_rows = *kind == Kind::extra ? 0 : 1, .target_rows = *kind == Kind::missing ? 0 : 1};
  }

  // The other side's row may have been found equal to that of another shard, or lie in another range: then it is there, and compared there.
  std::optional<Suspect> of_shard_only(Side side, const std::string& key, std::size_t shard) const {
    const Side other = side == Side::source ? Side::target : Side::source;
    const bool is_there = holds_spelling(plan_, read_rows(sessions_.of(other), plan_, other, split_key(key)), split_key(key));
    const auto rows = static_cast<int>(read_rows(sessions_.of(side), plan_, side, split_key(key)).size());
    if (is_there && rows <= 1) return std::nullopt;
    const Kind absent = side == Side::source ? Kind::missing : Kind::extra;
    const int others = is_there ? 1 : 0;
    return Suspect{.kind = is_there ? Kind::misplaced : absent, .shard = shard, .source_rows = side == Side::source ? rows : others, .target_rows = side == Side::source ? others : rows};
  }

  // Where the servers order a key each in its own way, a row may lie in another range on the other side: it is looked up there before it
  // is called missing. One that is found under another spelling of its key is reported as different, by the source's spelling.
  std::optional<Kind> of_source_only(const std::string& key, const Digest& digest) const {
    if (plan_.are_ranges_exact) return Kind::missing;
    const auto rows = read_rows(sessions_.target, plan_, Side::target, split_key(key));
    if (rows.empty()) return Kind::missing;
    const auto is_same = [&](const RowPair::Values& row) { return join_key(plan_, row) == key && digest_of(row) == digest; };
    const bool is_found = is_sharded() ? std::any_of(rows.begin(), rows.end(), is_same) : is_same(rows[0]);
    return is_found ? std::nullopt : std::optional(Kind::different);
  }

  // The one that the source has in another range is compared there, from the source's row. So is one that the source spells otherwise, if its
  // row finds it: the target may tell apart what the source does not, and then this one is nobody's.
  std::optional<Kind> of_target_only(const std::string& key) const {
    if (plan_.are_ranges_exact) return Kind::extra;
    const auto rows = read_rows(sessions_.source, plan_, Side::source, split_key(key));
    if (rows.empty()) return Kind::extra;
    if (join_key(plan_, rows[0]) == key) return std::nullopt;
    if (holds_spelling(plan_, read_rows(sessions_.target, plan_, Side::target, split_key(join_key(plan_, rows[0]))), split_key(key))) return std::nullopt;
    return Kind::extra;
  }

  const Sessions& sessions_;
  const TablePlan& plan_;
  const CompareLimits& limits_;
  RangeResult result_;
};

// --- places -----------------------------------------------------------------------------------------------------------

// Rows whose hashes are right may be on wrong shards: no server knows where a row belongs.
void find_misplaced(const Sessions& sessions, const TablePlan& plan, const Range& range, RangeResult& result) {
  const Side side = sessions.sharded_side();
  Suspects suspects(result);
  std::vector<std::optional<std::string_view>> shard_key(plan.route_columns.size());
  std::string room;
  for (std::size_t shard = 0; shard < sessions.shards(); ++shard) {
    db::RowStream stream = sessions.of(side)[shard]->stream(select_places(plan, side, range));
    while (const auto row = stream.next()) {
      for (std::size_t i = 0; i < shard_key.size(); ++i) {
        const db::Value& value = (*row)[plan.key.size() + i];
        shard_key[i] = value.is_null() ? std::nullopt : std::optional(value.view());
      }
      if (shard_of(plan, shard_key) == shard) continue;
      Bound key;
      for (std::size_t i = 0; i < plan.key.size(); ++i) key.emplace_back(normalize(plan.columns[plan.key[i].column], (*row)[i].view(), room));
      suspects.add_misplaced(join_bound(key), shard);
    }
  }
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
    case Kind::misplaced:
      return "misplaced";
  }
  return "";
}

Sessions Sessions::with_shard(std::size_t shard) const {
  Sessions result = *this;
  auto& shards = sharded_side() == Side::source ? result.source : result.target;
  shards = {shards.at(shard)};
  return result;
}

RangeResult Comparer::compare(const TablePlan& plan, const Range& range) {
  switch (plan.spread) {
    case Spread::first_shard:
      return compare_union(sessions_.with_shard(0), plan, range);
    case Spread::by_key:
      return compare_union(sessions_, plan, range);
    case Spread::everywhere:
      return compare_each(plan, range);
  }
  return {};
}

RangeResult Comparer::compare_union(const Sessions& sessions, const TablePlan& plan, const Range& range) const {
  if (plan.is_hashed) {
    const Hash source = hash_of(sessions.source, plan, Side::source, range);
    const Hash target = hash_of(sessions.target, plan, Side::target, range);
    if (are_equal(source, target)) {
      RangeResult result{.source_rows = source.rows, .target_rows = target.rows};
      if (plan.route != nullptr) find_misplaced(sessions, plan, range, result);
      return result;
    }
  }
  return RowComparison(sessions, plan, limits_).run(range);
}

// Each shard by itself, and the one side's hash asked for once.
RangeResult Comparer::compare_each(const TablePlan& plan, const Range& range) const {
  RangeResult result;
  const Side sharded = sessions_.sharded_side();
  const Side single = sharded == Side::source ? Side::target : Side::source;
  std::optional<Hash> whole;
  if (plan.is_hashed) whole = hash_of(sessions_.of(single), plan, single, range);
  for (std::size_t shard = 0; shard < sessions_.shards(); ++shard) {
    const Sessions sessions = sessions_.with_shard(shard);
    if (whole && are_equal(*whole, hash_of(sessions.of(sharded), plan, sharded, range))) {
      result.source_rows += whole->rows;
      result.target_rows += whole->rows;
      continue;
    }
    RangeResult one = RowComparison(sessions, plan, limits_).run(range);
    result.source_rows += one.source_rows;
    result.target_rows += one.target_rows;
    result.streamed_rows += one.streamed_rows;
    for (auto& suspect : one.suspects) {
      suspect.shard = shard;
      result.suspects.push_back(std::move(suspect));
    }
  }
  return result;
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

std::vector<PlacedRow> read_placed_row(db::Connection& connection, const TablePlan& plan, Side side, const Bound& key, std::string_view locking) {
  std::vector<PlacedRow> result;
  RowReader reader(connection.stream(select_row(plan, side, key) + std::string(locking)), plan);
  while (reader.next()) result.push_back({.values = reader.values(), .belongs = reader.shard()});
  return result;
}

}  // namespace godwit::vdiff
