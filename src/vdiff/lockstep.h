// One range of both sides row by row, as their streams come: the union of one side's shards against the other side. Private to vdiff. One thread.
//
// No order is needed for it to be right, and equal sides go through without anything being remembered: a row of the one side is held against the
// rows at which the shards stand. Where none is equal it waits, and so does the row at which a shard has stood longest: one that is missing, or is
// there too much, is passed so, and each shard comes back into step by itself.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "godwit/vdiff/compare.h"
#include "rows.h"

namespace godwit::vdiff {

class Lockstep {
 public:
  // A row out of step: what stands for the rest of it until the other side's row comes.
  struct Only {
    Digest digest;
    std::size_t shard = 0;
  };
  using Waiting = std::unordered_map<std::string, Only>;  // by key
  struct At {
    std::string key;
    std::size_t shard = 0;
  };

  Lockstep(const Sessions& sessions, const TablePlan& plan, const CompareLimits& limits);

  void run(const Range& range);

  std::uint64_t rows(db::Side side) const { return half(side).rows; }
  const Waiting& only(db::Side side) const { return half(side).waiting; }
  const std::vector<At>& different() const { return different_; }
  const std::vector<At>& misplaced() const { return misplaced_; }
  const std::vector<At>& repeated() const { return repeated_; }  // a key that another shard's row out of step has too

  // Where to divide the range when a stream has more rows than it may: a key amid those read.
  std::optional<Bound> middle() const;

 private:
  struct Half {
    std::uint64_t rows = 0;
    Waiting waiting;
  };
  struct Stream {
    RowReader reader;
    Half& half;
    std::size_t shard = 0;
    std::uint64_t rows_max = 0;
    std::uint64_t rows = 0;
    std::string middle;
    std::uint64_t stands_since = 0;
    bool has_row = false;
  };

  const Half& half(db::Side side) const { return side == single_ ? one_ : many_; }
  Stream open(db::Side side, std::size_t shard, const Range& range);
  void advance(Stream& stream);
  void advance_shard(Stream& stream);
  Stream* equal_to(const Stream& one);
  bool pass_oldest();
  bool settle(const Stream& stream, Waiting& others);
  void wait(const Stream& stream);
  void divide_at(const Stream& stream);

  const Sessions& sessions_;
  const TablePlan& plan_;
  const CompareLimits& limits_;
  const db::Side single_;
  Half one_;
  Half many_;
  std::vector<Stream> shards_;
  std::uint64_t clock_ = 0;
  std::string middle_;
  std::vector<At> different_;
  std::vector<At> misplaced_;
  std::vector<At> repeated_;
};

}  // namespace godwit::vdiff
