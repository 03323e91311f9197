// Compares one range of one table on both sides, each session in a snapshot of its own: by a hash that each server computes, and row by row
// where it cannot or where the hashes differ. One thread per Comparer; it owns neither session.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/vdiff/plan.h"

namespace godwit::vdiff {

enum class Kind { missing, extra, different };  // on the target
std::string_view to_string(Kind kind);

struct Suspect {
  Kind kind = Kind::missing;
  Bound key;
};

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

class Comparer {
 public:
  Comparer(db::Connection& source, db::Connection& target, CompareLimits limits) : source_(source), target_(target), limits_(limits) {}

  // Every row of the range, on either side, has been seen when it returns.
  RangeResult compare(const TablePlan& plan, const Range& range);

 private:
  bool are_hashes_equal(const TablePlan& plan, const Range& range, RangeResult& result);
  class Lockstep;
  void compare_rows(const TablePlan& plan, Range range, RangeResult& result, unsigned depth);
  void conclude(const TablePlan& plan, const Lockstep& lockstep, RangeResult& result);

  db::Connection& source_;
  db::Connection& target_;
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
// Whether one of them has just these bytes for its key.
bool holds_spelling(const TablePlan& plan, const std::vector<RowPair::Values>& rows, const Bound& key);

// A table without a key, as a multiset: rows by their whole content. Reads it as often as its size needs, so that memory stays bounded.
struct KeylessDifference {
  Kind kind = Kind::missing;
  std::uint64_t count = 0;
  RowPair::Values row;
};
struct KeylessResult {
  std::uint64_t source_rows = 0;
  std::uint64_t target_rows = 0;
  std::uint64_t missing = 0;
  std::uint64_t extra = 0;
  std::vector<KeylessDifference> samples;
};
KeylessResult compare_keyless(db::Connection& source, db::Connection& target, const TablePlan& plan, std::uint64_t rows_per_pass, std::size_t samples_max,
                              const std::function<void()>& on_block);

}  // namespace godwit::vdiff
