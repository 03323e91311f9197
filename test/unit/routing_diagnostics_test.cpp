#include "catch.h"
#include "godwit/routing/diagnostics.h"

using namespace godwit::routing;

namespace {

Diagnostics two_warnings() {
  return {.found_rows = 42, .row_count = 7, .warning_count = 2, .error_count = 1, .warnings = {{"Warning", "1365", "Division by 0"}, {"Error", "1054", "Unknown column"}}};
}

std::string only(const Answer& answer) { return answer.rows.scalar(); }

}  // namespace

TEST_CASE("diagnostics: a statement that asks for nothing else is known, with the name of its column", "[routing]") {
  struct Case {
    std::string_view sql;
    Question question;
    std::string_view column;
  };
  for (const Case& each : {Case{"SELECT FOUND_ROWS()", Question::found_rows, "FOUND_ROWS()"}, Case{"select Found_Rows ( ) ;", Question::found_rows, "Found_Rows ( )"},
                           Case{"SELECT ROW_COUNT() AS n", Question::row_count, "n"}, Case{"SELECT ROW_COUNT() `a b`", Question::row_count, "a b"},
                           Case{"/* x */ SELECT @@warning_count", Question::warning_count, "@@warning_count"},
                           Case{"SELECT @@session.error_count", Question::error_count, "@@session.error_count"},
                           Case{"SHOW COUNT(*) WARNINGS", Question::count_warnings, "@@session.warning_count"},
                           Case{"show count ( * ) errors", Question::count_errors, "@@session.error_count"}}) {
    INFO(each.sql);
    const auto asked = asks_for_diagnostics(each.sql);
    REQUIRE(asked);
    CHECK(asked->question == each.question);
    CHECK(asked->column == each.column);
  }
  const auto limited = asks_for_diagnostics("SHOW WARNINGS LIMIT 3, 5");
  REQUIRE(limited);
  CHECK(limited->offset == 3);
  CHECK(limited->count == 5);
}

TEST_CASE("diagnostics: a statement that asks for more is not answered, and known to ask", "[routing]") {
  for (const std::string_view sql : {"SELECT FOUND_ROWS(), 1", "SELECT FOUND_ROWS() + 1", "SELECT FOUND_ROWS() FROM t", "SELECT FOUND_ROWS() AS 'n'", "GET DIAGNOSTICS @n = NUMBER",
                                     "SHOW WARNINGS LIMIT ?", "SELECT @@global.error_count + @@warning_count", "INSERT INTO log VALUES (ROW_COUNT())", "SELECT FOUND_ROWS() INTO @n",
                                     "SELECT @@session.warning_count + 1"}) {
    INFO(sql);
    CHECK_FALSE(asks_for_diagnostics(sql));
    CHECK(may_read_diagnostics(sql));
  }
  for (const std::string_view sql : {"SELECT 'FOUND_ROWS()'", "SHOW TABLES", "SELECT 1", "", "SELECT"}) {
    INFO(sql);
    CHECK_FALSE(asks_for_diagnostics(sql));
    CHECK_FALSE(may_read_diagnostics(sql));
  }
}

TEST_CASE("diagnostics: what surely uses no table is told from the rest", "[routing]") {
  for (const std::string_view sql : {"SELECT 1", "/* FROM */ select 'a FROM b', @@warning_count", "SELECT `from`", "SELECT 1 UNION SELECT (SELECT 2)", "SELECT 1 INTO @x"}) CHECK_FALSE(uses_tables(sql));
  for (const std::string_view sql : {"SELECT a FROM t", "SELECT (SELECT 1 FROM t)", "SELECT 1 UNION TABLE t", "SELECT 1; SELECT 2", "INSERT INTO t VALUES (1)", "DROP TABLE IF EXISTS t", ""}) CHECK(uses_tables(sql));
}

TEST_CASE("diagnostics: each answer changes the next one as the server's would", "[routing]") {
  Diagnostics mariadb = two_warnings();
  CHECK(only(answer(*asks_for_diagnostics("SELECT FOUND_ROWS()"), Flavour::mariadb, mariadb)) == "42");
  CHECK(only(answer(*asks_for_diagnostics("SELECT FOUND_ROWS()"), Flavour::mariadb, mariadb)) == "1");
  CHECK(only(answer(*asks_for_diagnostics("SELECT ROW_COUNT()"), Flavour::mariadb, mariadb)) == "-1");
  CHECK(answer(*asks_for_diagnostics("SHOW WARNINGS"), Flavour::mariadb, mariadb).rows.size() == 2);
  CHECK(answer(*asks_for_diagnostics("SHOW ERRORS"), Flavour::mariadb, mariadb).rows.size() == 1);
  CHECK(answer(*asks_for_diagnostics("SHOW WARNINGS LIMIT 1, 5"), Flavour::mariadb, mariadb).rows.text(0, "Code") == "1054");

  Diagnostics mysql = two_warnings();
  CHECK(only(answer(*asks_for_diagnostics("SHOW COUNT(*) WARNINGS"), Flavour::mysql, mysql)) == "2");
  CHECK(answer(*asks_for_diagnostics("SHOW WARNINGS"), Flavour::mysql, mysql).rows.size() == 2);
  CHECK(only(answer(*asks_for_diagnostics("SELECT ROW_COUNT()"), Flavour::mysql, mysql)) == "-1");
  CHECK(answer(*asks_for_diagnostics("SHOW WARNINGS"), Flavour::mysql, mysql).rows.empty());
  const Answer deprecated = answer(*asks_for_diagnostics("SELECT FOUND_ROWS()"), Flavour::mysql, mysql);
  CHECK(deprecated.warnings == 1);
  CHECK(answer(*asks_for_diagnostics("SHOW WARNINGS"), Flavour::mysql, mysql).rows.text(0, "Code") == "1287");
}
