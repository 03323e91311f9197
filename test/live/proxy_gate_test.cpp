// servers: a=mariadb-10.11 b=mariadb-10.11
// alone: holds have limits of time
// The gate of `godwit proxy`: PAUSE, MOVE and RESUME with busy clients, and everything that can go wrong between them. Whatever happens, no client gets an error
// that it would not have got from its server, and none is left on the wrong side.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <iostream>
#include <memory>
#include <mutex>
#include <thread>

#include "catch.h"
#include "live/support/gate_stage.h"

using namespace godwit::test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;
using Stage = GateStage;

TEST_CASE("proxy_gate: PAUSE holds new statements, and lets open transactions end", "[proxy_gate]") {
  Stage stage;
  AppClient idle = stage.client();
  AppClient busy = stage.client();
  busy.run({"BEGIN", "UPDATE t SET v = v + 1 WHERE id = 1"});
  auto paused = std::async(std::launch::async, [&] { return stage.proxy->command("PAUSE WITH LEASE 30 DRAIN 20"); });
  AppClient watcher(stage.proxy->admin_login());
  REQUIRE(holds_within(seconds(5), [&] { return watcher.rows("SHOW ROUTE").at(0).at(3) == std::optional<std::string>("closed"); }));
  Asked held(idle, "SELECT name FROM side");
  CHECK_FALSE(held.is_answered_within(milliseconds(300)));
  CHECK(paused.wait_for(milliseconds(0)) != std::future_status::ready);
  for (int i = 0; i < 5; ++i) CHECK(busy.ask("UPDATE t SET v = v + 1 WHERE id = 1").is_ok());
  CHECK(busy.ask("COMMIT").is_ok());
  REQUIRE(paused.get().is_ok());
  Asked after(busy, "SELECT name FROM side");
  CHECK_FALSE(after.is_answered_within(milliseconds(200)));
  stage.proxy->must("MOVE TO target");
  CHECK_FALSE(after.is_answered_within(milliseconds(100)));
  stage.proxy->must("RESUME");
  CHECK(held.get().scalar() == "target");
  CHECK(after.get().scalar() == "target");
}

TEST_CASE("proxy_gate: a drain that runs out names the stragglers, and nothing is lost", "[proxy_gate]") {
  Stage stage;
  AppClient idle = stage.client();
  AppClient busy = stage.client();
  busy.run({"BEGIN", "UPDATE t SET v = 77 WHERE id = 1"});
  auto paused = std::async(std::launch::async, [&] { return stage.proxy->command("PAUSE DRAIN 0.5"); });
  Asked held(idle, "SELECT name FROM side");
  const auto refused = paused.get();
  CHECK(refused.error != 0);
  CHECK_THAT(refused.message, Catch::Contains("drain_timed_out") && Catch::Contains(std::to_string(busy.id())) && Catch::Contains("transaction"));
  CHECK_THAT(refused.message, !Catch::Contains(std::to_string(idle.id()) + " of"));
  CHECK(held.get().scalar() == "source");
  CHECK_FALSE(stage.proxy->is_closed());
  CHECK(busy.scalar("SELECT v FROM t WHERE id = 1") == "77");
  CHECK(busy.ask("COMMIT").is_ok());
  CHECK(stage.source.client(Stage::kSchema).scalar("SELECT v FROM t WHERE id = 1") == "77");
  CHECK_NOTHROW(stage.proxy->switch_to("target"));
}

