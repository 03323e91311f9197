// servers: a=mariadb-10.11 c=mysql-9.7
// What the binlog holds and godwit will not guess about (I6): each thing happens once between a row before it and a row after it. The
// stream stops with a code, the object, the words of the statement and a way on; the row after it is not applied, the position is not moved
// past it; and the way on works.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "catch.h"
#include "live/support/compare.h"
#include "live/support/process.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using nlohmann::json;

namespace {

struct Expected {
  std::string code;
  std::string object;
  std::string cause;
  std::string remedy;
};

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void check_refused(const Outcome& outcome, int status, const Expected& expected) {
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == status);
  const json error = json::parse(outcome.out)["error"];
  CHECK(error["code"] == expected.code);
  CHECK(holds(error["object"], expected.object));
  CHECK(holds(error["cause"], expected.cause));
  CHECK(holds(error["remedy"], expected.remedy));
}

class Stage {
 public:
  Stage(const std::string& source_name, const std::string& target_name)
      : source(source_name), target(target_name), migration(source, target, "refuse") {
    migration.clean();
    Client client = source.client();
    client.script(R"(
CREATE DATABASE refuse CHARACTER SET utf8mb4;
CREATE TABLE refuse.item (id INT NOT NULL PRIMARY KEY, v VARCHAR(40), n INT, t MEDIUMTEXT);
CREATE TABLE refuse.loose (a INT, b VARCHAR(40), t TEXT);
CREATE TABLE refuse.twice (name VARCHAR(100) NOT NULL, id INT NOT NULL, n INT, UNIQUE KEY first_key (name), UNIQUE KEY other (id));
INSERT INTO refuse.item VALUES (1, 'one', 1, NULL), (2, 'two', 2, 'text');
INSERT INTO refuse.loose VALUES (1, 'one', NULL), (1, 'one', NULL), (2, NULL, 'text');
INSERT INTO refuse.twice VALUES ('one', 1, 1), ('two', 2, 2);
)");
    copy();
  }
  ~Stage() {
    migration.clean();
    source.client().execute("DROP DATABASE IF EXISTS _godwit");
  }

  void copy() const {
    const Outcome outcome = migration.run("copy", {"--allow-no-key"});
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.status == 0);
  }
  Outcome replicate(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all{"--until-current", "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return migration.run("replicate", all);
  }
  std::string position() const { return target.client().scalar("SELECT position FROM _godwit.stream"); }
  bool has_row(int id) const { return target.client().scalar("SELECT COUNT(*) FROM refuse.item WHERE id = " + std::to_string(id)) == "1"; }
  std::string fault() const {
    Client from = source.client();
    Client to = target.client();
    return difference(from, "refuse", to, "refuse");
  }

  // A row, the thing, a row: the stream stops between the two. Gives the error's object.
  std::string stop_at(const Expected& expected, const std::function<void(Client&)>& thing, const std::vector<std::string>& options = {}) {
    Client client = source.client("refuse");
    client.execute("INSERT INTO item (id, v) VALUES (" + std::to_string(++next_) + ", 'before')");
    {
      Client other = source.client("refuse");
      thing(other);
    }
    client.execute("INSERT INTO item (id, v) VALUES (" + std::to_string(++next_) + ", 'after')");
    const Outcome outcome = replicate(options);
    const std::string position_then = position();
    INFO(outcome.out << outcome.err);
    check_refused(outcome, 3, expected);
    for (const auto& part : {expected.code, expected.object, expected.cause, expected.remedy}) CHECK(holds(outcome.err, part));
    CHECK(has_row(next_ - 1));
    CHECK(!has_row(next_));
    // As often as it is asked: it stays where it is.
    CHECK(replicate(options).status == 3);
    CHECK(!has_row(next_));
    CHECK(position() == position_then);
    CHECK(holds(target.client().scalar("SELECT last_error FROM _godwit.stream"), expected.code));
    return json::parse(outcome.out)["error"]["object"];
  }
  void go_on(const std::vector<std::string>& options) {
    const Outcome outcome = replicate(options);
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    CHECK(has_row(next_));
  }
  // The way on where changes are beyond reach.
  void begin_anew() {
    const Outcome outcome = migration.run("cancel");
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.status == 0);
    copy();
    source.client().execute("INSERT INTO refuse.item (id, v) VALUES (" + std::to_string(++next_) + ", 'anew')");
    go_on({});
    CHECK(fault() == "");
  }

  Server source;
  Server target;
  Migration migration;

 private:
  int next_ = 100;
};

