// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7
// WARM of `godwit proxy`: sessions are made on the other side before the gate closes, and go on changing until it does. Whatever they do in between, and whatever
// becomes of the connections that wait there, a session is moved as it is at the end.
#include <functional>
#include <memory>

#include "catch.h"
#include "live/support/proxy.h"

using namespace godwit::test;
using Strings = std::vector<std::string>;

namespace {

const std::string kSchema = "warming";

struct Pair {
  const char* name;
  const char* from;
  const char* to;
};
constexpr Pair kPairs[] = {{"MariaDB to MariaDB", "a", "b"}, {"MySQL to MySQL", "c", "d"}, {"MariaDB to MySQL", "a", "c"}, {"MySQL to MariaDB", "c", "a"}};

void prepare_server(const Server& server) {
  Client client = server.client();
  client.script(R"(
DROP DATABASE IF EXISTS warming;
DROP DATABASE IF EXISTS warming_too;
CREATE DATABASE warming CHARACTER SET utf8mb4;
CREATE DATABASE warming_too CHARACTER SET utf8mb4;
CREATE TABLE warming.t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL) ENGINE=InnoDB;
CREATE TABLE warming_too.t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL) ENGINE=InnoDB;
INSERT INTO warming.t (v) VALUES (10), (20), (30);
INSERT INTO warming_too.t (v) VALUES (11), (21), (31);
)");
}

struct Stage {
  Server from;
  Server to;
  SecretFile accounts{"godwit:godwit\n"};
  std::unique_ptr<Proxy> proxy;

  explicit Stage(const Pair& pair) : from(pair.from), to(pair.to) {
    prepare_server(from);
    prepare_server(to);
    proxy = std::make_unique<Proxy>(from, to, Proxy::Setup{.options = {"--accounts", accounts.path()}, .schema = kSchema, .has_tls = !from.is_mariadb() || !to.is_mariadb()});
  }
  AppClient client() const { return AppClient(proxy->app(kSchema)); }
  std::size_t sessions_there() const { return std::stoul(to.client().scalar("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND = 'Sleep'")); }
  // WARM, then what the client does, then the rest of the switch.
  void move(const std::function<void()>& meanwhile = [] {}) {
    proxy->must("WARM TO target");
    meanwhile();
    proxy->switch_to("target");
  }
  bool is_there(AppClient& client) const { return client.scalar("SELECT @@port") == std::to_string(to.port()); }
};

struct Change {
  const char* name;
  Strings before;     // WARM
  Strings meanwhile;
  std::string asked;
  std::string answer;
};

const std::vector<Change>& changes() {
  static const std::vector<Change> all{
      {"nothing", {"SET @a = 'one', @b = 2", "SET time_zone = '+02:00'"}, {}, "SELECT CONCAT(@a, @b, @@time_zone)", "one2+02:00"},
      {"a user variable", {"SET @a = 'one', @b = 2"}, {"SET @a = 'two', @c = 1.50"}, "SELECT CONCAT_WS(',', @a, @b, @c)", "two,2,1.50"},
      {"a user variable to NULL", {"SET @a = 'one'"}, {"SET @a = NULL"}, "SELECT @a IS NULL", "1"},
      {"a system variable", {"SET sql_mode = 'ANSI_QUOTES'"}, {"SET sql_mode = 'PIPES_AS_CONCAT'"}, "SELECT 'a' || 'b'", "ab"},
      {"a system variable back to the server's", {"SET sort_buffer_size = 300000, group_concat_max_len = 99"}, {"SET sort_buffer_size = DEFAULT, group_concat_max_len = DEFAULT"},
       "SELECT @@sort_buffer_size <> 300000 AND @@group_concat_max_len <> 99", "1"},
      {"autocommit, off and on", {"SET autocommit = 0"}, {"SET autocommit = 1"}, "SELECT @@autocommit", "1"},
      {"autocommit off", {}, {"SET autocommit = 0"}, "SELECT @@autocommit", "0"},
      {"character sets", {"SET NAMES latin1"}, {"SET NAMES utf8mb4"}, "SELECT @@character_set_client", "utf8mb4"},
      {"a name that is not ASCII", {"SET @a = 1"}, {"SET @\xC3\xBC = 5"}, "SELECT @\xC3\xBC + @a", "6"},
      {"the schema", {}, {"USE warming_too"}, "SELECT v FROM t WHERE id = 1", "11"},
      {"the last id", {}, {"INSERT INTO t (v) VALUES (1)", "INSERT INTO t (v) VALUES (1)"}, "SELECT LAST_INSERT_ID()", "5"},
      {"a fixed clock that runs again", {"SET timestamp = 1000"}, {"SET timestamp = DEFAULT"}, "SELECT UNIX_TIMESTAMP() > 1000000", "1"},
      {"a text that is prepared", {"PREPARE one FROM 'SELECT 1'"}, {"PREPARE one FROM 'SELECT 2'"}, "EXECUTE one", "2"},
      {"a text that is prepared for the first time", {}, {"PREPARE one FROM 'SELECT 3'"}, "EXECUTE one", "3"},
      {"transactions in between", {"SET @a = 1"}, {"BEGIN", "UPDATE t SET v = v + 1 WHERE id = 1", "COMMIT"}, "SELECT @a", "1"},
  };
  return all;
}

}  // namespace

