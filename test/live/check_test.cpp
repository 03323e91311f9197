// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7:--innodb-autoinc-lock-mode=1 g=mariadb-10.11:--skip-log-bin h=mariadb-10.11:--binlog-ignore-db=junk:--log-slave-updates=0:--lower-case-table-names=1 i=mariadb-10.11:--version=10.4.34-MariaDB
// Every check, provoked on real servers: verdict, code, cause and remedy; and each of them ok where all is well.
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "catch.h"
#include "live/support/process.h"
#include "live/support/replica.h"
#include "live/support/seed.h"

using namespace godwit::test;
using nlohmann::json;

namespace {

struct Provoked {
  std::string check;
  std::string source;
  std::string target;
  std::vector<std::string> on_source;  // statements, before
  std::vector<std::string> on_target;
  std::vector<std::string> undo_source;
  std::vector<std::string> undo_target;
  std::string verdict;
  std::string code;
  std::string cause;   // a part of it
  std::string remedy;  // likewise
  std::vector<std::string> options;
};

void run_all(const Server& server, const std::vector<std::string>& statements) {
  Client client = server.client();
  for (const auto& statement : statements) client.execute(statement);
}

// The first finding of that check with that verdict.
json finding_of(const json& document, const std::string& check, const std::string& verdict) {
  for (const auto& finding : document["findings"]) {
    if (finding["check"] == check && finding["verdict"] == verdict) return finding;
  }
  return nullptr;
}

void provoke(const Provoked& it) {
  const Server source(it.source);
  const Server target(it.target);
  INFO(it.check << " " << source.flavour() << " -> " << target.flavour());
  const Migration migration(source, target, "chk");
  migration.clean();
  run_all(source, {"CREATE DATABASE chk", "CREATE TABLE chk.t (id INT PRIMARY KEY, v VARCHAR(20))", "INSERT INTO chk.t VALUES (1, 'one')"});
  run_all(source, it.on_source);
  run_all(target, it.on_target);
  std::vector<std::string> options = it.options;
  options.emplace_back("--json");
  const Outcome outcome = migration.run("check", options);
  run_all(source, it.undo_source);
  run_all(target, it.undo_target);
  INFO(outcome.out << outcome.err);
  REQUIRE(!outcome.out.empty());
  const json document = json::parse(outcome.out);
  const json finding = finding_of(document, it.check, it.verdict);
  REQUIRE(finding != nullptr);
  CHECK(finding.value("code", "") == it.code);
  CHECK(finding["cause"].get<std::string>().find(it.cause) != std::string::npos);
  CHECK(finding.value("remedy", "").find(it.remedy) != std::string::npos);
  CHECK((outcome.status == 3) == (it.verdict == "blocker"));
  migration.clean();
}

}  // namespace

TEST_CASE("where all is well every check says ok", "[check]") {
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("c", "d")}) {
    const Server source(from);
    const Server target(to);
    const Migration migration(source, target, "chk");
    migration.clean();
    run_all(source, {"SET GLOBAL sync_binlog = 1", "CREATE DATABASE chk", "CREATE TABLE chk.t (id INT PRIMARY KEY)"});
    const Outcome outcome = migration.run("check", {"--json"});
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    std::set<std::string> seen;
    const json document = json::parse(outcome.out);
    for (const auto& finding : document["findings"]) {
      INFO(finding.dump());
      CHECK(finding["verdict"] == "ok");
      CHECK(finding["cause"] != "");
      seen.insert(finding["check"].get<std::string>());
    }
    const json known = json::parse(Process({std::getenv("GODWIT_BIN"), "inspect", "checks", "--json"}, {}).wait().out);
    for (const auto& check : known["checks"]) {
      INFO(check.dump());
      const bool is_of_shards = check["name"].get<std::string>().rfind("shard_", 0) == 0;  // they say nothing of one target: live.shard_copy has them
      CHECK(seen.count(check["name"]) == (is_of_shards ? 0 : 1));
    }
    run_all(source, {"SET GLOBAL sync_binlog = 0"});
    migration.clean();
  }
}