TEST_CASE("proxy_gate: --on-straggler kill ends the stragglers, and only them", "[proxy_gate]") {
  Stage stage({"--on-straggler", "kill"});
  AppClient idle = stage.client();
  AppClient busy = stage.client();
  AppClient sleeper = stage.client();
  busy.run({"BEGIN", "UPDATE t SET v = 77 WHERE id = 1"});
  Asked sleeping(sleeper, "SELECT SLEEP(20)");
  REQUIRE(holds_within(seconds(5), [&] { return stage.proxy->session(sleeper.id())["state"] == "statement"; }));
  const auto paused = stage.proxy->command("PAUSE DRAIN 0.5");
  REQUIRE(paused.is_ok());
  CHECK(paused.rows.at(0).at(2) == "2");
  stage.proxy->must("MOVE TO target");
  stage.proxy->must("RESUME");
  CHECK(side_of(idle) == "target");
  CHECK(busy.ask("SELECT 1").error != 0);
  CHECK_THAT(sleeping.get().message, Catch::Contains("it did not come to a safe point before the switch"));
  // What it had changed is undone, and its locks are free: its server has heard of its end.
  Client there = stage.source.client(Stage::kSchema);
  CHECK(holds_within(seconds(5), [&] { return there.scalar("SELECT v FROM t WHERE id = 1 LOCK IN SHARE MODE") == "3"; }));
  CHECK(holds_within(seconds(5), [&] { return there.scalar("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'") == "0"; }));
}

TEST_CASE("proxy_gate: a lease that runs out lets everything go on, on the old side", "[proxy_gate]") {
  Stage stage;
  AppClient client = stage.client();
  SECTION("after PAUSE") { stage.proxy->must("PAUSE WITH LEASE 0.5"); }
  SECTION("after MOVE without RESUME") {
    client.run({"SET @kept = 5", "SET sql_mode = ''"});
    stage.proxy->must("PAUSE WITH LEASE 0.5");
    stage.proxy->must("MOVE TO target");
  }
  Asked held(client, "SELECT name FROM side");
  REQUIRE(held.is_answered_within(seconds(5)));
  CHECK(held.get().scalar() == "source");
  CHECK(holds_within(seconds(2), [&] { return !stage.proxy->is_closed(); }));
  CHECK(stage.proxy->serving() == "source");
  AppClient newcomer = stage.client();
  CHECK(side_of(newcomer) == "source");
  CHECK(stage.proxy->command("RESUME").error != 0);
  CHECK_NOTHROW(stage.proxy->switch_to("target"));
  CHECK(side_of(client) == "target");
  CHECK(side_of(newcomer) == "target");
}

TEST_CASE("proxy_gate: a lease that was ended by RESUME does not end the next hold", "[proxy_gate]") {
  Stage stage;
  AppClient client = stage.client();
  stage.proxy->must("PAUSE WITH LEASE 0.6");
  stage.proxy->must("RESUME");
  stage.proxy->must("PAUSE WITH LEASE 30");
  stage.proxy->must("MOVE TO target");
  Asked held(client, "SELECT name FROM side");
  CHECK_FALSE(held.is_answered_within(milliseconds(1000)));
  CHECK(stage.proxy->is_closed());
  stage.proxy->must("RESUME");
  CHECK(held.get().scalar() == "target");
}

TEST_CASE("proxy_gate: MOVE back before RESUME, and forth again, changes nothing", "[proxy_gate]") {
  Stage stage;
  AppClient client = stage.client();
  client.run({"SET @kept = 5", "CREATE TEMPORARY TABLE gone (id INT)", "DROP TEMPORARY TABLE gone"});
  AppStatement statement(client, "SELECT CONCAT(v, ?) FROM t WHERE id = ?");
  CHECK(statement.execute({"x", "2"}).at(0).at(0) == "6x");
  const auto server_id = stage.proxy->session(client.id())["server_id"];
  stage.proxy->must("PAUSE WITH LEASE 30");
  for (const char* side : {"target", "source", "target", "source"}) stage.proxy->must(std::string("MOVE TO ") + side);
  stage.proxy->must("RESUME");
  CHECK(stage.proxy->session(client.id())["server_id"] == server_id);
  CHECK(side_of(client) == "source");
  CHECK(statement.execute({"y", "2"}).at(0).at(0) == "6y");
  CHECK(client.scalar("SELECT @kept") == "5");
  CHECK(stage.proxy->serving() == "source");
}

