// Compares one range of one table on both sides, each session in a snapshot of its own: by a hash that each server computes, and row by row
// where it cannot or where the hashes differ. One side may be shards, a session for each: their union is compared with the other side, and each
// row must be on the shard where it belongs. One thread per Comparer; it owns no session.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/vdiff/plan.h"

namespace godwit::vdiff {

// On the target. Misplaced: the row is there, and on a shard that it does not belong on, whether or not it is on the right one too.
enum class Kind { missing, extra, different, misplaced };
std::string_view to_string(Kind kind);

struct Suspect {
  Kind kind = Kind::missing;
  Bound key;
  std::optional<std::size_t> shard;  // on which it was seen, or, of a table that is everywhere, with which it was compared
  int source_rows = 0;  // of this key, as RangeResult counts them
  int target_rows = 0;
};

// Of a table that is everywhere, rows are counted once for each shard that they are compared with.
struct RangeResult {
  std::uint64_t source_rows = 0;
  std::uint64_t target_rows = 0;
  std::uint64_t streamed_rows = 0;  // of both sides; the rest was hashed
  std::vector<Suspect> suspects;
};

struct CompareLimits {
  std::uint64_t rows_per_chunk = 50'000;
  std::uint64_t bytes_per_chunk = 8U << 20;
  std::uint64_t rows_per_read_max = 200'000;  // of a side, in one range: one that holds more is divided. Bounds what is remembered
};

// What one comparison reads from. At least one of each; only one side has several: its shards, in the order of their numbers.
struct Sessions {
  std::vector<db::Connection*> source;
  std::vector<db::Connection*> target;

  const std::vector<db::Connection*>& of(db::Side side) const { return side == db::Side::source ? source : target; }
  db::Side sharded_side() const { return source.size() > 1 ? db::Side::source : db::Side::target; }
  std::size_t shards() const { return of(sharded_side()).size(); }
  Sessions with_shard(std::size_t shard) const;  // that one alone
};

class Comparer {
 public:
  Comparer(db::Connection& source, db::Connection& target, CompareLimits limits) : Comparer(Sessions{.source = {&source}, .target = {&target}}, limits) {}
  Comparer(Sessions sessions, CompareLimits limits) : sessions_(std::move(sessions)), limits_(limits) {}

  // Every row of the range, on either side, has been seen when it returns.
  RangeResult compare(const TablePlan& plan, const Range& range);

 private:
  RangeResult compare_union(const Sessions& sessions, const TablePlan& plan, const Range& range) const;
  RangeResult compare_each(const TablePlan& plan, const Range& range) const;

  const Sessions sessions_;
  const CompareLimits limits_;
};

// One row of each side by its key, in full: for the report, and to settle what was suspected. The key's own equality finds it, so that a key
// that differs in case alone is found too.
struct RowPair {
  using Values = std::vector<std::optional<std::string>>;  // canonical, in the plan's order
  std::vector<Values> source;
  std::vector<Values> target;
};
std::vector<RowPair::Values> read_row(db::Connection& connection, const TablePlan& plan, db::Side side, const Bound& key, std::string_view locking = "");
// Of a table by key, with the shard that each belongs on; nothing: on none.
struct PlacedRow {
  RowPair::Values values;
  std::optional<std::size_t> belongs;
};
std::vector<PlacedRow> read_placed_row(db::Connection& connection, const TablePlan& plan, db::Side side, const Bound& key, std::string_view locking = "");
// Whether one of them has just these bytes for its key.
bool holds_spelling(const TablePlan& plan, const std::vector<RowPair::Values>& rows, const Bound& key);

// A table without a key, as a multiset: rows by their whole content. Reads it as often as its size needs, so that memory stays bounded.
struct KeylessDifference {
  Kind kind = Kind::missing;
  std::uint64_t count = 0;
  RowPair::Values row;
  std::optional<std::size_t> shard;  // as Suspect has it
  std::optional<std::size_t> belongs;  // by key: the right one; nothing: none
};
struct KeylessResult {
  std::uint64_t source_rows = 0;
  std::uint64_t target_rows = 0;
  std::uint64_t missing = 0;
  std::uint64_t extra = 0;
  std::uint64_t misplaced = 0;
  std::vector<KeylessDifference> samples;
};
struct KeylessLimits {
  std::uint64_t rows_per_pass = 500'000;
  std::size_t samples_max = 20;
};
KeylessResult compare_keyless(const Sessions& sessions, const TablePlan& plan, const KeylessLimits& limits, const std::function<void()>& on_block);

}  // namespace godwit::vdiff