TEST_CASE("the source's binlog is asked for all that a copy needs of it", "[check]") {
  provoke({"source_binlog", "g", "b", {}, {}, {}, {}, "blocker", "GW0302", "log_bin is OFF", "--log-bin"});
  provoke({"source_binlog_format", "a", "b", {"SET GLOBAL binlog_format = 'MIXED'"}, {}, {"SET GLOBAL binlog_format = 'ROW'"}, {}, "blocker", "GW0303", "MIXED", "SET GLOBAL binlog_format = 'ROW'"});
  for (const char* name : {"a", "c"}) {
    provoke({"source_row_image", name, "b", {"SET GLOBAL binlog_row_image = 'MINIMAL'"}, {}, {"SET GLOBAL binlog_row_image = 'FULL'"}, {}, "blocker", "GW0303", "MINIMAL", "SET GLOBAL binlog_row_image"});
    provoke({"source_binlog_retention", name, "b", {"SET GLOBAL binlog_expire_logs_seconds = 60"}, {}, {"SET GLOBAL binlog_expire_logs_seconds = 0"}, {}, "warning", "GW0302", "kept 1 m", "SET GLOBAL binlog_expire_logs_seconds = 3600"});
    provoke({"source_sync_binlog", name, "b", {"SET GLOBAL sync_binlog = 0"}, {}, {}, {}, "warning", "GW0302", "sync_binlog is 0", "SET GLOBAL sync_binlog = 1"});
  }
  provoke({"source_commit_order", "c", "d", {"SET GLOBAL binlog_order_commits = OFF"}, {}, {"SET GLOBAL binlog_order_commits = ON"}, {}, "blocker", "GW0304", "binlog_order_commits is OFF", "SET GLOBAL binlog_order_commits = ON"});
  provoke({"source_gtid", "c", "d", {"SET GLOBAL gtid_mode = ON_PERMISSIVE"}, {}, {"SET GLOBAL gtid_mode = ON"}, {}, "blocker", "GW0305", "ON_PERMISSIVE", "gtid_mode step by step"});
  provoke({"source_gtid", "a", "b", {"SET GLOBAL gtid_strict_mode = OFF"}, {}, {"SET GLOBAL gtid_strict_mode = ON"}, {}, "warning", "GW0305", "gtid_strict_mode is OFF", "SET GLOBAL gtid_strict_mode = ON"});
  provoke({"source_binlog_filters", "h", "b", {}, {}, {}, {}, "blocker", "GW0308", "Binlog_Ignore_DB is junk", "remove the filter"});
  provoke({"source_is_replica", "h", "b", {"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_USER = 'x'"}, {}, {"RESET SLAVE ALL"}, {}, "blocker", "GW0302", "does not log what it applies", "--log-replica-updates"});
}

TEST_CASE("a prepared XA transaction is seen", "[check]") {
  for (const char* name : {"a", "c"}) {
    provoke({"source_prepared_xa", name, "b", {"XA START 'x'", "INSERT INTO chk.t VALUES (9, 'x')", "XA END 'x'", "XA PREPARE 'x'"}, {}, {"XA ROLLBACK 'x'"}, {}, "warning", "GW0505", "1 XA", "XA COMMIT or XA ROLLBACK"});
  }
}

TEST_CASE("a transaction that has been open for a minute is named", "[check]") {
  if (!is_long_run()) return;  // it takes that minute
  Client holder = Server("a").client();
  holder.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT");
  holder.execute("DO SLEEP(61)");
  provoke({"source_long_transactions", "a", "b", {}, {}, {}, {}, "warning", "GW0505", "has had a transaction open for 6", "KILL " + holder.scalar("SELECT CONNECTION_ID()")});
}

