// servers: a=mariadb-10.11 b=mariadb-10.11 c=mariadb-10.11 d=mysql-9.7 e=mysql-9.7 f=mysql-9.7
// One side against the union of several: what is equal is called equal, by hash and row by row, in either direction; each kind of difference is found
// on each shard, and a row that is on a wrong shard, or on two, though the hashes agree.
#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "catch.h"
#include "godwit/shard/layout.h"
#include "godwit/vdiff/compare.h"
#include "godwit/vdiff/differ.h"
#include "live/support/row_images.h"
#include "live/support/servers.h"

using namespace godwit;
using godwit::test::Client;
using godwit::test::Server;
using db::Side;
using vdiff::Kind;

namespace {

constexpr int kRows = 3000;

// Key → what it is, and on which shard.
struct Found {
  Kind kind = Kind::missing;
  std::optional<std::size_t> shard;
  auto operator<=>(const Found&) const = default;
};
using Findings = std::map<std::string, std::multiset<Found>>;

std::string to_string(const Findings& findings) {
  std::string text;
  for (const auto& [key, all] : findings) {
    for (const auto& found : all) text += key + ": " + std::string(vdiff::to_string(found.kind)) + " " + (found.shard ? std::to_string(*found.shard) : "-") + "\n";
  }
  return text;
}

const std::string kTables = R"(
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, customer BIGINT NOT NULL, v VARCHAR(30) NULL);
CREATE TABLE names (name VARCHAR(30) NOT NULL PRIMARY KEY, v INT NOT NULL) DEFAULT CHARSET utf8mb4;
CREATE TABLE countries (id INT NOT NULL PRIMARY KEY, name VARCHAR(30));
CREATE TABLE heap (customer BIGINT NOT NULL, v VARCHAR(30));
CREATE TABLE settings (id INT NOT NULL PRIMARY KEY, v INT);
)";

class Stage {
 public:
  Stage(const std::string& whole, const std::vector<std::string>& shards) : whole_(whole) {
    for (const auto& name : shards) shards_.push_back(std::make_unique<Server>(name));
    std::vector<std::string> given;
    for (const auto& range : shard::even_ranges(shards.size())) given.push_back(range + "=mysql://u@" + range + "/shop");
    layout_ = shard::parse_layout({.shards = given, .vindexes = {"t.customer=hash", "names.name=unicode_loose_xxhash", "heap.customer=hash"}, .references = {"countries"}, .unsharded = {"settings"}});
    for (const Server* server : servers()) {
      Client client = server->client();
      client.execute("DROP DATABASE IF EXISTS shop");
      client.execute("CREATE DATABASE shop CHARACTER SET utf8mb4");
      clients_.push_back(std::make_unique<Client>(server->client("shop")));
      clients_.back()->script(kTables);
    }
    for (auto& lane : lanes_) {
      for (const Server* server : servers()) lane.push_back(db::Connection::open(test::endpoint_of(*server), db::Encoding::bytes));
    }
    fill();
  }
  ~Stage() {
    for (auto& client : clients_) client->query("DROP DATABASE shop");
  }

  Client& whole() { return *clients_[0]; }
  Client& shard(std::size_t number) { return *clients_[number + 1]; }
  std::size_t shards() const { return shards_.size(); }

  std::size_t shard_of(const std::string& table, const std::string& value) {
    const std::string_view text = value;
    const std::optional<std::string_view> cell = text;
    return route(table).shard_of({&cell, 1});
  }

