// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7
// What a session is made of, moved by `godwit proxy` from one server to another, in all four directions between the flavours. What is set before the move is
// shown after it, and must be what a session shows that was never moved; what cannot be moved must be refused by its name, and go on undisturbed.
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

enum class On { both, mariadb, mysql, mariadb_only, mysql_only };  // where the item exists; "only": the other flavour has nothing of the kind

struct Item {
  std::string name;
  Strings sets;
  Strings shows;
  On on = On::both;
  bool is_refused_across = false;  // between the flavours: by name
};

bool is_on(On on, const Server& server) {
  switch (on) {
    case On::both:
      return true;
    case On::mariadb:
    case On::mariadb_only:
      return server.is_mariadb();
    case On::mysql:
    case On::mysql_only:
      return !server.is_mariadb();
  }
  return false;
}

// A row each of the page's table that a session can simply show. Where the flavours name a thing differently there are two.
const std::vector<Item>& items() {
  static const std::vector<Item> all{
      {"nothing", {}, {"SELECT 1", kCharsets, "SELECT DATABASE()"}},
      {"SET NAMES latin1", {"SET NAMES latin1"}, {kCharsets, "SELECT HEX(CONVERT(0xE9 USING latin1))", "SELECT HEX('\xE9')"}},
      {"collation_connection", {"SET NAMES utf8mb4 COLLATE utf8mb4_unicode_520_ci"}, {kCharsets, "SELECT 'a' = 'A', COLLATION('a')"}},
      {"collation_connection alone", {"SET collation_connection = 'utf8mb4_bin'"}, {kCharsets, "SELECT 'a' = 'A'"}},
      {"a collation with an id over 255, MySQL", {"SET NAMES utf8mb4 COLLATE utf8mb4_ja_0900_as_cs_ks"}, {kCharsets, "SELECT COLLATION('a')"}, On::mysql, true},
      {"a collation with an id over 255, MariaDB", {"SET NAMES utf8mb4 COLLATE utf8mb4_uca1400_german2_as_cs"}, {kCharsets, "SELECT COLLATION('a')"}, On::mariadb, true},
      {"NULL character_set_results", {"SET character_set_results = NULL"}, {"SELECT @@character_set_results IS NULL", kCharsets}},
      {"character sets that differ", {"SET character_set_client = latin1, character_set_connection = utf8mb4, character_set_results = ucs2"}, {"SELECT HEX('a')", "SELECT @@character_set_client", "SELECT 'x'"}},
      {"binary", {"SET NAMES binary"}, {kCharsets, "SELECT CHARSET('a')"}},
      {"sql_mode empty", {"SET sql_mode = ''"}, {"SELECT @@sql_mode", "SELECT 1 || 1"}},
      {"sql_mode ANSI_QUOTES, PIPES_AS_CONCAT, NO_BACKSLASH_ESCAPES", {"SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'"}, {"SELECT 'a\\' || 'b'", "SELECT \"id\" FROM \"t\" LIMIT 1"}},
      {"sql_mode MariaDB's own", {"SET sql_mode = 'ORACLE'"}, {"SELECT @@sql_mode"}, On::mariadb, true},
      {"time_zone", {"SET time_zone = '+05:30'"}, {"SELECT @@time_zone", "SELECT FROM_UNIXTIME(0)"}},
      {"transaction isolation", {"SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"}, {"SHOW VARIABLES WHERE Variable_name = 'transaction_isolation' OR (Variable_name = 'tx_isolation' AND @@version LIKE '%MariaDB%' AND @@version < '11')"}, On::mysql},
      {"transaction isolation, MariaDB", {"SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"}, {"SELECT @@tx_isolation"}, On::mariadb_only},
      {"transaction read only, MariaDB", {"SET SESSION TRANSACTION READ ONLY"}, {"INSERT INTO t VALUES (100, 'no')"}, On::both},
      {"autocommit = 0", {"SET autocommit = 0"}, {"SELECT @@autocommit", "SELECT COUNT(*) FROM other", "ROLLBACK"}},
      {"foreign_key_checks, unique_checks", {"SET foreign_key_checks = 0, unique_checks = 0"}, {"SELECT @@foreign_key_checks, @@unique_checks"}},
      {"sql_select_limit", {"SET sql_select_limit = 2"}, {"SELECT id FROM t", "SELECT @@sql_select_limit"}},
      {"sql_safe_updates", {"SET sql_safe_updates = 1"}, {"SELECT @@sql_safe_updates", "DELETE FROM t WHERE v = 'x'"}},
      {"group_concat_max_len", {"SET group_concat_max_len = 5"}, {"SELECT GROUP_CONCAT(v ORDER BY id) FROM t"}},
      {"div_precision_increment", {"SET div_precision_increment = 8"}, {"SELECT 1 / 3"}},
      {"lc_time_names", {"SET lc_time_names = 'de_DE'"}, {"SELECT MONTHNAME('2024-03-01')"}},
      {"default_week_format", {"SET default_week_format = 3"}, {"SELECT WEEK('2023-01-01')"}},
      {"sort_buffer_size, join_buffer_size", {"SET sort_buffer_size = 524288, join_buffer_size = 786432"}, {"SELECT @@sort_buffer_size, @@join_buffer_size"}},
      {"optimizer_switch", {"SET optimizer_switch = 'index_merge=off'"}, {"SELECT @@optimizer_switch LIKE '%index_merge=off%'"}},
      {"lock_wait_timeout", {"SET lock_wait_timeout = 17, innodb_lock_wait_timeout = 9"}, {"SELECT @@lock_wait_timeout, @@innodb_lock_wait_timeout"}},
      {"wait_timeout, net timeouts", {"SET wait_timeout = 1234, net_read_timeout = 77"}, {"SELECT @@wait_timeout, @@net_read_timeout"}},
      {"sql_auto_is_null", {"SET sql_auto_is_null = 1"}, {"SELECT @@sql_auto_is_null"}},
      {"max_execution_time", {"SET max_execution_time = 98000"}, {"SELECT @@max_execution_time"}, On::mysql_only},
      {"max_statement_time", {"SET max_statement_time = 98.5"}, {"SELECT @@max_statement_time"}, On::mariadb_only},
      {"a variable of MySQL alone", {"SET internal_tmp_mem_storage_engine = 'MEMORY'"}, {"SELECT @@internal_tmp_mem_storage_engine"}, On::mysql, true},
      {"a variable of MariaDB alone", {"SET column_compression_threshold = 99"}, {"SELECT @@column_compression_threshold"}, On::mariadb, true},
      {"set in a procedure", {"CALL set_things()"}, {"SELECT @from_procedure, @@sort_buffer_size"}},
      {"SET timestamp", {"SET timestamp = 1000000000.5"}, {"SELECT UNIX_TIMESTAMP(NOW(1))", "SELECT @@timestamp"}},
      {"SET timestamp=DEFAULT", {"SET timestamp = 1000", "SET timestamp = DEFAULT"}, {"SELECT UNIX_TIMESTAMP() > 1600000000, SLEEP(0.01)", "SELECT @@timestamp > 1600000000"}},
      {"SET STATEMENT", {"SET STATEMENT max_statement_time = 5 FOR SELECT 1"}, {"SELECT @@max_statement_time"}, On::mariadb_only},
      {"insert_id", {"SET insert_id = 7000"}, {"SELECT @@insert_id"}},
      {"one-shot SET TRANSACTION", {"SET TRANSACTION READ ONLY"}, {"INSERT INTO t VALUES (100, 'no')", "SELECT COUNT(*) FROM other", "ROLLBACK"}},
      {"one-shot SET TRANSACTION with a level", {"SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED, READ ONLY"}, {"BEGIN", "INSERT INTO t VALUES (100, 'no')", "ROLLBACK", "SELECT 1"}},
      {"one-shot SET TRANSACTION that is used up", {"SET TRANSACTION READ ONLY", "BEGIN", "COMMIT"}, {"BEGIN", "INSERT INTO t VALUES (100, 'yes')", "ROLLBACK"}},
      {"current schema", {"USE test"}, {"SELECT DATABASE()"}},
      {"current schema with a name that is not ASCII", {"USE `moving über`"}, {"SELECT HEX(DATABASE())"}},
      {"current schema under latin1", {"SET NAMES latin1", "USE test"}, {"SELECT DATABASE()", kCharsets}},
      {"user variables", {"SET @i = -5, @u = 18446744073709551615, @d = 1.50, @r = 1.5e300, @s = 'it''s \\\\ \"q\"', @n = NULL, @`odd name` = 'o'"}, {"SELECT @i, @u, @d, @r, @s, @n, @`odd name`", "SELECT @i + 1, @u - 1, CAST(@d * 2 AS DECIMAL(5,2)), @r / 1e300"}},
      {"user variables set within a SELECT", {"SELECT @z := 5", "SELECT 7 INTO @y", "SELECT v INTO @v FROM t WHERE id = 2"}, {"SELECT @z, @y, @v"}},
      {"user variables in other character sets", {"SET @l = _latin1 0xE9, @b = _binary 0x00FF27, @c = _utf8mb4 'ß' COLLATE utf8mb4_bin"}, {"SELECT HEX(@l), CHARSET(@l), HEX(@b), CHARSET(@b), COLLATION(@c), @c = 'SS'"}},
      {"a user variable whose name is not ASCII", {"SET @`größe` = 12"}, {"SELECT @`größe`"}},
      {"a long user variable", {"SET @long = REPEAT('godwit ', 20000)"}, {"SELECT LENGTH(@long), CRC32(@long)"}},
      {"text PREPARE", {"PREPARE p FROM 'SELECT v, ? FROM t WHERE id = ?'", "SET @a = 9, @b = 2"}, {"EXECUTE p USING @a, @b", "DEALLOCATE PREPARE p", "EXECUTE p USING @a, @b"}},
      {"text PREPARE under another sql_mode", {"SET sql_mode = 'ANSI_QUOTES'", "PREPARE p FROM 'SELECT \"id\" FROM t LIMIT 1'", "SET sql_mode = ''"}, {"EXECUTE p", "SELECT \"id\""}},
      {"text PREPARE in another schema", {"PREPARE p FROM 'SELECT COUNT(*) FROM other'", "USE test"}, {"EXECUTE p", "SELECT DATABASE()"}},
      {"LAST_INSERT_ID", {"SELECT LAST_INSERT_ID(42)"}, {"SELECT LAST_INSERT_ID()", "SELECT LAST_INSERT_ID(), @@last_insert_id, @@identity"}},
      {"LAST_INSERT_ID of an INSERT", {"INSERT INTO t (id, v) VALUES (NULL, 'x')", "SET @mine = LAST_INSERT_ID()"}, {"SELECT LAST_INSERT_ID() = @mine, @mine > 4"}},
      {"SHOW WARNINGS", {"SELECT 1 / 0, CAST('x' AS SIGNED)"}, {"SHOW WARNINGS", "SHOW COUNT(*) WARNINGS"}},
      {"SHOW ERRORS", {"!SELECT * FROM missing"}, {"SHOW ERRORS"}},
      {"@@warning_count", {"SELECT CAST('x' AS SIGNED)"}, {"SELECT @@warning_count"}},
      {"ROW_COUNT", {"DELETE FROM other WHERE id > 100"}, {"SELECT ROW_COUNT()"}},
      {"warnings behind statements without a table", {"SELECT CAST('x' AS SIGNED)"},
       {"SELECT 1", "SELECT @@warning_count", "SHOW WARNINGS", "SELECT 2 UNION SELECT 3", "SELECT FOUND_ROWS()", "SELECT 4", "SHOW COUNT(*) WARNINGS", "SELECT 1 FROM t LIMIT 1", "SELECT @@warning_count"}, On::mariadb_only},
      {"FOUND_ROWS", {"SELECT SQL_CALC_FOUND_ROWS id FROM t WHERE id < 4 LIMIT 1"}, {"SELECT FOUND_ROWS()"}},
      {"SET ROLE", {"SET ROLE moving_role"}, {"SELECT CURRENT_ROLE()"}},
      {"an error before the move", {"!SELECT * FROM missing"}, {"SELECT 1", "SELECT COUNT(*) FROM other"}},
      {"after a transaction", {"BEGIN", "UPDATE other SET v = 5", "ROLLBACK"}, {"SELECT @@in_transaction"}, On::mariadb_only},
      {"a user lock that was released", {"DO GET_LOCK('released', 1)", "DO RELEASE_LOCK('released')"}, {"SELECT IS_FREE_LOCK('released')"}},
      {"a temporary table that was dropped", {"CREATE TEMPORARY TABLE gone (id INT)", "DROP TEMPORARY TABLE gone"}, {"SELECT * FROM gone"}},
      {"LOCK TABLES that were unlocked", {"LOCK TABLES t READ", "UNLOCK TABLES"}, {"SELECT COUNT(*) FROM other"}},
      {"a handler that was closed", {"HANDLER t OPEN", "HANDLER t CLOSE"}, {"SELECT 1"}},
      {"two results", {"CALL two_results()"}, {"CALL two_results()"}},
  };
  return all;
}