TEST_CASE("the target is asked whether it can take the copy", "[check]") {
  provoke({"target_local_infile", "a", "b", {}, {"SET GLOBAL local_infile = OFF"}, {}, {"SET GLOBAL local_infile = ON"}, "ok", "", "rows go by bulk insert", ""});
  provoke({"target_local_infile", "a", "d", {}, {"SET GLOBAL local_infile = OFF"}, {}, {"SET GLOBAL local_infile = ON"}, "warning", "GW0108", "local_infile is OFF", "SET GLOBAL local_infile = ON"});
  provoke({"not_the_same", "a", "a", {}, {}, {}, {}, "blocker", "GW0306", "same server and the same tables", "--map"});
  for (const char* name : {"b", "d"}) {
    provoke({"target_writable", "a", name, {}, {"SET GLOBAL read_only = ON"}, {}, {"SET GLOBAL read_only = OFF"}, "blocker", "GW0110", "read_only is ON", "SET GLOBAL read_only = OFF"});
    provoke({"target_max_packet", "a", name, {}, {"SET GLOBAL max_allowed_packet = 1048576"}, {}, {"SET GLOBAL max_allowed_packet = 67108864"}, "warning", "GW0309", "1.0 MiB, on the source 64.0 MiB", "SET GLOBAL max_allowed_packet = 67108864"});
    provoke({"target_empty", "a", name, {}, {"CREATE DATABASE chk", "CREATE TABLE chk.t (id INT)"}, {}, {}, "blocker", "GW0501", "on the target already", "DROP TABLE `chk`.`t`"});
    provoke({"target_empty", "a", name, {}, {"CREATE DATABASE chk", "CREATE TABLE chk.t (id INT PRIMARY KEY, v VARCHAR(20))", "INSERT INTO chk.t VALUES (5, 'x')"}, {}, {}, "blocker", "GW0501", "holds rows", "TRUNCATE TABLE", {"--schema", "existing"}});
    provoke({"target_empty", "a", name, {}, {"CREATE DATABASE chk"}, {}, {}, "blocker", "GW0201", "has no such table", "--schema create", {"--schema", "existing"}});
    provoke({"time_zones", "a", name, {}, {"SET GLOBAL time_zone = '+03:00'"}, {}, {"SET GLOBAL time_zone = SYSTEM"}, "warning", "GW0206", "+03:00", "SET GLOBAL time_zone"});
    provoke({"sql_modes", "a", name, {}, {"SET GLOBAL sql_mode = 'ANSI_QUOTES'"}, {}, {"SET GLOBAL sql_mode = DEFAULT"}, "warning", "GW0206", "ANSI_QUOTES", "compare them"});
  }
  provoke({"target_binlog", "a", "g", {}, {}, {}, {}, "warning", "GW0302", "no way back", "--log-bin"});
  provoke({"names_case", "a", "h", {}, {}, {}, {}, "warning", "GW0307", "0 on the source, 1 on the target", "names"});
  provoke({"names_case", "a", "h", {"CREATE TABLE chk.Upper (id INT PRIMARY KEY)"}, {}, {}, {}, "blocker", "GW0307", "upper-case", "--map"});
}

TEST_CASE("what a switch will need of either side is said before the copy", "[check]") {
  for (const auto& [name, other, passing] : {std::tuple("a", "b", "READ_ONLY ADMIN"), std::tuple("c", "d", "CONNECTION_ADMIN")}) {
    const std::vector<std::string> person{"CREATE USER chk_super@'%' IDENTIFIED BY 'x'", std::string("GRANT ") + passing + " ON *.* TO chk_super@'%'"};
    const std::vector<std::string> no_person{"DROP USER chk_super@'%'"};
    provoke({"fence_bypass", name, other, person, {}, no_person, {}, "warning", "GW0315", "'chk_super'@'%' could write there", "--fence triggers"});
    provoke({"fence_bypass", other, name, {}, person, {}, no_person, "warning", "GW0315", "'chk_super'@'%' could write there", "--fence triggers"});
  }
  // By a role, which the account does not show itself.
  const std::vector<std::string> by_role{"CREATE ROLE chk_role", "GRANT CONNECTION_ADMIN ON *.* TO chk_role", "CREATE USER chk_member@'%' IDENTIFIED BY 'x'", "GRANT chk_role TO chk_member@'%'"};
  provoke({"fence_bypass", "c", "b", by_role, {}, {"DROP USER chk_member@'%'", "DROP ROLE chk_role"}, {}, "warning", "GW0315", "'chk_member'@'%'", "REVOKE CONNECTION_ADMIN"});
  const std::vector<std::string> by_role_mariadb{"CREATE ROLE chk_role", "GRANT READ_ONLY ADMIN ON *.* TO chk_role", "CREATE USER chk_member@'%' IDENTIFIED BY 'x'", "GRANT chk_role TO chk_member@'%'"};
  provoke({"fence_bypass", "a", "d", by_role_mariadb, {}, {"DROP USER chk_member@'%'", "DROP ROLE chk_role"}, {}, "warning", "GW0315", "'chk_member'@'%'", "REVOKE READ_ONLY ADMIN"});
  for (const char* name : {"b", "d"}) {
    provoke({"reverse_stream", "a", name, {}, {"SET GLOBAL binlog_format = 'MIXED'"}, {}, {"SET GLOBAL binlog_format = 'ROW'"}, "warning", "GW0317", "binlog_format is MIXED", "SET GLOBAL binlog_format = 'ROW'"});
    provoke({"reverse_stream", "a", name, {}, {"SET GLOBAL binlog_row_image = 'MINIMAL'"}, {}, {"SET GLOBAL binlog_row_image = 'FULL'"}, "warning", "GW0317", "binlog_row_image is MINIMAL", "SET GLOBAL binlog_row_image = 'FULL'"});
  }
  provoke({"reverse_stream", "a", "d", {}, {"SET GLOBAL gtid_mode = ON_PERMISSIVE"}, {}, {"SET GLOBAL gtid_mode = ON"}, "warning", "GW0317", "gtid_mode is ON_PERMISSIVE", "gtid_mode step by step"});
  provoke({"reverse_stream", "a", "g", {}, {}, {}, {}, "ok", "", "target_binlog", ""});
}

