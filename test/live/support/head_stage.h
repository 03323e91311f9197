// A Spider head over shards that hold the trade of switch_ledger.h, made by `godwit shard ddl --apply`: a source that has the schema, shards with its tables, a
// head without anything. Servers: a (the source), head, s0 to s3.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "godwit/workflow/copy.h"
#include "process.h"
#include "servers.h"

namespace godwit::test {

// The key of a row is where its row must be: table and the column that --partition names; "" is --unsharded.
struct TradeTable {
  std::string name;
  std::string key;
};
const std::vector<TradeTable>& trade_tables();

class HeadStage {
 public:
  // So many shards, with the tables and no rows; the head is as it is after a start.
  HeadStage(std::size_t shards, unsigned clients);

  const Server& source() const { return source_; }
  const Server& head() const { return head_; }
  const std::vector<Server>& shards() const { return shards_; }

  // godwit with the flags of the migration: {"shard", "ddl"}; the passwords are in the environment.
  Outcome godwit(const std::vector<std::string>& command, const std::vector<std::string>& more = {}) const;
  Outcome apply() const { return godwit({"shard", "ddl"}, {"--engine", "spider", "--apply", "--head-user", "teller"}); }
  workflow::Definition definition() const;
  // The rows that create_trade() gives the source, through the head.
  void fill(unsigned clients) const;
  // "": each row is on just the shard that godwit computes for it.
  std::string misplaced() const;

 private:
  std::vector<std::string> flags() const;
  void make_tables(const Server& shard) const;

  Server source_{"a"};
  Server head_{"head"};
  std::vector<Server> shards_;
};

}  // namespace godwit::test