TEST_CASE("proxy_gate: a MOVE that fails for one session leaves all where they were, and goes through when that is mended", "[proxy_gate]") {
  Stage stage;
  stage.source.client(Stage::kSchema).execute("CREATE TABLE only_here (id INT)");
  std::vector<std::unique_ptr<AppClient>> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(std::make_unique<AppClient>(stage.proxy->app(Stage::kSchema)));
  AppStatement bound(*clients[3], "SELECT COUNT(*) FROM only_here");
  stage.proxy->must("PAUSE WITH LEASE 30");
  const auto moved = stage.proxy->command("MOVE TO target");
  CHECK(moved.error != 0);
  CHECK_THAT(moved.message, Catch::Contains("statement_not_preparable") && Catch::Contains(std::to_string(clients[3]->id())) && Catch::Contains("only_here"));
  CHECK_THAT(stage.proxy->session(clients[3]->id())["immovable"], Catch::Contains("statement_not_preparable"));
  for (const auto& row : stage.proxy->sessions()) {
    if (row.at("state") != "login") CHECK(row.at("side") == "source");
  }
  SECTION("RESUME: all go on where they were") {
    stage.proxy->must("RESUME");
    for (auto& client : clients) CHECK(side_of(*client) == "source");
    CHECK(bound.execute().at(0).at(0) == "0");
  }
  SECTION("mended, and moved in the same hold") {
    stage.target.client(Stage::kSchema).execute("CREATE TABLE only_here (id INT)");
    stage.proxy->must("MOVE TO target");
    stage.proxy->must("RESUME");
    for (auto& client : clients) CHECK(side_of(*client) == "target");
  }
  SECTION("mended, and moved in the next hold, with nothing said in between") {
    stage.proxy->must("RESUME");
    stage.target.client(Stage::kSchema).execute("CREATE TABLE only_here (id INT)");
    CHECK_NOTHROW(stage.proxy->switch_to("target"));
    for (auto& client : clients) CHECK(side_of(*client) == "target");
    CHECK(bound.execute().at(0).at(0) == "0");
  }
}

TEST_CASE("proxy_gate: a login while paused waits, and comes out on the side that serves then", "[proxy_gate]") {
  Stage stage;
  stage.proxy->must("PAUSE WITH LEASE 30");
  auto login = std::async(std::launch::async, [&] {
    AppClient client = stage.client();
    return side_of(client);
  });
  RawClient::Options options = stage.proxy->raw(Stage::kSchema);
  auto raw_login = std::async(std::launch::async, [&] { return RawClient(options).scalar("SELECT name FROM side"); });
  CHECK(login.wait_for(milliseconds(300)) != std::future_status::ready);
  stage.proxy->must("MOVE TO target");
  CHECK(login.wait_for(milliseconds(100)) != std::future_status::ready);
  stage.proxy->must("RESUME");
  CHECK(login.get() == "target");
  CHECK(raw_login.get() == "target");
  // None of the two servers has counted a login that was broken off.
  for (const Server* server : {&stage.source, &stage.target}) CHECK(server->client().scalar("SELECT COUNT(*) FROM performance_schema.host_cache WHERE SUM_CONNECT_ERRORS > 0") == "0");
}

