// servers: a=mariadb-10.11 b=mariadb-10.11 c=mariadb-10.11 d=mysql-9.7
// `godwit vdiff` of a source against shards, in both directions: equal, every kind of difference on every shard by its name, rows on a wrong shard or on
// two, reference tables, tables without a key, repair, and whatever kills it. What was planted is known, and the rows of the shards are put there by hand.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "catch.h"
#include "godwit/db/snapshot.h"
#include "godwit/shard/layout.h"
#include "godwit/state/authority.h"
#include "godwit/state/sidecar.h"
#include "live/support/process.h"
#include "live/support/sidecars.h"

using namespace godwit;
using godwit::test::Client;
using godwit::test::Outcome;
using godwit::test::Server;
using nlohmann::json;
using db::Side;

namespace {

using Strings = std::vector<std::string>;

const Strings kRanges{"-80", "80-"};
const Strings kTables{"orders", "names", "countries", "settings", "heap"};
const Strings kPlacements{"--vindex", "orders.customer=hash", "--vindex", "names.name=unicode_loose_xxhash", "--vindex", "heap.customer=hash", "--reference", "countries", "--unsharded", "settings"};

// Kind, key, the shard that is named, and the one where it belongs.
struct Found {
  std::string kind;
  std::string key;
  std::string shard;
  std::string belongs;
  auto operator<=>(const Found&) const = default;
};

std::string to_string(const std::set<Found>& all) {
  std::string text;
  for (const auto& found : all) text += found.kind + " " + found.key + " on " + found.shard + (found.belongs.empty() ? "" : ", belongs on " + found.belongs) + "\n";
  return text;
}

struct Place {
  std::string server;
  std::string database;
};
const std::vector<Place> kOneName{{"b", "shop"}, {"c", "shop"}};

class Stage {
 public:
  explicit Stage(const std::string& source, std::vector<Place> places = kOneName) : places_(std::move(places)), source_(source), migration_(source_, *shards_[0], "shop") {
    layout_ = shard::parse_layout({.shards = {"-80=mysql://u@one/shop", "80-=mysql://u@two/shop"}, .vindexes = {"orders.customer=hash", "names.name=unicode_loose_xxhash", "heap.customer=hash"}, .references = {"countries"}, .unsharded = {"settings"}});
    clean();
    for (std::size_t i = 0; i < servers().size(); ++i) {
      const Server* server = servers()[i];
      const std::string database = i == 0 ? "shop" : places_[i - 1].database;
      server->client().execute("CREATE DATABASE " + database + " CHARACTER SET utf8mb4");
      clients_.push_back(std::make_unique<Client>(server->client(database)));
      clients_.back()->script(R"(
CREATE TABLE orders (id INT NOT NULL PRIMARY KEY, customer BIGINT NOT NULL, v VARCHAR(30) NULL, UNIQUE KEY by_v (v));
CREATE TABLE names (name VARCHAR(30) NOT NULL PRIMARY KEY, v INT NOT NULL);
CREATE TABLE countries (id INT NOT NULL PRIMARY KEY, name VARCHAR(30));
CREATE TABLE settings (id INT NOT NULL PRIMARY KEY, v INT);
CREATE TABLE heap (customer BIGINT NOT NULL, v VARCHAR(30));
)");
    }
    fill();
    follow(Side::source);
  }
  ~Stage() {
    for (auto& client : clients_) client.reset();
    clean();
  }

  Client& source() { return *clients_[0]; }
  Client& shard(std::size_t number) { return *clients_[number + 1]; }

  std::size_t shard_of(const std::string& table, const std::string& value) {
    const std::string_view text = value;
    const std::optional<std::string_view> cell = text;
    return routes_.at(table)->shard_of({&cell, 1});
  }
  // A customer whose rows are on that shard.
  int customer_on(std::size_t shard, int from = 10) {
    while (shard_of("orders", std::to_string(from)) != shard) ++from;
    return from;
  }

