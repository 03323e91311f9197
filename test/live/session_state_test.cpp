// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7 e=mariadb-11.8
// Each kind of session state is made in a session on one server, read from it, and made again in a session on another: what the session
// is asked before and after is answered the same, or the session is refused by name.
#include <chrono>
#include <thread>

#include "catch.h"
#include "godwit/routing/diagnostics.h"
#include "live/support/session_pair.h"

using namespace godwit;
using namespace godwit::test;

namespace {

using Pair = SessionPair;
using Item = SessionItem;

std::string isolation(const Server& server) { return server.is_mariadb() ? "SELECT @@tx_isolation" : "SELECT @@transaction_isolation"; }

std::vector<Item> items(const Server& from, const Server& to) {
  const std::string limit = from.is_mariadb() ? "max_statement_time = 0.003" : "max_execution_time = 1";
  return {
      {"a time limit shorter than the pull", {"SET " + limit}, "SELECT 1"},
      {"names with a collation", {"SET NAMES latin1 COLLATE latin1_german1_ci"}, "SELECT @@character_set_client, @@collation_connection, COLLATION('x')"},
      {"results without conversion", {"SET character_set_results = NULL"}, "SELECT @@character_set_results IS NULL, HEX('x')"},
      {"results as UTF-16", {"SET character_set_results = utf16"}, "SELECT 'x'"},
      {"mixed charsets", {"SET character_set_client = latin2, character_set_connection = utf8mb4, collation_connection = utf8mb4_bin"}, "SELECT @@character_set_client, COLLATION('x')"},
      {"a quoting mode", {"SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'"}, "SELECT 'a' || 'b', LENGTH('\\n')"},
      {"no mode at all", {"SET sql_mode = ''"}, "SELECT 1/0, CAST('x' AS SIGNED)"},
      {"a time zone", {"SET time_zone = '+05:30'"}, "SELECT FROM_UNIXTIME(86400), @@time_zone"},
      {"autocommit off", {"SET autocommit = 0"}, "SELECT @@autocommit"},
      {"an isolation level", {"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"}, isolation(from), isolation(to)},
      {"limits", {"SET sql_select_limit = 2, group_concat_max_len = 5, max_sort_length = 99, sql_safe_updates = 1"}, "SELECT (SELECT GROUP_CONCAT(a) FROM t), @@max_sort_length, @@sql_safe_updates, @@sql_select_limit"},
      {"a small join size", {"SET sql_big_selects = 0, max_join_size = 100"}, "SELECT @@max_join_size, @@sql_big_selects"},
      {"time-outs", {"SET wait_timeout = 77, innodb_lock_wait_timeout = 3, lock_wait_timeout = 4, net_read_timeout = 44"},
       "SELECT @@wait_timeout, @@innodb_lock_wait_timeout, @@lock_wait_timeout, @@net_read_timeout"},
      {"checks off", {"SET foreign_key_checks = 0, unique_checks = 0"}, "SELECT @@foreign_key_checks, @@unique_checks"},
      {"a fixed clock", {"SET timestamp = 1000.5"}, "SELECT UNIX_TIMESTAMP(NOW(6))"},
      {"locale of names", {"SET lc_time_names = 'de_DE'"}, "SELECT DAYNAME('2024-01-01')"},
      {"memory", {"SET sort_buffer_size = 300000, tmp_table_size = 1048576"}, "SELECT @@sort_buffer_size, @@tmp_table_size"},
      {"user variables: numbers", {"SET @i = 5, @n = -9223372036854775808, @u = 18446744073709551615, @one = CAST(1 AS UNSIGNED)"}, "SELECT @i, @n, @u, @one - 1, @i / 3"},
      {"user variables: decimals and doubles", {"SET @d = 1.50, @w = CAST(7 AS DECIMAL(30,0)), @e = 0.1e0 + 0.2e0, @f = 1e300"}, "SELECT @d, @w / 3 LIKE '2.33333%', @w, @e = 0.1e0 + 0.2e0, @e, @f"},
      {"user variables: strings", {"SET @s = 'it''s', @l = _latin1 X'E4' COLLATE latin1_bin, @b = X'00FF', @z = '', @m = 'emoji \xF0\x9F\x98\x80' COLLATE utf8mb4_unicode_ci"},
       "SELECT @s, HEX(@l), CHARSET(@l), COLLATION(@l), HEX(@b), CHARSET(@b), LENGTH(@z), HEX(@m), COLLATION(@m)"},
      {"user variables: NULL, and odd names", {"SET @nothing = NULL, @`a``b` = 1, @\xC3\xA4 = 2"}, "SELECT @nothing, @`a``b`, @\xC3\xA4"},
      {"user variables made by SELECT", {"SELECT @made := 7", "SELECT 8 INTO @into"}, "SELECT @made, @into"},
      {"another schema", {"USE stock"}, "SELECT DATABASE()"},
      {"the last inserted id", {"INSERT INTO t (a) VALUES (9)"}, "SELECT LAST_INSERT_ID() > 0, LAST_INSERT_ID()"},
      {"an id for the next insert", {"SET insert_id = 500"}, "SELECT @@insert_id"},
      {"names in a charset of seven bits", {"SET NAMES swe7", "SET @v = 1, timestamp = 5"}, "SELECT @v, UNIX_TIMESTAMP(), COLLATION('x')"},
      {"how seconds are cut", {}, "SELECT CAST('2024-01-01 00:00:00.9' AS DATETIME)"},
      {"a prepared text", {"SET @p = 4", "PREPARE twice FROM 'SELECT ? * 2'"}, "EXECUTE twice USING @p"},
      {"a prepared text of another mode", {"SET sql_mode = 'ANSI_QUOTES'", "PREPARE quoted FROM 'SELECT \"a\" FROM t LIMIT 1'", "SET sql_mode = ''"}, "EXECUTE quoted"},
  };
}

void require_all_kept(Pair& pair) {
  for (const auto& item : items(pair.from, pair.to)) require_same(pair, item);
}

void require_role_kept(Pair& pair) {
  Session old(pair.from, "app", "shop");
  old.execute("SET ROLE reader");
  Move move = pair.move(old);
  REQUIRE(move.refused() == "");
  CHECK(describe(move.differences) == "");
  CHECK(move.session->ask("SELECT CURRENT_ROLE()") == (pair.to.is_mariadb() ? "reader" : "`reader`@`%`"));
}

void require_clock_runs(Pair& pair) {
  Session old(pair.from, "app", "shop");
  old.execute("SET timestamp = 1000");
  old.execute("SET timestamp = DEFAULT");
  Move move = pair.move(old);
  REQUIRE(move.refused() == "");
  CHECK(move.session->ask("SELECT UNIX_TIMESTAMP() > 1000000000") == "1");
  const std::string first = move.session->ask("SELECT NOW(6)");
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  CHECK(move.session->ask("SELECT NOW(6)") != first);
}

// SET TRANSACTION for the next transaction alone: on the new server it holds for one, and not for the one after it.
void require_one_shot_kept(Pair& pair) {
  Session old(pair.from, "app", "shop");
  old.execute("SET TRANSACTION READ ONLY");
  Move move = pair.move(old);
  REQUIRE(move.refused() == "");
  move.session->execute("BEGIN");
  CHECK(move.session->ask("INSERT INTO t (a) VALUES (1)").starts_with("1792 "));
  move.session->execute("ROLLBACK");
  move.session->execute("BEGIN");
  CHECK(move.session->ask("INSERT INTO t (a) VALUES (1)").empty());
  move.session->execute("ROLLBACK");
}

std::string answered(routing::SessionState& state, const Server& server, const std::string& sql) {
  const auto question = routing::asks_for_diagnostics(sql);
  REQUIRE(question);
  const auto flavour = server.is_mariadb() ? routing::Flavour::mariadb : routing::Flavour::mysql;
  const auto answer = routing::answer(*question, flavour, state.diagnostics);
  std::string text;
  for (const auto& row : answer.rows.rows) {
    if (!text.empty()) text += "\n";
    for (std::size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : "|") + row[i].value_or("NULL");
  }
  return text;
}

// A twin of the old session is asked directly, the moved one's answer is the kept one.
void require_diagnostics_kept(Pair& pair) {
  const std::vector<std::string> before{"SELECT SQL_CALC_FOUND_ROWS 1/0, a FROM t LIMIT 1", "UPDATE t SET a = a + 1", "SELECT nothing", "SET @x = 1",
                                        "DELETE FROM t WHERE id = 99999", "DROP TABLE IF EXISTS nothing"};
  const std::vector<std::string> questions{"SHOW WARNINGS", "SHOW ERRORS", "SHOW COUNT(*) WARNINGS", "SELECT FOUND_ROWS()", "SELECT ROW_COUNT()", "SHOW WARNINGS LIMIT 1"};
  for (const auto& sql : before) {
    for (const auto& question : questions) {
      INFO(pair.from.flavour() << ": " << sql << "; " << question);
      Session old(pair.from, "app", "shop");
      Session twin(pair.from, "app", "shop");
      for (Session* session : {&old, &twin}) {
        session->run("SELECT 1");  // FOUND_ROWS() of a new session is whatever MariaDB's thread had last
        session->run(sql);
      }
      Move move = pair.move(old);
      REQUIRE(move.refused() == "");
      CHECK(answered(move.state, pair.from, question) == twin.ask(question));
      CHECK(answered(move.state, pair.from, "SELECT ROW_COUNT()") == twin.ask("SELECT ROW_COUNT()"));
      CHECK(answered(move.state, pair.from, "SHOW WARNINGS") == twin.ask("SHOW WARNINGS"));
    }
  }
}

void require_refusals(Pair& pair) {
  require_refused(pair, {"LOCK TABLES t READ"}, "table_lock");
  require_refused(pair, {"HANDLER t OPEN"}, "handler");
  require_refused(pair, {"SELECT GET_LOCK('till', 0)"}, "user_lock");
  require_refused(pair, {"BEGIN", "SELECT * FROM t"}, "transaction");
  require_refused(pair, {"XA START 'x'"}, "xa");
  require_refused(pair, {"CREATE TEMPORARY TABLE mine (a INT)"}, "temporary_table");
  require_refused(pair, {"CREATE TEMPORARY TABLE mine (a INT) ENGINE=MyISAM"}, "temporary_table");
  require_refused(pair, {"CREATE TEMPORARY TABLE mine (a INT) ENGINE=MEMORY"}, "temporary_table");
  require_refused(pair, {"CALL makes_table()"}, "temporary_table");
  if (pair.from.is_mariadb()) require_refused(pair, {"SET @q = 'SELECT 1'", "PREPARE one FROM @q"}, "text_prepared_statement one");
  require_refused(pair, {"CALL prepares()"}, "text_prepared_statement");
}

// What was there once does not keep a session for ever.
void require_freed(Pair& pair) {
  require_same(pair, {"a dropped temporary table", {"CREATE TEMPORARY TABLE mine (a INT)", "DROP TEMPORARY TABLE mine"}, "SELECT 1"});
  require_same(pair, {"dropped before it was made", {"CREATE TEMPORARY TABLE mine (a INT)", "DROP TEMPORARY TABLE IF EXISTS mine", "DROP TEMPORARY TABLE IF EXISTS mine"}, "SELECT 1"});
  require_refused(pair, {"DROP TEMPORARY TABLE IF EXISTS mine", "CREATE TEMPORARY TABLE mine (a INT)"}, "temporary_table");
  require_same(pair, {"released table locks", {"LOCK TABLES t READ", "UNLOCK TABLES"}, "SELECT 1"});
  require_same(pair, {"a closed handler", {"HANDLER t OPEN", "HANDLER t CLOSE"}, "SELECT 1"});
  require_same(pair, {"a deallocated text", {"PREPARE one FROM 'SELECT 1'", "DEALLOCATE PREPARE one"}, "SELECT 1"});
  Session old(pair.from, "app", "shop");
  old.execute("CREATE TEMPORARY TABLE mine (a INT)");
  old.reset();
  CHECK(pair.move(old).refused() == "");
}

// A server that shows no locks is asked after those whose names stood in the text.
void require_named_locks_freed(Pair& pair) {
  require_same(pair, {"a released user lock", {"SELECT GET_LOCK('till', 0)", "SELECT RELEASE_LOCK('till')"}, "SELECT 1"});
  require_refused(pair, {"SELECT GET_LOCK('a', 0), GET_LOCK('b', 0)", "SELECT RELEASE_LOCK('a')"}, "user_lock");
}

// MySQL's collations have a name in some of MariaDB's versions: where they do it is theirs, and where not nothing is put in its place.
void require_collation_kept_or_refused(Pair& pair, const std::string& collation) {
  const bool is_known = pair.to_admin.run("SELECT _utf8mb4 'x' COLLATE " + collation).error.empty();
  if (is_known) {
    require_same(pair, {"a chosen collation", {"SET NAMES utf8mb4 COLLATE " + collation, "SET @v = 'x'"}, "SELECT @@collation_connection, COLLATION('x'), COLLATION(@v), 'a' = 'A'"});
  } else {
    require_refused(pair, {"SET NAMES utf8mb4 COLLATE " + collation}, "collation " + collation);
    require_refused(pair, {"SET @v = _utf8mb4 'x' COLLATE " + collation}, "user_variable @v");
  }
}

// What stood for the default becomes it again.
void require_collations_back(Pair& pair) {
  INFO(pair.from.flavour() << " to " << pair.to.flavour() << " and back");
  const std::string question = "SELECT @@collation_connection, COLLATION(@v), @v = 'X'";
  Session old(pair.from, "app", "shop");
  for (const auto* sql : {"SET NAMES utf8mb4", "SET @v = 'x'"}) old.execute(sql);
  Move there = pair.move(old);
  REQUIRE(there.refused() == "");
  Move back = pair.move_back(there);
  REQUIRE(back.refused() == "");
  CHECK(describe(back.differences) == "");
  CHECK(back.session->ask(question) == old.ask(question));
}

void require_everything(Pair& pair) {
  require_all_kept(pair);
  require_role_kept(pair);
  require_clock_runs(pair);
  require_one_shot_kept(pair);
  require_refusals(pair);
  require_freed(pair);
  require_named_locks_freed(pair);
}

}  // namespace