AppAnswer take(AppClient& client, const std::string& statement) {
  const bool may_fail = statement[0] == '!';
  auto answer = client.ask(statement.substr(may_fail ? 1 : 0));
  if (!may_fail && !answer.is_ok()) throw std::runtime_error(answer.message + " in: " + statement);
  return answer;
}

// What an item shows, errors by their number.
std::string shown(AppClient& client, const Item& item) {
  std::string text;
  for (const auto& statement : item.shows) {
    const auto answer = client.ask(statement);
    text += "[" + (answer.is_ok() ? to_string(answer.rows) : "error " + std::to_string(answer.error)) + "]";
  }
  return text;
}

struct Moving {
  const Item* item;
  std::unique_ptr<AppClient> client;
};

// Ends the sessions that keep the proxy from closing the gate, by name, and says which; the rest goes on.
void drop_immovable(Stage& stage, std::vector<Moving>& sessions, std::vector<std::string>& refused) {
  const auto rows = stage.proxy->sessions();
  std::erase_if(sessions, [&](const Moving& moving) {
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Proxy::Row& each) { return each.at("id") == std::to_string(moving.client->id()); });
    if (row == rows.end() || row->at("immovable").empty()) return false;
    if (!(moving.item->is_refused_across && stage.is_across)) FAIL_CHECK(moving.item->name << " is refused: " << row->at("immovable"));
    refused.push_back(moving.item->name);
    return true;
  });
}