void for_both(const std::function<void(Stage&)>& work) {
  for (const auto& [from, to] : {std::pair("a", "c"), std::pair("c", "a")}) {
    Stage stage(from, to);
    INFO(stage.source.flavour());
    work(stage);
  }
}

std::function<void(Client&)> run(const std::string& sql) {
  return [sql](Client& client) { client.execute(sql); };
}

}  // namespace

TEST_CASE("DDL stops the stream: done by hand and skipped by its GTID, run by --on-ddl exec, or ignored, the stream goes on", "[stream_refusals]") {
  for_both([](Stage& stage) {
    const std::string gtid = stage.stop_at({"GW0804", "", "ALTER TABLE item ADD COLUMN extra INT", "--skip-gtid"}, run("ALTER TABLE item ADD COLUMN extra INT"));
    CHECK(holds(gtid, stage.source.is_mariadb() ? "0-" : ":"));
    stage.target.client("refuse").execute("ALTER TABLE item ADD COLUMN extra INT");
    stage.go_on({"--skip-gtid", gtid});
    CHECK(stage.fault() == "");

    stage.stop_at({"GW0804", "", "ALTER TABLE item ADD COLUMN more INT", "--on-ddl exec"}, run("ALTER TABLE item ADD COLUMN more INT"));
    stage.go_on({"--on-ddl", "exec"});
    CHECK(holds(stage.target.client().query("SHOW CREATE TABLE refuse.item")[0][1].value_or(""), "`more` int"));

    stage.stop_at({"GW0804", "", "CREATE INDEX by_n ON item (n)", "--on-ddl"}, run("CREATE INDEX by_n ON item (n)"));
    stage.go_on({"--on-ddl", "ignore"});
    CHECK(stage.target.client().query("SHOW INDEX FROM refuse.item WHERE Key_name = 'by_n'").empty());

    stage.stop_at({"GW0804", "", "TRUNCATE TABLE loose", "--on-ddl exec"}, run("TRUNCATE TABLE loose"));
    stage.go_on({"--on-ddl", "exec"});
    CHECK(stage.target.client().scalar("SELECT COUNT(*) FROM refuse.loose") == "0");
    CHECK(stage.fault() == "");
  });
}

TEST_CASE("tables that come, go or change their names are not followed, also not by --on-ddl exec", "[stream_refusals]") {
  for_both([](Stage& stage) {
    const Expected created{"GW0804", "", "CREATE TABLE fresh", "--on-ddl ignore"};
    stage.stop_at(created, run("CREATE TABLE fresh (id INT PRIMARY KEY)"));
    CHECK(stage.replicate({"--on-ddl", "exec"}).status == 3);
    CHECK(stage.target.client().query("SHOW TABLES FROM refuse LIKE 'fresh'").empty());
    stage.go_on({"--on-ddl", "ignore"});
    stage.source.client().execute("DROP TABLE refuse.fresh");
    stage.go_on({"--on-ddl", "ignore"});

    // An online schema change, as gh-ost makes it: a table beside it, filled, and the two renamed at once.
    const auto swap = [](Client& client) {
      client.execute("CREATE TABLE _item_gho LIKE item");
      client.execute("ALTER TABLE _item_gho ADD KEY by_v (v)");
      client.execute("INSERT INTO _item_gho SELECT * FROM item");
      client.execute("RENAME TABLE item TO _item_del, _item_gho TO item");
    };
    stage.stop_at({"GW0804", "", "CREATE TABLE _item_gho LIKE item", "online schema change"}, swap, {"--on-ddl", "exec"});
    stage.begin_anew();

    stage.stop_at({"GW0804", "", "RENAME TABLE loose TO looser", ""}, run("RENAME TABLE loose TO looser"), {});
    stage.begin_anew();
    stage.stop_at({"GW0804", "", "DROP TABLE", ""}, run("DROP TABLE looser"), {"--on-ddl", "exec"});
    stage.begin_anew();
  });
}