TEST_CASE("proxy_gate: a login that was half done at PAUSE comes out on the side that serves then", "[proxy_gate]") {
  Stage stage;
  RawClient::Options options = stage.proxy->raw(Stage::kSchema);
  options.plugin = "dialog";
  std::string wanted = "target";
  std::function<void()> meanwhile;
  bool is_paused = true;
  SECTION("moved before it goes on") {
    is_paused = false;
    meanwhile = [&] { stage.proxy->switch_to("target"); };
  }
  SECTION("it goes on while the gate is closed, before MOVE") {
    meanwhile = [&] { stage.proxy->must("PAUSE WITH LEASE 30"); };
  }
  SECTION("it goes on while the gate is closed, after MOVE") {
    meanwhile = [&] {
      stage.proxy->must("PAUSE WITH LEASE 30");
      stage.proxy->must("MOVE TO target");
    };
  }
  SECTION("the lease runs out after MOVE") {
    wanted = "source";
    is_paused = false;
    meanwhile = [&] {
      stage.proxy->must("PAUSE WITH LEASE 1");
      stage.proxy->must("MOVE TO target");
    };
  }
  std::promise<void> went_on;  // the admin's connection is the other thread's until then
  options.before_proof = [&] {
    meanwhile();
    went_on.set_value();
  };
  auto side = std::async(std::launch::async, [&] {
    RawClient client(options);
    return client.scalar("SELECT CONCAT(name, ' ', DATABASE()) FROM side");
  });
  REQUIRE(went_on.get_future().wait_for(seconds(30)) == std::future_status::ready);
  if (is_paused) {
    CHECK(side.wait_for(milliseconds(300)) != std::future_status::ready);
    stage.proxy->must("MOVE TO target");
    stage.proxy->must("RESUME");
  }
  CHECK(side.get() == wanted + " gate");
}

TEST_CASE("proxy_gate: a client that vanishes while paused is not waited for", "[proxy_gate]") {
  Stage stage;
  auto held = std::make_unique<RawClient>(stage.proxy->raw(Stage::kSchema));
  auto idle = std::make_unique<RawClient>(stage.proxy->raw(Stage::kSchema));
  AppClient stays = stage.client();
  stage.proxy->must("PAUSE WITH LEASE 30");
  SECTION("before MOVE") {
    held->send_query("INSERT INTO log (client, n) VALUES (1, 1)");
    std::this_thread::sleep_for(milliseconds(50));
    held->vanish();
    idle->vanish();
    std::this_thread::sleep_for(milliseconds(100));
    stage.proxy->must("MOVE TO target");
  }
  SECTION("after MOVE") {
    held->send_query("INSERT INTO log (client, n) VALUES (1, 1)");
    stage.proxy->must("MOVE TO target");
    held->vanish();
    idle->vanish();
    std::this_thread::sleep_for(milliseconds(100));
  }
  stage.proxy->must("RESUME");
  CHECK(side_of(stays) == "target");
  CHECK(holds_within(seconds(3), [&] { return stage.proxy->stat("sessions") == 1; }));
  // Its connections are gone from both servers.
  for (const Server* server : {&stage.source, &stage.target}) {
    Client there = server->client();
    INFO(server->flavour() << " " << server->port());
    CHECK(holds_within(seconds(3), [&] { return there.scalar("SELECT COUNT(*) <= 1 FROM information_schema.processlist WHERE db = 'gate'") == "1"; }));
  }
}

TEST_CASE("proxy_gate: a drain of no time at all costs nobody anything", "[proxy_gate]") {
  Stage stage;
  std::vector<std::unique_ptr<AppClient>> clients;
  for (int i = 0; i < 12; ++i) clients.push_back(std::make_unique<AppClient>(stage.proxy->app(Stage::kSchema)));
  for (int i = 0; i < 5; ++i) {
    if (stage.proxy->command("PAUSE WITH LEASE 30 DRAIN 0").is_ok()) {
      stage.proxy->must(i % 2 == 0 ? "MOVE TO target" : "MOVE TO source");
      stage.proxy->must("RESUME");
    }
    for (auto& client : clients) CHECK(side_of(*client) == stage.proxy->serving());
  }
}