TEST_CASE("proxy_warm: what a session does after WARM moves with it", "[proxy_warm]") {
  for (const auto& pair : kPairs) {
    for (const auto& change : changes()) {
      DYNAMIC_SECTION(pair.name << ": " << change.name) {
        Stage stage(pair);
        AppClient client = stage.client();
        client.run(change.before);
        stage.move([&] { client.run(change.meanwhile); });
        CHECK(client.scalar(change.asked) == change.answer);
        CHECK(stage.is_there(client));
      }
    }
  }
}

TEST_CASE("proxy_warm: statements that are prepared, closed, and prepared in another schema after WARM", "[proxy_warm]") {
  for (const auto& pair : kPairs) {
    DYNAMIC_SECTION(pair.name) {
      Stage stage(pair);
      AppClient client = stage.client();
      AppStatement kept(client, "SELECT v FROM t WHERE id = ?");
      auto closed = std::make_unique<AppStatement>(client, "SELECT v + 1 FROM t WHERE id = ?");
      std::unique_ptr<AppStatement> added, elsewhere;
      stage.move([&] {
        closed.reset();
        added = std::make_unique<AppStatement>(client, "SELECT v + 2 FROM t WHERE id = ?");
        CHECK(added->execute({"1"}).at(0).at(0) == std::optional<std::string>("12"));
        client.run({"USE warming_too"});
        elsewhere = std::make_unique<AppStatement>(client, "SELECT v + 3 FROM t WHERE id = ?");
        client.run({"USE warming"});
      });
      CHECK(kept.execute({"2"}).at(0).at(0) == std::optional<std::string>("20"));
      CHECK(added->execute({"2"}).at(0).at(0) == std::optional<std::string>("22"));
      CHECK(elsewhere->execute({"2"}).at(0).at(0) == std::optional<std::string>("24"));
      CHECK(client.scalar("SELECT v FROM t WHERE id = 1") == "10");
      CHECK(stage.is_there(client));
    }
  }
}

TEST_CASE("proxy_warm: a session that was reset after WARM has nothing of before", "[proxy_warm]") {
  Stage stage(kPairs[0]);
  AppClient client = stage.client();
  client.run({"SET @a = 1", "SET sql_mode = 'ANSI_QUOTES'"});
  stage.move([&] { REQUIRE(mysql_reset_connection(client.handle()) == 0); });
  CHECK(client.scalar("SELECT CONCAT(@a IS NULL, @@sql_mode LIKE '%ANSI_QUOTES%')") == "10");
  CHECK(stage.is_there(client));
}

TEST_CASE("proxy_warm: connections that have died since WARM are made anew", "[proxy_warm]") {
  Stage stage(kPairs[0]);
  AppClient client = stage.client();
  client.run({"SET @a = 1"});
  stage.move([&] {
    Client admin = stage.to.client();
    for (const auto& row : admin.query("SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Sleep' AND ID <> CONNECTION_ID()")) admin.execute("KILL " + *row.at(0));
  });
  CHECK(client.scalar("SELECT @a") == "1");
  CHECK(stage.is_there(client));
}

// What an earlier WARM has found out of all sessions was taken for the present when the connection that asks was lost in the middle of it.
TEST_CASE("proxy_warm: a user variable set since an earlier WARM is not lost with the proxy's connection to the server", "[proxy_warm]") {
  for (const auto& pair : {kPairs[1], kPairs[3]}) {
    DYNAMIC_SECTION(pair.name) {
      Stage stage(pair);
      AppClient client = stage.client();
      stage.proxy->must("WARM TO target");
      client.run({"SET @late = 'yes'"});
      Client admin = stage.from.client();
      const auto own = "(" + std::to_string(client.id()) + ", CONNECTION_ID())";
      for (const auto& row : admin.query("SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Sleep' AND ID NOT IN " + own)) admin.execute("KILL " + *row.at(0));
      stage.move();
      CHECK(client.scalar("SELECT @late") == "yes");
      CHECK(stage.is_there(client));
    }
  }
}

TEST_CASE("proxy_warm: all is there before the gate closes, and a session that is busy all along moves as well", "[proxy_warm]") {
  Stage stage(kPairs[0]);
  AppClient idle = stage.client();
  AppStatement statement(idle, "SELECT v FROM t WHERE id = ?");
  AppClient open = stage.client();
  open.run({"SET @mine = 'yes'", "BEGIN", "SELECT * FROM t"});
  const auto before = stage.sessions_there();
  stage.move([&] {
    CHECK(stage.sessions_there() >= before + 2);
    open.run({"COMMIT"});
  });
  CHECK(open.scalar("SELECT @mine") == "yes");
  CHECK(statement.execute({"3"}).at(0).at(0) == std::optional<std::string>("30"));
}

