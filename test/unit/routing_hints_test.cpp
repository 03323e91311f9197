#include <random>

#include "catch.h"
#include "godwit/routing/hints.h"
#include "godwit/routing/text_statements.h"
#include "godwit/routing/user_locks.h"

using namespace godwit::routing;

namespace {

bool has(std::string_view sql, Hint hint, const HintOptions& options = {}) { return hints_of(sql, options).has(hint); }

}  // namespace

TEST_CASE("hints: the id of a KILL is found with its place, whatever stands before it", "[routing]") {
  struct Case {
    std::string_view sql;
    bool is_query;
    std::string_view id;
  };
  for (const Case& each : {Case{"KILL 17", false, "17"}, Case{"kill query 18446744073709551615", true, "18446744073709551615"}, Case{"KILL CONNECTION 5", false, "5"},
                           Case{"/* why */ KILL -- so\n HARD QUERY 9;", true, "9"}, Case{"/*!50000 KILL */ 4", false, "4"}}) {
    INFO(each.sql);
    const Hints hints = hints_of(each.sql);
    REQUIRE(hints.has(Hint::kills));
    CHECK(hints.kill.is_query == each.is_query);
    CHECK(each.sql.substr(hints.kill.offset, hints.kill.size) == each.id);
  }
  for (const std::string_view other : {"KILL QUERY ID 5", "KILL USER app", "KILL @id", "KILL CONNECTION_ID()", "KILL"}) {
    INFO(other);
    CHECK(has(other, Hint::kills));
    CHECK(hints_of(other).kill.size == 0);
  }
  CHECK_FALSE(has("SELECT 'KILL 5'", Hint::kills));
  CHECK_FALSE(has("SELECT 1 -- ; KILL 5", Hint::kills, {.takes_several_statements = true}));
}

TEST_CASE("hints: later statements of a text count where the client may send several", "[routing]") {
  const HintOptions several{.takes_several_statements = true};
  CHECK(has("SELECT ';'; KILL 5", Hint::kills, several));
  CHECK(has("SELECT 1; SET timestamp = 1", Hint::sets_timestamp, several));
  CHECK(has("SET @a = 1; SELECT 1", Hint::several_statements, several));
  CHECK_FALSE(has("SELECT 1;", Hint::several_statements, several));
  CHECK(has("KILL 1; KILL 2", Hint::several_kills, several));
  CHECK(has("INSERT INTO t VALUES (1); CREATE TEMPORARY TABLE x (a INT)", Hint::creates_temporary_table, {.looks_for_user_locks = false, .takes_several_statements = true}));
}

