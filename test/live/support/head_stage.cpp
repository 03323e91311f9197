#include "head_stage.h"

#include <cstdlib>
#include <stdexcept>

#include "godwit/catalog/catalog.h"
#include "godwit/shard/key_range.h"
#include "godwit/shard/layout.h"
#include "godwit/workflow/shards.h"
#include "switch_ledger.h"

namespace godwit::test {
namespace {

// Dropped first: the head's tables, which stand in nobody's way; godwit's own records.
void clear_head(const Server& head) {
  Client client = head.client();
  client.execute("DROP DATABASE IF EXISTS trade");
  client.execute("DROP DATABASE IF EXISTS _godwit_head");
  for (const auto& row : client.query("SELECT Server_name FROM mysql.servers")) client.execute("DROP SERVER `" + row[0].value() + "`");
}

std::string binary() {
  const char* path = std::getenv("GODWIT_BIN");
  if (path == nullptr) throw std::runtime_error("GODWIT_BIN is not set");
  return path;
}

void complete(db::Dsn& dsn) { dsn.password = "godwit"; }

}  // namespace

// Lines are with their orders, so that each shard can keep the foreign key. Accounts are on one: a sum over several shards is of no one instant.
const std::vector<TradeTable>& trade_tables() {
  static const std::vector<TradeTable> tables{{"accounts", ""}, {"clocks", "client"}, {"orders", "id"}, {"order_lines", "order_id"}, {"transfers", "id"}, {"notes", "id"}, {"bypass", "id"}};
  return tables;
}

HeadStage::HeadStage(std::size_t shards, unsigned clients) {
  for (std::size_t i = 0; i < shards; ++i) shards_.emplace_back("s" + std::to_string(i));
  Client source = source_.client();
  create_trade(source, clients);
  clear_head(head_);
  create_teller(head_);
  for (const Server& shard : shards_) make_tables(shard);
}

void HeadStage::make_tables(const Server& shard) const {
  Client client = shard.client();
  client.execute("SET GLOBAL innodb_lock_wait_timeout = 5");
  client.execute("DROP DATABASE IF EXISTS trade");
  client.execute("CREATE DATABASE trade CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
  client.execute("USE trade");
  Client source = source_.client("trade");
  client.execute("SET foreign_key_checks = 0");
  for (const TradeTable& table : trade_tables()) client.execute(source.query("SHOW CREATE TABLE " + table.name).at(0).at(1).value());
  create_teller(shard);
}

std::vector<std::string> HeadStage::flags() const {
  std::vector<std::string> all{"--source", source_.dsn("trade"), "--serve", head_.dsn("trade")};
  const auto ranges = shard::even_ranges(shards_.size());
  for (std::size_t i = 0; i < shards_.size(); ++i) all.insert(all.end(), {"--shard", ranges[i] + "=" + shards_[i].dsn("trade")});
  for (const TradeTable& table : trade_tables()) {
    if (table.key.empty()) all.insert(all.end(), {"--unsharded", table.name});
    if (!table.key.empty()) all.insert(all.end(), {"--partition", table.name + "=HASH(" + table.key + ")"});
  }
  return all;
}

Outcome HeadStage::godwit(const std::vector<std::string>& command, const std::vector<std::string>& more) const {
  std::vector<std::string> all{binary()};
  all.insert(all.end(), command.begin(), command.end());
  const bool is_of_a_key = command.front() == "inspect";
  if (!is_of_a_key) all.emplace_back("trade");
  all.insert(all.end(), more.begin(), more.end());
  const auto given = flags();
  all.insert(all.end(), given.begin(), given.end());
  return Process(all, {{"GODWIT_SOURCE_PASSWORD", "godwit"}, {"GODWIT_TARGET_PASSWORD", "godwit"}, {"GODWIT_HEAD_PASSWORD", "teller"}, {"GODWIT_STATE", ":memory:"}}).wait();
}

workflow::Definition HeadStage::definition() const {
  workflow::Definition definition{.name = "trade", .source = db::parse_dsn(source_.dsn("trade"), "--source")};
  complete(definition.source);
  const auto ranges = shard::even_ranges(shards_.size());
  for (std::size_t i = 0; i < shards_.size(); ++i) definition.shards.push_back(ranges[i] + "=" + shards_[i].dsn("trade"));
  for (const TradeTable& table : trade_tables()) {
    if (table.key.empty()) definition.unsharded.push_back(table.name);
    if (!table.key.empty()) definition.partitions.push_back(table.name + "=HASH(" + table.key + ")");
  }
  definition.serve = db::parse_dsn(head_.dsn("trade"), "--serve");
  complete(*definition.serve);
  workflow::settle_shards(definition, [](db::Dsn& dsn, const std::string&) { complete(dsn); });
  return definition;
}

void HeadStage::fill(unsigned clients) const {
  Client head = head_.client("trade");
  std::string accounts;
  std::string clocks;
  for (unsigned i = 0; i < kAccounts; ++i) accounts += (i == 0 ? "(" : ", (") + std::to_string(i) + ", " + std::to_string(kBalance) + ")";
  for (unsigned i = 0; i < clients; ++i) clocks += (i == 0 ? "(" : ", (") + std::to_string(i) + ", 0)";
  head.execute("INSERT INTO accounts VALUES " + accounts);
  head.execute("INSERT INTO clocks VALUES " + clocks);
}

std::string HeadStage::misplaced() const {
  const workflow::Definition wanted = definition();
  const shard::Layout layout = workflow::layout_of(wanted);
  db::Connection source = db::Connection::open({.side = db::Side::source, .dsn = wanted.source});
  std::string text;
  for (const TradeTable& table : trade_tables()) {
    const catalog::Table definition_of_table = catalog::read_table(source, "trade", table.name);
    const shard::Route route(layout, definition_of_table);
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      Client shard = shards_[i].client("trade");
      for (const Cells& row : shard.query("SELECT " + (table.key.empty() ? "1" : table.key) + " FROM " + table.name)) {
        const std::vector<std::optional<std::string_view>> key{std::string_view(*row[0])};
        const std::size_t place = route.shard_of(std::span(key).first(route.columns().size()));
        if (place != i) text += table.name + " " + *row[0] + " is on shard " + std::to_string(i) + " and not on " + std::to_string(place) + "\n";
      }
    }
  }
  return text;
}

}  // namespace godwit::test