TEST_CASE("a server that is too old is refused, whichever side it is on", "[check]") {
  provoke({"server_versions", "i", "b", {}, {}, {}, {}, "blocker", "GW0111", "it is 10.4.34-MariaDB", "MariaDB 10.5 or MySQL 8.0 and later are supported"});
  provoke({"server_versions", "a", "i", {}, {}, {}, {}, "blocker", "GW0111", "it is 10.4.34-MariaDB", "MariaDB 10.5 or MySQL 8.0 and later are supported"});
}

TEST_CASE("a migration that names no schema is refused before anything is looked at", "[check]") {
  const Server source("a");
  const Server target("b");
  Migration migration(source, target, "chk");
  migration.source_dsn.erase(migration.source_dsn.rfind('/'));
  const Outcome outcome = migration.run("check", {"--json"});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 2);
  const json error = json::parse(outcome.out)["error"];
  CHECK(error["code"] == "GW0208");
  CHECK(error["object"] == "source 127.0.0.1:" + std::to_string(source.port()));
  CHECK(error["cause"] == "no schema is named");
  CHECK(error["remedy"].get<std::string>().find("--databases a,b") != std::string::npos);
}

TEST_CASE("a copy of a source without a binlog, which was told not to look, is refused at its first snapshot", "[check]") {
  const Server source("g");
  const Server target("b");
  const Migration migration(source, target, "chk");
  migration.clean();
  run_all(source, {"CREATE DATABASE chk", "CREATE TABLE chk.t (id INT PRIMARY KEY)"});
  const Outcome outcome = migration.run("copy", {"--skip", "source_binlog", "--json"});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 3);
  const json error = json::parse(outcome.out)["error"];
  CHECK(error["object"] == "source 127.0.0.1:" + std::to_string(source.port()));
  CHECK(error["code"] == "GW0509");
  CHECK(error["cause"] == "the snapshot has no binlog coordinates: is the binlog on?");
  CHECK(error["remedy"].get<std::string>().find("log_bin must be on") == 0);
  migration.run("cancel");
  migration.clean();
}

TEST_CASE("a target that is fenced already is no closed target", "[check]") {
  const std::vector<std::string> fenced{"CREATE DATABASE _godwit", "CREATE TABLE _godwit.fence (kind VARCHAR(16), is_set TINYINT)", "INSERT INTO _godwit.fence VALUES ('read_only', 1)", "SET GLOBAL read_only = ON"};
  for (const char* name : {"b", "d"}) {
    provoke({"target_writable", "a", name, {}, fenced, {}, {"SET GLOBAL read_only = OFF", "DROP DATABASE _godwit"}, "ok", "", "it is fenced", ""});
  }
}