TEST_CASE("hints: each kind of statement is known by its first words", "[routing]") {
  struct Case {
    std::string_view sql;
    Hint hint;
  };
  const Case cases[] = {
      {"SET SESSION session_track_schema = 1", Hint::mentions_session_track},
      {"SET @@session.session_track_gtids = OWN_GTID", Hint::mentions_session_track},
      {"SET timestamp = 5", Hint::sets_timestamp},
      {"SET @@timestamp = 5", Hint::sets_timestamp},
      {"SET sql_mode = '', @@SESSION.Timestamp = DEFAULT", Hint::sets_timestamp},
      {"select get_lock('a', 1)", Hint::may_take_user_lock},
      {"DO GET_LOCK('a', 1)", Hint::may_take_user_lock},
      {"SET @a = GET_LOCK ('a', 1)", Hint::may_take_user_lock},
      {"SELECT RELEASE_ALL_LOCKS()", Hint::may_free_user_locks},
      {"PREPARE x FROM 'SELECT 1'", Hint::prepares_text},
      {"EXECUTE IMMEDIATE 'SELECT 1'", Hint::prepares_text},
      {"DROP PREPARE x", Hint::prepares_text},
      {"DEALLOCATE PREPARE x", Hint::prepares_text},
      {"SAVEPOINT a", Hint::savepoint},
      {"ROLLBACK TO SAVEPOINT a", Hint::savepoint},
      {"XA PREPARE 'x'", Hint::xa},
      {"CREATE OR REPLACE TEMPORARY TABLE t (a INT)", Hint::creates_temporary_table},
      {"LOCK TABLES t READ", Hint::locks_tables},
      {"UNLOCK TABLES", Hint::unlocks_tables},
      {"FLUSH TABLES t WITH READ LOCK", Hint::flushes_with_read_lock},
      {"FLUSH TABLES t FOR EXPORT", Hint::flushes_with_read_lock},
      {"FLUSH STATUS", Hint::flushes_status},
      {"HANDLER t OPEN", Hint::handler},
      {"CALL p()", Hint::calls},
      {"BEGIN NOT ATOMIC SET @a = 1; END", Hint::calls},
      {"GET DIAGNOSTICS @n = NUMBER", Hint::gets_diagnostics},
      {"SET TRANSACTION READ ONLY", Hint::sets_transaction},
      {"SET SESSION TRANSACTION READ ONLY", Hint::sets_transaction},
      {"SET PASSWORD = 'x'", Hint::sets_password},
      {"ALTER USER a IDENTIFIED BY 'x'", Hint::sets_password},
      {"SET DEFAULT ROLE a", Hint::sets_role},
      {"START TRANSACTION", Hint::begins_transaction},
      {"commit", Hint::ends_transaction},
      {"USE shop", Hint::changes_schema},
  };
  for (const Case& each : cases) {
    INFO(each.sql);
    CHECK(has(each.sql, each.hint));
  }
}

TEST_CASE("hints: what stands in quotes, comments and names gives nothing away", "[routing]") {
  CHECK_FALSE(has("SELECT 'get_lock', `get_lock`, \"get_lock\" /* GET_LOCK( */", Hint::may_take_user_lock));
  CHECK_FALSE(has("SELECT 'a''GET_LOCK', 'b\\'GET_LOCK('", Hint::may_take_user_lock));
  CHECK_FALSE(has("SELECT timestamp FROM t", Hint::sets_timestamp));
  CHECK_FALSE(has("CREATE TABLE temporary (a INT)", Hint::creates_temporary_table));
  CHECK(has("SELECT '\\', GET_LOCK('a', 1)", Hint::may_take_user_lock, {.has_backslash_escapes = false}));
  CHECK_FALSE(has("SELECT '\\', GET_LOCK(', 1", Hint::may_take_user_lock));
}

TEST_CASE("hints: a long text is looked at as far as the limit, and says so", "[routing]") {
  const std::string text = "SELECT '" + std::string(5000, 'x') + "', GET_LOCK('a', 1)";
  CHECK(has(text, Hint::is_cut));
  CHECK_FALSE(has(text, Hint::is_cut, {.bytes_max = 8192}));
  CHECK(has(text, Hint::may_take_user_lock, {.bytes_max = 8192}));
  CHECK_FALSE(has(text, Hint::is_cut, {.looks_for_user_locks = false}));
}

TEST_CASE("hints: any bytes are taken", "[routing]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const std::string_view parts[] = {"KILL ", "'", "\"", "`", "/*", "*/", "/*!", "--", "#", "@", "@@", ";", "SET ", "\\", "GET_LOCK(", " ", "5", "\xff", std::string_view("\0", 1)};
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (auto n = random() % 12; n > 0; --n) text += parts[random() % std::size(parts)];
    const Hints hints = hints_of(text, {.takes_several_statements = (random() & 1) != 0, .bytes_max = 40});
    REQUIRE(hints.kill.offset + hints.kill.size <= text.size());
    text_prepare_of(text);
    temporary_table_of(text);
  }
}

