// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7
// The rest of what proxies are known to have got wrong (proxy_regression_test.cpp): commands that are more than a statement, clients that come and go, and
// switches one after the other.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "catch.h"
#include "live/support/moved_stage.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;
using Stage = MovedStage;

namespace {

const std::string kSide = Stage::kSide;

struct TemporaryFile {
  std::string path = "/tmp/godwit-test-XXXXXX";
  explicit TemporaryFile(const std::string& text) {
    const int file = ::mkstemp(path.data());
    if (file >= 0) ::close(file);
    std::ofstream(path) << text;
  }
  ~TemporaryFile() { ::unlink(path.c_str()); }
};

}  // namespace

TEST_CASE("proxy_regression_commands: COMMIT AND CHAIN loop", "[proxy_regression_commands]") {
  on_each_flavour([](Stage& stage) {
    AppClient client(stage.login());
    std::atomic<bool> is_ending{false};
    std::atomic<int> errors{0};
    std::atomic<int> committed{0};
    client.run({"BEGIN"});
    std::thread loop([&] {
      while (!is_ending) {
        if (!client.ask("INSERT INTO log (v) VALUES ('chain')").is_ok()) ++errors;
        if (!client.ask("COMMIT AND CHAIN").is_ok()) ++errors;
        ++committed;
      }
      if (!client.ask("COMMIT").is_ok()) ++errors;
    });
    // There is no moment outside of a transaction: it is named, or moved between two of them; nothing is lost either way.
    const auto paused = stage.proxy.command("PAUSE WITH LEASE 30 DRAIN 1");
    if (paused.is_ok()) {
      CHECK(stage.proxy.command("MOVE TO target").is_ok());
      stage.proxy.must("RESUME");
    } else {
      CHECK_THAT(paused.message, Catch::Contains("transaction") && Catch::Contains(std::to_string(client.id())));
    }
    is_ending = true;
    loop.join();
    CHECK(errors == 0);
    const auto rows = [](const Server& server) { return std::stoi(server.client(Stage::kSchema).scalar("SELECT COUNT(*) FROM log WHERE v = 'chain'")); };
    CHECK(rows(stage.from) + rows(stage.to) == committed);
    if (stage.proxy.serving() == "source") CHECK_NOTHROW(stage.proxy.switch_to("target"));
    CHECK(client.scalar(kSide) == "target");
  });
}

TEST_CASE("proxy_regression_commands: KILL QUERY by old id", "[proxy_regression_commands]") {
  on_each_flavour([](Stage& stage) {
    AppClient sleeper(stage.login());
    AppClient killer(stage.login());
    RawClient raw_killer(stage.raw());
    const auto id = std::to_string(sleeper.id());
    CHECK(sleeper.scalar("SELECT CONNECTION_ID()") == id);
    for (const auto& side : Strings{"target", "source"}) {
      // Others take the numbers on the other server, so that the same one means somebody else there.
      Client stranger = (side == "target" ? stage.to : stage.from).client();
      stage.proxy.switch_to(side);
      Asked sleeping(sleeper, "SELECT SLEEP(30), name FROM side");
      Client admin = (side == "target" ? stage.to : stage.from).client();
      const auto is_asleep = [&] { return admin.scalar("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP(30)%'") == "1"; };
      REQUIRE(holds_within(seconds(10), is_asleep));
      CHECK(killer.ask("kill /* it */ query " + id).is_ok());
      REQUIRE(sleeping.is_answered_within(seconds(10)));
      const auto answer = sleeping.get();
      CHECK((answer.error == 1317 || answer.scalar() == "1"));
      CHECK(sleeper.scalar(kSide) == side);
      CHECK(stranger.scalar("SELECT 1") == "1");
    }
    stage.proxy.switch_to("target");
    raw_killer.send("\x0c" + raw::number(sleeper.id(), 4));
    const auto killed = raw_killer.read_answer();
    if (stage.from.is_mariadb()) {
      CHECK(sleeper.ask("SELECT 1").error != 0);
    } else {  // the command is gone from MySQL
      CHECK(killed.error == 1047);
      CHECK(sleeper.ask("SELECT 1").is_ok());
    }
    // A number that nobody has is nobody's.
    CHECK(killer.ask("KILL QUERY 4000000000").error == 1094);
  });
}