  // Every stream as far as its source is: as a replicate leaves it.
  void follow(Side serving) {
    for (std::size_t i = 0; i < kRanges.size(); ++i) {
      db::Connection read = test::session_with(serving == Side::source ? source_ : *shards_[i], Side::source);
      db::Connection written = test::session_with(serving == Side::source ? *shards_[i] : source_, Side::target);
      state::Sidecar sidecar(written);
      sidecar.create();
      std::vector<state::TableRow> tables;
      const std::string& there = places_[i].database;
      for (const auto& table : kTables) {
        if (i != 0 && table == "settings") continue;
        tables.push_back({.source_schema = serving == Side::source ? "shop" : there, .source_table = table, .target_schema = serving == Side::source ? there : "shop", .target_table = table, .state = "finished"});
      }
      sidecar.prepare_stream({.workflow = migration_.name, .direction = serving == Side::source ? "forward" : "reverse", .shard = kRanges[i]},
                             {.position = db::end_of_binlog(read), .source_identity = read.server().identity, .source_version = read.server().version_text}, tables);
    }
  }
  void serve_shards() {
    Client route = shards_[0]->client();
    route.execute("REPLACE INTO _godwit.route VALUES ('" + migration_.name + "', 2, 'target', 0, '', 'none', UTC_TIMESTAMP(3))");
    follow(Side::target);
  }

  Strings arguments(const std::string& command, const Strings& more) const {
    Strings all{command, migration_.name, "--state", migration_.state, "--source", source_.dsn("shop")};
    for (std::size_t i = 0; i < kRanges.size(); ++i) all.insert(all.end(), {"--shard", kRanges[i] + "=" + shards_[i]->dsn(places_[i].database)});
    all.insert(all.end(), kPlacements.begin(), kPlacements.end());
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Outcome run(const Strings& more = {}, const std::string& failpoints = "") const {
    Strings options{"--lanes", "2"};
    options.insert(options.end(), more.begin(), more.end());
    return run_command("vdiff", options, failpoints);
  }
  Outcome run_command(const std::string& command, const Strings& options, const std::string& failpoints = "") const {
    auto environment = test::armed(failpoints);
    for (const char* side : {"SOURCE", "TARGET"}) environment[std::string("GODWIT_") + side + "_PASSWORD"] = "godwit";
    return test::Process(with_program(arguments(command, options)), environment).wait();
  }
  // Instead of what was put there by hand.
  void copy() {
    for (std::size_t i = 0; i < kRanges.size(); ++i) {
      shard(i).execute("DROP DATABASE " + places_[i].database);
      shard(i).execute("DROP DATABASE IF EXISTS _godwit");
    }
    const Outcome outcome = run_command("copy", {"--allow-no-key"});
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.status == 0);
    for (std::size_t i = 0; i < kRanges.size(); ++i) shard(i).execute("USE " + places_[i].database);
  }
  json report(const Strings& more, int status) const {
    Strings options{"--json"};
    options.insert(options.end(), more.begin(), more.end());
    const Outcome outcome = run(options);
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.status == status);
    return json::parse(outcome.out);
  }
  Strings failpoints() const { return migration_.failpoints("vdiff."); }

 private:
  static Strings with_program(Strings arguments) {
    arguments.insert(arguments.begin(), std::getenv("GODWIT_BIN"));
    return arguments;
  }

  std::vector<const Server*> servers() const { return {&source_, shards_[0].get(), shards_[1].get()}; }

  void clean() const {
    for (const Server* server : servers()) {
      Client client = server->client();
      for (const char* database : {"shop", "shop_one", "shop_two", "_godwit"}) client.execute(std::string("DROP DATABASE IF EXISTS ") + database);
    }
    for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((migration_.state + suffix).c_str());
  }

  void add(const std::string& table, const std::string& value, const std::string& row) {
    for (const std::size_t at : {std::size_t(0), shard_of(table, value) + 1}) {
      std::string& text = rows_[{table, at}];
      text += (text.empty() ? "" : ",") + row;
    }
  }