TEST_CASE("changes logged as statements are refused: INSERT, and LOAD DATA", "[stream_refusals]") {
  for_both([](Stage& stage) {
    const std::string file = std::string(std::getenv("GODWIT_SERVERS_DIR")) + "/rows.txt";
    std::ofstream(file) << "7000\tloaded\n";
    stage.stop_at({"GW0802", "", "UPDATE item SET n = n + 1", "binlog_format = ROW"}, [](Client& client) {
      client.execute("SET SESSION binlog_format = STATEMENT");
      client.execute("UPDATE item SET n = n + 1 WHERE id = 1");
    });
    stage.begin_anew();
    stage.stop_at({"GW0802", "LOAD DATA", "as a statement", "binlog_format = ROW"}, [&](Client& client) {
      client.execute("SET SESSION binlog_format = STATEMENT");
      client.execute("LOAD DATA INFILE '" + file + "' INTO TABLE item (id, v)");
    });
    stage.begin_anew();
  });
}

TEST_CASE("a row image without the key is refused; one that is only partial is not", "[stream_refusals]") {
  for_both([](Stage& stage) {
    {
      Client client = stage.source.client("refuse");
      client.execute("SET SESSION binlog_row_image = MINIMAL");
      client.script(R"(
UPDATE item SET n = 50 WHERE id = 1;
UPDATE item SET id = 30 WHERE id = 2;
INSERT INTO item (id) VALUES (31);
DELETE FROM item WHERE id = 31;
INSERT INTO loose (a) VALUES (5), (6);
UPDATE loose SET b = 'changed' WHERE a = 1;
DELETE FROM loose WHERE a = 5;
UPDATE twice SET n = 5;
SET SESSION binlog_row_image = NOBLOB;
UPDATE item SET n = 51 WHERE id = 30;
UPDATE item SET t = REPEAT('long', 100) WHERE id = 30;
UPDATE loose SET a = 8 WHERE a = 2;
)");
    }
    Outcome outcome = stage.replicate();
    INFO(outcome.out << outcome.err);
    const bool is_other_key = outcome.status == 3;
    if (is_other_key) {
      // The server's image of `twice` has the key that it prefers, godwit's another.
      const json error = json::parse(outcome.out)["error"];
      CHECK(error["code"] == "GW0803");
      CHECK(holds(error["object"], "`twice`"));
      CHECK(holds(error["cause"], "lacks the key column `id`"));
      CHECK(holds(error["remedy"], "binlog_row_image = FULL"));
      CHECK(stage.target.client().scalar("SELECT n FROM refuse.item WHERE id = 1") == "50");
      CHECK(stage.target.client().scalar("SELECT n FROM refuse.item WHERE id = 30") == "2");
    }
    CHECK(is_other_key);
    stage.begin_anew();
    Client client = stage.source.client("refuse");
    client.execute("SET SESSION binlog_row_image = MINIMAL");
    client.execute("UPDATE item SET n = 52 WHERE id = 30");
    client.execute("UPDATE loose SET b = 'again' WHERE a = 8");
    client.execute("SET SESSION binlog_row_image = NOBLOB");
    client.execute("UPDATE loose SET b = 'once more' WHERE a = 8");
    client.execute("DELETE FROM loose WHERE a = 6");
    outcome = stage.replicate();
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    CHECK(stage.fault() == "");
    client.execute("UPDATE item SET n = 53 WHERE id = 30");
    outcome = stage.replicate();
    if (stage.source.is_mariadb()) {
      // It looks as a REPLACE does that gave `t` its default, which this server leaves out.
      CHECK(outcome.status == 3);
      const json error = json::parse(outcome.out)["error"];
      CHECK(error["code"] == "GW0803");
      CHECK(holds(error["object"], "`item`"));
      CHECK(holds(error["cause"], "may be a REPLACE"));
      CHECK(stage.target.client().scalar("SELECT n FROM refuse.item WHERE id = 30") == "52");
      stage.begin_anew();
    } else {
      CHECK(outcome.status == 0);
    }
    CHECK(stage.fault() == "");
  });
}

TEST_CASE("a table that was altered behind the binlog's back no longer fits: the stream stops, and goes on once the target is altered too", "[stream_refusals]") {
  for_both([](Stage& stage) {
    // While it runs, since what it knows of the table is what it read when it began.
    Process process = stage.migration.start("replicate", {"--json"});
    Client client = stage.source.client("refuse");
    client.execute("INSERT INTO item (id, v) VALUES (500, 'before')");
    for (int i = 0; i < 1000 && !stage.has_row(500); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    REQUIRE(stage.has_row(500));
    client.execute("SET SESSION sql_log_bin = 0");
    client.execute("ALTER TABLE item ADD COLUMN hidden INT");
    client.execute("SET SESSION sql_log_bin = 1");
    client.execute("INSERT INTO item (id, v, hidden) VALUES (501, 'after', 7)");
    const Outcome outcome = process.wait(std::chrono::seconds(20));
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 3);
    const json error = json::parse(outcome.out)["error"];
    CHECK(error["code"] == "GW0801");
    CHECK(holds(error["object"], "`item`"));
    CHECK(holds(error["cause"], "with 5 columns, its definition has 4"));
    CHECK(!error["remedy"].get<std::string>().empty());
    CHECK(!stage.has_row(501));
    stage.target.client("refuse").execute("ALTER TABLE item ADD COLUMN hidden INT");
    const Outcome resumed = stage.replicate();
    INFO(resumed.out << resumed.err);
    CHECK(resumed.status == 0);
    CHECK(stage.fault() == "");
  });
}