// A session goes to the other server after each of its statements; its next one waits in the proxy meanwhile, and the KILL comes at any moment of that.
TEST_CASE("proxy_regression_commands: KILL QUERY that meets a move", "[proxy_regression_commands]") {
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("c", "d")}) {
    Stage stage(from, to, {"--move-always"});
    RawClient sleeper(stage.raw());
    AppClient killer(stage.login());
    const auto id = std::to_string(sleeper.connection_id());
    for (int i = 0; i < 60; ++i) {
      INFO(from << " " << i);
      REQUIRE(sleeper.ask("SET @round = " + std::to_string(i)).error == 0);  // and from here on it moves
      if (i % 2 == 0) REQUIRE(killer.ask("DO 0").is_ok());
      sleeper.send_query("SELECT SLEEP(20) = 0 AND @round >= 0");
      std::this_thread::sleep_for(milliseconds(2 + i % 20));
      REQUIRE(killer.ask("KILL QUERY " + id).is_ok());
      REQUIRE(sleeper.has_answer_within(seconds(5)));
      const auto answer = sleeper.read_answer();
      CHECK((answer.error == 1317 || answer.scalar() == "0"));
      CHECK(sleeper.scalar("SELECT @round") == std::to_string(i));
    }
    CHECK(killer.ask("KILL CONNECTION " + id).is_ok());
    CHECK(sleeper.has_ended_within(seconds(5)));
    CHECK(holds_within(seconds(5), [&] { return killer.ask("KILL QUERY " + id).error == 1094; }));
    CHECK(stage.proxy.stat("moves") > 60);
  }
}

TEST_CASE("proxy_regression_commands: CHANGE_USER", "[proxy_regression_commands]") {
  on_each_flavour([](Stage& stage) {
    AppClient client(stage.login());
    for (const Server* server : {&stage.from, &stage.to}) {
      server->client().execute("CREATE USER IF NOT EXISTS changed@'%' IDENTIFIED BY ''");
      server->client().execute("GRANT SELECT ON moved.* TO changed@'%'");
    }
    AppStatement statement(client, "SELECT v FROM t WHERE id = ?");
    client.run({"SET @kept = 1", "SET sql_mode = ''", "CREATE TEMPORARY TABLE mine (id INT)"});
    REQUIRE(mysql_change_user(client.handle(), "changed", "", "moved") == 0);
    CHECK(client.scalar("SELECT @kept") == "NULL");
    CHECK(client.scalar("SELECT CURRENT_USER()") == "changed@%");
    CHECK_NOTHROW(stage.proxy.switch_to("target"));
    CHECK(client.scalar("SELECT CONCAT(CURRENT_USER(), ' ', DATABASE(), ' ', (SELECT name FROM side))") == "changed@% moved target");
    CHECK(client.scalar("SELECT @@sql_mode <> ''") == "1");
    // And after a move, when the server's salt is another one than the client was greeted with.
    REQUIRE(mysql_change_user(client.handle(), "mover", "", "moved") == 0);
    CHECK(client.scalar("SELECT CURRENT_USER()") == "mover@%");
    CHECK(client.ask("CREATE TEMPORARY TABLE mine (id INT)").is_ok());
    CHECK_THAT(stage.refusal(), Catch::Contains("temporary_table"));
    CHECK(mysql_change_user(client.handle(), "nobody", "wrong", "moved") != 0);
    AppClient newcomer(stage.login());
    CHECK_NOTHROW(stage.proxy.switch_to("source"));
    CHECK(newcomer.scalar(kSide) == "source");
  });
}