TEST_CASE("a target with replicas is not copied to past its binlog", "[check]") {
  for (const auto& [name, replica] : {std::pair("b", "g"), std::pair("d", "c")}) {
    const Server target(name);
    const Server reader(replica);
    const std::string held = target.client().scalar(target.is_mariadb() ? "SELECT @@gtid_binlog_pos" : "SELECT @@gtid_executed");
    const Replica attached(target, reader, {.from = held, .schema = "nothing"});
    Client client = target.client();
    for (int i = 0; i < 500 && client.query("SELECT 1 FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'").empty(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    provoke({"target_skip_binlog", "a", name, {}, {}, {}, {}, "blocker", "GW0510", "1 replicas read its binlog", "without --skip-target-binlog", {"--skip-target-binlog"}});
  }
}

TEST_CASE("a table larger than the target's disk is a warning", "[check]") {
  provoke({"target_disk", "c", "d",
           {"ANALYZE TABLE chk.t", "UPDATE mysql.innodb_table_stats SET n_rows = 1000000000, clustered_index_size = 10000000000 WHERE database_name = 'chk'", "FLUSH TABLES"}, {}, {}, {},
           "warning", "GW0313", "free", "make room"});
}

TEST_CASE("a large table with AUTO_INCREMENT on a target that loads it chunk after chunk is a warning", "[check]") {
  const std::vector<std::string> large{"CREATE TABLE chk.counted (id INT AUTO_INCREMENT PRIMARY KEY)", "ANALYZE TABLE chk.counted",
                                       "UPDATE mysql.innodb_table_stats SET n_rows = 10000000, clustered_index_size = 100000 WHERE database_name = 'chk' AND table_name = 'counted'", "FLUSH TABLES"};
  provoke({"target_autoinc_lock", "c", "b", large, {}, {}, {}, "ok", "", "rows go by bulk insert", ""});
  provoke({"target_autoinc_lock", "c", "d", large, {}, {}, {}, "warning", "GW0314", "`chk`.`counted`", "innodb_autoinc_lock_mode = 2"});
}

TEST_CASE("missing privileges are named with their GRANT", "[check]") {
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("c", "d")}) {
    const Server source(from);
    const Server target(to);
    Migration migration(source, target, "chk");
    migration.clean();
    // MariaDB locks nothing unless it commits XA transactions.
    run_all(source, {"CREATE DATABASE chk", "CREATE TABLE chk.t (id INT)", "CREATE VIEW chk.v AS SELECT 1", "XA START 'chk'", "INSERT INTO chk.t VALUES (1)", "XA END 'chk'", "XA PREPARE 'chk'", "XA COMMIT 'chk'"});
    for (const auto* server : {&source, &target}) {
      run_all(*server, {"DROP USER IF EXISTS chk_poor@'%'", "CREATE USER chk_poor@'%' IDENTIFIED BY 'godwit'", "GRANT SELECT ON chk.* TO chk_poor@'%'"});
    }
    for (auto* dsn : {&migration.source_dsn, &migration.target_dsn}) dsn->replace(dsn->find("godwit@"), 6, "chk_poor");
    const Outcome outcome = migration.run("check", {"--json", "--allow-no-key", "--skip-target-binlog"});
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 3);
    const json document = json::parse(outcome.out);
    std::set<std::string> remedies;
    for (const auto& finding : document["findings"]) {
      if (finding["verdict"] == "blocker" || finding["verdict"] == "warning") remedies.insert(finding["remedy"].get<std::string>());
    }
    const std::string monitor = source.is_mariadb() ? "BINLOG MONITOR" : "REPLICATION CLIENT";
    const std::string no_binlog = source.is_mariadb() ? "BINLOG ADMIN" : "SYSTEM_VARIABLES_ADMIN";
    for (const std::string& remedy :
         {"GRANT " + monitor + " ON *.* TO 'chk_poor'@'%'", std::string("GRANT REPLICATION SLAVE ON *.* TO 'chk_poor'@'%'"), std::string("GRANT LOCK TABLES ON `chk`.* TO 'chk_poor'@'%'"),
          std::string("GRANT SHOW VIEW ON `chk`.* TO 'chk_poor'@'%'"), std::string("GRANT PROCESS ON *.* TO 'chk_poor'@'%'"), std::string("GRANT SELECT ON mysql.* TO 'chk_poor'@'%'"),
          "GRANT " + no_binlog + " ON *.* TO 'chk_poor'@'%'; or without --skip-target-binlog",
          std::string("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, CREATE VIEW, CREATE ROUTINE, ALTER ROUTINE, TRIGGER, EVENT ON `_godwit`.* TO 'chk_poor'@'%'")}) {
      INFO(remedy);
      CHECK(remedies.count(remedy) == 1);
    }
    // The statements are what they say: run, they leave no blocker.
    for (const auto& finding : document["findings"]) {
      if (finding["verdict"] != "blocker" && finding["verdict"] != "warning") continue;
      std::string remedy = finding["remedy"];
      remedy = remedy.substr(0, remedy.find(';'));
      if (remedy.rfind("GRANT ", 0) != 0 || remedy.find("TO 'chk_poor'") == std::string::npos) continue;
      run_all(finding["object"].get<std::string>().rfind("target", 0) == 0 ? target : source, {remedy});
    }
    const Outcome after = migration.run("copy", {"--allow-no-key", "--skip-target-binlog"});
    INFO(after.out << after.err);
    CHECK(after.status == 0);
    migration.run("cancel");
    for (const auto* server : {&source, &target}) run_all(*server, {"DROP USER chk_poor@'%'"});
    migration.clean();
  }
}