  void fill() {
    db::Connection connection = test::session_with(source_, Side::source);
    for (const auto& table : kTables) {
      definitions_.push_back(std::make_unique<catalog::Table>(catalog::read_table(connection, "shop", table)));
      routes_.emplace(table, std::make_unique<shard::Route>(layout_, *definitions_.back()));
    }
    for (int id = 0; id < 1500; ++id) {
      const std::string n = std::to_string(id);
      add("orders", std::to_string(id / 3), "(" + n + "," + std::to_string(id / 3) + ",'v" + n + "')");
      if (id % 10 != 0) continue;
      add("heap", std::to_string(id % 40), "(" + std::to_string(id % 40) + ",'" + std::to_string(id % 80) + "')");
      const std::string name = (id % 20 == 0 ? "Name_" : "näme ") + n;
      add("names", name, "('" + name + "', 1)");
    }
    for (const auto& [where, rows] : rows_) clients_[where.second]->execute("INSERT INTO " + where.first + " VALUES " + rows);
    for (auto& client : clients_) client->execute("INSERT INTO countries VALUES (1, 'one'), (2, 'two'), (3, 'three')");
    for (std::size_t i = 0; i < 2; ++i) clients_[i]->execute("INSERT INTO settings VALUES (1, 1), (2, 2)");
  }

  const std::vector<Place> places_;
  Server source_;
  std::vector<std::unique_ptr<Server>> shards_ = [this] {
    std::vector<std::unique_ptr<Server>> both;
    for (const auto& place : places_) both.push_back(std::make_unique<Server>(place.server));
    return both;
  }();
  test::Migration migration_;
  shard::Layout layout_;
  std::vector<std::unique_ptr<Client>> clients_;  // the source's, then the shards'
  std::vector<std::unique_ptr<catalog::Table>> definitions_;
  std::map<std::string, std::unique_ptr<shard::Route>> routes_;
  std::map<std::pair<std::string, std::size_t>, std::string> rows_;
};

const json& table_of(const json& report, const std::string& table) {
  for (const auto& one : report["tables"]) {
    const std::string name = one["source"];
    if (name.ends_with(".`" + table + "`")) return one;
  }
  throw std::runtime_error("the report lacks " + table);
}

std::set<Found> found_in(const json& report) {
  std::set<Found> all;
  for (const auto& table : report["tables"]) {
    for (const auto& sample : table["samples"]) {
      if (!sample["is_repaired"]) all.insert({sample["kind"], sample["key"], sample["shard"], sample["belongs_on"]});
    }
  }
  return all;
}

void require_identical(const Stage& stage) {
  const json report = stage.report({}, 0);
  CHECK(report["verdict"] == "identical");
  CHECK(report["shards"] == kRanges);
  CHECK(found_in(report).empty());
  CHECK(table_of(report, "orders")["source_rows"] == 1500);
  CHECK(table_of(report, "orders")["target_rows"] == 1500);
  CHECK(table_of(report, "orders")["manner"] == "hash");
  CHECK(table_of(report, "countries")["target_rows"] == 6);
  CHECK(table_of(report, "countries")["is_everywhere"] == true);
  CHECK(table_of(report, "settings")["target_rows"] == 2);
  CHECK(table_of(report, "heap")["target_rows"] == 150);
}

void check_found(const Stage& stage, const std::set<Found>& expected, const Strings& options = {}) {
  const json report = stage.report(options, 4);
  INFO("found\n" << to_string(found_in(report)) << "expected\n" << to_string(expected) << report.dump(1));
  CHECK((found_in(report) == expected));
}

// One of each kind on each shard, of rows whose key is `id` = their customer times three.
std::set<Found> plant(Stage& stage, bool is_source_served) {
  std::set<Found> planted;
  const std::string missing = is_source_served ? "missing" : "extra";
  for (std::size_t at = 0; at < kRanges.size(); ++at) {
    const int customer = stage.customer_on(at);
    const int other_customer = stage.customer_on(at, customer + 1);
    const std::string id = std::to_string(customer * 3);
    const std::string extra = std::to_string(5000 + customer);
    // Where the shards serve, it is the source that lacks, has too much, or has it otherwise.
    Client& changed = is_source_served ? stage.shard(at) : stage.source();
    changed.execute("DELETE FROM orders WHERE id = " + id);
    changed.execute("UPDATE orders SET v = 'other " + std::to_string(at) + "' WHERE id = " + std::to_string(customer * 3 + 1));
    changed.execute("INSERT INTO orders VALUES (" + extra + ", " + std::to_string(customer) + ", 'v" + id + "')");  // the value of the row that is gone
    planted.insert({missing, "id = " + id, kRanges[at], ""});
    planted.insert({"different", "id = " + std::to_string(customer * 3 + 1), kRanges[at], ""});
    planted.insert({is_source_served ? "extra" : "missing", "id = " + extra, kRanges[at], ""});
    if (!is_source_served) continue;
    const std::size_t wrong = 1 - at;
    const std::string moved = std::to_string(other_customer * 3);
    const std::string both = std::to_string(other_customer * 3 + 1);
    const auto row = [&](const std::string& number) { return "INSERT INTO orders VALUES (" + number + ", " + std::to_string(other_customer) + ", 'v" + number + "')"; };
    stage.shard(at).execute("DELETE FROM orders WHERE id = " + moved);
    stage.shard(wrong).execute(row(moved));
    stage.shard(wrong).execute(row(both));
    planted.insert({"misplaced", "id = " + moved, kRanges[wrong], kRanges[at]});
    planted.insert({"misplaced", "id = " + both, kRanges[wrong], kRanges[at]});
  }
  if (is_source_served) stage.shard(1).execute("UPDATE countries SET name = 'zwei' WHERE id = 2");
  if (is_source_served) planted.insert({"different", "id = 2", kRanges[1], ""});
  return planted;
}

