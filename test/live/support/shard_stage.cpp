#include "shard_stage.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "compare.h"
#include "godwit/shard/key_range.h"
#include "godwit/shard/vindex.h"

namespace godwit::test {
namespace {

using nlohmann::json;

const std::map<std::string, std::string> kPlacements{
    {"--vindex parents.id=hash", ""}, {"--vindex children.tenant=xxhash", ""}, {"--vindex texts.k=xxhash", ""}, {"--vindex skewed.id=hash", ""},
    {"--vindex log.stamp=hash", ""},  {"--partition visits=HASH(id)", ""},     {"--reference countries", ""},   {"--unsharded settings", ""}};

const std::map<std::string, std::pair<std::string, std::string>> kKeys{
    {"parents", {"id", "hash"}}, {"children", {"tenant", "xxhash"}}, {"texts", {"k", "xxhash"}}, {"skewed", {"id", "hash"}}, {"log", {"stamp", "hash"}}, {"visits", {"id", ""}}};

constexpr int kVisits = 900;

void create_fixed(Client& client) {
  client.execute("CREATE TABLE shop.countries (code CHAR(2) PRIMARY KEY, name VARCHAR(40))");
  client.execute("INSERT INTO shop.countries VALUES ('de', 'Germany'), ('fr', 'France'), ('no', 'Norway')");
  client.execute("CREATE TABLE shop.settings (name VARCHAR(20) PRIMARY KEY, value TEXT)");
  client.execute("INSERT INTO shop.settings VALUES ('theme', 'dark'), ('limit', NULL)");
  client.execute("CREATE TABLE shop.visits (id INT AUTO_INCREMENT PRIMARY KEY, page VARCHAR(30), KEY by_page (page))");
  std::string rows;
  for (int i = 1; i <= kVisits; ++i) rows += (i > 1 ? "," : "") + ("(" + std::to_string(i * 3) + ", 'page " + std::to_string(i % 7) + "')");
  client.execute("INSERT INTO shop.visits VALUES " + rows);
}

std::string temporary_state() {
  std::string path = "/tmp/godwit-shards-XXXXXX";
  ::close(::mkstemp(path.data()));
  ::unlink(path.c_str());
  return path;
}

std::set<std::string> rows_of(Client& client, const std::string& schema, const std::string& table) {
  const auto all = rendered(client, schema, table);
  return {all.begin(), all.end()};
}

}  // namespace

ShardStage::ShardStage(const std::string& source, const std::vector<std::string>& servers, std::vector<std::string> ranges)
    : source_(source), ranges_(std::move(ranges)), from_(source_.client()), state_(temporary_state()) {
  for (const auto& name : servers) servers_.push_back(std::make_unique<Server>(name));
  forget();
  create_stamped(from_, "shop", history_);
  create_fixed(from_);
  placements = kPlacements;
}

ShardStage::~ShardStage() {
  writers_.reset();
  forget();
  from_.execute("DROP DATABASE IF EXISTS shop");
}

void ShardStage::forget() {
  for (std::size_t shard = 0; shard < size(); ++shard) {
    Client client = client_of(shard);
    client.execute("DROP DATABASE IF EXISTS " + schema_of(shard));
    client.execute("DROP DATABASE IF EXISTS _godwit");
  }
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((state_ + suffix).c_str());
}

std::vector<std::string> ShardStage::arguments(const std::string& command, const std::vector<std::string>& more) const {
  std::vector<std::string> all{std::getenv("GODWIT_BIN"), command, "shards", "--source", source_.dsn("shop"), "--state", state_};
  for (std::size_t shard = 0; shard < size(); ++shard) {
    all.insert(all.end(), {"--shard", ranges_[shard] + "=" + servers_[shard % servers_.size()]->dsn(schema_of(shard))});
  }
  for (const auto& [usual, other] : placements) {
    const std::string& text = other.empty() ? usual : other;
    if (text == "none") continue;
    const auto blank = text.find(' ');
    all.insert(all.end(), {text.substr(0, blank), text.substr(blank + 1)});
  }
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Process ShardStage::start(const std::string& command, const std::vector<std::string>& more, const std::string& failpoints) const {
  auto environment = armed(failpoints);
  environment["GODWIT_SOURCE_PASSWORD"] = "godwit";
  environment["GODWIT_TARGET_PASSWORD"] = "godwit";
  return Process(arguments(command, more), environment);
}

std::vector<std::string> ShardStage::failpoints(const std::string& prefix) const {
  const auto document = json::parse(Process({std::getenv("GODWIT_BIN"), "inspect", "failpoints", "--json"}, {}).wait().out);
  std::vector<std::string> names;
  for (const auto& point : document["failpoints"]) {
    if (point["name"].get<std::string>().rfind(prefix, 0) == 0) names.push_back(point["name"]);
  }
  return names;
}

// --- judging ------------------------------------------------------------------------------------------------------

// The range, or the number of the partition.
std::string ShardStage::place_of(const std::string& table, const std::vector<std::string>& key) const {
  const std::string& function = kKeys.at(table).second;
  if (function.empty()) return ranges_[static_cast<std::size_t>(std::stoul(key[0])) % size()];
  const auto vindex = shard::make_vindex({.function = function}, "test");
  const bool is_number = table != "texts";
  const shard::Value value{.kind = is_number ? shard::ValueKind::signed_integer : shard::ValueKind::text, .text = key[0]};
  const std::string id = shard::keyspace_id(vindex, {&value, 1}).value();
  for (const auto& range : ranges_) {
    if (shard::parse_key_range(range, "test").contains(id)) return range;
  }
  return "nowhere";
}

std::string ShardStage::fault_of_places(const std::string& table, std::size_t shard) {
  Client client = client_of(shard);
  for (const auto& row : client.query("SELECT " + kKeys.at(table).first + " FROM " + schema_of(shard) + "." + table)) {
    const std::string place = place_of(table, {row[0].value()});
    if (place != ranges_[shard]) return table + ": the row of " + *row[0] + " is on " + ranges_[shard] + " and belongs on " + place;
  }
  return "";
}

std::string ShardStage::fault_of_stamped(const std::string& table, const std::string& position) {
  Rows all;
  for (std::size_t shard = 0; shard < size(); ++shard) {
    Client client = client_of(shard);
    const Rows rows = read_stamped(client, schema_of(shard), table);
    for (const auto& [key, stamp] : rows.stamps) {
      if (!all.stamps.emplace(key, stamp).second) return table + ": key " + key + " is on two shards";
    }
    all.log.insert(all.log.end(), rows.log.begin(), rows.log.end());
    if (torn_rows(client, schema_of(shard), table) != 0) return table + ": torn rows on " + ranges_[shard];
  }
  return history_.judge(table, all, position, position);
}

std::string ShardStage::fault_of_fixed() {
  const auto countries = rows_of(from_, "shop", "countries");
  std::set<std::string> visits;
  for (std::size_t shard = 0; shard < size(); ++shard) {
    Client client = client_of(shard);
    if (rows_of(client, schema_of(shard), "countries") != countries) return "countries differ on " + ranges_[shard];
    for (const auto& row : rows_of(client, schema_of(shard), "visits")) visits.insert(row);
    const bool has_settings = client.scalar("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME = 'settings' AND TABLE_SCHEMA = '" + schema_of(shard) + "'") == "1";
    if (has_settings != (shard == 0)) return "settings are to be on the first shard alone, and not on " + ranges_[shard];
  }
  if (visits != rows_of(from_, "shop", "visits")) return "visits differ";
  Client first = client_of(0);
  return rows_of(first, schema_of(0), "settings") == rows_of(from_, "shop", "settings") ? "" : "settings differ";
}

std::string ShardStage::fault_of_sidecar(std::size_t shard) {
  Client client = client_of(shard);
  const std::string of_shard = " FROM _godwit.copy_table t JOIN _godwit.stream s ON s.id = t.stream WHERE s.shard = '" + ranges_[shard] + "'";
  const std::string unfinished = client.scalar("SELECT GROUP_CONCAT(t.source_table, ' ', t.state)" + of_shard + " AND t.state <> 'finished'");
  if (!unfinished.empty()) return ranges_[shard] + " is not finished: " + unfinished;
  const std::string keys = client.scalar("SELECT COUNT(*) FROM information_schema.STATISTICS WHERE INDEX_NAME IN ('by_stamp', 'by_name', 'by_parent', 'by_page') AND TABLE_SCHEMA = '" + schema_of(shard) + "'");
  return keys == "8" ? "" : ranges_[shard] + " has " + keys + " of 8 parts of secondary keys";
}

std::string ShardStage::fault(const Outcome& outcome) {
  if (outcome.status != 0) return "exit status " + std::to_string(outcome.status) + ": " + outcome.err;
  std::unique_ptr<WritersAtRest> rest;
  if (writers_) rest = std::make_unique<WritersAtRest>(*writers_);
  const json report = json::parse(outcome.out);
  if (!report["pending"].empty()) return "statements wait: " + report["pending"].dump();
  if (report["shards"].size() != size()) return "the report has " + std::to_string(report["shards"].size()) + " shards";
  for (const auto& shard : report["shards"]) {
    if (shard["position"] != report["position"]) return "shards are at different positions: " + report["shards"].dump();
  }
  for (const auto& table : stamped_tables()) {
    if (const auto why = fault_of_stamped(table, report["position"]); !why.empty()) return why;
  }
  for (std::size_t shard = 0; shard < size(); ++shard) {
    for (const auto& [table, key] : kKeys) {
      if (const auto why = fault_of_places(table, shard); !why.empty()) return why;
    }
    if (const auto why = fault_of_sidecar(shard); !why.empty()) return why;
  }
  return fault_of_fixed();
}

std::string ShardStage::left() {
  std::string text;
  for (std::size_t shard = 0; shard < size(); ++shard) {
    Client client = client_of(shard);
    for (const auto& row : client.query("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ('_godwit', '" + schema_of(shard) + "')")) text += ranges_[shard] + " has " + row[0].value() + "\n";
  }
  return text;
}

}  // namespace godwit::test
