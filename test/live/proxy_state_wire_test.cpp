// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7
// What a session is made of (proxy_state_test.cpp), where a table of statements cannot say it: the protocol's own means, and what the wire tells a client of its session.
#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <iostream>
#include <memory>
#include <thread>

#include "catch.h"
#include "live/support/moving_stage.h"

using namespace godwit::test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;
using Stage = MovingStage;

namespace {

const std::string kSchema = Stage::kSchema;

void on_each_pair(const std::function<void(Stage&)>& test) {
  for (const auto& pair : moving_pairs()) {
    DYNAMIC_SECTION(pair.name) {
      Stage stage(pair);
      test(stage);
    }
  }
}

}  // namespace

TEST_CASE("proxy_state_wire: a variable that a function sets, after the session was read once, is not missed", "[proxy_state_wire]") {
  // A client without CLIENT_DEPRECATE_EOF: the server's EOF has no room for what its OK would have told.
  for (const auto capabilities : {raw::kUsual, raw::kUsual | raw::kDeprecateEof, raw::kUsual | raw::kDeprecateEof | raw::kSessionTrack}) {
    for (std::size_t pair = 0; pair < 2; ++pair) {
      DYNAMIC_SECTION(moving_pairs()[pair].name << ", capabilities " << capabilities) {
        Stage stage(moving_pairs()[pair]);
        auto options = stage.proxy->raw(kSchema);
        options.user = "mover";
        options.password = "";
        options.capabilities = capabilities;
        RawClient client(options);
        client.ask("SET join_buffer_size = 262144");
        for (const auto& [side, size] : {std::pair{"target", "524288"}, std::pair{"source", "786432"}}) {
          stage.proxy->must("PAUSE WITH LEASE 30");
          stage.proxy->must("RESUME");
          CHECK(client.scalar(std::string("SELECT set_buffer(") + size + ")") == size);
          CHECK_NOTHROW(stage.proxy->switch_to(side));
          CHECK(client.scalar("SELECT @@join_buffer_size") == size);
        }
      }
    }
  }
}

TEST_CASE("proxy_state_wire: what the client was told of its session is what it would have been told without the proxy", "[proxy_state_wire]") {
  Stage stage(moving_pairs()[0]);
  auto options = stage.proxy->raw(kSchema);
  options.capabilities |= raw::kSessionTrack;
  const auto told = [&](int port) {
    options.port = port;
    RawClient client(options);
    Strings all;
    for (const char* sql : {"SET NAMES latin1", "USE test", "SET @a = 1", "BEGIN", "INSERT INTO moving.other VALUES (900, 1)", "ROLLBACK", "SET sql_mode = ''", "SET TRANSACTION READ ONLY", "SET time_zone = '+01:00'", "DO 1"}) {
      const auto answer = client.ask(sql);
      all.push_back(std::string(sql) + " → " + answer.trackers + " " + answer.message + " " + std::to_string(answer.status) + " " + std::to_string(answer.error));
    }
    return all;
  };
  CHECK(told(stage.proxy->port()) == told(stage.from.port()));
}

TEST_CASE("proxy_state_wire: the handshake's character set", "[proxy_state_wire]") {
  on_each_pair([](Stage& stage) {
    std::vector<std::pair<std::unique_ptr<AppClient>, std::string>> clients;
    for (const char* charset : {"latin1", "utf8mb4", "cp1251"}) {
      auto options = stage.login();
      options.charset = charset;
      auto client = std::make_unique<AppClient>(options);
      auto shown = to_string(client->rows(kCharsets));
      clients.emplace_back(std::move(client), std::move(shown));
    }
    CHECK_NOTHROW(stage.proxy->switch_to("target"));
    for (auto& [client, shown] : clients) CHECK(in_common_words(to_string(client->rows(kCharsets))) == in_common_words(shown));
    CHECK_NOTHROW(stage.proxy->switch_to("source"));
    for (auto& [client, shown] : clients) CHECK(to_string(client->rows(kCharsets)) == shown);
  });
}

