// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7 e=mariadb-10.11 f=mysql-9.7
// What goes wrong at the operator's hands or around the copy: a code, an object, a cause, a remedy and an exit status; no password
// anywhere; and once the cause is mended the same command ends with every row.
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
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
  int status;
  std::string code;
  std::string object;
  std::string cause;
  std::string remedy;
};

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// `outcome` is of a run with --json.
void check_refusal(const Outcome& outcome, const Expected& expected) {
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == expected.status);
  REQUIRE(!outcome.out.empty());
  const json document = json::parse(outcome.out);
  CHECK(document["format"] == "godwit/1");
  CHECK(document["code"] == expected.status);
  const json& error = document["error"];
  CHECK(error["code"] == expected.code);
  CHECK(holds(error["object"], expected.object));
  CHECK(holds(error["cause"], expected.cause));
  CHECK(holds(error["remedy"], expected.remedy));
  CHECK(error["remedy"] != "");
  for (const std::string& part : {expected.code, expected.object, expected.cause, expected.remedy}) CHECK(holds(outcome.err, part));
  CHECK(!holds(outcome.out + outcome.err, "secret"));
}

// 1,000 rows of some 200 bytes, and a table without neighbours.
void load(const Server& server) {
  Client client = server.client();
  client.execute("CREATE DATABASE bad");
  client.execute("CREATE TABLE bad.t (id INT PRIMARY KEY, v VARCHAR(250), KEY by_v (v))");
  client.execute("CREATE TABLE bad.small (id INT PRIMARY KEY)");
  client.execute("INSERT INTO bad.small VALUES (1), (2)");
  std::string values;
  for (int i = 1; i <= 1000; ++i) values += (i > 1 ? ",(" : "(") + std::to_string(i) + ", REPEAT('x', " + std::to_string(100 + i % 150) + "))";
  client.execute("INSERT INTO bad.t VALUES " + values);
}

void check_complete(const Migration& migration, const Server& source, const Server& target, const std::vector<std::string>& more = {}) {
  const Outcome outcome = migration.run("copy", more);
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 0);
  Client from = source.client();
  Client to = target.client();
  CHECK(difference(from, "bad", to, "bad") == "");
}

bool is_untouched(const Server& target) {
  return target.client().scalar("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ('bad', '_godwit')") == "0";
}

const std::vector<std::pair<std::string, std::string>> kPairs{{"a", "b"}, {"c", "d"}};

void for_pairs(const std::function<void(const Server&, const Server&, Migration&)>& work) {
  for (const auto& [from, to] : kPairs) {
    const Server source(from);
    const Server target(to);
    INFO(source.flavour());
    Migration migration(source, target, "bad");
    migration.clean();
    load(source);
    work(source, target, migration);
    migration.run("cancel");
    migration.clean();
  }
}

std::string address(const Server& server) { return "127.0.0.1:" + std::to_string(server.port()); }

void wait_for(const std::function<bool()>& condition) {
  for (int i = 0; i < 600; ++i) {
    if (condition()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  FAIL("it never happened");
}

const Expected kFencedOut{3, "GW0406", "stream 1 of _godwit", "epoch 1 is over: a newer process has taken the stream over", "only one godwit works on a workflow"};

bool has_chunk(const Server& target) {
  try {
    return target.client().scalar("SELECT COUNT(*) FROM _godwit.copy_chunk WHERE state = 'done'") != "0";
  } catch (const std::runtime_error&) {
    return false;
  }
}

}  // namespace

TEST_CASE("wrong password", "[bad_input]") {
  for_pairs([](const Server& source, const Server& target, Migration& migration) {
    check_refusal(migration.run("copy", {"--json"}, {{"GODWIT_SOURCE_PASSWORD", "secret"}}), {3, "GW0102", "source " + address(source), "1045 Access denied", "GODWIT_SOURCE_PASSWORD"});
    check_refusal(migration.run("copy", {"--json"}, {{"GODWIT_TARGET_PASSWORD", "secret"}}), {3, "GW0102", "target " + address(target), "1045 Access denied", "GODWIT_TARGET_PASSWORD"});
    CHECK(is_untouched(target));
    check_complete(migration, source, target);
  });
}

TEST_CASE("a password in the DSN works, warns, and is shown and stored nowhere", "[bad_input]") {
  for_pairs([](const Server& source, const Server& target, Migration& migration) {
    for (const Server* server : {&source, &target}) {
      server->client().execute("CREATE USER bad_dsn@'%' IDENTIFIED BY 'secret-word'");
      server->client().execute("GRANT ALL ON *.* TO bad_dsn@'%'");
    }
    const std::string plain = migration.source_dsn;
    migration.source_dsn.replace(plain.find("godwit@"), 7, "bad_dsn:secret-word@");
    const Outcome outcome = migration.run("copy", {"-v"});
    INFO(outcome.err);
    CHECK(outcome.status == 0);
    CHECK(holds(outcome.err, "--source holds a password"));
    const Outcome status = Process({std::getenv("GODWIT_BIN"), "status", "--history", "--json", "--state", migration.state}, {}).wait();
    CHECK(!holds(outcome.out + outcome.err + status.out, "secret-word"));
    for (const char* suffix : {"", "-wal"}) {
      std::ifstream file(migration.state + suffix, std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file), {}};
      CHECK(!holds(bytes, "secret-word"));
    }
    struct stat about {};
    REQUIRE(::stat(migration.state.c_str(), &about) == 0);
    CHECK((about.st_mode & 0777) == 0600);
    migration.run("cancel");
    for (const Server* server : {&source, &target}) server->client().execute("DROP USER bad_dsn@'%'");
  });
}