TEST_CASE("text statements: name and source of a PREPARE are told apart", "[routing]") {
  const auto literal = text_prepare_of("PREPARE `a``b` FROM 'SELECT ''x''' ;");
  REQUIRE(literal);
  CHECK(literal->name == "a`b");
  CHECK(literal->source == TextPrepare::Source::literal);
  CHECK(literal->source_text == "'SELECT ''x'''");
  CHECK(text_prepare_of("prepare s from @sql")->source == TextPrepare::Source::user_variable);
  CHECK(text_prepare_of("PREPARE s FROM CONCAT('SELECT ', 1)")->source == TextPrepare::Source::expression);
  CHECK(text_prepare_of("DEALLOCATE PREPARE s")->action == TextPrepare::Action::deallocate);
  CHECK(text_prepare_of("DROP PREPARE s")->action == TextPrepare::Action::deallocate);
  CHECK(text_prepare_of("EXECUTE s USING @a")->action == TextPrepare::Action::execute);
  CHECK(text_prepare_of("EXECUTE IMMEDIATE 'DO 1'")->action == TextPrepare::Action::execute_immediate);
  CHECK_FALSE(text_prepare_of("DROP TABLE t"));
  CHECK_FALSE(text_prepare_of("PREPARE"));
}

TEST_CASE("text statements: the last PREPARE of a name counts, MySQL's list fills in what came from a variable", "[routing]") {
  TextStatements statements;
  const PrepareContext context{.schema = "shop", .sql_mode = "NO_BACKSLASH_ESCAPES", .character_set_client = "utf8mb4"};
  const auto run = [&](const std::string& sql) { statements.ran(*text_prepare_of(sql), sql, context); };
  run("PREPARE one FROM 'SELECT 1'");
  run("PREPARE ONE FROM 'SELECT 2'");
  run("PREPARE two FROM @sql");
  run("PREPARE gone FROM 'SELECT 3'");
  run("DEALLOCATE PREPARE gone");
  REQUIRE(statements.all().size() == 2);
  CHECK(statements.all()[0].sql == "PREPARE ONE FROM 'SELECT 2'");
  CHECK(statements.all()[1].sql.empty());
  CHECK(statements.prepares() == 4);
  CHECK(statements.deallocates() == 1);
  statements.complete({{"two", "SELECT '\\'", true}, {"cut", "SELECT", false}});
  CHECK(statements.all()[1].sql == "PREPARE `two` FROM 'SELECT ''\\'''");
  REQUIRE(statements.all().size() == 3);
  CHECK(statements.all()[2].sql.empty());
}

TEST_CASE("temporary tables: their names are read from the statement", "[routing]") {
  CHECK(temporary_table_of("CREATE TEMPORARY TABLE mine (a INT)") == "`mine`");
  CHECK(temporary_table_of("create or replace temporary table if not exists `a``b`.`c` select 1") == "`a``b`.`c`");
  CHECK_FALSE(temporary_table_of("CREATE TABLE mine (a INT)"));
  CHECK_FALSE(temporary_table_of("CREATE TEMPORARY TABLE"));
}

TEST_CASE("user locks: literals are kept, anything else is unknown until the session is reset", "[routing]") {
  UserLocks locks;
  locks.saw("SELECT GET_LOCK('a', 1), GET_LOCK('b', 2), GET_LOCK('a', 3)");
  CHECK(locks.names() == std::vector<std::string>{"'a'", "'b'"});
  CHECK_FALSE(locks.has_unknown());
  for (const std::string_view sql : {"SELECT GET_LOCK(?, 1)", "SELECT GET_LOCK(CONCAT('a'), 1)", "SELECT GET_LOCK('a' 'b', 1)", "SELECT GET_LOCK(\"a\", 1)", "SELECT GET_LOCK('\\n', 1)"}) {
    INFO(sql);
    UserLocks unknown;
    unknown.saw(sql);
    CHECK(unknown.has_unknown());
  }
  locks.clear();
  CHECK(locks.names().empty());
}