TEST_CASE("proxy_state_wire: prepared statements, several statements and bulk executions across flavours", "[proxy_state_wire]") {
  on_each_pair([](Stage& stage) {
    auto options = stage.login();
    options.takes_several_statements = true;
    AppClient client(options);
    AppStatement read(client, "SELECT CONCAT(v, ?) FROM t WHERE id = ?");
    AppStatement write(client, "INSERT INTO other VALUES (?, ?)");
    int id = 1000;
    for (const char* side : {"source", "target", "source"}) {
      if (id != 1000) CHECK_NOTHROW(stage.proxy->switch_to(side));
      INFO(side);
      CHECK(read.execute({"!", "2"}).at(0).at(0) == "two!");
      const auto number = std::to_string(++id);
      write.execute({number, "5"});
      CHECK(client.scalar("SELECT v FROM other WHERE id = " + number) == "5");
      CHECK(to_string(client.rows("SELECT 1; SELECT 2; DO 0; SELECT 3")) == "1 / 2 / 3");
    }
    // The option is part of the session.
    CHECK(mysql_set_server_option(client.handle(), MYSQL_OPTION_MULTI_STATEMENTS_OFF) == 0);
    CHECK_NOTHROW(stage.proxy->switch_to("target"));
    CHECK(client.ask("SELECT 1; SELECT 2").error == 1064);
    CHECK(mysql_set_server_option(client.handle(), MYSQL_OPTION_MULTI_STATEMENTS_ON) == 0);
    CHECK(client.ask("SELECT 1; SELECT 2").is_ok());
    CHECK_NOTHROW(stage.proxy->switch_to("source"));
    CHECK(client.ask("SELECT 1; SELECT 2").is_ok());
  });
}

TEST_CASE("proxy_state_wire: a bulk execution before and after the move", "[proxy_state_wire]") {
  Stage stage(moving_pairs()[0]);
  AppClient client = stage.client();
  AppStatement insert(client, "INSERT INTO other VALUES (?, ?)");
  int first = 2000;
  for (const char* side : {"source", "target", "source"}) {
    if (first != 2000) CHECK_NOTHROW(stage.proxy->switch_to(side));
    unsigned rows = 3;
    int ids[] = {first, first + 1, first + 2};
    int values[] = {7, 8, 9};
    MYSQL_BIND bind[2]{};
    bind[0].buffer_type = bind[1].buffer_type = MYSQL_TYPE_LONG;
    bind[0].buffer = ids;
    bind[1].buffer = values;
    mysql_stmt_attr_set(insert.handle(), STMT_ATTR_ARRAY_SIZE, &rows);
    REQUIRE(mysql_stmt_bind_param(insert.handle(), bind) == 0);
    CHECK(mysql_stmt_execute(insert.handle()) == 0);
    CHECK(client.scalar("SELECT SUM(v) FROM other WHERE id BETWEEN " + std::to_string(first) + " AND " + std::to_string(first + 2)) == "24");
    first += 100;
  }
}

TEST_CASE("proxy_state_wire: compression, TLS and connection attributes are the connection's own, on either side", "[proxy_state_wire]") {
  on_each_pair([](Stage& stage) {
    auto options = stage.login();
    options.attributes = {{"program_name", "gate test"}, {"team", "movers"}};
    options.compression = "zlib";
    AppClient client(options);
    for (const Server* server : {&stage.from, &stage.to}) {
      if (server == &stage.to) CHECK_NOTHROW(stage.proxy->switch_to("target"));
      CHECK(client.scalar("SELECT LENGTH(REPEAT('x', 100000))") == "100000");
      CHECK(client.scalar("SELECT COUNT(*) FROM (SELECT REPEAT(v, 5000) FROM t) x") != "0");
      const auto id = stage.proxy->session(client.id())["server_id"];
      Client there = server->client();
      if (there.scalar("SELECT @@performance_schema") != "1") continue;
      const auto attributes = there.query("SELECT attr_name, attr_value FROM performance_schema.session_account_connect_attrs WHERE attr_name IN ('team', '_client_host', '_proxy') AND processlist_id = " + id);
      const auto all = there.query("SELECT attr_name, attr_value FROM performance_schema.session_connect_attrs WHERE attr_name IN ('team', '_client_host', '_proxy') AND processlist_id = " + id + " ORDER BY 1");
      CHECK(to_string(all) == "_client_host, 127.0.0.1 / _proxy, godwit / team, movers");
    }
  });
}

TEST_CASE("proxy_state_wire: query attributes go to a server that takes them, and are not offered where one does not", "[proxy_state_wire]") {
  on_each_pair([](Stage& stage) {
    auto options = stage.proxy->raw(kSchema);
    options.user = "mover";
    options.password = "";
    options.capabilities |= raw::kQueryAttributes | raw::kDeprecateEof;
    RawClient client(options);
    const bool is_offered = (client.offered() & raw::kQueryAttributes) != 0;
    CHECK(is_offered == (!stage.from.is_mariadb() && !stage.to.is_mariadb()));
    CHECK((client.offered() & raw::kCacheMetadata) == (stage.from.is_mariadb() && stage.to.is_mariadb() ? raw::kCacheMetadata : 0));
    CHECK(client.scalar("SELECT 'text'") == "text");
    CHECK_NOTHROW(stage.proxy->switch_to("target"));
    CHECK(client.scalar("SELECT 'text'") == "text");
    CHECK(client.ask("SHOW WARNINGS").rows.empty());
  });
}