  // All ranges of a table, in several lanes.
  Findings compare(const std::string& table, Side sharded, const vdiff::PlanOptions& options, const vdiff::CompareLimits& limits = {.rows_per_chunk = 700, .rows_per_read_max = 100'000}) {
    std::vector<vdiff::TableWork> work(1);
    work[0].plan = plan(table, sharded, options);
    is_hashed = work[0].plan.is_hashed;
    Findings findings;
    source_rows = target_rows = 0;
    vdiff::DifferHooks hooks;
    hooks.before_chunk = [] {};
    hooks.is_pair_over = [] { return false; };
    hooks.on_compared = [](std::size_t, const vdiff::RangeResult&) {};
    hooks.on_settled = [&](const vdiff::Settled& settled) {
      source_rows += settled.source_rows;
      target_rows += settled.target_rows;
      for (const auto& suspect : settled.suspects) {
        findings[suspect.key[0]].insert({suspect.kind, suspect.shard});
        uncounted += suspect.source_rows - suspect.target_rows;
      }
      return true;
    };
    std::vector<vdiff::Sessions> lanes;
    for (auto& lane : lanes_) lanes.push_back(sessions_of(lane, sharded));
    Stop stop;
    vdiff::Differ(work, limits, hooks, stop).compare(lanes);
    return findings;
  }

  vdiff::KeylessResult compare_keyless(const std::string& table, Side sharded) {
    return vdiff::compare_keyless(sessions_of(lanes_[0], sharded), plan(table, sharded, {}), {.rows_per_pass = 1000, .samples_max = 20}, [] {});
  }

  bool is_hashed = false;
  std::uint64_t source_rows = 0;
  std::uint64_t target_rows = 0;
  std::int64_t uncounted = 0;

 private:
  std::vector<const Server*> servers() const {
    std::vector<const Server*> all{&whole_};
    for (const auto& server : shards_) all.push_back(server.get());
    return all;
  }

  static catalog::Table definition(const Server& server, const std::string& table) {
    db::Connection connection = db::Connection::open(test::endpoint_of(server));
    return catalog::read_table(connection, "shop", table);
  }

  const shard::Route& route(const std::string& table) {
    if (routes_.count(table) == 0) {
      tables_.emplace(table, definition(whole_, table));
      routes_.emplace(table, std::make_unique<shard::Route>(layout_, tables_.at(table)));
    }
    return *routes_.at(table);
  }

  vdiff::TablePlan plan(const std::string& table, Side sharded, const vdiff::PlanOptions& options) {
    const std::string name = table + (sharded == Side::source ? " back" : "") + (options.never_hash ? " by rows" : "");
    if (const auto known = plans_.find(name); known != plans_.end()) return known->second;
    const shard::Route& routed = route(table);
    const bool is_back = sharded == Side::source;
    const Server& source = is_back ? *shards_[0] : whole_;
    const Server& target = is_back ? whole_ : *shards_[0];
    const catalog::Table from = definition(source, table);
    const catalog::Table to = definition(target, table);
    const db::Server source_server = db::Connection::open(test::endpoint_of(source)).server();
    const db::Server target_server = db::Connection::open(test::endpoint_of(target)).server();
    vdiff::TablePlan result = vdiff::plan_table(from, to, source_server, target_server, options);
    vdiff::place(result, {.route = routed, .routed = tables_.at(table)}, from, to);
    plans_.emplace(name, result);
    return result;
  }

  // The whole one's session first.
  static vdiff::Sessions sessions_of(std::vector<db::Connection>& lane, Side sharded) {
    vdiff::Sessions result;
    (sharded == Side::source ? result.target : result.source).push_back(&lane[0]);
    for (std::size_t i = 1; i < lane.size(); ++i) (sharded == Side::source ? result.source : result.target).push_back(&lane[i]);
    return result;
  }

  void insert(const std::string& table, const std::string& value, const std::string& row) {
    for (const std::size_t at : {std::size_t(0), shard_of(table, value) + 1}) {
      std::string& text = rows_[{table, at}];
      text += (text.empty() ? "" : ",") + row;
    }
  }

  void fill() {
    for (int id = 0; id < kRows; ++id) {
      const std::string n = std::to_string(id);
      insert("t", std::to_string(id / 3), "(" + n + "," + std::to_string(id / 3) + ",'v" + n + "')");
      insert("heap", std::to_string(id % 40), "(" + std::to_string(id % 40) + ",'" + std::to_string(id % 80) + "')");
      const std::string name = (id % 2 == 0 ? "Name_" : "näme ") + n;
      insert("names", name, "('" + name + "', 1)");
    }
    for (const auto& [where, rows] : rows_) clients_[where.second]->execute("INSERT INTO " + where.first + " VALUES " + rows);
    for (auto& client : clients_) client->execute("INSERT INTO countries VALUES (1, 'one'), (2, 'two'), (3, 'three')");
    for (std::size_t i = 0; i < 2; ++i) clients_[i]->execute("INSERT INTO settings VALUES (1, 1), (2, 2)");
  }

  Server whole_;
  std::vector<std::unique_ptr<Server>> shards_;
  shard::Layout layout_;
  std::vector<std::unique_ptr<Client>> clients_;  // the whole one's, then the shards'
  std::map<std::string, catalog::Table> tables_;
  std::map<std::string, std::unique_ptr<shard::Route>> routes_;
  std::map<std::string, vdiff::TablePlan> plans_;
  std::array<std::vector<db::Connection>, 2> lanes_;
  std::map<std::pair<std::string, std::size_t>, std::string> rows_;
};

const std::vector<Side> kSides{Side::target, Side::source};

// What is missing on one side is too much on the other.
Kind seen_from(Side sharded, Kind kind) {
  if (sharded == Side::target || kind == Kind::different || kind == Kind::misplaced) return kind;
  return kind == Kind::missing ? Kind::extra : Kind::missing;
}

void check_everywhere(Stage& stage, const std::string& table, const std::function<Findings(Side)>& expected) {
  for (const Side sharded : kSides) {
    for (const bool never_hash : {false, true}) {
      stage.uncounted = 0;
      const Findings found = stage.compare(table, sharded, {.never_hash = never_hash});
      CHECK(stage.is_hashed == !never_hash);
      INFO(table << ", shards are the " << db::to_string(sharded) << (never_hash ? ", by rows" : "") << "\nfound\n" << to_string(found) << "expected\n" << to_string(expected(sharded)));
      CHECK((found == expected(sharded)));
      // What the suspects say of the counts is all by which the sides' numbers differ.
      CHECK(static_cast<std::int64_t>(stage.source_rows) - static_cast<std::int64_t>(stage.target_rows) == stage.uncounted);
    }
  }
}

void require_equal(Stage& stage) {
  for (const char* table : {"t", "names", "countries", "settings"}) check_everywhere(stage, table, [](Side) { return Findings{}; });
  CHECK(stage.source_rows == 2);
  for (const Side sharded : kSides) {
    const auto result = stage.compare_keyless("heap", sharded);
    CHECK(result.source_rows == kRows);
    CHECK(result.target_rows == kRows);
    CHECK(result.missing + result.extra + result.misplaced == 0);
  }
}

void hold(Stage& stage) {
  require_equal(stage);
  const auto run = [&](const std::string& sql) {
    for (std::size_t i = 0; i < stage.shards(); ++i) stage.shard(i).execute(sql);
  };

  INFO("each kind on each shard");
  Findings on_shards;
  std::set<std::size_t> taken;
  for (int customer = 10; taken.size() < stage.shards(); ++customer) {
    const std::size_t at = stage.shard_of("t", std::to_string(customer));
    if (!taken.insert(at).second) continue;
    const std::string id = std::to_string(customer * 3);
    const std::string changed = std::to_string(customer * 3 + 1);
    const std::string extra = std::to_string(100'000 + customer);
    stage.shard(at).execute("DELETE FROM t WHERE id = " + id);
    stage.shard(at).execute("UPDATE t SET v = 'other' WHERE id = " + changed);
    stage.shard(at).execute("INSERT INTO t VALUES (" + extra + ", " + std::to_string(customer) + ", 'extra')");
    on_shards[id].insert({Kind::missing, std::nullopt});
    on_shards[changed].insert({Kind::different, at});
    on_shards[extra].insert({Kind::extra, at});
  }
  // A row that only the one side has is on no shard.
  const auto seen = [&](Side sharded) {
    Findings result;
    for (const auto& [key, all] : on_shards) {
      for (const auto& found : all) result[key].insert({seen_from(sharded, found.kind), found.shard});
    }
    return result;
  };
  check_everywhere(stage, "t", seen);
  run("DELETE FROM t WHERE id >= 100000");
  for (const auto& [key, all] : on_shards) {
    const std::size_t at = stage.shard_of("t", std::to_string(std::stoi(key) / 3));
    if (std::stoi(key) < 100'000) stage.shard(at).execute("REPLACE INTO t VALUES (" + key + ", " + std::to_string(std::stoi(key) / 3) + ", 'v" + key + "')");
  }
  check_everywhere(stage, "t", [](Side) { return Findings{}; });

  INFO("rows on a wrong shard: the hashes agree, and each is seen");
  const std::size_t right = stage.shard_of("t", "50");
  const std::size_t wrong = (right + 1) % stage.shards();
  stage.shard(right).execute("DELETE FROM t WHERE id IN (150, 151)");
  stage.shard(wrong).execute("INSERT INTO t VALUES (150, 50, 'v150'), (151, 50, 'v151')");
  check_everywhere(stage, "t", [&](Side) { return Findings{{"150", {{Kind::misplaced, wrong}}}, {"151", {{Kind::misplaced, wrong}}}}; });

  INFO("the same row on two shards, and a stale one on the shard where its old key lived");
  stage.shard(right).execute("INSERT INTO t VALUES (150, 50, 'v150')");
  stage.shard(wrong).execute("DELETE FROM t WHERE id = 151");
  stage.shard(right).execute("INSERT INTO t VALUES (151, 50, 'v151')");
  check_everywhere(stage, "t", [&](Side) { return Findings{{"150", {{Kind::misplaced, wrong}}}}; });
  stage.shard(wrong).execute("DELETE FROM t WHERE id = 150");
  int other = 0;
  while (stage.shard_of("t", std::to_string(other)) != wrong) ++other;
  stage.shard(wrong).execute("INSERT INTO t VALUES (150, " + std::to_string(other) + ", 'v150')");
  for (const Side sharded : kSides) {
    for (const bool never_hash : {false, true}) {
      const Findings found = stage.compare("t", sharded, {.never_hash = never_hash});
      INFO(to_string(found));
      CHECK(found.size() == 1);
      CHECK(found.count("150") == 1);
      CHECK(found.begin()->second.size() == 1);
    }
  }
  stage.shard(wrong).execute("DELETE FROM t WHERE id = 150");

  INFO("names that the servers order each in its own way");
  const std::size_t named = stage.shard_of("names", "Name_10");
  const std::size_t not_named = (named + 1) % stage.shards();
  stage.shard(named).execute("DELETE FROM names WHERE name = 'Name_10'");
  stage.shard(not_named).execute("INSERT INTO names VALUES ('Name_10', 1)");
  check_everywhere(stage, "names", [&](Side) { return Findings{{"Name_10", {{Kind::misplaced, not_named}}}}; });
  stage.shard(named).execute("INSERT INTO names VALUES ('Name_10', 2)");
  for (const Side sharded : kSides) CHECK(stage.compare("names", sharded, {}).count("Name_10") == 1);
  stage.shard(not_named).execute("DELETE FROM names WHERE name = 'Name_10'");
  check_everywhere(stage, "names", [&](Side) { return Findings{{"Name_10", {{Kind::different, named}}}}; });
  stage.shard(named).execute("UPDATE names SET v = 1");

  INFO("a reference table that differs on one shard, and on all");
  const std::size_t last = stage.shards() - 1;
  stage.shard(last).execute("UPDATE countries SET name = 'zwei' WHERE id = 2");
  check_everywhere(stage, "countries", [&](Side) { return Findings{{"2", {{Kind::different, last}}}}; });
  run("DELETE FROM countries WHERE id = 2");
  check_everywhere(stage, "countries", [&](Side sharded) {
    Findings all;
    for (std::size_t i = 0; i < stage.shards(); ++i) all["2"].insert({seen_from(sharded, Kind::missing), i});
    return all;
  });
  run("INSERT INTO countries VALUES (2, 'two')");

  INFO("rows without a key");
  int customer = 0;
  while (stage.shard_of("heap", std::to_string(customer)) != 0) ++customer;
  const std::string value = std::to_string(customer);
  stage.shard(0).execute("DELETE FROM heap WHERE customer = " + value + " LIMIT 1");
  stage.shard(0).execute("INSERT INTO heap VALUES (" + value + ", 'new'), (" + value + ", 'new')");
  stage.shard(last).execute("INSERT INTO heap VALUES (" + value + ", 'wrong')");
  for (const Side sharded : kSides) {
    const auto result = stage.compare_keyless("heap", sharded);
    CHECK((sharded == Side::target ? result.missing : result.extra) == 1);
    CHECK((sharded == Side::target ? result.extra : result.missing) == 3);
    CHECK(result.misplaced == 1);
    const auto sample = std::find_if(result.samples.begin(), result.samples.end(), [](const auto& s) { return s.kind == Kind::misplaced; });
    REQUIRE(sample != result.samples.end());
    CHECK(sample->shard == last);
    CHECK(sample->belongs == 0);
  }
}

}  // namespace

TEST_CASE("the union of shards is compared: MySQL, by the whole hash", "[shard_union]") {
  Stage stage("d", {"e", "f"});
  hold(stage);
}

TEST_CASE("the union of shards is compared: MySQL to MariaDB", "[shard_union]") {
  Stage stage("d", {"a", "b", "c"});
  hold(stage);
}

TEST_CASE("the union of shards is compared: MariaDB to MariaDB", "[shard_union]") {
  Stage stage("a", {"b", "c"});
  hold(stage);
}

TEST_CASE("a range of which shards have far more rows is divided, and every row is named once", "[shard_union]") {
  Stage stage("a", {"b", "c"});
  stage.whole().execute("DELETE FROM t WHERE id % 100 <> 0");
  for (const Side sharded : kSides) {
    // One range: as large as it may be, and each side reads a tenth of it at a time.
    const Findings found = stage.compare("t", sharded, {}, {.rows_per_chunk = 200, .rows_per_read_max = 300});
    CHECK(found.size() == kRows - kRows / 100);
    for (const auto& [key, all] : found) {
      REQUIRE(all.size() == 1);
      REQUIRE(all.begin()->kind == seen_from(sharded, Kind::extra));
    }
    CHECK(stage.source_rows + stage.target_rows == kRows + kRows / 100);
  }
}