void pause_and_move(Stage& stage, std::vector<Moving>& sessions, const std::string& side, Strings& refused) {
  for (std::size_t tries = 0; tries < 80; ++tries) {
    const auto paused = stage.proxy->command("PAUSE WITH LEASE 60 DRAIN 3");
    const auto before = sessions.size();
    if (paused.is_ok()) {
      const auto moved = stage.proxy->command("MOVE TO " + side);
      if (moved.is_ok()) return;
      drop_immovable(stage, sessions, refused);
      if (sessions.size() == before) FAIL("MOVE TO " << side << ": " << moved.message);
      stage.proxy->must("RESUME");
    } else {
      drop_immovable(stage, sessions, refused);
      if (sessions.size() == before) FAIL("PAUSE: " << paused.message);
    }
    std::this_thread::sleep_for(milliseconds(20));  // until those that were dropped are gone
  }
}

void switch_all(Stage& stage, std::vector<Moving>& sessions, const std::string& side, Strings& refused) {
  pause_and_move(stage, sessions, side, refused);
  stage.proxy->must("RESUME");
}

// What has another name on the other flavour can be shown when the session is back.
std::vector<Moving> set_all(Stage& stage, const Server& server, bool is_for_way_back = false) {
  std::vector<Moving> sessions;
  for (const auto& item : items()) {
    if (!is_on(item.on, server)) continue;
    if (stage.is_across && !is_for_way_back && (item.on == On::mariadb_only || item.on == On::mysql_only)) continue;
    auto client = std::make_unique<AppClient>(stage.login());
    INFO(item.name);
    for (const auto& statement : item.sets) take(*client, statement);
    sessions.push_back({&item, std::move(client)});
  }
  return sessions;
}