TEST_CASE("session state: MariaDB to MariaDB: a session cannot tell, or is refused by name", "[session_state]") {
  Server a("a"), b("b");
  Pair pair(a, b);
  require_everything(pair);
  require_diagnostics_kept(pair);
}

TEST_CASE("session state: MySQL to MySQL: a session cannot tell, or is refused by name", "[session_state]") {
  Server c("c"), d("d");
  Pair pair(c, d);
  require_everything(pair);
  require_diagnostics_kept(pair);
}

TEST_CASE("session state: MariaDB to MySQL: a session cannot tell, or is refused by name", "[session_state]") {
  Server a("a"), c("c");
  Pair pair(a, c);
  require_everything(pair);
}

TEST_CASE("session state: MySQL to MariaDB: a session cannot tell, or is refused by name", "[session_state]") {
  Server c("c"), a("a");
  Pair pair(c, a);
  require_everything(pair);
}

TEST_CASE("session state: MariaDB to a newer MariaDB, and from it to MySQL", "[session_state]") {
  Server a("a"), e("e"), d("d");
  Pair newer(a, e);
  require_everything(newer);
  Pair across(e, d);
  require_everything(across);
}

TEST_CASE("session state: an empty string stays one where new ones would be NULL", "[session_state]") {
  Server a("a"), b("b");
  Pair pair(a, b);
  require_same(pair, {"empty", {"SET @e = ''", "SET sql_mode = 'EMPTY_STRING_IS_NULL'"}, "SELECT @e IS NULL, LENGTH(@e), '' IS NULL"});
}

