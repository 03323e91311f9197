// servers: a=mariadb-10.11 head=mariadb-10.11:--plugin-load-add=ha_spider:--spider-conn-recycle-mode=1:--spider-ping-interval-at-trx-start=0:--spider-use-cond-other-than-pk-for-update=0 s0=mariadb-10.11:--innodb-buffer-pool-size=64M s1=mariadb-10.11:--innodb-buffer-pool-size=64M s2=mariadb-10.11:--innodb-buffer-pool-size=64M s3=mariadb-10.11:--innodb-buffer-pool-size=64M
// A Spider head, as godwit defines it, serves an application: 48 clients keep their books without an error, every row is where godwit computes it to be, keys
// are unique and rise, through restarts of the head and of shards; the guards refuse; and what godwit made there can be found again and taken away.
#include <algorithm>
#include <atomic>
#include <iostream>
#include <set>
#include <thread>

#include "catch.h"
#include "godwit/workflow/head.h"
#include "live/support/app_client.h"
#include "live/support/head_stage.h"
#include "live/support/ledger_judge.h"
#include "live/support/seed.h"
#include "live/support/switch_ledger.h"
#include "live/support/waiting.h"

using namespace godwit;
using namespace godwit::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr unsigned kClients = 48;

AppClient teller(const HeadStage& stage) { return AppClient({.port = stage.head().port(), .user = kTeller, .password = kTeller, .schema = kTrade}); }

void require_applied(const HeadStage& stage) {
  const Outcome applied = stage.apply();
  INFO(applied.err);
  REQUIRE(applied.status == 0);
  CHECK((applied.out + applied.err).find("PASSWORD 'teller'") == std::string::npos);
}

void work_for(SwitchLedger& ledger, milliseconds time) {
  std::this_thread::sleep_for(time);
  ledger.pause();
}

// Of what a client was told is committed, in the order in which it was told.
void check_keys_rise(const SwitchLedger& ledger) {
  for (const Books* books : ledger.books()) {
    std::uint64_t last = 0;
    for (const Order& order : books->orders) {
      if (order.fate != Fate::acknowledged) continue;
      CHECK(order.id > last);
      last = order.id;
    }
  }
}

std::uint64_t highest(const HeadStage& stage, const std::string& table) {
  std::uint64_t found = 0;
  for (const Server& shard : stage.shards()) found = std::max<std::uint64_t>(found, std::stoull(shard.client("trade").scalar("SELECT COALESCE(MAX(id), 0) FROM " + table)));
  return found;
}

}  // namespace

TEST_CASE("a head over 2 and 4 shards serves a trade without an error, through restarts of head and shards", "[shard_head]") {
  const std::size_t shards = GENERATE(2, 4);
  const std::uint64_t seed = seed_of_this_run();
  std::cout << "shard_head: " << shards << " shards, GODWIT_SEED=" << seed << std::endl;
  const HeadStage stage(shards, kClients);
  require_applied(stage);
  stage.fill(kClients);
  SwitchLedger ledger({.ports = {stage.head().port()}, .clients = kClients, .think_max = milliseconds(60), .seed = seed});
  ledger.await_busy();
  work_for(ledger, seconds(4));
  CHECK(ledger.complaints() == "");

  // While nobody is in a transaction: the head's connections to the shard are dead, and no client must notice.
  stage.shards()[1].kill_server();
  stage.shards()[1].restart();
  ledger.go_on();
  work_for(ledger, seconds(3));
  CHECK(ledger.complaints() == "");
  CHECK(ledger.acknowledged() > 500);
  check_keys_rise(ledger);
  Client head = stage.head().client("trade");
  CHECK(judge({.ledger = &ledger}, head) == "");
  CHECK(stage.misplaced() == "");
  for (const auto& table : {"orders", "order_lines", "transfers", "notes"}) {
    for (const Server& shard : stage.shards()) CHECK(shard.client("trade").scalar("SELECT COUNT(*) FROM " + std::string(table)) != "0");
  }

  const std::uint64_t before = highest(stage, "notes");
  stage.head().kill_server();
  stage.head().restart();
  AppClient after = teller(stage);
  const auto inserted = after.ask("INSERT INTO notes (client, turn, part, words) VALUES (0, 0, 0, 'after'), (0, 0, 1, 'after')");
  CHECK(inserted.message == "");
  CHECK(inserted.insert_id > before);
  CHECK(after.scalar("SELECT COUNT(*) FROM notes WHERE words = 'after'") == "2");
}