void hold_forward(Stage& stage) {
  const Outcome equal = stage.run();
  INFO(equal.out << equal.err);
  CHECK(equal.status == 0);
  CHECK(equal.out.find("5 tables, 1,808 rows: identical at position ") != std::string::npos);
  const std::set<Found> planted = plant(stage, true);
  check_found(stage, planted);
  check_found(stage, planted, {"--by-rows"});
  const Outcome text = stage.run();
  INFO(text.out << text.err);
  CHECK(text.status == 4);
  CHECK(text.out.find("on shard 80-, where it does not belong: its shard is -80") != std::string::npos);
  CHECK(text.out.find("on shard -80 only") != std::string::npos);

  const json repaired = stage.report({"--repair"}, 0);
  CHECK(repaired["verdict"] == "identical");
  CHECK(table_of(repaired, "orders")["repaired"] == planted.size() - 1);
  CHECK(table_of(repaired, "orders")["target_rows"] == 1500);
  CHECK(table_of(repaired, "countries")["repaired"] == 1);
  require_identical(stage);
}

void hold_reverse(Stage& stage) {
  stage.serve_shards();
  require_identical(stage);
  const std::set<Found> planted = plant(stage, false);
  check_found(stage, planted);
  const json repaired = stage.report({"--repair"}, 0);
  CHECK(table_of(repaired, "orders")["repaired"] == planted.size());
}

}  // namespace

TEST_CASE("a MariaDB and its shards: every difference is named with its shard, and repaired", "[shard_vdiff]") {
  Stage stage("a");
  hold_forward(stage);
}

TEST_CASE("a MySQL and shards of MariaDB: every difference is named with its shard, and repaired", "[shard_vdiff]") {
  Stage stage("d");
  hold_forward(stage);
}

TEST_CASE("shards that godwit copied to are brought forward to the source by vdiff itself, each alone, where no replicate runs", "[shard_vdiff]") {
  Stage stage("a");
  stage.copy();
  const std::string there = std::to_string(stage.customer_on(0));
  const std::string here = std::to_string(stage.customer_on(1));
  stage.source().execute("UPDATE orders SET customer = IF(customer = " + here + ", " + there + ", " + here + ") WHERE customer IN (" + here + ", " + there + ")");
  stage.source().execute("DELETE FROM names WHERE name = 'Name_20'");
  stage.source().execute("INSERT INTO names VALUES ('new', 2)");
  stage.source().execute("UPDATE countries SET name = 'drei' WHERE id = 3");
  stage.source().execute("INSERT INTO heap VALUES (" + here + ", 'new'), (" + there + ", 'new'), (" + there + ", 'new')");
  CHECK(stage.report({}, 0)["verdict"] == "identical");
  stage.shard(0).execute("UPDATE orders SET v = 'other' WHERE customer = " + here + " LIMIT 1");
  CHECK(stage.shard(0).affected_rows() == 0);
  stage.shard(1).execute("UPDATE orders SET v = 'other' WHERE customer = " + here + " LIMIT 1");
  CHECK(stage.shard(1).affected_rows() == 1);
  const json report = stage.report({}, 4);
  CHECK(found_in(report).size() == 1);
  CHECK(found_in(report).begin()->shard == kRanges[1]);

  stage.shard(1).execute("ALTER TABLE orders MODIFY v VARCHAR(99)");
  const Outcome other = stage.run();
  INFO(other.out << other.err);
  CHECK(other.status == 3);
  CHECK(other.err.find("its columns are others than on the first shard => shards of one flavour, with the same tables") != std::string::npos);
}