TEST_CASE("session state: MariaDB to MySQL: what MySQL lacks is refused by name, the rest is translated", "[session_state]") {
  Server a("a"), c("c");
  Pair pair(a, c);
  require_refused(pair, {"SET check_constraint_checks = 0"}, "variable check_constraint_checks");
  require_refused(pair, {"SET sql_mode = 'ORACLE'"}, "sql_mode ORACLE");
  require_refused(pair, {"SET sql_mode = 'EMPTY_STRING_IS_NULL'"}, "sql_mode EMPTY_STRING_IS_NULL");
  require_refused(pair, {"SET NAMES utf8mb4 COLLATE utf8mb4_unicode_nopad_ci"}, "collation utf8mb4_unicode_nopad_ci");
  require_refused(pair, {"SET @v = _utf8mb4 'x' COLLATE utf8mb4_unicode_nopad_ci"}, "user_variable @v");
  require_refused(pair, {"SET optimizer_switch = 'rowid_filter=off'"}, "variable optimizer_switch");
  require_refused(pair, {"SET max_error_count = 3"}, "target_refuses max_error_count");
  require_same(pair, {"a time limit", {"SET max_statement_time = 1.5"}, "SELECT CAST(@@max_statement_time * 1000 AS SIGNED)", "SELECT @@max_execution_time"});
  require_same(pair, {"a flag both have", {"SET optimizer_switch = 'materialization=off'"}, "SELECT @@optimizer_switch LIKE '%,materialization=off%'"});
  require_same(pair, {"ANSI without its MySQL part", {"SET sql_mode = 'ANSI'"}, "SELECT 'a' || \"b\" FROM (SELECT 'c' AS b) AS d"});
}