// What an account may not read of a schema, and what it sees of others' transactions.
TEST_CASE("an account that reads some tables of a schema is told of the rest", "[check]") {
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("c", "d")}) {
    const Server source(from);
    const Server target(to);
    Migration migration(source, target, "chk");
    migration.clean();
    // Its clock runs ahead by an hour, and so every open transaction is an old one.
    run_all(source, {"CREATE DATABASE chk", "CREATE TABLE chk.t (id INT PRIMARY KEY)", "DROP USER IF EXISTS chk_partly@'%'", "CREATE USER chk_partly@'%' IDENTIFIED BY 'godwit'", "GRANT SELECT ON chk.t TO chk_partly@'%'",
                     "GRANT PROCESS ON *.* TO chk_partly@'%'", "SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP() + 3600'"});
    Client busy = source.client("chk");
    busy.execute("START TRANSACTION");
    busy.execute("INSERT INTO t VALUES (1)");
    const std::string id = busy.scalar("SELECT CONNECTION_ID()");
    migration.source_dsn.replace(migration.source_dsn.find("godwit@"), 6, "chk_partly");
    const Outcome outcome = migration.run("check", {"--json"});
    busy.execute("ROLLBACK");
    run_all(source, {"SET GLOBAL init_connect = ''", "DROP USER chk_partly@'%'"});
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 3);
    const json document = json::parse(outcome.out);
    std::map<std::string, std::string> remedies;
    for (const auto& finding : document["findings"]) {
      if (finding["verdict"] != "ok") remedies[finding["cause"]] = finding["remedy"];
    }
    CHECK(remedies["'chk_partly'@'%' lacks SELECT on chk"] == "GRANT SELECT ON `chk`.* TO 'chk_partly'@'%'");
    const json old = finding_of(document, "source_long_transactions", "warning");
    REQUIRE(old != nullptr);
    CHECK(old["code"] == "GW0505");
    CHECK(old["cause"].get<std::string>().find("connection " + id + " has had a transaction open for 36") == 0);
    CHECK(old["remedy"] == "end it before the copy (KILL " + id + ") if it is forgotten");
    migration.clean();
  }
}

TEST_CASE("tables and columns that do not fit are named", "[check]") {
  provoke({"table_keys", "a", "b", {"CREATE TABLE chk.heap (v INT)"}, {}, {}, {}, "blocker", "GW0502", "neither a primary key", "ADD PRIMARY KEY"});
  provoke({"table_keys", "a", "b", {"CREATE TABLE chk.heap (v INT)"}, {}, {}, {}, "warning", "GW0502", "neither a primary key", "ADD PRIMARY KEY", {"--allow-no-key"}});
  provoke({"definitions", "a", "b", {"CREATE TABLE chk.isam (id INT PRIMARY KEY) ENGINE = MyISAM"}, {}, {}, {}, "blocker", "GW0204", "MyISAM", "InnoDB"});
  provoke({"definitions", "c", "a", {"CREATE TABLE chk.embedding (id INT PRIMARY KEY, v VECTOR(3))"}, {}, {}, {}, "blocker", "GW0202", "VECTOR", "--exclude-tables"});
  provoke({"definitions", "c", "a", {"CREATE TABLE chk.kanji (id INT PRIMARY KEY, v VARCHAR(9) COLLATE utf8mb4_ja_0900_as_cs)"}, {}, {}, {}, "blocker", "GW0203", "utf8mb4_ja_0900_as_cs", "--collation-map"});
  provoke({"foreign_keys", "a", "b", {"CREATE TABLE chk.child (id INT PRIMARY KEY, t INT, FOREIGN KEY to_t (t) REFERENCES chk.t (id))"}, {}, {}, {}, "blocker", "GW0311", "`chk`.`t`, which is not copied", "--tables", {"--tables", "child"}});
  provoke({"online_schema_change", "a", "b", {"CREATE TABLE chk._t_gho (id INT PRIMARY KEY)"}, {}, {}, {}, "warning", "GW0504", "online schema change", "--exclude-tables"});
}