TEST_CASE("proxy_regression_commands: RESET_CONNECTION", "[proxy_regression_commands]") {
  on_each_flavour([](Stage& stage) {
    RawClient client(stage.raw());
    const auto statement = client.prepare("SELECT 1");
    for (const char* sql : {"SET @kept = 1", "SET sql_mode = ''", "DO GET_LOCK('x', 1)", "PREPARE p FROM 'SELECT 1'", "CREATE TEMPORARY TABLE mine (id INT)", "SET autocommit = 0", "INSERT INTO log (v) VALUES ('undone')"}) client.ask(sql);
    client.send("\x1f");
    CHECK(client.read_answer().error == 0);
    CHECK(client.execute(statement.id, {}).error == 1243);
    CHECK(client.ask("EXECUTE p").error == 1243);
    CHECK_NOTHROW(stage.proxy.switch_to("target"));
    CHECK(client.scalar("SELECT CONCAT(@@autocommit + 0, @@sql_mode <> '', @kept IS NULL, DATABASE())") == "111moved");
    CHECK(client.execute(statement.id, {}).error == 1243);
    CHECK(stage.from.client(Stage::kSchema).scalar("SELECT COUNT(*) FROM log") == "0");
    // A reset while held is done by the new side.
    client.ask("SET @kept = 2");
    stage.proxy.must("PAUSE WITH LEASE 30");
    client.send("\x1f");
    CHECK_FALSE(client.has_answer_within(milliseconds(100)));
    stage.proxy.must("MOVE TO source");
    stage.proxy.must("RESUME");
    CHECK(client.read_answer().error == 0);
    CHECK(client.scalar("SELECT @kept IS NULL") == "1");
    CHECK(client.scalar(kSide) == "source");
  });
}

TEST_CASE("proxy_regression_commands: LOCAL INFILE", "[proxy_regression_commands]") {
  on_each_flavour([](Stage& stage) {
    for (const Server* server : {&stage.from, &stage.to}) server->client().execute("SET GLOBAL local_infile = 1");
    const TemporaryFile file("a\nb\nc\n");
    AppClient client(stage.login());
    const std::string load = "LOAD DATA LOCAL INFILE '" + file.path + "' INTO TABLE log (v)";
    CHECK(client.ask(load).affected_rows == 3);
    auto options = stage.raw();
    options.capabilities |= raw::kLocalFiles;
    RawClient half(options);
    const auto asked = half.ask("LOAD DATA LOCAL INFILE 'anything' INTO TABLE log (v)");
    REQUIRE(asked.is_file_request);
    CHECK(asked.message == "anything");
    half.send("one\ntw", 2);
    CHECK_THAT(stage.refusal(), Catch::Contains(std::to_string(half.connection_id())));
    half.send("o\n", 3);
    half.send("", 4);
    CHECK(half.read_answer().affected_rows == 2);
    // Named while held: the file goes to the new side.
    stage.proxy.must("PAUSE WITH LEASE 30");
    Asked held(client, load);
    stage.proxy.must("MOVE TO target");
    stage.proxy.must("RESUME");
    CHECK(held.get().affected_rows == 3);
    CHECK(stage.from.client(Stage::kSchema).scalar("SELECT COUNT(*) FROM log") == "5");
    CHECK(stage.to.client(Stage::kSchema).scalar("SELECT COUNT(*) FROM log") == "3");
    // The end of a refused one, and a statement behind it.
    const auto refused = half.ask("LOAD DATA LOCAL INFILE 'anything' INTO TABLE missing (v)");
    CHECK(refused.error == 1146);
    CHECK(half.scalar(kSide) == "target");
  });
}

