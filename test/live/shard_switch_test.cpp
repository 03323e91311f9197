// servers: a=mariadb-10.11 head=mariadb-10.11:--plugin-load-add=ha_spider:--spider-conn-recycle-mode=1:--spider-ping-interval-at-trx-start=0:--spider-use-cond-other-than-pk-for-update=0 s0=mariadb-10.11:--innodb-buffer-pool-size=32M s1=mariadb-10.11:--innodb-buffer-pool-size=32M s2=mariadb-10.11:--innodb-buffer-pool-size=32M s3=mariadb-10.11:--innodb-buffer-pool-size=32M s4=mariadb-10.11:--innodb-buffer-pool-size=32M s5=mariadb-10.11:--innodb-buffer-pool-size=32M s6=mariadb-10.11:--innodb-buffer-pool-size=32M
// alone: a switch has a limit of time
// One database becomes two, four, and seven, while clients keep their books: copied, followed, compared, switched to the Spider head over the shards, back, and there again. No client sees an
// error, nothing is lost, each row is on its shard, and the source has all of it after the way back. Then the server of a shard, or of the head, is killed while the switch stands at each
// of its points: it is undone before its commit, and completed after it, all shards or none. GODWIT_LONG=1: at every point; else at some, drawn by GODWIT_SEED.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "catch.h"
#include "live/support/seed.h"
#include "live/support/switch_stage.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

namespace {

constexpr seconds kLeaseMax{20};
const Strings kShards{"s0", "s1", "s2", "s3", "s4", "s5", "s6"};

StageOptions options_of(std::size_t shards, std::uint64_t seed = 1) {
  return {.source = "a", .target = "head", .shards = Strings(kShards.begin(), kShards.begin() + static_cast<std::ptrdiff_t>(shards)), .clients = 8, .proxy_options = {}, .seed = seed};
}

std::string side_of(const std::string& command) { return command == "switch" ? "target" : "source"; }

void check_switched(SwitchStage& stage, const std::string& command) {
  INFO(command);
  REQUIRE(stage.run_until_done(command, {"--pause-max", "5s"}) == "");
  CHECK(stage.await_one_side(kLeaseMax) == "");
  CHECK(stage.serving() == side_of(command));
  CHECK(stage.works());
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

// Which of the steps come after the commit is godwit's own word.
bool is_committed_at(const SwitchStage& stage, const std::string& point) {
  if (point == "switch.commit.after") return true;
  const auto name = point.substr(point.find('.') + 1, point.rfind('.') - point.find('.') - 1);
  const auto document = json::parse(stage.migration.run_plain({"inspect", "steps", "--json"}).out);
  return std::any_of(document["steps"].begin(), document["steps"].end(), [&](const json& step) { return step["name"] == name && step["after_commit"]; });
}

struct Accident {
  std::string command;
  std::string point;
  std::size_t victim = 0;  // a shard's number; behind the last of them, the head
};

void check_accident(SwitchStage& stage, const Accident& it) {
  const Server& victim = it.victim < stage.shards() ? stage.shard(it.victim) : stage.target;
  Process process = stage.start(it.command, {"--pause-max", "5s"}, it.point + "=sleep:800");
  REQUIRE(holds_within(seconds(60), [&] { return process.log().find("failpoint " + it.point) != std::string::npos || !process.is_running(); }));
  victim.kill_server();
  stage.server_died();
  std::this_thread::sleep_for(seconds(1));
  victim.restart();
  const Outcome outcome = process.wait();
  INFO(outcome.status << "\n" << outcome.out << outcome.err << stage.replicate_log());
  CHECK((outcome.status == 0 || outcome.status == 3 || outcome.status == 5));
  std::this_thread::sleep_for(seconds(3));  // a MariaDB that comes back is open until it is fenced again
  CHECK(stage.await_one_side(kLeaseMax) == "");
  // That the authority's server dies around the commit is the one case in which nobody can say beforehand.
  const bool is_open = it.victim == 0 && (it.point == "switch.commit.before" || it.point == "switch.commit.after");
  const bool has_switched = outcome.status == 0 || is_committed_at(stage, it.point);
  if (!is_open) CHECK(stage.serving() == side_of(has_switched ? it.command : it.command == "switch" ? "reverse" : "switch"));
  CHECK(stage.works());
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().faults().empty());
}

void walk(std::size_t shards) {
  SwitchStage stage(options_of(shards));
  const Outcome compared = stage.migration.run("vdiff");
  INFO(compared.out << compared.err);
  REQUIRE(compared.status == 0);
  check_switched(stage, "switch");
  check_switched(stage, "reverse");
  check_switched(stage, "switch");
}

}  // namespace