TEST_CASE("proxy_warm: what keeps a session where it is is no failure of WARM, and is named", "[proxy_warm]") {
  Stage stage(kPairs[0]);
  AppClient client = stage.client();
  client.run({"CREATE TEMPORARY TABLE mine (id INT)"});
  stage.proxy->must("WARM TO target");
  CHECK(stage.proxy->session(client.id())["immovable"].find("temporary_table") != std::string::npos);
  client.run({"DROP TEMPORARY TABLE mine"});
  stage.proxy->switch_to("target");
  CHECK(stage.is_there(client));
}

// The pull takes the warnings from the server; the client must not notice.
TEST_CASE("proxy_warm: a client's warnings and row counts are answered after WARM", "[proxy_warm]") {
  Stage stage(kPairs[0]);
  AppClient client = stage.client();
  client.run({"UPDATE t SET v = v + 1 WHERE id < 3"});
  stage.proxy->must("WARM TO target");
  CHECK(client.scalar("SELECT ROW_COUNT()") == "2");
  client.run({"SELECT CAST('x' AS SIGNED)"});
  stage.proxy->must("WARM TO target");
  CHECK(client.scalar("SELECT @@warning_count") == "1");
  CHECK(client.rows("SHOW WARNINGS").size() == 1);
}

TEST_CASE("warm: what logs an account in on the other side is found out later where it could not be at first, and anew where it was taken away", "[proxy_warm]") {
  const Server from("a");
  const Server to("c");
  for (const Server* server : {&from, &to}) {
    prepare_server(*server);
    server->client().script("DROP USER IF EXISTS late@'%';\nCREATE USER late@'%' IDENTIFIED BY 'late';\nGRANT ALL ON warming.* TO late@'%';\n");
  }
  Proxy proxy(from, to, {.options = {"--delegate-auth"}, .schema = kSchema});
  const auto log_in = [&] { return std::make_unique<AppClient>(AppClient::Options{.port = proxy.port(), .user = "late", .password = "late", .schema = kSchema}); };
  to.kill_server();
  auto first = log_in();  // what it says of itself is of no use to MySQL, which cannot be asked
  CHECK(first->scalar("SELECT @@port") == std::to_string(from.port()));
  to.restart();
  proxy.must("WARM TO target");
  proxy.switch_to("target");
  CHECK(first->scalar("SELECT @@port") == std::to_string(to.port()));
  proxy.switch_to("source");

  CHECK(to.client().scalar("SELECT COUNT(*) FROM mysql.user WHERE user = 'late' AND JSON_EXTRACT(User_attributes, '$.additional_password') IS NOT NULL") == "1");
  {  // another proxy gives it the same, and finds it there
    Proxy another(from, to, {.options = {"--delegate-auth"}, .schema = kSchema});
    AppClient client({.port = another.port(), .user = "late", .password = "late", .schema = kSchema});
    another.switch_to("target");
    CHECK(client.scalar("SELECT @@port") == std::to_string(to.port()));
  }
  to.client().execute("ALTER USER late@'%' DISCARD OLD PASSWORD");
  auto second = log_in();
  const auto refused = proxy.command("WARM TO target");
  CHECK_FALSE(refused.is_ok());
  CHECK_THAT(refused.message, Catch::Contains("Access denied"));
  proxy.must("WARM TO target");
  proxy.switch_to("target");
  CHECK(second->scalar("SELECT @@port") == std::to_string(to.port()));
}

TEST_CASE("proxy_warm: an account of which nothing is known by which it could log in on the other side is named", "[proxy_warm]") {
  const Server from("c");
  const Server to("d");
  for (const Server* server : {&from, &to}) {
    prepare_server(*server);
    server->client().script("DROP USER IF EXISTS silent@'%';\nCREATE USER silent@'%' IDENTIFIED BY 'silent';\nGRANT ALL ON warming.* TO silent@'%';\n");
  }
  AppClient({.port = from.port(), .user = "silent", .password = "silent", .has_tls = true});  // from now on its server is content with less than the password
  Proxy proxy(from, to, {.options = {"--no-tls"}, .schema = kSchema});
  AppClient client({.port = proxy.port(), .user = "silent", .password = "silent", .schema = kSchema});
  const auto warmed = proxy.command("WARM TO target");
  CHECK_THAT(warmed.message, Catch::Contains("session_immovable") && Catch::Contains("GW1006") && Catch::Contains("no secret of the account is known => SHOW ACCOUNTS"));
  CHECK(client.scalar("SELECT @@port") == std::to_string(from.port()));
}
