#include "catch.h"
#include "godwit/apply/assembler.h"

using namespace godwit::apply;

TEST_CASE("a logged statement is known by its first words, whatever stands before them", "[apply]") {
  struct Case {
    const char* sql;
    StatementKind kind;
  };
  const std::vector<Case> cases{
      {"BEGIN", StatementKind::transaction_control},
      {"XA COMMIT X'61',X'',1", StatementKind::transaction_control},
      {"rollback to `here`", StatementKind::transaction_control},
      {"INSERT INTO t VALUES (1)", StatementKind::data_change},
      {"/* app */ -- more\n update t set a = 1", StatementKind::data_change},
      {"WITH x AS (SELECT 1) DELETE FROM t", StatementKind::data_change},
      {"CALL p()", StatementKind::data_change},
      {"TRUNCATE TABLE t", StatementKind::table_definition},
      {"TRUNCATE t", StatementKind::table_definition},
      {"/*!40000 ALTER TABLE t DISABLE KEYS */", StatementKind::table_definition},
      {"/*M!100300 ALTER TABLE t ADD c INT */", StatementKind::table_definition},
      {"CREATE UNIQUE INDEX u ON t (a)", StatementKind::table_definition},
      {"CREATE OR REPLACE SEQUENCE s", StatementKind::table_definition},
      {"RENAME TABLE a TO b", StatementKind::table_definition},
      {"DROP DATABASE shop", StatementKind::table_definition},
      {"SOMETHING new", StatementKind::table_definition},
      {"CREATE DEFINER=`root`@`localhost` TRIGGER `table` BEFORE INSERT ON t FOR EACH ROW SET @a = 1", StatementKind::code_definition},
      {"CREATE DEFINER=`root`@`localhost` PROCEDURE p() BEGIN END", StatementKind::code_definition},
      {"CREATE OR REPLACE ALGORITHM=MERGE VIEW v AS SELECT * FROM t", StatementKind::code_definition},
      {"DROP TRIGGER IF EXISTS g", StatementKind::code_definition},
      {"GRANT SELECT ON t TO u", StatementKind::harmless},
      {"CREATE TEMPORARY TABLE t (a INT)", StatementKind::harmless},
      {"ANALYZE TABLE t", StatementKind::harmless},
      {"CREATE USER u", StatementKind::harmless},
  };
  for (const auto& it : cases) {
    INFO(it.sql);
    CHECK(static_cast<int>(classify(it.sql)) == static_cast<int>(it.kind));
  }
}

TEST_CASE("names are found quoted and qualified, and not in texts or comments", "[apply]") {
  const auto names = names_in("ALTER TABLE `sh``op` . `or.ders` /* x.y */ COMMENT 'a.b' -- c.d\n");
  REQUIRE(names.size() == 4);
  CHECK(names[2].schema == "sh`op");
  CHECK(names[2].name == "or.ders");
  CHECK(names[3].name == "COMMENT");
}