TEST_CASE("rows without a key are compared with the union, and each must be on its shard", "[shard_vdiff]") {
  Stage stage("a");
  const std::string customer = std::to_string(stage.customer_on(0, 0) % 40);
  REQUIRE(stage.shard_of("heap", customer) == 0);
  stage.shard(0).execute("INSERT INTO heap VALUES (" + customer + ", 'new'), (" + customer + ", 'new')");
  stage.shard(1).execute("INSERT INTO heap VALUES (" + customer + ", 'moved')");
  stage.source().execute("INSERT INTO heap VALUES (" + customer + ", 'moved')");
  stage.follow(Side::source);
  const json report = stage.report({"--repair"}, 4);  // which they have no name for
  const json& heap = table_of(report, "heap");
  INFO(heap.dump(1));
  CHECK(heap["missing"] == 0);
  CHECK(heap["extra"] == 2);
  CHECK(heap["misplaced"] == 1);
  CHECK((found_in(report) == std::set<Found>{{"extra", "", "-80", ""}, {"misplaced", "", "80-", "-80"}}));
}

TEST_CASE("where the shards serve, the source is compared with their union, and made the same", "[shard_vdiff]") {
  Stage stage("a");
  hold_reverse(stage);
  require_identical(stage);

  INFO("what the shards have wrong among themselves is named, and not changed");
  const int customer = stage.customer_on(0);
  stage.shard(1).execute("INSERT INTO orders VALUES (" + std::to_string(customer * 3) + ", " + std::to_string(customer) + ", 'twice')");
  stage.shard(1).execute("DELETE FROM countries WHERE id = 3");
  stage.follow(Side::target);
  const std::set<Found> wrong{{"misplaced", "id = " + std::to_string(customer * 3), "80-", "-80"}, {"missing", "id = 3", "80-", ""}};
  check_found(stage, wrong);
  check_found(stage, wrong, {"--repair"});
}

TEST_CASE("shards that are databases of one server, with names of their own: every difference is named with its shard, and repaired", "[shard_vdiff]") {
  Stage stage("a", {{"b", "shop_one"}, {"b", "shop_two"}});
  hold_forward(stage);
  const json again = stage.report({"--resume"}, 0);
  CHECK(again["verdict"] == "identical");
  stage.source().execute("INSERT INTO heap VALUES (0, 'new')");
  stage.shard(stage.shard_of("heap", "0")).execute("INSERT INTO heap VALUES (0, 'other')");
  stage.follow(Side::source);
  const json heap = table_of(stage.report({}, 4), "heap");
  CHECK(heap["missing"] == 1);
  CHECK(heap["extra"] == 1);
}

TEST_CASE("where shards whose databases have names of their own serve, the source is compared with their union, and made the same", "[shard_vdiff]") {
  Stage stage("a", {{"b", "shop_one"}, {"c", "shop_two"}});
  hold_reverse(stage);
  stage.shard(1).execute("DELETE FROM countries WHERE id = 3");
  stage.follow(Side::target);
  check_found(stage, {{"missing", "id = 3", "80-", ""}});
}

TEST_CASE("killed at each failpoint, a vdiff of shards goes on to the right verdict, and repair to the end", "[shard_vdiff]") {
  Stage stage("a");
  const Strings small{"--chunk-rows", "400"};
  for (const auto& point : stage.failpoints()) {
    if (point == "vdiff.held") continue;  // there is no replicate
    INFO(point);
    const std::set<Found> planted = plant(stage, true);
    Strings repair{"--repair"};
    repair.insert(repair.end(), small.begin(), small.end());
    const Outcome killed = stage.run(repair, point + "=kill");
    INFO(killed.out << killed.err);
    REQUIRE(killed.status == 128 + SIGKILL);
    Strings json_too{"--json"};
    json_too.insert(json_too.end(), repair.begin(), repair.end());
    const Outcome outcome = stage.run(json_too);
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.status == 0);
    CHECK(json::parse(outcome.out)["went_on"] == true);
  }
}
