// One source whose rows go to several shards: databases of their own on the servers that are named, in turn. With the writers' own history, and with what
// each row's shard is by Vitess's functions and MariaDB's partitioning.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "live/support/history.h"
#include "live/support/process.h"

namespace godwit::test {

class ShardStage {
 public:
  // ranges: of keyspace ids, in their order. The source has the schema `shop`: the stamped tables, a reference table, an unsharded and a partitioned one.
  ShardStage(const std::string& source, const std::vector<std::string>& servers, std::vector<std::string> ranges);
  ~ShardStage();

  Server& source() { return source_; }
  Client& from() { return from_; }
  std::size_t size() const { return ranges_.size(); }
  Client client_of(std::size_t shard) const { return servers_[shard % servers_.size()]->client(); }
  std::string schema_of(std::size_t shard) const { return "shop_" + std::to_string(shard); }
  const std::string& state() const { return state_; }

  void begin_writing() { writers_ = std::make_unique<Writers>(source_, "shop", history_, WriterOptions{}); }
  void stop_writing() { writers_.reset(); }

  // What a placement is to be instead: "--vindex parents.id=hash" → … "" leaves it out.
  std::map<std::string, std::string> placements;
  std::vector<std::string> arguments(const std::string& command, const std::vector<std::string>& more = {}) const;
  Process start(const std::string& command, const std::vector<std::string>& more = {}, const std::string& failpoints = "") const;
  Outcome run(const std::string& command, const std::vector<std::string>& more = {}, const std::string& failpoints = "") const { return start(command, more, failpoints).wait(std::chrono::seconds(180)); }
  std::vector<std::string> failpoints(const std::string& prefix) const;

  // "" when the copy that ended so is right in every respect: each row is what it was at the report's position, on its shard, once.
  std::string fault(const Outcome& outcome);
  // What a cancel has left.
  std::string left();
  void forget();  // all that is on the shards, and the state file

 private:
  std::string fault_of_stamped(const std::string& table, const std::string& position);
  std::string fault_of_fixed();
  std::string fault_of_places(const std::string& table, std::size_t shard);
  std::string fault_of_sidecar(std::size_t shard);
  std::string place_of(const std::string& table, const std::vector<std::string>& key) const;

  Server source_;
  std::vector<std::unique_ptr<Server>> servers_;
  const std::vector<std::string> ranges_;
  Client from_;
  std::string state_;
  History history_;
  std::unique_ptr<Writers> writers_;
};

}  // namespace godwit::test