std::string wanted(Stage& stage, const Item& item) {
  AppClient client(stage.login());
  for (const auto& statement : item.sets) take(client, statement);
  return shown(client, item);
}

void check_all(Stage& stage, std::vector<Moving>& sessions, const std::map<std::string, std::string>& expected, const char* when) {
  for (auto& moving : sessions) {
    const auto& text = expected.at(moving.item->name);
    const auto found = shown(*moving.client, *moving.item);
    INFO(moving.item->name << ", " << when);
    if (stage.is_across) {
      CHECK(in_common_words(found) == in_common_words(text));
    } else {
      CHECK(found == text);
    }
  }
}

std::map<std::string, std::string> expected_of_all(Stage& stage, const Server& server) {
  std::map<std::string, std::string> expected;
  for (const auto& item : items()) {
    if (is_on(item.on, server)) expected[item.name] = wanted(stage, item);
  }
  return expected;
}

void check_refused_across(Stage& stage, const Server& server, const Strings& refused) {
  for (const auto& item : items()) {
    if (!item.is_refused_across || !stage.is_across || !is_on(item.on, server)) continue;
    INFO(item.name << " has no counterpart on the other side, and must be refused");
    CHECK(std::find(refused.begin(), refused.end(), item.name) != refused.end());
  }
}

