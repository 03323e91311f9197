// A source and N shards, each a schema of a server (several may be on one), with streams from the source to each of them that begin at empty tables.
// The union of the shards is compared with the source by what the servers render of their own rows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "godwit/state/authority.h"
#include "godwit/workflow/copy.h"
#include "process.h"

namespace godwit::test {

class Sharded {
 public:
  static constexpr const char* kSchema = "shards";
  static constexpr const char* kWorkflow = "sharded";

  // The tables of kTables, empty, on the source and where they belong.
  Sharded(const Server& source, std::vector<const Server*> shards);
  ~Sharded();

  Process replicate(const std::vector<std::string>& more = {}, const std::string& failpoints = "") const;
  // Applies all that the source (forward) or the shards (reverse) have. Throws where it does not come to that.
  void catch_up() const;

  std::size_t count() const { return shards_.size(); }
  const Server& shard_server(std::size_t i) const { return *shards_[i]; }
  std::string schema_of(std::size_t i) const { return std::string(kSchema) + "_" + std::to_string(i); }
  Client source_client() const { return source_.client(kSchema); }
  Client shard_client(std::size_t i) const { return shards_[i]->client(schema_of(i)); }
  workflow::Definition definition() const;

  // Which shard's row that is, by the shard key of the tables that have one: customer.
  std::size_t home(std::int64_t customer) const;
  // "" where the shards together have what the source has, each row on its shard; else what differs first.
  std::string difference() const;
  // The position of each stream of a direction, "; " between them.
  std::string positions(const std::string& direction) const;
  std::uint64_t parked() const;

  // The shards serve from now on, and each has a stream back that begins where it is now. Nobody may write meanwhile.
  void switch_to_shards() const;

 private:
  void clean() const;
  void create_tables() const;
  void begin_streams() const;
  std::string table_difference(const std::string& table) const;
  std::vector<state::TableRow> tables_of_stream(std::size_t shard, bool is_reverse) const;

  const Server& source_;
  const std::vector<const Server*> shards_;
  std::string state_;
  shard::Layout layout_;
};

}  // namespace godwit::test