TEST_CASE("proxy_regression_commands: client vanishes while paused", "[proxy_regression_commands]") {
  on_each_flavour([](Stage& stage) {
    AppClient stays(stage.login());
    {
      RawClient held(stage.raw());
      RawClient half(stage.raw());
      RawClient idle(stage.raw());
      stage.proxy.must("PAUSE WITH LEASE 30");
      held.send_query("INSERT INTO log (v) VALUES ('from the dead')");
      half.send_bytes(RawClient::packet(half.query_payload("INSERT INTO log (v) VALUES ('half')")).substr(0, 20));
      std::this_thread::sleep_for(milliseconds(50));
      held.vanish();
      half.vanish();
      idle.vanish();
    }
    std::this_thread::sleep_for(milliseconds(50));
    stage.proxy.must("MOVE TO target");
    stage.proxy.must("RESUME");
    CHECK(stays.scalar(kSide) == "target");
    // What it had said while it was held may be done or not, by the new side alone; what was half said never.
    CHECK(stage.from.client(Stage::kSchema).scalar("SELECT COUNT(*) FROM log") == "0");
    CHECK(stage.to.client(Stage::kSchema).scalar("SELECT COUNT(*) FROM log WHERE v = 'half'") == "0");
    std::this_thread::sleep_for(milliseconds(200));
    CHECK(stage.proxy.stat("sessions") == 1);
  });
}

TEST_CASE("proxy_regression_commands: login while paused", "[proxy_regression_commands]") {
  on_each_flavour([](Stage& stage) {
    stage.proxy.must("PAUSE WITH LEASE 30");
    auto login = std::async(std::launch::async, [&] {
      AppClient client(stage.login());
      return client.scalar(kSide);
    });
    CHECK(login.wait_for(milliseconds(200)) != std::future_status::ready);
    stage.proxy.must("MOVE TO target");
    stage.proxy.must("RESUME");
    CHECK(login.get() == "target");
  });
}

TEST_CASE("proxy_regression_commands: switch -> abort -> resume", "[proxy_regression_commands]") {
  on_each_flavour([](Stage& stage) {
    RawClient client(stage.raw());
    AppClient in_transaction(stage.login());
    const auto statement = client.prepare("SELECT CONCAT(?, name) FROM side");
    client.execute(statement.id, {"a "});
    client.ask("SET @kept = 3");
    client.ask("SELECT CAST('x' AS SIGNED)");
    in_transaction.run({"BEGIN", "UPDATE t SET v = 'mine' WHERE id = 1"});
    CHECK_THAT(stage.refusal(), Catch::Contains("transaction"));
    CHECK(client.ask("SHOW WARNINGS").rows.size() == 1);
    CHECK(client.execute(statement.id, {"b "}, false).scalar() == "b source");
    in_transaction.run({"COMMIT"});
    stage.proxy.must("PAUSE WITH LEASE 30");
    stage.proxy.must("MOVE TO target");
    stage.proxy.must("MOVE TO source");
    stage.proxy.must("RESUME");
    CHECK(client.execute(statement.id, {"c "}, false).scalar() == "c source");
    CHECK(client.scalar("SELECT @kept") == "3");
    CHECK(in_transaction.scalar("SELECT v FROM t WHERE id = 1") == "mine");
    CHECK(stage.proxy.session(client.connection_id())["moves"] == "0");
  });
}

TEST_CASE("proxy_regression_commands: switch -> reverse -> switch", "[proxy_regression_commands]") {
  on_each_flavour([](Stage& stage) {
    AppClient client(stage.login());
    AppStatement statement(client, "SELECT CONCAT(?, name, @n) FROM side");
    client.run({"SET @n = 0, SESSION sql_mode = 'ANSI_QUOTES'", "PREPARE p FROM 'SELECT CONCAT(name, @n) FROM \"side\"'", "SET sql_mode = ''"});
    int n = 0;
    for (const auto& side : Strings{"target", "source", "target", "source"}) {
      stage.proxy.switch_to(side);
      CHECK(statement.execute({"x "}).at(0).at(0) == "x " + side + std::to_string(n));
      CHECK(client.scalar("EXECUTE p") == side + std::to_string(n));
      client.run({"SET @n = " + std::to_string(++n)});
    }
    CHECK(stage.proxy.session(client.id())["moves"] == "4");
  });
}
