// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7
// What a stream must carry, and where it must stop: every type through the binlog, transactions larger than memory, rows that the target
// lost or gained behind its back, changes that were logged as statements.
#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "catch.h"
#include "live/fixtures/fidelity.h"
#include "live/support/compare.h"
#include "live/support/process.h"
#include "live/support/seed.h"

using namespace godwit::test;

namespace {

using Strings = std::vector<std::string>;

// A copied migration, whose stream is driven by its name.
class Streamed {
 public:
  Streamed(const std::string& source_name, const std::string& target_name, std::string schema)
      : source_(source_name), target_(target_name), migration_(source_, target_, schema), schema_(std::move(schema)) {
    migration_.clean();
  }
  ~Streamed() { migration_.clean(); }
  Streamed(const Streamed&) = delete;

  const Server& source() const { return source_; }
  const Server& target() const { return target_; }

  void copy(const Strings& more = {"--allow-no-key"}) const { must_end(migration_.run("copy", more), 0); }
  Outcome replicate(const Strings& more = {}, std::chrono::seconds limit = std::chrono::seconds(120)) const {
    Strings command{std::getenv("GODWIT_BIN"), "replicate", migration_.name, "--state", migration_.state, "--until-current"};
    command.insert(command.end(), more.begin(), more.end());
    return Process(command, {{"GODWIT_SOURCE_PASSWORD", "godwit"}, {"GODWIT_TARGET_PASSWORD", "godwit"}}).wait(limit);
  }
  Outcome replicated(const Strings& more = {}, std::chrono::seconds limit = std::chrono::seconds(120)) const {
    Outcome outcome = replicate(more, limit);
    must_end(outcome, 0);
    return outcome;
  }
  std::string difference() const {
    Client from = source_.client();
    Client to = target_.client();
    return godwit::test::difference(from, schema_, to, schema_);
  }

 private:
  static void must_end(const Outcome& outcome, int status) {
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.status == status);
  }

  const Server source_;
  const Server target_;
  const Migration migration_;
  const std::string schema_;
};

bool says(const Outcome& outcome, const std::string& text) { return outcome.err.find(text) != std::string::npos; }

// --- drift ----------------------------------------------------------------------------------------------------------

constexpr const char* kRows = "(SELECT a.n * 100 + b.n * 10 + c.n AS n FROM drift.tens a, drift.tens b, drift.tens c) AS all_of_them";

struct Drift {
  std::string behind;   // done to the target
  std::string change;   // then on the source
  std::string names;    // what the message must name
  std::string mend;     // on the target
};

void prepare_drift(const Streamed& streamed) {
  Client from = streamed.source().client();
  from.execute("CREATE DATABASE drift");
  from.execute("USE drift");
  from.execute("CREATE TABLE tens (n INT PRIMARY KEY)");
  from.execute("INSERT INTO tens VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)");
  from.execute("CREATE TABLE t (id INT PRIMARY KEY, u INT, v INT, UNIQUE KEY by_u (u))");
  from.execute("CREATE TABLE plain (id INT PRIMARY KEY, v INT)");
  from.execute("CREATE TABLE later (id INT PRIMARY KEY)");
  from.execute(std::string("INSERT INTO t SELECT n, n, n FROM ") + kRows);
  from.execute(std::string("INSERT INTO plain SELECT n, n FROM ") + kRows);
  streamed.copy();
  streamed.replicated();
}

// `is_large`: the change is one of a backlog that many jobs write, squashed or not.
void check_drift(const Streamed& streamed, const Drift& it, bool is_large, const Strings& options) {
  INFO(it.behind << " / " << it.change << (is_large ? " (many)" : " (alone)"));
  Client from = streamed.source().client("drift");
  Client to = streamed.target().client("drift");
  to.execute(it.behind);
  if (is_large) {
    from.execute("UPDATE plain SET v = v + 1");
    from.execute("UPDATE t SET v = v + 1 WHERE id >= 500");
  }
  from.execute(it.change);
  if (is_large) from.execute("UPDATE plain SET v = v + 1");
  from.execute("INSERT INTO later SELECT COALESCE(MAX(id), 0) + 1 FROM later AS known");
  const std::string later = to.scalar("SELECT COUNT(*) FROM later");
  const Outcome outcome = streamed.replicate(options);
  INFO(outcome.err);
  CHECK(outcome.status == 4);
  CHECK(says(outcome, "GW0805"));
  CHECK(says(outcome, it.names));
  // Of a window that was under way a part may be there; what comes after it is not.
  if (!is_large) CHECK(to.scalar("SELECT COUNT(*) FROM later") == later);
  to.execute(it.mend);
  streamed.replicated(options);
  CHECK(streamed.difference() == "");
}