TEST_CASE("a shard that is killed under single statements loses none that was acknowledged, and no key is handed out twice", "[shard_head]") {
  const HeadStage stage(2, kClients);
  require_applied(stage);
  std::atomic<bool> is_ending{false};
  std::vector<std::vector<std::uint64_t>> acknowledged(8);
  std::vector<std::thread> writers;
  for (std::size_t i = 0; i < acknowledged.size(); ++i) {
    writers.emplace_back([&, i] {
      while (!is_ending) {
        try {
          AppClient client = teller(stage);
          while (!is_ending) {
            const auto answer = client.ask("INSERT INTO notes (client, turn, part, words) VALUES (" + std::to_string(i) + ", 0, 0, 'x')");
            if (answer.is_ok()) acknowledged[i].push_back(answer.insert_id);
          }
        } catch (const std::exception&) {
          std::this_thread::sleep_for(milliseconds(20));
        }
      }
    });
  }
  std::this_thread::sleep_for(milliseconds(800));
  stage.shards()[1].kill_server();
  std::this_thread::sleep_for(milliseconds(300));
  stage.shards()[1].restart();
  std::this_thread::sleep_for(milliseconds(2500));
  is_ending = true;
  for (auto& writer : writers) writer.join();

  std::set<std::uint64_t> rows;
  for (const Server& shard : stage.shards()) {
    for (const Cells& row : shard.client("trade").query("SELECT id FROM notes")) CHECK(rows.insert(std::stoull(*row[0])).second);
  }
  std::set<std::uint64_t> all;
  for (const auto& keys : acknowledged) {
    CHECK(std::is_sorted(keys.begin(), keys.end()));
    for (const std::uint64_t key : keys) {
      CHECK(all.insert(key).second);
      CHECK(rows.count(key) == 1);
    }
  }
  CHECK(all.size() > 100);
  CHECK(stage.misplaced() == "");
}

TEST_CASE("under a head a shard key cannot be changed, and a duplicate key is refused as ever", "[shard_head]") {
  const HeadStage stage(2, kClients);
  require_applied(stage);
  stage.fill(kClients);
  AppClient client = teller(stage);
  const auto order = client.ask("INSERT INTO orders (client, turn, words) VALUES (1, 1, 'w')").insert_id;
  client.run({"INSERT INTO order_lines (order_id, line, amount) VALUES (" + std::to_string(order) + ", 0, 1)"});
  for (const std::string sql : {"UPDATE orders SET id = id + 1000", "UPDATE order_lines SET order_id = order_id + 2", "UPDATE clocks SET client = client + 1000 WHERE client = 1",
                                "INSERT INTO clocks VALUES (1, 5) ON DUPLICATE KEY UPDATE client = 99999"}) {
    INFO(sql);
    CHECK(client.ask(sql).error == 1644);
  }
  CHECK(client.ask("UPDATE order_lines SET order_id = order_id, amount = amount + 1").affected_rows == 1);
  CHECK(client.ask("UPDATE accounts SET id = id + 1000 WHERE id = 1").error == 0);  // of one shard: nothing to guard
  CHECK(client.ask("INSERT INTO clocks VALUES (1, 5)").error == 1062);
  CHECK(client.ask("INSERT INTO clocks VALUES (1, 5) ON DUPLICATE KEY UPDATE n = n + 7").error == 0);
  CHECK(client.scalar("SELECT n FROM clocks WHERE client = 1") == "7");
  CHECK(client.ask("INSERT INTO order_lines (order_id, line, amount) VALUES (999999, 0, 1)").error == 1452);  // the shard's own foreign key
  CHECK(stage.misplaced() == "");
}

TEST_CASE("keys that came to the shards past the head are counted once it is told to look", "[shard_head]") {
  const HeadStage stage(2, kClients);
  require_applied(stage);
  AppClient client = teller(stage);
  const auto first = client.ask("INSERT INTO notes (client, turn, part, words) VALUES (1, 1, 0, 'w')").insert_id;
  stage.shards()[(first + 100) % 2].client("trade").execute("INSERT INTO notes VALUES (" + std::to_string(first + 100) + ", 1, 1, 0, 'by a stream')");
  workflow::renew_head_counters(stage.definition());
  CHECK(client.ask("INSERT INTO notes (client, turn, part, words) VALUES (1, 2, 0, 'w')").insert_id == first + 101);
}