TEST_CASE("shard_switch: one database becomes two, is one again, and two, and no client notices", "[shard_switch]") { walk(2); }

TEST_CASE("shard_switch: one database becomes four, is one again, and four, and no client notices", "[shard_switch]") { walk(4); }

TEST_CASE("shard_switch: one database becomes seven, is one again, and seven, and no client notices", "[shard_switch]") { walk(7); }

// Behind the stream's position, and in no table: a way back that went over then would leave it behind.
TEST_CASE("shard_switch: a row that waits for another one to go keeps the way back waiting", "[shard_switch]") {
  SwitchStage stage(options_of(2));
  check_switched(stage, "switch");
  Client source = stage.source.client("trade");
  Client head = stage.target.client("trade");
  const std::string order = head.scalar("SELECT MIN(id) FROM orders");
  source.execute("SET SESSION sql_log_bin = 0, foreign_key_checks = 0");
  source.execute("INSERT INTO order_lines VALUES (7000001, 99, 1, 1)");
  head.execute("INSERT INTO order_lines VALUES (7000001, " + order + ", 1, 2)");
  REQUIRE(holds_within(seconds(10), [&] { return source.scalar("SELECT COUNT(*) FROM _godwit.parked_row") == "1"; }));
  const Outcome refused = stage.run("reverse", {"--lag-max", "500ms"});
  INFO(refused.out << refused.err);
  CHECK(refused.status == 3);
  CHECK(refused.err.find("GW1102") != std::string::npos);
  source.execute("DELETE FROM order_lines WHERE id = 7000001");
  REQUIRE(stage.run_until_done("reverse", {"--pause-max", "5s"}) == "");
  CHECK(source.scalar("SELECT amount FROM order_lines WHERE id = 7000001") == "2");
  CHECK(source.scalar("SELECT COUNT(*) FROM _godwit.parked_row") == "0");
  source.execute("SET SESSION sql_log_bin = 1");
  source.execute("DELETE FROM order_lines WHERE id = 7000001");
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

// --on-ddl exec: an unsharded table is on the first shard alone. The head's definitions are its own, and nobody changes them there unasked.
TEST_CASE("shard_switch: DDL is run where its table is, and the head must have it before it serves", "[shard_switch]") {
  SwitchStage stage(options_of(2));
  stage.end_ledger();
  stage.start_replicate({"--on-ddl", "exec"});
  Client source = stage.source.client("trade");
  Client first = stage.shard(0).client();
  source.execute("INSERT INTO accounts VALUES (7001, 1)");  // what has it, has the new command's options
  REQUIRE(holds_within(seconds(30), [&] { return first.scalar("SELECT COUNT(*) FROM trade.accounts WHERE id = 7001") == "1"; }));
  source.execute("ALTER TABLE accounts ADD COLUMN note VARCHAR(20) NOT NULL DEFAULT 'none'");
  source.execute("ALTER TABLE orders ADD COLUMN note VARCHAR(20) NULL");
  source.execute("UPDATE accounts SET note = 'seen'");
  source.execute("INSERT INTO orders (id, client, turn, words, note) VALUES (7000, 1, 1, 'w', 'even'), (7001, 1, 2, 'w', 'odd')");
  INFO(stage.replicate_log());
  CHECK(stage.difference_of_sides(30) == "");
  CHECK(stage.shard(0).client().scalar("SELECT note FROM trade.orders WHERE id = 7000") == "even");
  CHECK(stage.shard(1).client().scalar("SELECT note FROM trade.orders WHERE id = 7001") == "odd");
  CHECK(stage.shard(1).client().scalar("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'trade' AND TABLE_NAME = 'accounts'") == "0");
  const Outcome refused = stage.run("switch");
  INFO(refused.out << refused.err);
  CHECK(refused.status == 3);
  CHECK((refused.out + refused.err).find("table `trade`.`orders`") != std::string::npos);
  auto command = stage.migration.arguments("shard", {"--engine", "spider", "--apply", "--head-user", "head"});
  command.insert(command.begin() + 2, "ddl");
  const Outcome applied = Process(command, {{"GODWIT_SOURCE_PASSWORD", "godwit"}, {"GODWIT_TARGET_PASSWORD", "godwit"}, {"GODWIT_HEAD_PASSWORD", "head"}}).wait();
  INFO(applied.out << applied.err);
  REQUIRE(applied.status == 0);
  CHECK(stage.run_until_done("switch", {"--pause-max", "5s"}) == "");
  CHECK(stage.target.client("trade").scalar("SELECT note FROM orders WHERE id = 7001") == "odd");
}

TEST_CASE("shard_switch: the server of a shard, or of the head, is killed at points of the switch: all shards or none", "[shard_switch]") {
  const auto seed = seed_of_this_run();
  std::cout << "shard_switch: GODWIT_SEED=" << seed << "\n";
  INFO("GODWIT_SEED=" << seed);
  std::mt19937_64 random(seed);
  auto options = options_of(2, seed);
  options.reconnects = true;
  SwitchStage stage(options);
  auto points = stage.migration.failpoints("switch.");
  REQUIRE(points.size() >= 30);
  check_switched(stage, "switch");  // from now on the side that does not serve is fenced
  std::shuffle(points.begin(), points.end(), random);
  if (!is_long_run()) points.resize(4);
  for (const auto& point : points) {
    const Accident it{.command = stage.serving() == "source" ? "switch" : "reverse", .point = point, .victim = random() % (stage.shards() + 1)};
    INFO((it.victim < stage.shards() ? "shard " + std::to_string(it.victim) : std::string("the head")) << " killed while " << it.command << " stands at " << it.point);
    std::cout << "shard_switch: victim " << it.victim << ", " << it.command << " at " << it.point << "\n" << std::flush;
    check_accident(stage, it);
  }
}

TEST_CASE("shard_switch: complete leaves the shards and the head to the operator, cancel takes both away", "[shard_switch]") {
  SwitchStage stage(options_of(2));
  stage.end_ledger();
  const auto has_sidecar = [](const Server& server) { return server.client().scalar("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '_godwit'") == "1"; };
  const auto tables_on = [](const Server& server) { return server.client().scalar("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'trade'"); };
  SECTION("complete") {
    REQUIRE(stage.run_until_done("switch", {"--pause-max", "5s"}) == "");
    const Outcome outcome = stage.migration.run("complete", {"--yes"});
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.status == 0);
    CHECK(tables_on(stage.target) == tables_on(stage.source));
    CHECK(stage.target.client("trade").scalar("SELECT COUNT(*) FROM accounts") == "32");
    CHECK(stage.target.client().scalar("SELECT @@GLOBAL.read_only") == "0");
  }
  SECTION("cancel") {
    const Outcome outcome = stage.migration.run("cancel");
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.status == 0);
    CHECK(tables_on(stage.target) == "0");
    CHECK(tables_on(stage.shard(0)) == "0");
    CHECK(tables_on(stage.shard(1)) == "0");
  }
  for (const Server* server : {&stage.source, &stage.target, &stage.shard(0), &stage.shard(1)}) CHECK(!has_sidecar(*server));
}