void check_drifts(const std::string& source, const std::string& target) {
  const Streamed streamed(source, target, "drift");
  prepare_drift(streamed);
  const std::vector<Drift> all{
      {"DELETE FROM t WHERE id = 5", "UPDATE t SET v = -1 WHERE id = 5", "5", "INSERT INTO t VALUES (5, 5, 5)"},
      {"DELETE FROM t WHERE id = 6", "DELETE FROM t WHERE id = 6", "6", "INSERT INTO t VALUES (6, 6, 6)"},
      {"INSERT INTO t VALUES (2000, 2000, 1)", "INSERT INTO t VALUES (2000, 2000, 2)", "2000", "DELETE FROM t WHERE id = 2000"},
      {"UPDATE t SET id = 3007 WHERE id = 7", "UPDATE t SET v = -1 WHERE id = 7", "7", "UPDATE t SET id = 7 WHERE id = 3007"},
      {"INSERT INTO t VALUES (4000, 5000, 1)", "INSERT INTO t VALUES (4001, 5000, 1)", "4001", "DELETE FROM t WHERE id = 4000"},
      {"INSERT INTO t VALUES (4002, 5002, 1)", "UPDATE t SET u = 5002 WHERE id = 8", "8", "DELETE FROM t WHERE id = 4002"},
      {"DELETE FROM plain WHERE id = 9", "UPDATE plain SET v = -1 WHERE id = 9", "9", "INSERT INTO plain VALUES (9, 9)"},
      {"INSERT INTO plain VALUES (2000, 1)", "INSERT INTO plain VALUES (2000, 2)", "2000", "DELETE FROM plain WHERE id = 2000"},
  };
  for (const auto& it : all) check_drift(streamed, it, false, {});
}

void check_drifts_in_windows(const std::string& source, const std::string& target, const Strings& options) {
  const Streamed streamed(source, target, "drift");
  prepare_drift(streamed);
  check_drift(streamed, {"DELETE FROM t WHERE id = 505", "UPDATE t SET u = u + 9000 WHERE id = 505", "505", "INSERT INTO t VALUES (505, 505, 505)"}, true, options);
  check_drift(streamed, {"INSERT INTO t VALUES (2000, 2000, 1)", "INSERT INTO t VALUES (2000, 2000, 2)", "2000", "DELETE FROM t WHERE id = 2000"}, true, options);
  check_drift(streamed, {"DELETE FROM plain WHERE id = 9", "UPDATE plain SET v = -1 WHERE id = 10", "9", "INSERT IGNORE INTO plain VALUES (9, 0)"}, true, options);
}

// --- refusals -------------------------------------------------------------------------------------------------------

void check_statement_format(const std::string& source, const std::string& target) {
  const Streamed streamed(source, target, "refused");
  Client from = streamed.source().client();
  from.execute("CREATE DATABASE refused");
  from.execute("CREATE TABLE refused.t (id INT PRIMARY KEY)");
  streamed.copy();
  from.execute("INSERT INTO refused.t VALUES (1)");
  Client other = streamed.source().client("refused");
  other.execute("SET SESSION binlog_format = STATEMENT");
  other.execute("INSERT INTO t VALUES (2)");
  from.execute("INSERT INTO refused.t VALUES (3)");
  const Outcome outcome = streamed.replicate();
  INFO(outcome.err);
  CHECK(outcome.status == 3);
  CHECK(says(outcome, "GW0802"));
  Client to = streamed.target().client("refused");
  CHECK(to.scalar("SELECT GROUP_CONCAT(id ORDER BY id) FROM t") == "1");
}