// --- what is refused -----------------------------------------------------------------------------------------------

struct Refused {
  std::string name;
  Strings sets;
  std::string reason;  // in PAUSE's words and SHOW SESSIONS
  Strings ends;        // after which it can be moved
  std::string shows;   // still there after the refusal
  std::string shown;
  On on = On::both;
};

const std::vector<Refused>& refused_items() {
  static const std::vector<Refused> all{
      {"a transaction", {"BEGIN", "SELECT COUNT(*) FROM t"}, "transaction", {"COMMIT"}, "SELECT 1", "1"},
      {"a transaction of autocommit = 0", {"SET autocommit = 0", "SELECT COUNT(*) FROM t"}, "transaction", {"COMMIT"}, "SELECT 1", "1"},
      {"START TRANSACTION that has done nothing", {"START TRANSACTION"}, "transaction", {"COMMIT"}, "SELECT 1", "1"},
      {"a transaction that has failed once", {"BEGIN", "UPDATE other SET v = 77 WHERE id = 1", "!SELECT * FROM missing"}, "transaction", {"ROLLBACK"}, "SELECT v FROM other WHERE id = 1", "77"},
      {"a savepoint of autocommit = 0", {"SET autocommit = 0", "SAVEPOINT here"}, "transaction", {"COMMIT"}, "SELECT 1", "1"},
      {"a temporary table", {"CREATE TEMPORARY TABLE mine (id INT)", "INSERT INTO mine VALUES (5)"}, "temporary_table", {"DROP TEMPORARY TABLE mine"}, "SELECT id FROM mine", "5"},
      {"a temporary table with a column list from a SELECT", {"CREATE /* why */ OR REPLACE TEMPORARY TABLE `mine too` AS SELECT 6 AS id"}, "temporary_table", {"DROP TABLE `mine too`"}, "SELECT id FROM `mine too`", "6", On::mariadb},
      {"a temporary table in memory", {"CREATE TEMPORARY TABLE mine (id INT) ENGINE=MEMORY", "INSERT INTO mine VALUES (5)"}, "temporary_table", {"DROP TEMPORARY TABLE mine"}, "SELECT id FROM mine", "5"},
      {"a temporary table over a permanent one", {"CREATE TEMPORARY TABLE t (id INT)"}, "temporary_table", {"DROP TEMPORARY TABLE t"}, "SELECT COUNT(*) FROM t", "0"},
      {"a temporary table beside a user variable", {"SET @s = 'text'", "CREATE TEMPORARY TABLE mine (id INT)"}, "temporary_table", {"DROP TEMPORARY TABLE mine"}, "SELECT COUNT(*) FROM mine", "0"},
      {"a temporary table of another schema", {"CREATE TEMPORARY TABLE mine (id INT)", "USE test"}, "temporary_table", {"DROP TEMPORARY TABLE moving.mine"}, "SELECT COUNT(*) FROM moving.mine", "0"},
      {"a temporary table that was renamed", {"CREATE TEMPORARY TABLE mine (id INT)", "ALTER TABLE mine RENAME TO yours"}, "temporary_table", {}, "SELECT COUNT(*) FROM yours", "0"},
      {"a temporary table after one that was none", {"!CREATE TEMPORARY TABLE mine (id NONSENSE)", "CALL make_table()"}, "temporary_table", {}, "SELECT id FROM hidden", "7"},
      {"a temporary table of a prepared statement", {"PREPARE p FROM 'CREATE TEMPORARY TABLE mine (id INT)'", "EXECUTE p"}, "temporary_table", {}, "SELECT COUNT(*) FROM mine", "0"},
      {"a temporary table after FLUSH STATUS", {"FLUSH STATUS", "CALL make_table()", "FLUSH STATUS"}, "temporary_table", {}, "SELECT id FROM hidden", "7"},
      {"a temporary sequence", {"CREATE TEMPORARY SEQUENCE numbers"}, "temporary_table", {}, "SELECT NEXTVAL(numbers)", "1", On::mariadb},
      {"a temporary table of a procedure", {"CALL make_table()"}, "temporary_table", {}, "SELECT id FROM hidden", "7"},
      {"GET_LOCK", {"DO GET_LOCK('mine', 1)"}, "user_lock", {"DO RELEASE_LOCK('mine')"}, "SELECT IS_USED_LOCK('mine') = CONNECTION_ID()", "1"},
      {"GET_LOCK in a procedure", {"CALL lock_it()"}, "user_lock", {"DO RELEASE_LOCK('from procedure')"}, "SELECT IS_USED_LOCK('from procedure') = CONNECTION_ID()", "1", On::mysql},
      {"GET_LOCK whose name is an expression", {"DO GET_LOCK(CONCAT('mi', 'ne'), 1)"}, "user_lock", {}, "SELECT IS_USED_LOCK('mine') = CONNECTION_ID()", "1"},
      {"GET_LOCK after RELEASE_LOCK of another", {"DO GET_LOCK('one', 1)", "DO GET_LOCK('two', 1)", "DO RELEASE_LOCK('one')"}, "user_lock", {"DO RELEASE_ALL_LOCKS()"}, "SELECT IS_USED_LOCK('two') = CONNECTION_ID()", "1"},
      {"GET_LOCK at the end of a long statement", {"SELECT '" + std::string(5000, 'x') + "', GET_LOCK('mine', 1)"}, "user_lock", {"DO RELEASE_LOCK('mine')"}, "SELECT IS_USED_LOCK('mine') = CONNECTION_ID()", "1"},
      {"a one-shot SET TRANSACTION that may be used up", {"SET TRANSACTION READ ONLY", "SELECT COUNT(*) FROM t"}, "one_shot_transaction", {"BEGIN", "COMMIT"}, "", ""},
      {"PREPARE in a procedure", {"CALL prepare_it()"}, "text_prepared_statement", {}, "", "", On::mariadb},
      {"LOCK TABLES", {"LOCK TABLES t WRITE"}, "table_lock", {"UNLOCK TABLES"}, "SELECT COUNT(*) > 0 FROM t", "1"},
      {"FLUSH TABLES WITH READ LOCK", {"FLUSH TABLES WITH READ LOCK"}, "global_read_lock", {"UNLOCK TABLES"}, "SELECT COUNT(*) > 0 FROM t", "1"},
      {"HANDLER", {"HANDLER t OPEN"}, "handler", {"HANDLER t CLOSE"}, "SELECT 1", "1"},
      {"an XA transaction", {"XA START 'x1'", "INSERT INTO other VALUES (50, 1)"}, "xa", {"XA END 'x1'", "XA ROLLBACK 'x1'"}, "SELECT v FROM other WHERE id = 50", "1"},
      {"an XA transaction that is prepared", {"XA START 'x2'", "INSERT INTO other VALUES (51, 1)", "XA END 'x2'", "XA PREPARE 'x2'"}, "xa", {"XA ROLLBACK 'x2'"}, "", ""},
  };
  return all;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void check_refused(Stage& stage, const Refused& item) {
  INFO(item.name);
  AppClient client = stage.client();
  for (const auto& statement : item.sets) take(client, statement);
  const auto paused = stage.proxy->command("PAUSE DRAIN 0.1");
  CHECK(paused.error != 0);
  if (paused.is_ok()) {
    stage.proxy->must("RESUME");
  } else {
    CHECK_THAT(paused.message, Catch::Contains(item.reason) && Catch::Contains(std::to_string(client.id())));
  }
  auto row = stage.proxy->session(client.id());
  CHECK(contains(row["in"] + " " + row["immovable"], item.reason));
  if (!item.shows.empty()) CHECK(client.scalar(item.shows) == item.shown);
  for (const auto& statement : item.ends) take(client, statement);
  if (item.ends.empty() || stage.is_across) return;  // what refuses it is the old side's business: the way on is tried where it is short
  // It is free again, and moves with the next switch.
  CHECK_NOTHROW(stage.proxy->switch_to("target"));
  CHECK(client.scalar("SELECT @@port") == std::to_string(stage.to.port()));
  CHECK_NOTHROW(stage.proxy->switch_to("source"));
  CHECK(client.scalar("SELECT @@port") == std::to_string(stage.from.port()));
}

}  // namespace

