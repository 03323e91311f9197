// The streams that a comparison is about, as the direction that runs sees them: one, or one for each shard. Where the target is shards, and serves,
// they are the sources of the streams. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "stream_hold.h"

namespace godwit::workflow {

struct VdiffShard {
  Definition definition;
  state::StreamRow stream;
  std::unique_ptr<StreamHold> hold;
};
using VdiffShards = std::vector<VdiffShard>;

// In the order of the shards' ranges. Without their streams yet.
VdiffShards vdiff_shards(const Definition& recorded, Direction direction);

// Which side is shards, where there are several.
db::Side sharded_side(const Definition& definition);
// What there is of that side: one Definition for each server.
std::vector<const Definition*> servers_of(const VdiffShards& shards, db::Side side);
std::vector<db::Connection> connect(const VdiffShards& shards, db::Side side);
// For a session that reads or repairs tables as a plan names them.
db::Endpoint compared_endpoint(const Definition& definition, db::Side side);
// Of the server that a shard's stream reads, among those of its side; the same for where it writes.
std::size_t server_of(const VdiffShards& shards, std::size_t shard, db::Side side);

// Ranges, for reports; empty where there is one target.
std::vector<std::string> names_of(const VdiffShards& shards);

// Of each server that the streams read, in one text.
std::string position_text(const VdiffShards& shards, const std::vector<gtid::Position>& positions);

// All of the streams stand still, or are on their way from one standing to the next, while one lives.
class Standings {
 public:
  explicit Standings(VdiffShards& shards);
  const gtid::Position& position(std::size_t shard) const { return standings_[shard]->position(); }
  // A goal for each server that the streams read. Throws Error(hold_lost).
  void advance(const std::vector<gtid::Position>& goals);
  StreamHold::Standing& of(std::size_t shard) { return *standings_[shard]; }
  // The longest.
  std::chrono::microseconds release();

 private:
  const VdiffShards& shards_;
  std::vector<std::unique_ptr<StreamHold::Standing>> standings_;
};

}  // namespace godwit::workflow