TEST_CASE("what the other flavour has no word for is named", "[check]") {
  const auto table = [](const std::string& columns, const std::string& options = "") { return "CREATE TABLE chk.odd (id INT PRIMARY KEY, " + columns + ")" + options; };
  provoke({"definitions", "a", "c", {table("s DATE, e DATE, PERIOD FOR shown (s, e)")}, {}, {}, {}, "blocker", "GW0205", "the target's flavour has no PERIOD FOR", "drop it on the source"});
  provoke({"definitions", "a", "c", {table("v INT", " WITH SYSTEM VERSIONING")}, {}, {}, {}, "blocker", "GW0205", "MySQL has no system versioning", "DROP SYSTEM VERSIONING"});
  provoke({"definitions", "a", "c", {table("v TEXT, UNIQUE KEY (v)")}, {}, {}, {}, "blocker", "GW0205", "no unique keys over whole long values", "a hash column"});
  provoke({"definitions", "a", "c", {table("v TEXT COMPRESSED")}, {}, {}, {}, "ok", "", "not carried: COMPRESSED", ""});
  provoke({"definitions", "c", "a", {table("g POINT NOT NULL SRID 4326")}, {}, {}, {}, "ok", "", "the column's SRID restriction is not carried", ""});
  const std::vector<std::string> oracle{"SET SESSION sql_mode = 'ORACLE'", "CREATE PROCEDURE chk.p AS BEGIN SELECT 1; END"};
  provoke({"triggers_and_events", "a", "c", oracle, {}, {}, {}, "warning", "GW0205", "it was written under sql_mode ORACLE, which the target lacks", "read it after the copy"});
  provoke({"triggers_and_events", "a", "b", {"CREATE PROCEDURE chk.p() SELECT 1"}, {}, {}, {}, "warning", "GW0205", "its body is carried as it is, and may name the schema by its old name", "read it after the copy", {"--map", "chk=chk_there"}});
}

TEST_CASE("a table that was there before is held against the source's, column by column", "[check]") {
  const Server source("a");
  const Server target("b");
  const Migration migration(source, target, "chk");
  migration.clean();
  run_all(source, {"CREATE DATABASE chk", "CREATE TABLE chk.t (id INT PRIMARY KEY, made INT, state ENUM('on','off'), filled INT NULL, gone INT)"});
  run_all(target, {"CREATE DATABASE chk", "CREATE TABLE chk.t (id INT, made INT AS (id + 1), state ENUM('on'), filled INT NOT NULL, more INT NOT NULL, PRIMARY KEY (more))"});
  const Outcome outcome = migration.run("check", {"--json", "--schema", "existing"});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 3);
  std::map<std::string, std::string> found;
  const json document = json::parse(outcome.out);
  for (const auto& finding : document["findings"]) {
    if (finding["check"] == "definitions" && finding["object"] == "`chk`.`t`" && finding["code"] == "GW0206") found[finding["cause"]] = finding["remedy"];
  }
  CHECK(found == std::map<std::string, std::string>{{"column `made` is generated there", "make it an ordinary column"},
                                                    {"column `state` is enum('on') there, enum('on','off') on the source", "ALTER TABLE `chk`.`t` MODIFY `state` enum('on','off')"},
                                                    {"column `filled` takes no NULL there", "allow NULL in it for the time of the migration"},
                                                    {"it has no column `gone`", "ALTER TABLE `chk`.`t` ADD COLUMN `gone` int(11)"},
                                                    {"it has a column `more` that the source lacks", "drop it, or let it be NULL"},
                                                    {"its key is not the source's PRIMARY (id)", "give it the same primary key"}});
  migration.clean();
}

TEST_CASE("cascades are said to be in the binlog where they are, and not where they are not", "[check]") {
  const std::vector<std::string> child{"CREATE TABLE chk.child (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES chk.t (id) ON DELETE CASCADE)"};
  provoke({"cascades", "a", "b", child, {}, {}, {}, "warning", "GW0312", "does not log what it changes", "statements of its own"});
  provoke({"cascades", "c", "d", child, {}, {}, {}, "ok", "", "logs what it changes", ""});
  provoke({"cascades", "a", "b", {"CREATE TABLE chk.child (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES chk.t (id))"}, {}, {}, {}, "ok", "", "no foreign key changes other rows", ""});
}