TEST_CASE("a purged position is never jumped over", "[stream_refusals]") {
  for_both([](Stage& stage) {
    const std::string position = stage.position();
    const bool is_mariadb = stage.source.is_mariadb();
    Client client = stage.source.client("refuse");
    client.execute("INSERT INTO item (id, v) VALUES (600, 'purged')");
    client.execute("FLUSH BINARY LOGS");
    client.execute("INSERT INTO item (id, v) VALUES (601, 'still there')");
    client.execute("FLUSH BINARY LOGS");
    const std::string newest = client.query(is_mariadb ? "SHOW MASTER STATUS" : "SHOW BINARY LOG STATUS")[0][0].value();
    // A file that a reader of a moment ago still holds open is left alone.
    for (int i = 0; i < 200 && client.query("SHOW BINARY LOGS").size() > 1; ++i) {
      client.execute("PURGE BINARY LOGS TO '" + newest + "'");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    REQUIRE(client.query("SHOW BINARY LOGS").size() == 1);
    client.execute("INSERT INTO item (id, v) VALUES (602, 'after')");
    Outcome outcome = stage.replicate();
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 3);
    CHECK(json::parse(outcome.out)["error"]["code"] == "GW0702");
    CHECK(holds(json::parse(outcome.out)["error"]["remedy"], "copy anew"));
    CHECK(stage.position() == position);
    for (const int id : {600, 601, 602}) CHECK(!stage.has_row(id));
    stage.begin_anew();

    // A server that has forgotten its history altogether.
    const std::string before = stage.position();
    client.execute(is_mariadb ? "RESET MASTER" : "RESET BINARY LOGS AND GTIDS");
    client.execute("INSERT INTO item (id, v) VALUES (603, 'another history')");
    outcome = stage.replicate();
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 3);
    const std::string code = json::parse(outcome.out)["error"]["code"];
    CHECK((code == "GW0702" || code == "GW0708"));
    CHECK(stage.position() == before);
    CHECK(!stage.has_row(603));
    stage.begin_anew();
  });
}

TEST_CASE("the outcome of an XA transaction that was prepared before the copy is refused", "[stream_refusals]") {
  for_both([](Stage& stage) {
    {
      Client client = stage.source.client("refuse");
      client.execute("XA START 'early'");
      client.execute("INSERT INTO item (id, v) VALUES (700, 'prepared early')");
      client.execute("XA END 'early'");
      client.execute("XA PREPARE 'early'");
    }
    REQUIRE(stage.migration.run("cancel").status == 0);
    stage.copy();
    stage.stop_at({"GW0808", "6561726c79", "was prepared before the stream began", "copy again"}, run("XA COMMIT 'early'"));
    CHECK(!stage.has_row(700));
    stage.begin_anew();
    CHECK(stage.has_row(700));
  });
}

TEST_CASE("a binlog that says of itself that it misses something is refused", "[stream_refusals]") {
  for_both([](Stage& stage) {
    stage.source.client().script("CREATE DATABASE IF NOT EXISTS besides;\nCREATE TABLE IF NOT EXISTS besides.large (v LONGBLOB) ENGINE = MyISAM;\n");
    const auto overflow = [&](Client& client) {
      client.execute("SET GLOBAL max_binlog_stmt_cache_size = 4096");
      Client other = stage.source.client("besides");
      // What a table without transactions has stored cannot be taken back, and does not fit the log's cache.
      CHECK_THROWS(other.execute("INSERT INTO large VALUES (REPEAT('a', 60000)), (REPEAT('b', 60000))"));
      client.execute("SET GLOBAL max_binlog_stmt_cache_size = DEFAULT");
    };
    stage.stop_at({"GW0705", "INCIDENT", "misses something", "copy again"}, overflow);
    stage.source.client().execute("DROP DATABASE besides");
    // MariaDB sends it to every reader of that file, from whatever position.
    stage.source.client().execute("FLUSH BINARY LOGS");
    stage.begin_anew();
  });
}

