// servers: a=mariadb-10.11 b=mariadb-10.11
// alone: holds have limits of time
// The gate of `godwit proxy` when something ends: clients that are killed, servers that die, the proxy itself.
#include <signal.h>

#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include "catch.h"
#include "live/support/gate_stage.h"

using namespace godwit::test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;
using Stage = GateStage;

TEST_CASE("proxy_gate_ends: KILL ends a client by the id that SHOW SESSIONS gives it", "[proxy_gate_ends]") {
  Stage stage;
  AppClient one = stage.client();
  AppClient two = stage.client();
  stage.proxy->must("KILL " + std::to_string(one.id()));
  CHECK(one.ask("SELECT 1").error != 0);
  CHECK(side_of(two) == "source");
}

TEST_CASE("proxy_gate_ends: the other side is dead at MOVE, and everything stays", "[proxy_gate_ends]") {
  Stage stage;
  AppClient client = stage.client();
  client.run({"SET @kept = 5"});
  stage.target.kill_server();
  stage.proxy->must("PAUSE WITH LEASE 30");
  Asked held(client, "SELECT name FROM side");
  const auto moved = stage.proxy->command("MOVE TO target");
  CHECK(moved.error != 0);
  CHECK_THAT(moved.message, Catch::Contains("target"));
  CHECK(stage.proxy->command("WARM TO target").error != 0);
  stage.proxy->must("RESUME");
  CHECK(held.get().scalar() == "source");
  CHECK(client.scalar("SELECT @kept") == "5");
  stage.target.restart();
  CHECK_NOTHROW(stage.proxy->switch_to("target"));
  CHECK(side_of(client) == "target");
  CHECK(client.scalar("SELECT @kept") == "5");
}

TEST_CASE("proxy_gate_ends: the old server is killed between MOVE and RESUME, and nobody on the new one notices", "[proxy_gate_ends]") {
  Stage stage;
  std::vector<std::unique_ptr<AppClient>> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<AppClient>(stage.proxy->app(Stage::kSchema)));
    clients.back()->run({"SET @kept = " + std::to_string(i)});
  }
  stage.proxy->must("PAUSE WITH LEASE 60");
  stage.proxy->must("MOVE TO target");
  stage.source.kill_server();
  stage.proxy->must("RESUME");
  for (int i = 0; i < 6; ++i) {
    CHECK(side_of(*clients[static_cast<std::size_t>(i)]) == "target");
    CHECK(clients[static_cast<std::size_t>(i)]->scalar("SELECT @kept") == std::to_string(i));
  }
  AppClient newcomer = stage.client();
  CHECK(side_of(newcomer) == "target");
  stage.source.restart();
  CHECK_NOTHROW(stage.proxy->switch_to("source"));
  CHECK(clients[4]->scalar("SELECT @kept") == "4");
}

TEST_CASE("proxy_gate_ends: the serving server is killed while the gate is closed: its clients end, and the gate still works", "[proxy_gate_ends]") {
  Stage stage;
  AppClient client = stage.client();
  stage.proxy->must("PAUSE WITH LEASE 30");
  stage.source.kill_server();
  stage.proxy->command("MOVE TO target");
  stage.proxy->must("RESUME");
  client.ask("SELECT 1");
  stage.source.restart();
  if (stage.proxy->serving() == "source") CHECK_NOTHROW(stage.proxy->switch_to("target"));
  AppClient newcomer = stage.client();
  CHECK(side_of(newcomer) == "target");
}

TEST_CASE("proxy_gate_ends: WARM beforehand makes the move no different", "[proxy_gate_ends]") {
  Stage stage;
  AppClient client = stage.client();
  client.run({"SET @kept = 5", "SET time_zone = '+03:00'"});
  stage.proxy->must("WARM TO target");
  CHECK(side_of(client) == "source");
  client.run({"SET @kept = 6"});
  SECTION("at once") {}
  SECTION("after the connection made beforehand was killed") {
    Client there = stage.target.client();
    for (const auto& row : there.query("SELECT id FROM information_schema.processlist WHERE command = 'Sleep' AND id <> CONNECTION_ID() AND db IS NULL")) there.execute("KILL " + row[0].value());
    std::this_thread::sleep_for(milliseconds(100));
  }
  CHECK_NOTHROW(stage.proxy->switch_to("target"));
  CHECK(side_of(client) == "target");
  CHECK(client.scalar("SELECT CONCAT(@kept, @@time_zone)") == "6+03:00");
}

TEST_CASE("proxy_gate_ends: SIGTERM lets a transaction end, then closes", "[proxy_gate_ends]") {
  Stage stage({"--shutdown-timeout", "20s"});
  AppClient idle = stage.client();
  AppClient busy = stage.client();
  busy.run({"BEGIN", "UPDATE t SET v = 99 WHERE id = 1"});
  stage.proxy->process().signal(SIGTERM);
  CHECK(holds_within(seconds(3), [&] { return !idle.ask("SELECT 1").is_ok(); }));
  CHECK_THROWS(stage.client());
  CHECK(stage.proxy->process().is_running());
  CHECK(busy.ask("UPDATE t SET v = 100 WHERE id = 1").is_ok());
  CHECK(busy.ask("COMMIT").is_ok());
  CHECK(holds_within(seconds(5), [&] { return !stage.proxy->process().is_running(); }));
  CHECK(stage.proxy->process().wait().status == 0);
  CHECK(stage.source.client(Stage::kSchema).scalar("SELECT v FROM t WHERE id = 1") == "100");
}

TEST_CASE("proxy_gate_ends: SIGTERM ends what does not end by itself when its time is over, held sessions too", "[proxy_gate_ends]") {
  Stage stage({"--shutdown-timeout", "1s"});
  AppClient busy = stage.client();
  AppClient idle = stage.client();
  SECTION("a transaction") { busy.run({"BEGIN", "UPDATE t SET v = 99 WHERE id = 1"}); }
  SECTION("a closed gate") { stage.proxy->must("PAUSE WITH LEASE 60"); }
  stage.proxy->process().signal(SIGTERM);
  CHECK(holds_within(seconds(5), [&] { return !stage.proxy->process().is_running(); }));
  CHECK(stage.proxy->process().wait().status == 0);
  CHECK(busy.ask("SELECT 1").error != 0);
  CHECK(stage.source.client(Stage::kSchema).scalar("SELECT v FROM t WHERE id = 1") == "3");
}

TEST_CASE("proxy_gate_ends: a second proxy on the same port takes over while the first one drains", "[proxy_gate_ends]") {
  Stage stage({"--shutdown-timeout", "20s"});
  AppClient old_client = stage.client();
  old_client.run({"BEGIN", "UPDATE t SET v = 99 WHERE id = 1"});
  Proxy second(stage.source, stage.target, Proxy::Setup{.schema = Stage::kSchema, .port = stage.proxy->port()});
  stage.proxy->process().signal(SIGTERM);
  // From the first one's end of listening on all newcomers are the second one's; before it, either takes them.
  std::this_thread::sleep_for(milliseconds(200));
  std::vector<std::unique_ptr<AppClient>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<AppClient>(second.app(Stage::kSchema)));
  CHECK(stage.proxy->process().is_running());
  CHECK(old_client.ask("COMMIT").is_ok());
  CHECK(holds_within(seconds(5), [&] { return !stage.proxy->process().is_running(); }));
  for (auto& client : clients) CHECK(side_of(*client) == "source");
  CHECK(second.stat("sessions") == 20);
}
