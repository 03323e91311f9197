// Single rows of both sides at one exact instant, and what they are to each other. One thread.
//
// The order is the proof. (1) The stream stands still. (2) The source's row is read at a position P that is exact: on MariaDB the snapshot's own;
// on MySQL the row is locked (shared, for milliseconds) while the end of the binlog is read. P is not before where the stream stands.
// (3) The stream goes to P and stands there: the target is the source at P. (4) The target's row is read. (5) The stream's note says that it
// stood all the while. So a row that differs, differs: no write under way can look like a difference.
// With shards, every shard's stream stands so, and the row is looked for on each of them. Where the shards serve, each has a P of its own.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vdiff_selection.h"
#include "vdiff_shards.h"

namespace godwit::workflow {

struct SeenRow {
  vdiff::RowPair::Values values;
  std::size_t on = 0;                  // the shard, of the side that is shards
  std::optional<std::size_t> belongs;  // of a table by key: the shard where it belongs; nothing: on none
  std::vector<std::optional<std::string>> raw;  // of the source, for repair: as it travels
};

struct Seen {
  std::vector<SeenRow> source;
  std::vector<SeenRow> target;
  bool is_read = false;
};

struct Judgement {
  bool is_equal = false;
  vdiff::Kind kind = vdiff::Kind::different;
  std::optional<std::size_t> shard;    // where it is, or should be
  std::optional<std::size_t> belongs;  // misplaced: where it should be
  const SeenRow* source = nullptr;
  const SeenRow* target = nullptr;
};
// sharded: the side that is shards. Pure.
Judgement judge(const vdiff::TablePlan& plan, const state::VdiffDifferenceRow& row, const Seen& seen, db::Side sharded);

const VdiffTarget& table_of(const std::vector<VdiffTarget>& tables, const state::VdiffDifferenceRow& row);

class ExactReader {
 public:
  using Batch = std::vector<state::VdiffDifferenceRow>;

  ExactReader(const VdiffShards& shards, const std::vector<VdiffTarget>& tables, const Stop& stop)
      : shards_(shards), tables_(tables), sharded_(sharded_side(shards[0].definition)), stop_(stop) {}

  db::Side sharded() const { return sharded_; }
  // One for each of the batch. Those of which somebody had a row locked are not read.
  std::vector<Seen> read(const Batch& batch, bool for_repair, Standings& standings);

 private:
  struct Row {  // to be read
    const VdiffTarget& table;
    vdiff::Bound key;
    bool has_one_spelling = false;  // only rows that are spelled just so
    std::vector<std::size_t> places;  // on these shards
    bool is_on(std::size_t shard) const;
  };

  Row row_of(const state::VdiffDifferenceRow& row) const;
  gtid::Position read_mariadb(std::size_t server, const std::vector<Row>& rows, bool for_repair, std::vector<Seen>& seen);
  gtid::Position read_mysql(std::size_t server, const std::vector<Row>& rows, bool for_repair, std::vector<Seen>& seen);
  void read_source(db::Connection& source, std::size_t server, const Row& row, bool for_repair, std::string_view locking, Seen& seen);
  void read_targets(const std::vector<Row>& rows, std::vector<Seen>& seen);
  bool is_wanted(const Row& row, db::Side side, std::size_t server) const { return side != sharded_ || row.is_on(server); }

  const VdiffShards& shards_;
  const std::vector<VdiffTarget>& tables_;
  const db::Side sharded_;
  const Stop& stop_;
};

}  // namespace godwit::workflow