void check_truncate(const std::string& source, const std::string& target) {
  const Streamed streamed(source, target, "refused");
  Client from = streamed.source().client();
  from.execute("CREATE DATABASE refused");
  from.execute("USE refused");
  from.execute("CREATE TABLE t (id INT PRIMARY KEY)");
  from.execute("INSERT INTO t VALUES (1), (2)");
  streamed.copy();
  from.execute("INSERT INTO t VALUES (3)");
  from.execute("TRUNCATE TABLE t");
  from.execute("INSERT INTO t VALUES (4)");
  Client to = streamed.target().client("refused");
  for (int attempt = 0; attempt < 2; ++attempt) {
    const Outcome outcome = streamed.replicate();
    INFO(outcome.err);
    CHECK(outcome.status == 3);
    CHECK(says(outcome, "GW0804"));
    CHECK(says(outcome, "--skip-gtid"));
    CHECK(to.scalar("SELECT GROUP_CONCAT(id ORDER BY id) FROM t") == "1,2,3");
  }
  SECTION("executed by godwit") { streamed.replicated({"--on-ddl", "exec"}); }
  SECTION("done by hand, and skipped by its GTID") {
    const Outcome outcome = streamed.replicate();
    const std::string flag = "--skip-gtid ";
    const auto at = outcome.err.find(flag) + flag.size();
    const std::string gtid = outcome.err.substr(at, outcome.err.find_first_of("; \n", at) - at);
    to.execute("TRUNCATE TABLE t");
    streamed.replicated({"--skip-gtid", gtid});
  }
  CHECK(streamed.difference() == "");
}

// --- types ----------------------------------------------------------------------------------------------------------

Strings key_columns(Client& client, const std::string& table) {
  Strings columns;
  for (const auto& row : client.query("SELECT COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE CONSTRAINT_NAME = 'PRIMARY' AND TABLE_SCHEMA = 'fidelity' AND TABLE_NAME = " + literal(table))) {
    columns.push_back(row[0].value());
  }
  return columns;
}

Strings plain_columns(Client& client, const std::string& table) {
  Strings columns;
  for (const auto& row : client.query("SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'fidelity' AND EXTRA NOT LIKE '%VIRTUAL GENERATED%' AND EXTRA NOT LIKE '%STORED GENERATED%' "
                                      "AND TABLE_NAME = " + literal(table) + " ORDER BY ORDINAL_POSITION")) {
    columns.push_back(row[0].value());
  }
  return columns;
}

std::string list_of(const Strings& columns) {
  std::string text;
  for (const auto& column : columns) text += (text.empty() ? "" : ", ") + quoted(column);
  return text;
}