TEST_CASE("a transaction without a GTID is refused", "[stream_refusals]") {
  Stage stage("c", "a");
  const auto anonymous = [&](Client& client) {
    for (const char* mode : {"ON_PERMISSIVE", "OFF_PERMISSIVE"}) client.execute(std::string("SET GLOBAL gtid_mode = ") + mode);
    client.execute("INSERT INTO item (id, v) VALUES (800, 'anonymous')");
    for (const char* mode : {"ON_PERMISSIVE", "ON"}) client.execute(std::string("SET GLOBAL gtid_mode = ") + mode);
  };
  stage.stop_at({"GW0705", "source", "anonymous transaction", "copy again"}, anonymous);
  CHECK(!stage.has_row(800));
  stage.source.client().execute("FLUSH BINARY LOGS");
  stage.begin_anew();
}

TEST_CASE("a value that the target would change to make it fit is refused, and goes on once the column is as wide", "[stream_refusals]") {
  const Stage stage("a", "c");
  stage.target.client().execute("ALTER TABLE refuse.item MODIFY n TINYINT");
  stage.source.client().execute("INSERT INTO refuse.item (id, n) VALUES (900, 1000)");
  check_refused(stage.replicate(), 1, {"GW0116", "`refuse`.`item` row 900", "the target changed a value: 1264 Out of range value for column 'n'", "widen the target's column"});
  CHECK(!stage.has_row(900));
  stage.target.client().execute("ALTER TABLE refuse.item MODIFY n INT");
  CHECK(stage.replicate().status == 0);
  CHECK(stage.fault() == "");
}

TEST_CASE("an XA transaction that is too large to be kept until it is decided is refused when it is prepared", "[stream_refusals]") {
  const Stage stage("a", "c");
  {
    Client client = stage.source.client("refuse");
    client.execute("XA START 'large'");
    client.execute("INSERT INTO item (id, t) SELECT 1000 + seq, REPEAT('x', 8 * 1024 * 1024) FROM seq_1_to_9");
    client.execute("XA END 'large'");
    client.execute("XA PREPARE 'large'");
  }
  check_refused(stage.replicate(), 3, {"GW0705", "0-", "is prepared; 64.0 MiB is the limit", "split it on the source"});
  stage.source.client().execute("XA ROLLBACK 'large'");
}

// The event of a row that is not copied yet says too little to bring it where its new key is.
TEST_CASE("a row that changes its key between two snapshots of a copy is refused where its image is minimal", "[stream_refusals]") {
  Stage stage("a", "c");
  REQUIRE(stage.migration.run("cancel").status == 0);
  Client client = stage.source.client("refuse");
  client.execute("INSERT INTO item (id, t) SELECT 1000 + seq, REPEAT('x', 4096) FROM seq_1_to_40");
  client.execute("ANALYZE TABLE item");
  Process copy = stage.migration.start("copy", {"--allow-no-key", "--json", "--readers", "1", "--chunk-size", "16KiB", "--snapshot-age", "0s"}, armed("copy.cycle_ended=sleep:1000"));
  REQUIRE(has_logged(copy, "failpoint copy.cycle_ended: sleeps"));
  client.execute("SET SESSION binlog_row_image = MINIMAL");
  client.execute("UPDATE item SET id = 2000 WHERE id = 1040");
  check_refused(copy.wait(), 3, {"GW0803", "`refuse`.`item` row 1040", "its key changed while the copy ran", "binlog_row_image = FULL"});
  stage.begin_anew();
}

TEST_CASE("a stream that the source ends is said to be lost, and taken up again", "[stream_refusals]") {
  const Stage stage("c", "a");
  Process process = stage.migration.start("replicate", {"--json"});
  Client client = stage.source.client("refuse");
  client.execute("INSERT INTO item (id, v) VALUES (500, 'before')");
  REQUIRE(holds_within(std::chrono::seconds(20), [&] { return stage.has_row(500); }));
  for (const auto& row : client.query("SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'")) client.execute("KILL QUERY " + row[0].value());
  CHECK(has_logged(process, "GW0104 connection_lost [binlog stream]: the server ended it => it connects again by itself"));
  client.execute("INSERT INTO item (id, v) VALUES (501, 'after')");
  CHECK(holds_within(std::chrono::seconds(20), [&] { return stage.has_row(501); }));
}