TEST_CASE("proxy_state_wire: the older commands, and what is not for a proxy", "[proxy_state_wire]") {
  on_each_pair([](Stage& stage) {
    auto options = stage.proxy->raw(kSchema);
    options.user = "mover";
    options.password = "";
    RawClient client(options);
    const auto version = client.server_version();
    for (const char* side : {"source", "target"}) {
      stage.proxy->must("PAUSE WITH LEASE 30");
      stage.proxy->must(std::string("MOVE TO ") + side);
      stage.proxy->must("RESUME");
      client.send("\x09");  // STATISTICS: a bare string
      CHECK_THAT(client.read_packet(), Catch::Contains("Uptime"));
      client.send("\x0e");  // PING
      CHECK(client.read_answer().error == 0);
      client.send("\x02test");  // INIT_DB
      CHECK(client.read_answer().error == 0);
      client.send("\x02nowhere at all");
      CHECK(client.read_answer().error == 1049);
      CHECK(client.scalar("SELECT DATABASE()") == "test");
      for (const char* command : {"\x12", "\x15", "\x1e"}) {  // BINLOG_DUMP, REGISTER_REPLICA, BINLOG_DUMP_GTID
        client.send(std::string(command) + std::string(30, '\0'));
        const auto refused = client.read_answer();
        CHECK(refused.error != 0);
        CHECK_THAT(refused.message, Catch::Contains("does not go through the proxy"));
      }
      CHECK(client.scalar("SELECT 1") == "1");
    }
    // Newcomers are greeted by the server that they will be on.
    RawClient newcomer(options);
    CHECK(newcomer.server_version() == RawClient([&] {
                                          auto direct = options;
                                          direct.port = stage.to.port();
                                          return direct;
                                        }()).server_version());
    CHECK(stage.from.is_mariadb() == (version.find("MariaDB") != std::string::npos));
  });
}

TEST_CASE("proxy_state_wire: a statement that is prepared leaves ROW_COUNT(), FOUND_ROWS() and warnings as they are", "[proxy_state_wire]") {
  for (std::size_t pair = 0; pair < 2; ++pair) {
    DYNAMIC_SECTION(moving_pairs()[pair].name) {
      Stage stage(moving_pairs()[pair]);
      auto options = stage.proxy->raw(kSchema);
      options.user = "mover";
      options.password = "";
      RawClient through(options);
      options.port = stage.from.port();
      RawClient direct(options);
      const auto seen = [](RawClient& client, const std::string& before, const std::string& text) {
        client.prepare("SELECT 1");
        client.ask("USE moving");  // whatever statements are prepared in has to be asked for anew
        client.ask(before);
        const auto statement = client.prepare(text);
        return client.execute(statement.id, {}).scalar();
      };
      for (const auto& [before, text] : {std::pair{"UPDATE other SET v = v + 1 WHERE id = 1", "SELECT CONCAT(ROW_COUNT())"}, std::pair{"SELECT SQL_CALC_FOUND_ROWS id FROM t LIMIT 1", "SELECT CONCAT(FOUND_ROWS() > 1)"},
                                         std::pair{"SELECT CAST('x' AS SIGNED)", "SELECT CONCAT(@@warning_count)"}}) {
        INFO(before << " / " << text);
        CHECK(seen(through, before, text) == seen(direct, before, text));
      }
    }
  }
}

TEST_CASE("proxy_state_wire: a password that is changed during the session", "[proxy_state_wire]") {
  for (std::size_t pair = 0; pair < 2; ++pair) {
    DYNAMIC_SECTION(moving_pairs()[pair].name) {
      Stage stage(moving_pairs()[pair]);
      for (const Server* server : {&stage.from, &stage.to}) {
        server->client().execute("DROP USER IF EXISTS renewed@'%'");
        server->client().execute("CREATE USER renewed@'%' IDENTIFIED BY 'old'");
        server->client().execute("GRANT ALL ON moving.* TO renewed@'%'");
      }
      auto options = stage.proxy->app(kSchema);
      options.user = "renewed";
      options.password = "old";
      AppClient client(options);
      // Both sides change it, as a replicated statement would.
      for (const Server* server : {&stage.from, &stage.to}) server->client().execute("ALTER USER renewed@'%' IDENTIFIED BY 'new'");
      const auto paused = stage.proxy->command("PAUSE WITH LEASE 30 DRAIN 0.5");
      const auto moved = paused.is_ok() ? stage.proxy->command("MOVE TO target") : paused;
      if (!moved.is_ok()) CHECK_THAT(moved.message, Catch::Contains("renewed"));
      if (paused.is_ok()) stage.proxy->must("RESUME");
      CHECK(client.scalar("SELECT CURRENT_USER()") == "renewed@%");
      // One login with the new one, and all its sessions can be moved.
      options.password = "new";
      AppClient again(options);
      CHECK_NOTHROW(stage.proxy->switch_to(stage.proxy->serving() == "source" ? "target" : "source"));
      CHECK(client.scalar("SELECT CURRENT_USER()") == "renewed@%");
    }
  }
}
