// Rows of one side in canonical form, as they come. Private to vdiff. One thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/vdiff/compare.h"

namespace godwit::vdiff {

// 128 bits (XXH3) that stand for a row's values while the other side's row has not come. Rows in step are compared byte by byte.
struct Digest {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const Digest&) const = default;
};

// The number of the shard that has the row, by the columns of its shard key; nothing: it belongs on none.
std::optional<std::size_t> shard_of(const TablePlan& plan, std::span<const std::optional<std::string_view>> shard_key);

class RowReader {
 public:
  RowReader(db::RowStream stream, const TablePlan& plan)
      : stream_(std::move(stream)), plan_(plan), values_(plan.columns.size()), shard_key_(plan.route_columns.size()), rooms_(plan.columns.size()) {}

  bool next();
  // Valid until the next next().
  const std::vector<std::optional<std::string_view>>& views() const { return values_; }
  bool is_same_row(const RowReader& other) const { return values_ == other.values_; }
  std::string key() const;  // the key's values as one text, to look up by
  Digest digest() const;    // of all values
  RowPair::Values values() const;
  std::optional<std::size_t> shard() const { return shard_of(plan_, shard_key_); }  // where it belongs; of a table by key

 private:
  db::RowStream stream_;
  const TablePlan& plan_;
  std::vector<std::optional<std::string_view>> values_;
  std::vector<std::optional<std::string_view>> shard_key_;
  std::vector<std::string> rooms_;
};

// A key's values, each with its length before it, and back.
std::string join_key(const TablePlan& plan, const RowPair::Values& row);
std::string join_bound(const Bound& bound);
Bound split_key(const std::string& text);
Digest digest_of(const RowPair::Values& row);

}  // namespace godwit::vdiff