TEST_CASE("proxy_gate: a held statement runs once, on one side", "[proxy_gate]") {
  Stage stage;
  AppClient client = stage.client();
  stage.proxy->must("PAUSE WITH LEASE 30");
  Asked held(client, "INSERT INTO log (client, n) VALUES (7, 7)");
  CHECK_FALSE(held.is_answered_within(milliseconds(100)));
  stage.proxy->must("MOVE TO target");
  stage.proxy->must("MOVE TO source");
  stage.proxy->must("MOVE TO target");
  stage.proxy->must("RESUME");
  CHECK(held.get().affected_rows == 1);
  CHECK(stage.source.client(Stage::kSchema).scalar("SELECT COUNT(*) FROM log") == "0");
  CHECK(stage.target.client(Stage::kSchema).scalar("SELECT COUNT(*) FROM log") == "1");
}

TEST_CASE("proxy_gate: a command that does not fit the gate is refused by name", "[proxy_gate]") {
  Stage stage;
  for (const char* command : {"RESUME", "MOVE TO target"}) CHECK_THAT(stage.proxy->command(command).message, Catch::Contains("gate_refused"));
  for (const char* command : {"MOVE TO nowhere", "PAUSE DRAIN", "PAUSE WITH LEASE x", "DROP DATABASE gate", "PAUSE DRAIN -1", "MOVE TO"}) {
    INFO(command);
    CHECK_THAT(stage.proxy->command(command).message, Catch::Contains(std::string("GW0002 bad_usage [") + command + "]: the proxy knows no such command => SHOW SESSIONS | ROUTE"));
  }
  CHECK_THAT(stage.proxy->command("").message, Catch::Contains("GW0002 bad_usage [an empty command]: the proxy knows no such command"));
  CHECK_THAT(stage.proxy->command("KILL 99999999").message, Catch::Contains("[99999999]: no session has this id => SHOW SESSIONS"));
  CHECK_FALSE(stage.proxy->is_closed());
  stage.proxy->must("PAUSE WITH LEASE 30");
  CHECK_THAT(stage.proxy->command("PAUSE").message, Catch::Contains("gate_refused"));
  CHECK(stage.proxy->command("MOVE TO source").is_ok());
  stage.proxy->must("RESUME");
}

TEST_CASE("proxy_gate: two admins at once: one command at a time, and the other is told so", "[proxy_gate]") {
  Stage stage;
  AppClient busy = stage.client();
  busy.run({"BEGIN", "SELECT * FROM t LIMIT 1"});
  AppClient one(stage.proxy->admin_login());
  AppClient two(stage.proxy->admin_login());
  Asked waiting(one, "PAUSE WITH LEASE 30 DRAIN 20");
  REQUIRE(holds_within(seconds(5), [&] { return two.rows("SHOW ROUTE").at(0).at(3) == std::optional<std::string>("closed"); }));
  for (const char* command : {"PAUSE", "RESUME", "MOVE TO target"}) {
    INFO(command);
    CHECK_THAT(two.ask(command).message, Catch::Contains("another command is under way"));
  }
  CHECK(two.ask("SHOW SESSIONS").is_ok());
  busy.run({"COMMIT"});
  CHECK(waiting.get().is_ok());
  CHECK(two.ask("MOVE TO target").is_ok());
  CHECK(one.ask("RESUME").is_ok());
  CHECK(side_of(busy) == "target");
}

TEST_CASE("proxy_gate: an admin that vanishes while its PAUSE waits leaves a gate that opens again", "[proxy_gate]") {
  Stage stage;
  AppClient busy = stage.client();
  AppClient idle = stage.client();
  busy.run({"BEGIN", "SELECT * FROM t LIMIT 1"});
  auto options = stage.proxy->raw("");
  options.user = stage.proxy->admin_login().user;
  options.password = stage.proxy->admin_login().password;
  RawClient admin(options);
  admin.send_query("PAUSE WITH LEASE 1 DRAIN 3");
  REQUIRE(holds_within(seconds(5), [&] { return stage.proxy->is_closed(); }));
  admin.vanish();
  Asked held(idle, "SELECT name FROM side");
  busy.run({"COMMIT"});
  CHECK(held.is_answered_within(seconds(8)));
  CHECK(held.get().scalar() == "source");
  CHECK_FALSE(stage.proxy->is_closed());
}