// Every table's rows are taken away, come back from a store beside the schema, and lose and regain the value of every column.
void stream_types(const std::string& source, const std::string& target) {
  const Streamed streamed(source, target, "fidelity");
  Client from = streamed.source().client();
  from.execute("DROP DATABASE IF EXISTS store");
  load_fidelity(from, streamed.source().flavour());
  const bool is_crossing = streamed.source().is_mariadb() != streamed.target().is_mariadb();
  if (is_crossing) drop_what_the_other_flavour_lacks(from, streamed.source().flavour());
  // Whether a zero has a sign, MariaDB's SELECT does not say.
  if (streamed.source().is_mariadb() || streamed.target().is_mariadb()) from.execute("UPDATE fidelity.numbers SET f = 0, fd = 0 WHERE id = 8");
  from.execute("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', foreign_key_checks = 0");
  from.execute("CREATE DATABASE store");
  const Strings tables = tables_of(from, "fidelity");
  for (const auto& table : tables) {
    from.execute("CREATE TABLE store." + quoted(table) + " LIKE fidelity." + quoted(table));
    const std::string columns = list_of(plain_columns(from, table));
    from.execute("INSERT INTO store." + quoted(table) + " (" + columns + ") SELECT " + columns + " FROM fidelity." + quoted(table));
    from.execute("DELETE FROM fidelity." + quoted(table));
  }
  streamed.copy({"--allow-no-key"});
  for (const auto& table : tables) {
    const std::string columns = list_of(plain_columns(from, table));
    from.execute("INSERT INTO fidelity." + quoted(table) + " (" + columns + ") SELECT " + columns + " FROM store." + quoted(table));
  }
  streamed.replicated();
  CHECK(streamed.difference() == "");

  for (const auto& table : tables) {
    const Strings keys = key_columns(from, table);
    for (const auto& column : plain_columns(from, table)) {
      if (std::find(keys.begin(), keys.end(), column) != keys.end()) continue;
      const std::string name = quoted(column);
      // Another row's value for a while.
      try {
        from.execute("UPDATE fidelity." + quoted(table) + " x SET x." + name + " = (SELECT z." + name + " FROM store." + quoted(table) + " z LIMIT 1)");
      } catch (const std::runtime_error&) {
        continue;  // a unique key is in the way
      }
    }
  }
  streamed.replicated({"--no-squash"});
  CHECK(streamed.difference() == "");
  for (const auto& table : tables) {
    const Strings keys = key_columns(from, table);
    if (keys.empty()) continue;
    std::string join;
    for (const auto& key : keys) join += (join.empty() ? "" : " AND ") + ("x." + quoted(key) + " = y." + quoted(key));
    std::string assignments;
    for (const auto& column : plain_columns(from, table)) {
      if (std::find(keys.begin(), keys.end(), column) == keys.end()) assignments += (assignments.empty() ? "x." : ", x.") + quoted(column) + " = y." + quoted(column);
    }
    if (!assignments.empty()) from.execute("UPDATE fidelity." + quoted(table) + " x JOIN store." + quoted(table) + " y ON " + join + " SET " + assignments);
  }
  streamed.replicated();
  CHECK(streamed.difference() == "");
  for (const auto& table : tables) from.execute("DELETE FROM fidelity." + quoted(table));
  streamed.replicated();
  CHECK(streamed.difference() == "");
  Client to = streamed.target().client();
  for (const auto& table : tables) CHECK(to.scalar("SELECT COUNT(*) FROM fidelity." + quoted(table)) == "0");
  from.execute("DROP DATABASE store");
}

// --- size -----------------------------------------------------------------------------------------------------------

constexpr long kRssKibMax = 256 * 1024;

// One transaction on the source; with a keyless table in the migration it is one on the target too.
void stream_large_transaction(const std::string& source, const std::string& target, bool has_keyless) {
  const Streamed streamed(source, target, "large");
  const unsigned heads = is_long_run() ? 50 : 3;  // of 100,000 rows
  Client from = streamed.source().client();
  from.execute("CREATE DATABASE large");
  from.execute("USE large");
  from.execute("CREATE TABLE digits (i INT PRIMARY KEY)");
  from.execute("INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)");
  from.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT, s VARCHAR(20))");
  if (has_keyless) from.execute("CREATE TABLE keyless (a INT)");
  streamed.copy();
  from.execute("START TRANSACTION");
  for (unsigned head = 0; head < heads; ++head) {
    from.execute("INSERT INTO t SELECT n, 1, CONCAT('row ', n) FROM (SELECT " + std::to_string(head) +
                 " * 100000 + a.i * 10000 + b.i * 1000 + c.i * 100 + d.i * 10 + e.i AS n FROM digits a, digits b, digits c, digits d, digits e) AS all_of_them");
  }
  from.execute("UPDATE t SET v = 2 WHERE id % 10 = 0");
  if (has_keyless) from.execute("INSERT INTO keyless SELECT i FROM digits");
  from.execute("COMMIT");
  const Outcome outcome = streamed.replicated({}, std::chrono::seconds(3600));
  std::cout << heads * 100'000 << " rows in one transaction" << (has_keyless ? ", keyless tables about" : "") << ": " << outcome.rss_kib_max / 1024 << " MiB resident\n";
  CHECK(outcome.rss_kib_max < kRssKibMax);
  const std::string sums = "SELECT CONCAT_WS(':', COUNT(*), SUM(id), SUM(v), SUM(CRC32(s))) FROM large.t";
  Client to = streamed.target().client();
  CHECK(from.scalar(sums) == to.scalar(sums));
  if (has_keyless) CHECK(to.scalar("SELECT COUNT(*) FROM large.keyless") == "10");
}