TEST_CASE("proxy_state: what a session has set is there on the other side, and back again", "[proxy_state]") {
  for (const auto& pair : moving_pairs()) {
    DYNAMIC_SECTION(pair.name) {
      Stage stage(pair);
      const auto expected = expected_of_all(stage, stage.from);
      Strings refused;
      {
        auto sessions = set_all(stage, stage.from);
        pause_and_move(stage, sessions, "target", refused);
        stage.proxy->must("MOVE TO source");
        stage.proxy->must("RESUME");
        check_all(stage, sessions, expected, "moved, and moved back before RESUME");
      }
      {
        auto sessions = set_all(stage, stage.from);
        switch_all(stage, sessions, "target", refused);
        check_all(stage, sessions, expected, "moved");
      }
      stage.proxy->switch_to("source");
      auto sessions = set_all(stage, stage.from, true);
      switch_all(stage, sessions, "target", refused);
      switch_all(stage, sessions, "source", refused);
      check_all(stage, sessions, expected, "moved, and back");
      check_refused_across(stage, stage.from, refused);
    }
  }
}

TEST_CASE("proxy_state: what cannot be moved is refused by its name, goes on as it was, and can be moved when it has ended", "[proxy_state]") {
  for (const auto& pair : moving_pairs()) {
    DYNAMIC_SECTION(pair.name) {
      Stage stage(pair);
      for (const auto& item : refused_items()) {
        if (is_on(item.on, stage.from)) check_refused(stage, item);
      }
    }
  }
}

TEST_CASE("proxy_state: where a routine may take locks that MariaDB does not show, every session is refused by that name until it is gone", "[proxy_state]") {
  Stage stage(moving_pairs()[0]);
  stage.from.client(kSchema).execute("CREATE PROCEDURE lock_it() DO GET_LOCK('from procedure', 1)");
  struct Gone {  // other cases use the server
    const Server& server;
    ~Gone() { server.client().execute("DROP PROCEDURE IF EXISTS moving.lock_it"); }
  } const gone{stage.from};
  AppClient client = stage.client();
  client.run({"CALL lock_it()"});
  CHECK_THAT(stage.proxy->command("PAUSE DRAIN 0.1").message, Catch::Contains("user_lock_unseen"));
  CHECK(client.scalar("SELECT IS_USED_LOCK('from procedure') = CONNECTION_ID()") == "1");
  client.run({"DO RELEASE_ALL_LOCKS()"});
  stage.from.client(kSchema).execute("DROP PROCEDURE lock_it");
  CHECK_NOTHROW(stage.proxy->switch_to("target"));
}