TEST_CASE("no such schema, no such table", "[bad_input]") {
  for_pairs([](const Server& source, const Server& target, Migration& migration) {
    check_refusal(migration.run("copy", {"--json", "--databases", "nowhere"}), {3, "GW0103", "`nowhere`", "source " + address(source) + " has no schema of that name", "--databases"});
    check_refusal(migration.run("copy", {"--json", "--tables", "orders"}), {3, "GW0201", "--tables orders", "no table in the selected schemas", "check the spelling"});
    check_refusal(migration.run("copy", {"--json", "--exclude-tables", "*"}), {2, "GW0208", "bad", "no table is left", "--exclude-tables"});
    CHECK(is_untouched(target));
    check_complete(migration, source, target);
  });
}

TEST_CASE("missing privilege", "[bad_input]") {
  for_pairs([](const Server& source, const Server& target, Migration& migration) {
    Client admin = source.client();
    admin.execute("DROP USER IF EXISTS bad_poor@'%'");
    admin.execute("CREATE USER bad_poor@'%' IDENTIFIED BY 'godwit'");
    admin.execute("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON bad.* TO bad_poor@'%'");
    migration.source_dsn.replace(migration.source_dsn.find("godwit@"), 6, "bad_poor");
    const std::string monitor = source.is_mariadb() ? "BINLOG MONITOR" : "REPLICATION CLIENT";
    check_refusal(migration.run("copy", {"--json"}), {3, "GW0106", "source " + address(source), "'bad_poor'@'%' lacks " + monitor, "GRANT " + monitor + " ON *.* TO 'bad_poor'@'%'"});
    CHECK(is_untouched(target));
    admin.execute("GRANT " + monitor + ", REPLICATION SLAVE ON *.* TO 'bad_poor'@'%'");
    check_complete(migration, source, target);
    migration.run("cancel");
    admin.execute("DROP USER bad_poor@'%'");
  });
}

TEST_CASE("target not empty", "[bad_input]") {
  for_pairs([](const Server& source, const Server& target, Migration& migration) {
    Client client = target.client();
    client.execute("CREATE DATABASE bad");
    client.execute("CREATE TABLE bad.small (id INT PRIMARY KEY)");
    client.execute("INSERT INTO bad.small VALUES (77)");
    check_refusal(migration.run("copy", {"--json"}), {3, "GW0501", "`bad`.`small`", "on the target already", "DROP TABLE `bad`.`small`"});
    check_refusal(migration.run("copy", {"--json", "--schema", "existing", "--tables", "small"}), {3, "GW0501", "`bad`.`small`", "holds rows that this workflow did not copy", "TRUNCATE TABLE `bad`.`small`"});
    CHECK(client.scalar("SELECT GROUP_CONCAT(id) FROM bad.small") == "77");
    client.execute("DROP TABLE bad.small");
    check_complete(migration, source, target);
  });
}