TEST_CASE("values that become equal under the target's collation are found, others are not", "[check]") {
  const auto table = [](const std::string& collation, const std::string& more = "") {
    return "CREATE TABLE chk.words (id INT PRIMARY KEY, w VARCHAR(20) COLLATE " + collation + " NULL, n INT, UNIQUE KEY by_word (w" + more + "))";
  };
  const std::string padded = "INSERT INTO chk.words VALUES (1, 'a', 1), (2, 'a ', 1), (3, NULL, 1), (4, NULL, 1)";
  const std::string accents = "INSERT INTO chk.words VALUES (1, 'e', 1), (2, 'é', 1)";
  // 0900 does not pad, general_ci does.
  provoke({"unique_values", "c", "a", {table("utf8mb4_0900_ai_ci"), padded}, {}, {}, {}, "blocker", "GW0310", "by_word would have duplicates", "--collation-map", {"--collation-map", "utf8mb4_0900_ai_ci=utf8mb4_general_ci"}});
  // Its built-in counterpart does not pad either; the source cannot ask that one, and its stand-in pads.
  provoke({"unique_values", "c", "a", {table("utf8mb4_0900_ai_ci"), padded}, {}, {}, {}, "ok", "", "stay unique", ""});
  // A collation that only the target knows, and that holds the two equal.
  provoke({"unique_values", "c", "a", {table("utf8mb4_0900_as_cs"), accents}, {}, {}, {}, "blocker", "GW0310", "uca1400_ai_ci", "--collation-map", {"--collation-map", "utf8mb4_0900_as_cs=utf8mb4_uca1400_ai_ci"}});
  provoke({"unique_values", "c", "a", {table("utf8mb4_0900_as_cs"), accents}, {}, {}, {}, "ok", "", "stay unique", ""});
  // The other column of the key tells them apart; a prefix does not.
  provoke({"unique_values", "c", "a", {table("utf8mb4_0900_as_cs", ", n"), "INSERT INTO chk.words VALUES (1, 'e', 1), (2, 'é', 2)"}, {}, {}, {}, "ok", "", "stay unique", "", {"--collation-map", "utf8mb4_0900_as_cs=utf8mb4_general_ci"}});
  provoke({"unique_values", "c", "a", {table("utf8mb4_0900_as_cs", "(1)"), "INSERT INTO chk.words VALUES (1, 'ex', 1), (2, 'éy', 2)"}, {}, {}, {}, "blocker", "GW0310", "by_word", "--collation-map", {"--collation-map", "utf8mb4_0900_as_cs=utf8mb4_general_ci"}});
  // A server that refuses the question, for the size that it takes the table for.
  provoke({"unique_values", "c", "a", {table("utf8mb4_0900_as_cs"), accents, "ANALYZE TABLE chk.words", "UPDATE mysql.innodb_table_stats SET n_rows = 1000000000 WHERE table_name = 'words'", "FLUSH TABLES", "SET GLOBAL max_join_size = 100000000"}, {},
           {"SET GLOBAL max_join_size = DEFAULT"}, {}, "warning", "GW0310", "whether key by_word stays unique under utf8mb4_uca1400_ai_ci cannot be asked: ", "building the key will say so", {"--collation-map", "utf8mb4_0900_as_cs=utf8mb4_uca1400_ai_ci"}});
  provoke({"unique_values", "a", "b", {table("utf8mb4_general_ci"), "INSERT INTO chk.words VALUES (1, 'a', 1), (2, 'b', 1)"}, {}, {}, {}, "ok", "", "stay unique", ""});
}

TEST_CASE("triggers, events and definers are named", "[check]") {
  provoke({"triggers_and_events", "a", "b", {"CREATE TRIGGER chk.before_t BEFORE INSERT ON chk.t FOR EACH ROW SET NEW.v = 'x'"}, {}, {}, {}, "ok", "", "trigger `chk`.`before_t` is created by the switch", ""});
  provoke({"triggers_and_events", "c", "d", {"CREATE EVENT chk.nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM chk.t"}, {}, {}, {}, "ok", "", "event `chk`.`nightly` is created by the switch", ""});
  provoke({"triggers_and_events", "a", "b", {"CREATE SEQUENCE chk.s"}, {}, {}, {}, "warning", "GW0205", "is not carried", "by hand"});
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("c", "d")}) {
    provoke({"definers", from, to, {"CREATE DEFINER = 'gone'@'%' VIEW chk.v AS SELECT 1"}, {}, {}, {}, "warning", "GW0603", "view `chk`.`v` is defined by", "--accounts gone@%"});
  }
}

TEST_CASE("--skip leaves a check out, and takes no other name", "[check]") {
  const Server source("a");
  const Server target("b");
  const Migration migration(source, target, "chk");
  migration.clean();
  run_all(source, {"CREATE DATABASE chk", "CREATE TABLE chk.t (v INT)"});
  const Outcome skipped = migration.run("check", {"--skip", "table_keys", "--json"});
  INFO(skipped.out << skipped.err);
  CHECK(skipped.status == 0);
  CHECK(finding_of(json::parse(skipped.out), "table_keys", "skipped") != nullptr);
  const Outcome unknown = migration.run("check", {"--skip", "table_key", "--json"});
  CHECK(unknown.status == 2);
  CHECK(json::parse(unknown.out)["error"]["object"] == "--skip table_key");
  const Outcome text = migration.run("check");
  CHECK(text.status == 3);
  CHECK(text.out.find("blocker  table_keys") != std::string::npos);
  CHECK(text.out.find("1 blockers") != std::string::npos);
  migration.clean();
}
