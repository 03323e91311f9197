// servers: a=mariadb-10.11 b=mariadb-10.11
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
#include "live/support/proxy.h"

using namespace godwit::test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;
using Clock = std::chrono::steady_clock;

namespace {

const std::string kSchema = "gate";

void prepare_server(const Server& server, const std::string& name) {
  Client client = server.client();
  client.script(R"(
DROP DATABASE IF EXISTS gate;
CREATE DATABASE gate CHARACTER SET utf8mb4;
USE gate;
CREATE TABLE gate.side (name VARCHAR(10));
CREATE TABLE gate.t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL) ENGINE=InnoDB;
CREATE TABLE gate.log (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, client INT NOT NULL, n INT NOT NULL) ENGINE=InnoDB;
CREATE TABLE gate.words (id INT NOT NULL PRIMARY KEY, word VARCHAR(20) NOT NULL) ENGINE=InnoDB;
INSERT INTO gate.t SELECT seq, seq * 3 FROM seq_1_to_1000;
INSERT INTO gate.words SELECT seq, CONCAT('word ', seq) FROM seq_1_to_1000;
)");
  client.execute("INSERT INTO gate.side VALUES ('" + name + "')");
}

struct Stage {
  Server source{"a"};
  Server target{"b"};
  std::unique_ptr<Proxy> proxy;

  explicit Stage(const Strings& options = {}) {
    prepare_server(source, "source");
    prepare_server(target, "target");
    proxy = std::make_unique<Proxy>(source, target, Proxy::Setup{.options = options, .schema = kSchema});
  }
  AppClient client() const { return AppClient(proxy->app(kSchema)); }
};

std::string side_of(AppClient& client) { return client.scalar("SELECT name FROM gate.side"); }

// A statement under way in a thread of its own.
class Asked {
 public:
  Asked(AppClient& client, std::string sql) : answer_(std::async(std::launch::async, [&client, sql = std::move(sql)] { return client.ask(sql); })) {}
  bool is_answered_within(milliseconds limit) { return answer_.wait_for(limit) == std::future_status::ready; }
  AppAnswer get() { return answer_.get(); }

 private:
  std::future<AppAnswer> answer_;
};

bool holds_within(milliseconds limit, const std::function<bool()>& holds) {
  const auto end = Clock::now() + limit;
  while (!holds()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return true;
}

}  // namespace

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
  CHECK(stage.source.client(kSchema).scalar("SELECT v FROM t WHERE id = 1") == "77");
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
  CHECK(sleeping.get().error != 0);
  // What it had changed is undone, and its locks are free: its server has heard of its end.
  Client there = stage.source.client(kSchema);
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
  stage.source.client(kSchema).execute("CREATE TABLE only_here (id INT)");
  std::vector<std::unique_ptr<AppClient>> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(std::make_unique<AppClient>(stage.proxy->app(kSchema)));
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
    stage.target.client(kSchema).execute("CREATE TABLE only_here (id INT)");
    stage.proxy->must("MOVE TO target");
    stage.proxy->must("RESUME");
    for (auto& client : clients) CHECK(side_of(*client) == "target");
  }
  SECTION("mended, and moved in the next hold, with nothing said in between") {
    stage.proxy->must("RESUME");
    stage.target.client(kSchema).execute("CREATE TABLE only_here (id INT)");
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
  RawClient::Options options = stage.proxy->raw(kSchema);
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
  RawClient::Options options = stage.proxy->raw(kSchema);
  options.plugin = "dialog";
  std::string wanted = "target";
  SECTION("moved before it goes on") {
    options.before_proof = [&] { stage.proxy->switch_to("target"); };
  }
  SECTION("it goes on while the gate is closed, before MOVE") {
    options.before_proof = [&] { stage.proxy->must("PAUSE WITH LEASE 30"); };
  }
  SECTION("it goes on while the gate is closed, after MOVE") {
    options.before_proof = [&] {
      stage.proxy->must("PAUSE WITH LEASE 30");
      stage.proxy->must("MOVE TO target");
    };
  }
  SECTION("the lease runs out after MOVE") {
    wanted = "source";
    options.before_proof = [&] {
      stage.proxy->must("PAUSE WITH LEASE 1");
      stage.proxy->must("MOVE TO target");
    };
  }
  auto side = std::async(std::launch::async, [&] {
    RawClient client(options);
    return client.scalar("SELECT CONCAT(name, ' ', DATABASE()) FROM side");
  });
  if (side.wait_for(milliseconds(600)) != std::future_status::ready && wanted == "target") {
    stage.proxy->must("MOVE TO target");
    stage.proxy->must("RESUME");
  }
  CHECK(side.get() == wanted + " gate");
}