TEST_CASE("no key", "[bad_input]") {
  for_pairs([](const Server& source, const Server& target, Migration& migration) {
    source.client().execute("CREATE TABLE bad.heap (v INT)");
    source.client().execute("INSERT INTO bad.heap VALUES (1), (1), (NULL)");
    check_refusal(migration.run("copy", {"--json"}), {3, "GW0502", "`bad`.`heap`", "neither a primary key nor a unique key", "ALTER TABLE `bad`.`heap` ADD PRIMARY KEY"});
    CHECK(is_untouched(target));
    check_complete(migration, source, target, {"--allow-no-key"});
  });
}

TEST_CASE("unsupported type, unsupported collation", "[bad_input]") {
  const Server source("c");
  const Server target("a");
  const Migration migration(source, target, "bad");
  migration.clean();
  load(source);
  Client client = source.client();
  client.execute("ALTER TABLE bad.t CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
  client.execute("CREATE TABLE bad.embedding (id INT PRIMARY KEY, v VECTOR(3))");
  check_refusal(migration.run("copy", {"--json"}), {3, "GW0202", "`bad`.`embedding`.`v`", "VECTOR", "--exclude-tables"});
  client.execute("DROP TABLE bad.embedding");
  client.execute("CREATE TABLE bad.kanji (id INT PRIMARY KEY, v VARCHAR(9) COLLATE utf8mb4_ja_0900_as_cs)");
  check_refusal(migration.run("copy", {"--json"}), {3, "GW0203", "`bad`.`kanji`", "utf8mb4_ja_0900_as_cs", "--collation-map"});
  CHECK(is_untouched(target));
  check_complete(migration, source, target, {"--collation-map", "utf8mb4_ja_0900_as_cs=utf8mb4_unicode_ci"});
  migration.run("cancel");
  migration.clean();
}

TEST_CASE("the source is restarted in the middle: the copy goes on by itself", "[bad_input]") {
  for_pairs([](const Server& source, const Server& target, Migration& migration) {
    Process copy = migration.start("copy", {"--chunk-size", "4KiB", "--readers", "2"}, {{"GODWIT_FAILPOINTS", "copy.chunk_committed=sleep:100"}});
    wait_for([&] { return has_chunk(target); });
    source.restart();
    const Outcome outcome = copy.wait();
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    Client from = source.client();
    Client to = target.client();
    CHECK(difference(from, "bad", to, "bad") == "");
  });
}

TEST_CASE("the source stays away: retries are used up, and the same command goes on later", "[bad_input]") {
  for_pairs([](const Server& source, const Server& target, Migration& migration) {
    Process copy = migration.start("copy", {"--json", "--chunk-size", "4KiB", "--readers", "2", "--attempts", "2"}, {{"GODWIT_FAILPOINTS", "copy.chunk_committed=sleep:100"}});
    wait_for([&] { return has_chunk(target); });
    source.kill_server();
    check_refusal(copy.wait(), {5, "GW0508", "source " + address(source), "after 2 attempts, the last with GW0101", "run the same command again"});
    check_refusal(migration.run("copy", {"--json"}), {5, "GW0101", "source " + address(source), "Can't connect to server", "is the server running"});
    source.restart();
    check_complete(migration, source, target);
  });
}

TEST_CASE("DDL on a table that is being copied", "[bad_input]") {
  for_pairs([](const Server& source, const Server& target, Migration& migration) {
    // Before a row is read, and when all rows are and the cycle is about to be closed: it stands there, says so, and stands long enough for an ALTER on a busy machine.
    for (const std::string moment : {"copy.snapshot_opened", "copy.cycle_ended"}) {
      INFO(moment);
      Process copy = migration.start("copy", {"--json"}, {{"GODWIT_FAILPOINTS", moment + "=sleep:6000"}});
      REQUIRE(has_logged(copy, "failpoint " + moment + ": sleeps"));
      source.client().execute("ALTER TABLE bad.t ADD COLUMN more INT DEFAULT 5");
      check_refusal(copy.wait(), {3, "GW0504", "`bad`.`t`", "definition", "undo"});
      check_refusal(migration.run("copy", {"--json"}), {3, "GW0504", "`bad`.`t`", "its definition is not the one that the copy began with", "godwit cancel"});
      source.client().execute("ALTER TABLE bad.t DROP COLUMN more");
      // Done and undone: whoever catches up past the two says that they changed nothing. For the first that is the copy, for the second the
      // stream, since the copy had nothing left to do.
      const bool is_in_the_stream = moment == "copy.cycle_ended";
      if (is_in_the_stream) check_complete(migration, source, target);
      const std::string command = is_in_the_stream ? "replicate" : "copy";
      std::vector<std::string> options{"--json"};
      if (is_in_the_stream) options.emplace_back("--until-current");
      std::vector<std::string> skipped = options;
      for (const char* statement : {"ALTER TABLE bad.t ADD COLUMN more", "ALTER TABLE bad.t DROP COLUMN more"}) {
        const Outcome outcome = migration.run(command, skipped);
        check_refusal(outcome, {3, "GW0804", "", statement, "--skip-gtid"});
        skipped = options;
        skipped.emplace_back("--skip-gtid");
        const json document = json::parse(outcome.out);
        REQUIRE(document.contains("error"));
        skipped.push_back(document["error"]["object"].get<std::string>());
      }
      check_complete(migration, source, target, is_in_the_stream ? std::vector<std::string>{} : skipped);
      if (is_in_the_stream) CHECK(migration.run("replicate", skipped).status == 0);
      migration.run("cancel");
    }
  });
}

TEST_CASE("DDL on a table between the snapshot and the table's first row", "[bad_input]") {
  const Server source("a");
  const Server target("b");
  const Migration migration(source, target, "bad");
  migration.clean();
  load(source);
  source.client().execute("CREATE TABLE bad.heap (v INT)");  // without a key it is read at once, and not looked at before
  source.client().execute("INSERT INTO bad.heap VALUES (1), (2)");
  Process copy = migration.start("copy", {"--json", "--allow-no-key"}, armed("copy.position_stored=sleep:2000"));
  REQUIRE(has_logged(copy, "failpoint copy.position_stored: sleeps"));
  source.client().execute("ALTER TABLE bad.heap ADD COLUMN more INT FIRST, ALGORITHM = COPY");
  check_refusal(copy.wait(), {3, "GW0504", "`bad`.`heap`", "definition has changed", "a DDL statement met the copy"});
  CHECK(migration.run("cancel").status == 0);
  check_complete(migration, source, target, {"--allow-no-key"});
  migration.run("cancel");
  migration.clean();
}

TEST_CASE("a copy that may try once says with what that failed, and the same command goes on", "[bad_input]") {
  const Server source("a");
  const Server target("b");
  const Migration migration(source, target, "bad");
  migration.clean();
  load(source);
  check_refusal(migration.run("copy", {"--json", "--attempts", "1"}, armed("copy.chunk_loaded=error")), {5, "GW0508", "copy.chunk_loaded", "1 attempts failed, the last with GW0004", "run the same command again"});
  check_complete(migration, source, target);
  migration.run("cancel");
  migration.clean();
}

// A table space with a limit fills as a disk does, without needing a disk of its own.
class SmallTablespace {
 public:
  SmallTablespace(const Server& server, const std::string& name) : server_(server), path_(std::string(std::getenv("GODWIT_SERVERS_DIR")) + "/" + name + "/my.options") {
    std::ifstream file(path_);
    before_ = {std::istreambuf_iterator<char>(file), {}};
    set("--innodb-data-file-path=ibdata1:12M:autoextend:max:20M\n--innodb-file-per-table=0\n");
  }
  void enlarge() { set("--innodb-data-file-path=ibdata1:12M:autoextend\n--innodb-file-per-table=0\n"); }
  ~SmallTablespace() { set("--innodb-data-file-path=ibdata1:12M:autoextend\n"); }

 private:
  void set(const std::string& options) {
    std::ofstream(path_) << before_ << options;
    server_.restart();
  }
  const Server& server_;
  std::string path_;
  std::string before_;
};

// The targets are this case's own: a table space does not shrink again.
TEST_CASE("full target disk", "[bad_input]") {
  for (const auto& [from, to] : {std::pair("a", "e"), std::pair("c", "f")}) {
    const Server source(from);
    const Server target(to);
    INFO(source.flavour());
    const Migration migration(source, target, "bad");
    migration.clean();
    load(source);
    source.client().execute("CREATE TABLE bad.large (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(2000))");
    source.client().execute("INSERT INTO bad.large (v) SELECT REPEAT('y', 2000) FROM bad.t AS x JOIN bad.t AS y ON y.id <= 12");
    SmallTablespace space(target, to);
    check_refusal(migration.run("copy", {"--json"}), {3, "GW0109", "target " + address(target), "1114 The table", "run the same command again"});
    space.enlarge();
    check_complete(migration, source, target);
    migration.run("cancel");
    migration.clean();
  }
}

TEST_CASE("unreadable state file", "[bad_input]") {
  for_pairs([](const Server& source, const Server& target, Migration& migration) {
    std::ofstream(migration.state) << "this is no database, and long enough to be none: " << std::string(4096, 'x');
    check_refusal(migration.run("copy", {"--json"}), {1, "GW0401", migration.state, "not a database", "--state FILE"});
    std::filesystem::remove(migration.state);
    std::filesystem::create_directory(migration.state);
    check_refusal(migration.run("copy", {"--json"}), {1, "GW0401", migration.state, "it is a folder", "--state FILE"});
    std::filesystem::remove(migration.state);
    sqlite3* newer = nullptr;
    REQUIRE(sqlite3_open(migration.state.c_str(), &newer) == SQLITE_OK);
    REQUIRE(sqlite3_exec(newer, "PRAGMA user_version = 99", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(newer);
    check_refusal(migration.run("copy", {"--json"}), {3, "GW0402", migration.state, "version is 99", "newer godwit"});
    std::filesystem::remove(migration.state);
    CHECK(is_untouched(target));
    check_complete(migration, source, target);
  });
}

TEST_CASE("a second copy of the same workflow: the older one is fenced out and says so", "[bad_input]") {
  for_pairs([](const Server& source, const Server& target, Migration& migration) {
    Process older = migration.start("copy", {"--json", "--chunk-size", "4KiB", "--readers", "2"}, {{"GODWIT_FAILPOINTS", "copy.chunk_committed=sleep:300"}});
    wait_for([&] { return has_chunk(target); });
    check_complete(migration, source, target, {"--chunk-size", "4KiB"});
    check_refusal(older.wait(), kFencedOut);
    Client from = source.client();
    Client to = target.client();
    CHECK(difference(from, "bad", to, "bad") == "");
    CHECK(to.scalar("SELECT epoch FROM _godwit.stream") == "2");
  });
}

// One lane, stopped after its first chunk: its next one is planned and read, and has no record any more, since those of a table that is finished become one row.
TEST_CASE("a second copy of the same workflow: the older one is fenced out, also where the newer one has finished its table", "[bad_input]") {
  for_pairs([](const Server& source, const Server& target, Migration& migration) {
    const std::vector<std::string> of_one_table{"--json", "--tables", "t", "--chunk-size", "4KiB", "--readers", "1"};
    Process older = migration.start("copy", of_one_table, {{"GODWIT_FAILPOINTS", "copy.chunk_committed=sleep:2000"}});
    wait_for([&] { return has_chunk(target); });
    older.signal(SIGSTOP);
    CHECK(target.client().scalar("SELECT COUNT(*) FROM _godwit.copy_chunk WHERE state = 'done'") == "1");
    const Outcome newer = migration.run("copy", of_one_table);
    INFO(newer.out << newer.err);
    CHECK(newer.status == 0);
    CHECK(target.client().scalar("SELECT COUNT(*) FROM _godwit.copy_chunk") == "1");
    older.signal(SIGCONT);
    check_refusal(older.wait(), kFencedOut);
    const std::string rows = "SELECT CONCAT_WS(' ', COUNT(*), MIN(id), MAX(id), SUM(LENGTH(v))) FROM bad.t";
    CHECK(target.client().scalar(rows) == source.client().scalar(rows));
  });
}

TEST_CASE("a copy with other options is refused, and says which differ", "[bad_input]") {
  for_pairs([](const Server& source, const Server& target, Migration& migration) {
    check_complete(migration, source, target);
    check_refusal(migration.run("copy", {"--json", "--tables", "small", "--allow-no-key"}), {2, "GW0405", "test", "--allow-no-key was false, is true; --tables was , is small", "godwit cancel test"});
    Client to = target.client();
    Client from = source.client();
    CHECK(difference(from, "bad", to, "bad") == "");
  });
}

TEST_CASE("another server under the source's address is not taken for it", "[bad_input]") {
  const Server source("a");
  const Server other("b");
  const Server target("c");
  const Migration migration(source, target, "bad");
  migration.clean();
  other.client().execute("DROP DATABASE IF EXISTS bad");
  load(source);
  load(other);
  check_complete(migration, source, target);
  Migration wrong(other, target, "bad");
  check_refusal(wrong.run("copy", {"--json"}), {3, "GW0410", "workflow test", "it began with source server_id:", "godwit cancel"});
  other.client().execute("DROP DATABASE bad");
  migration.run("cancel");
  migration.clean();
}