TEST_CASE("what godwit has made on a head it finds again, and takes away alone", "[shard_head]") {
  const HeadStage stage(2, kClients);
  const Outcome printed = stage.godwit({"shard", "ddl"}, {"--engine", "spider", "--head-user", "teller"});
  CHECK(printed.status == 0);
  CHECK(printed.out.find("PASSWORD '<password>'") != std::string::npos);
  CHECK(printed.out.find("ENGINE=SPIDER") != std::string::npos);
  CHECK(stage.head().client().scalar("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ('trade', '_godwit_head')") == "0");

  require_applied(stage);
  Client head = stage.head().client();
  stage.fill(kClients);
  CHECK(stage.apply().out.find("created") == std::string::npos);
  head.execute("DROP TRIGGER trade._godwit_key_orders");
  CHECK(stage.apply().out.find("created trigger `trade`.`_godwit_key_orders`") != std::string::npos);
  head.execute("DROP TABLE trade.notes");
  head.execute("CREATE TABLE trade.notes (id INT PRIMARY KEY) ENGINE=InnoDB");
  const Outcome other = stage.apply();
  CHECK(other.status == 3);
  CHECK(other.err.find("it is no Spider table => look at it, and drop or rename it") != std::string::npos);
  head.execute("DROP TABLE trade.notes");
  CHECK(stage.apply().status == 0);
  head.execute("CREATE TABLE trade.mine (id INT PRIMARY KEY) ENGINE=InnoDB");

  const auto dropped = workflow::drop_head(stage.definition());
  CHECK(dropped.size() == 2 + 7 + 6);  // servers, tables, guards: the schema holds somebody else's table
  CHECK(head.scalar("SELECT GROUP_CONCAT(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'trade'") == "mine");
  CHECK(head.scalar("SELECT COUNT(*) FROM mysql.servers") == "0");
  CHECK(head.scalar("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '_godwit_head'") == "0");
  CHECK(stage.shards()[0].client("trade").scalar("SELECT COUNT(*) FROM accounts") == std::to_string(kAccounts));
}

TEST_CASE("a head that does not fit, or is taken, is refused by its name", "[shard_head]") {
  const HeadStage stage(2, kClients);
  Client head = stage.head().client();
  const Outcome unfenced = stage.godwit({"shard", "ddl"}, {"--engine", "spider", "--apply"});  // as godwit@%, whom read_only does not keep out
  CHECK(unfenced.status == 3);
  CHECK(unfenced.err.find("GW1222") != std::string::npos);
  head.execute("SET GLOBAL spider_conn_recycle_mode = 0");
  CHECK(stage.apply().err.find("spider_conn_recycle_mode is 0") != std::string::npos);
  head.execute("SET GLOBAL spider_conn_recycle_mode = 1");
  head.execute("REVOKE FEDERATED ADMIN, SUPER ON *.* FROM godwit@'%'");
  const Outcome unable = stage.apply();
  head.execute("GRANT FEDERATED ADMIN ON *.* TO godwit@'%'");
  CHECK(unable.status == 3);
  CHECK(unable.err.find("1227") != std::string::npos);
  CHECK(unable.err.find("PASSWORD") == std::string::npos);
  head.execute("CREATE DATABASE trade");
  head.execute("CREATE TABLE trade.notes (id INT PRIMARY KEY)");
  const Outcome occupied = stage.apply();
  CHECK(occupied.status == 3);
  CHECK(occupied.err.find("GW1223") != std::string::npos);
  CHECK(head.scalar("SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'trade' AND TABLE_NAME = 'notes'") == "InnoDB");
}

TEST_CASE("godwit says where a key lives, and what has no Vitess form", "[shard_head]") {
  const HeadStage stage(4, kClients);
  const Outcome found = stage.godwit({"inspect", "shard"}, {"orders", "6", "--workflow", "trade", "--json"});
  INFO(found.err);
  CHECK(found.status == 0);
  CHECK(found.out.find("\"range\":\"80-c0\"") != std::string::npos);
  CHECK(stage.godwit({"inspect", "shard"}, {"accounts", "--workflow", "trade"}).out.find("shard 0 of 4, -40,") != std::string::npos);
  CHECK(stage.godwit({"inspect", "shard"}, {"orders", "--workflow", "trade"}).status == 2);
  CHECK(stage.godwit({"shard", "vschema"}).err.find("GW1221") != std::string::npos);
  const Outcome unknown = stage.godwit({"inspect", "shard"}, {"nothing", "6", "--workflow", "trade"});
  CHECK(unknown.status == 3);
  CHECK(unknown.err.find("the migration has no table of that name => TABLE or SCHEMA.TABLE") != std::string::npos);
}