// Changes of one row whose images are 20 MiB each.
void stream_large_rows(const std::string& source, const std::string& target) {
  const Streamed streamed(source, target, "large");
  Client from = streamed.source().client();
  from.execute("CREATE DATABASE large");
  from.execute("CREATE TABLE large.t (id INT PRIMARY KEY, v INT, b LONGBLOB)");
  streamed.copy();
  from.execute("INSERT INTO large.t VALUES (1, 1, REPEAT(UNHEX('00275C0A'), 5 * 1024 * 1024))");
  from.execute("UPDATE large.t SET v = 2");
  from.execute("UPDATE large.t SET b = REPEAT('x', 20 * 1024 * 1024)");
  const Outcome outcome = streamed.replicated();
  std::cout << "a row of 20 MiB: " << outcome.rss_kib_max / 1024 << " MiB resident\n";
  const std::string sums = "SELECT CONCAT_WS(':', id, v, SHA2(b, 256)) FROM large.t";
  Client to = streamed.target().client();
  CHECK(from.scalar(sums) == to.scalar(sums));
}

}  // namespace

TEST_CASE("rows changed behind its back stop the stream, until they are mended: MariaDB", "[stream_carries]") { check_drifts("a", "b"); }
TEST_CASE("rows changed behind its back stop the stream, until they are mended: MySQL", "[stream_carries]") { check_drifts("c", "d"); }
TEST_CASE("so they do among many, squashed: MariaDB", "[stream_carries]") { check_drifts_in_windows("a", "b", {}); }
TEST_CASE("so they do among many, squashed: MySQL", "[stream_carries]") { check_drifts_in_windows("c", "d", {}); }
TEST_CASE("so they do among many, change by change: MariaDB", "[stream_carries]") { check_drifts_in_windows("a", "b", {"--no-squash"}); }
TEST_CASE("so they do among many, change by change: MySQL", "[stream_carries]") { check_drifts_in_windows("c", "d", {"--no-squash"}); }
TEST_CASE("a change logged as a statement stops the stream before it: MariaDB", "[stream_carries]") { check_statement_format("a", "b"); }
TEST_CASE("a change logged as a statement stops the stream before it: MySQL", "[stream_carries]") { check_statement_format("c", "d"); }
TEST_CASE("TRUNCATE stops the stream until it is told how to go on: MariaDB", "[stream_carries]") { check_truncate("a", "b"); }
TEST_CASE("TRUNCATE stops the stream until it is told how to go on: MySQL", "[stream_carries]") { check_truncate("c", "d"); }
TEST_CASE("every type goes through the stream as it is: MariaDB", "[stream_carries]") { stream_types("a", "b"); }
TEST_CASE("every type goes through the stream as it is: MySQL", "[stream_carries]") { stream_types("c", "d"); }
TEST_CASE("every type goes through the stream as it is: MariaDB to MySQL", "[stream_carries]") { stream_types("a", "c"); }
TEST_CASE("every type goes through the stream as it is: MySQL to MariaDB", "[stream_carries]") { stream_types("c", "a"); }
TEST_CASE("a huge transaction is applied within the bound: MariaDB", "[stream_carries]") { stream_large_transaction("a", "b", false); }
TEST_CASE("a huge transaction is applied within the bound: MySQL", "[stream_carries]") { stream_large_transaction("c", "d", false); }
TEST_CASE("a huge transaction stays one where tables have no key: MariaDB", "[stream_carries]") { stream_large_transaction("a", "b", true); }
TEST_CASE("a huge transaction stays one where tables have no key: MySQL", "[stream_carries]") { stream_large_transaction("c", "d", true); }
TEST_CASE("a row of 20 MiB goes through the stream: MariaDB", "[stream_carries]") { stream_large_rows("a", "b"); }
TEST_CASE("a row of 20 MiB goes through the stream: MySQL", "[stream_carries]") { stream_large_rows("c", "d"); }