TEST_CASE("session state: between flavours: the default collation finds its way back, a chosen one is kept by its name or refused", "[session_state]") {
  Server a("a"), c("c"), e("e");
  Pair old_to_mysql(a, c), mysql_to_old(c, a), new_to_mysql(e, c), mysql_to_new(c, e);
  for (Pair* pair : {&old_to_mysql, &mysql_to_old, &new_to_mysql, &mysql_to_new}) require_collations_back(*pair);
  for (Pair* pair : {&mysql_to_old, &mysql_to_new}) {
    require_collation_kept_or_refused(*pair, "utf8mb4_0900_as_cs");
    require_collation_kept_or_refused(*pair, "utf8mb4_ja_0900_as_cs_ks");
  }
  for (Pair* pair : {&old_to_mysql, &new_to_mysql}) require_collation_kept_or_refused(*pair, "utf8mb4_uca1400_nopad_ai_ci");
}

TEST_CASE("session state: MySQL to MariaDB: what MariaDB lacks is refused by name, the rest is translated", "[session_state]") {
  Server c("c"), a("a");
  Pair pair(c, a);
  require_refused(pair, {"SET explain_format = 'JSON'"}, "variable explain_format");
  require_same(pair, {"the usual collation", {"SET NAMES utf8mb4"}, "SELECT 'a' = 'A', 'a' = 'b', @@character_set_client"});
  require_same(pair, {"a time limit", {"SET max_execution_time = 250"}, "SELECT @@max_execution_time", "SELECT CAST(@@max_statement_time * 1000 AS SIGNED)"});
  pair.from_admin.execute("CREATE ROLE IF NOT EXISTS writer");
  pair.from_admin.execute("GRANT writer TO app@'%'");
  require_refused(pair, {"SET ROLE ALL"}, "role `reader`@`%`,`writer`@`%`");
}
