#include "vdiff_shards.h"

#include <algorithm>

#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"
#include "preparation.h"

namespace godwit::workflow {

using db::Side;

VdiffShards vdiff_shards(const Definition& recorded, Direction direction) {
  VdiffShards result;
  for (const auto& definition : shard_definitions(recorded)) result.push_back({.definition = in_direction(definition, direction), .stream = {}, .hold = {}});
  return result;
}

Side sharded_side(const Definition& definition) { return definition.direction == Direction::forward ? Side::target : Side::source; }

std::vector<const Definition*> servers_of(const VdiffShards& shards, Side side) {
  std::vector<const Definition*> result{&shards[0].definition};
  for (std::size_t i = 1; i < shards.size() && side == sharded_side(shards[0].definition); ++i) result.push_back(&shards[i].definition);
  return result;
}

db::Endpoint compared_endpoint(const Definition& definition, Side side) {
  db::Endpoint endpoint = side == Side::source ? source_endpoint(definition) : target_endpoint(definition);
  endpoint.has_database = is_sharded(definition) && side == sharded_side(definition);
  return endpoint;
}

std::vector<db::Connection> connect(const VdiffShards& shards, Side side) {
  std::vector<db::Connection> result;
  for (const Definition* definition : servers_of(shards, side)) {
    result.push_back(db::Connection::open(side == Side::source ? source_endpoint(*definition) : target_endpoint(*definition)));
  }
  return result;
}

std::size_t server_of(const VdiffShards& shards, std::size_t shard, Side side) { return side == sharded_side(shards[0].definition) ? shard : 0; }

std::vector<std::string> names_of(const VdiffShards& shards) {
  std::vector<std::string> result;
  if (!is_sharded(shards[0].definition)) return result;
  for (const auto& shard : shards) result.push_back(shard.definition.shard);
  return result;
}

std::string position_text(const VdiffShards& shards, const std::vector<gtid::Position>& positions) {
  if (positions.size() == 1) return positions[0].text;
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < positions.size(); ++i) parts.push_back(shards[i].definition.shard + " " + positions[i].text);
  return join(parts, "; ");
}

Standings::Standings(VdiffShards& shards) : shards_(shards) {
  for (auto& shard : shards) standings_.push_back(std::make_unique<StreamHold::Standing>(*shard.hold));
}

void Standings::advance(const std::vector<gtid::Position>& goals) {
  for (std::size_t i = 0; i < standings_.size(); ++i) standings_[i]->begin_advance(goals[server_of(shards_, i, Side::source)]);
  for (auto& standing : standings_) standing->end_advance();
}

std::chrono::microseconds Standings::release() {
  std::chrono::microseconds longest{0};
  for (auto& standing : standings_) longest = std::max(longest, standing->release());
  return longest;
}

}  // namespace godwit::workflow