TEST_CASE("proxy_gate: a client that vanishes while paused is not waited for", "[proxy_gate]") {
  Stage stage;
  auto held = std::make_unique<RawClient>(stage.proxy->raw(kSchema));
  auto idle = std::make_unique<RawClient>(stage.proxy->raw(kSchema));
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
  for (int i = 0; i < 12; ++i) clients.push_back(std::make_unique<AppClient>(stage.proxy->app(kSchema)));
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
  CHECK(stage.source.client(kSchema).scalar("SELECT COUNT(*) FROM log") == "0");
  CHECK(stage.target.client(kSchema).scalar("SELECT COUNT(*) FROM log") == "1");
}

TEST_CASE("proxy_gate: a command that does not fit the gate is refused by name", "[proxy_gate]") {
  Stage stage;
  for (const char* command : {"RESUME", "MOVE TO target"}) CHECK_THAT(stage.proxy->command(command).message, Catch::Contains("gate_refused"));
  for (const char* command : {"MOVE TO nowhere", "PAUSE DRAIN", "PAUSE WITH LEASE x", "DROP DATABASE gate", "KILL 99999999", "PAUSE DRAIN -1", "MOVE TO"}) {
    INFO(command);
    CHECK(stage.proxy->command(command).error != 0);
  }
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

TEST_CASE("proxy_gate: KILL ends a client by the id that SHOW SESSIONS gives it", "[proxy_gate]") {
  Stage stage;
  AppClient one = stage.client();
  AppClient two = stage.client();
  stage.proxy->must("KILL " + std::to_string(one.id()));
  CHECK(one.ask("SELECT 1").error != 0);
  CHECK(side_of(two) == "source");
}

TEST_CASE("proxy_gate: the other side is dead at MOVE, and everything stays", "[proxy_gate]") {
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

TEST_CASE("proxy_gate: the old server is killed between MOVE and RESUME, and nobody on the new one notices", "[proxy_gate]") {
  Stage stage;
  std::vector<std::unique_ptr<AppClient>> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<AppClient>(stage.proxy->app(kSchema)));
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

TEST_CASE("proxy_gate: the serving server is killed while the gate is closed: its clients end, and the gate still works", "[proxy_gate]") {
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

TEST_CASE("proxy_gate: WARM beforehand makes the move no different", "[proxy_gate]") {
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

TEST_CASE("proxy_gate: SIGTERM lets a transaction end, then closes", "[proxy_gate]") {
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
  CHECK(stage.source.client(kSchema).scalar("SELECT v FROM t WHERE id = 1") == "100");
}

TEST_CASE("proxy_gate: SIGTERM ends what does not end by itself when its time is over, held sessions too", "[proxy_gate]") {
  Stage stage({"--shutdown-timeout", "1s"});
  AppClient busy = stage.client();
  AppClient idle = stage.client();
  SECTION("a transaction") { busy.run({"BEGIN", "UPDATE t SET v = 99 WHERE id = 1"}); }
  SECTION("a closed gate") { stage.proxy->must("PAUSE WITH LEASE 60"); }
  stage.proxy->process().signal(SIGTERM);
  CHECK(holds_within(seconds(5), [&] { return !stage.proxy->process().is_running(); }));
  CHECK(stage.proxy->process().wait().status == 0);
  CHECK(busy.ask("SELECT 1").error != 0);
  CHECK(stage.source.client(kSchema).scalar("SELECT v FROM t WHERE id = 1") == "3");
}

TEST_CASE("proxy_gate: a second proxy on the same port takes over while the first one drains", "[proxy_gate]") {
  Stage stage({"--shutdown-timeout", "20s"});
  AppClient old_client = stage.client();
  old_client.run({"BEGIN", "UPDATE t SET v = 99 WHERE id = 1"});
  Proxy second(stage.source, stage.target, Proxy::Setup{.schema = kSchema, .port = stage.proxy->port()});
  stage.proxy->process().signal(SIGTERM);
  // From the first one's end of listening on all newcomers are the second one's; before it, either takes them.
  std::this_thread::sleep_for(milliseconds(200));
  std::vector<std::unique_ptr<AppClient>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<AppClient>(second.app(kSchema)));
  CHECK(stage.proxy->process().is_running());
  CHECK(old_client.ask("COMMIT").is_ok());
  CHECK(holds_within(seconds(5), [&] { return !stage.proxy->process().is_running(); }));
  for (auto& client : clients) CHECK(side_of(*client) == "source");
  CHECK(second.stat("sessions") == 20);
}

// --- many, busy ----------------------------------------------------------------------------------------------------

namespace {

constexpr int kClients = 64;
constexpr int kStatements = 5;
constexpr int kMoves = 20;

struct Tally {
  std::mutex mutex;
  Strings errors;
  std::vector<double> gaps_ms;
  std::uint64_t statements = 0;
};

// Both sides give the same answers, and each row that is written is this client's own.
class BusyClient {
 public:
  BusyClient(const AppClient::Options& options, int number, Tally& tally, const std::atomic<bool>& is_ending)
      : number_(number), tally_(tally), is_ending_(is_ending), thread_([this, options] { run(options); }) {}
  ~BusyClient() { thread_.join(); }

 private:
  void run(const AppClient::Options& options) {
    try {
      AppClient client(options);
      client.run({"SET @me = " + std::to_string(number_), "SET SESSION sql_select_limit = 500"});
      const Strings texts{"SELECT v FROM t WHERE id = ?", "SELECT word FROM words WHERE id = ?", "SELECT t.v + CHAR_LENGTH(w.word) FROM t JOIN words w USING (id) WHERE id = ?",
                          "INSERT INTO log (client, n) VALUES (?, ?)", "SELECT COUNT(*) FROM log WHERE client = ? AND n = ?"};
      std::vector<std::unique_ptr<AppStatement>> statements;
      for (const auto& text : texts) statements.push_back(std::make_unique<AppStatement>(client, text));
      last_ = Clock::now();
      for (int turn = 0; !is_ending_; ++turn) work(client, statements, turn);
    } catch (const std::exception& error) {
      note(error.what());
    }
    const std::lock_guard lock(tally_.mutex);
    tally_.gaps_ms.push_back(longest_gap_ms_);
    tally_.statements += answered_;
  }

  void work(AppClient& client, std::vector<std::unique_ptr<AppStatement>>& statements, int turn) {
    const int id = (number_ * 131 + turn * 17) % 1000 + 1;
    const std::string key = std::to_string(id);
    const std::string word = "word " + key;
    wants(statements[0]->execute({key}), std::to_string(id * 3));
    wants(statements[1]->execute({key}), word);
    if (turn % 3 == 0) transact(client, statements, turn);
    wants(statements[2]->execute({key}), std::to_string(id * 3 + static_cast<int>(word.size())));
    wants(client.rows("SELECT CONCAT(@me, ' ', @@sql_select_limit)"), std::to_string(number_) + " 500");
    if (turn % 16 == number_ % 16) std::this_thread::sleep_for(milliseconds(turn % 7));
  }

  void transact(AppClient& client, std::vector<std::unique_ptr<AppStatement>>& statements, int turn) {
    const std::string me = std::to_string(number_);
    const std::string n = std::to_string(turn);
    client.run({"BEGIN"});
    statements[3]->execute({me, n});
    answered();
    const auto id = client.scalar("SELECT LAST_INSERT_ID()");
    wants(client.rows("SELECT CONCAT(client, ' ', n) FROM log WHERE id = " + id), me + " " + n);
    wants(statements[4]->execute({me, n}), "1");
    client.run({turn % 6 == 0 ? "ROLLBACK" : "COMMIT"});
    answered();
  }

  void wants(const std::vector<Cells>& rows, const std::string& value) {
    answered();
    if (rows.size() != 1 || rows[0][0] != value) note("wanted " + value + ", got " + to_string(rows));
  }

  void answered() {
    const auto now = Clock::now();
    longest_gap_ms_ = std::max(longest_gap_ms_, std::chrono::duration<double, std::milli>(now - last_).count());
    last_ = now;
    ++answered_;
  }

  void note(const std::string& error) {
    const std::lock_guard lock(tally_.mutex);
    if (tally_.errors.size() < 20) tally_.errors.push_back("client " + std::to_string(number_) + ": " + error);
  }

  int number_;
  Tally& tally_;
  const std::atomic<bool>& is_ending_;
  Clock::time_point last_;
  double longest_gap_ms_ = 0;
  std::uint64_t answered_ = 0;
  std::thread thread_;
};

}  // namespace

TEST_CASE("proxy_gate: 64 busy clients are moved back and forth 20 times, and get no error and no wrong answer", "[proxy_gate]") {
  Stage stage({"--drain-timeout", "20s"});
  Tally tally;
  std::atomic<bool> is_ending{false};
  std::vector<double> holds_ms;
  {
    std::vector<std::unique_ptr<BusyClient>> clients;
    for (int i = 0; i < kClients; ++i) clients.push_back(std::make_unique<BusyClient>(stage.proxy->app(kSchema), i, tally, is_ending));
    CHECK(holds_within(seconds(30), [&] { return stage.proxy->stat("sessions") == kClients; }));
    for (int i = 0; i < kMoves; ++i) {
      std::this_thread::sleep_for(milliseconds(150));
      const std::string side = i % 2 == 0 ? "target" : "source";
      CHECK(stage.proxy->command("WARM TO " + side).is_ok());
      CHECK_NOTHROW(stage.proxy->switch_to(side));
      holds_ms.push_back(static_cast<double>(stage.proxy->stat("hold_us_last")) / 1000);
    }
    std::this_thread::sleep_for(milliseconds(150));
    is_ending = true;
  }
  for (const auto& error : tally.errors) FAIL_CHECK(error);
  REQUIRE(tally.gaps_ms.size() == kClients);
  std::sort(tally.gaps_ms.begin(), tally.gaps_ms.end());
  std::sort(holds_ms.begin(), holds_ms.end());
  std::cout << "proxy_gate: " << kClients << " clients × " << kStatements << " prepared statements, " << kMoves << " moves, " << tally.statements << " statements answered; longest gap of a client: median "
            << tally.gaps_ms[kClients / 2] << " ms, most " << tally.gaps_ms.back() << " ms; gate closed: median " << holds_ms[kMoves / 2] << " ms, most " << holds_ms.back() << " ms\n";
  CHECK(tally.statements > 2000);
  // Each insert that was committed is on exactly one side, and none that was rolled back on any.
  std::uint64_t rows = 0;
  for (const Server* server : {&stage.source, &stage.target}) {
    Client there = server->client(kSchema);
    rows += std::stoull(there.scalar("SELECT COUNT(*) FROM log"));
    CHECK(there.scalar("SELECT COUNT(*) FROM log WHERE n % 6 = 0") == "0");
    CHECK(there.scalar("SELECT COUNT(*) FROM (SELECT client, n FROM log GROUP BY client, n HAVING COUNT(*) > 1) twice") == "0");
  }
  CHECK(rows > 100);
}
