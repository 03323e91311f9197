// What a printed definition says of its foreign keys.
#include "../../src/catalog/create_table.h"

#include "catch.h"
#include "godwit/util/error.h"

using namespace godwit::catalog;

namespace {

Table table_with(const std::string& constraints) {
  Table table;
  table.schema = "shop";
  table.name = "orders";
  table.create_sql = "CREATE TABLE `orders` (\n  `id` int(11) NOT NULL,\n  `a` int(11) DEFAULT NULL,\n  `b,(` int(11) DEFAULT NULL,\n  PRIMARY KEY (`id`),\n" + constraints + "\n) ENGINE=InnoDB";
  return table;
}

}  // namespace

TEST_CASE("foreign keys are read from the definition, by name, with their rules") {
  const auto keys = parse_foreign_keys(table_with(
      "  CONSTRAINT `z` FOREIGN KEY (`a`, `b,(`) REFERENCES `parents` (`x`, `y`) ON DELETE SET NULL ON UPDATE CASCADE,\n"
      "  CONSTRAINT `it``s` FOREIGN KEY (`a`) REFERENCES `other db`.`ON DELETE CASCADE` (`id`),\n"
      "  CONSTRAINT `c` CHECK (`a` > 0),\n"
      "  CONSTRAINT `m` FOREIGN KEY (`a`) REFERENCES `orders` (`id`) ON UPDATE NO ACTION"));
  REQUIRE(keys.size() == 3);
  CHECK(keys[0].name == "it`s");
  CHECK(keys[0].referenced_schema == "other db");
  CHECK(keys[0].referenced_table == "ON DELETE CASCADE");
  CHECK(keys[0].on_delete == "RESTRICT");
  CHECK(keys[0].on_update == "RESTRICT");
  CHECK(keys[1].name == "m");
  CHECK(keys[1].referenced_schema == "shop");
  CHECK(keys[1].on_delete == "RESTRICT");
  CHECK(keys[1].on_update == "NO ACTION");
  CHECK(keys[2].columns == std::vector<std::string>{"a", "b,("});
  CHECK(keys[2].referenced_columns == std::vector<std::string>{"x", "y"});
  CHECK(keys[2].on_delete == "SET NULL");
  CHECK(keys[2].on_update == "CASCADE");
}

TEST_CASE("a foreign key that is not written as expected is refused, not guessed") {
  CHECK_THROWS_AS(parse_foreign_keys(table_with("  CONSTRAINT `z` FOREIGN KEY (`a`)")), godwit::Error);
  CHECK_THROWS_AS(parse_foreign_keys(table_with("  CONSTRAINT `z` FOREIGN KEY (`a`) REFERENCES `p` (`x`, `y`)")), godwit::Error);
}

TEST_CASE("a definition that cannot be read is refused by its table, not guessed") {
  const auto refused = [](const Table& table) -> std::string {
    try {
      parse_foreign_keys(table);
    } catch (const godwit::Error& error) {
      CHECK(error.code() == godwit::Code::ddl_unreadable);
      CHECK(error.object() == "`shop`.`orders`");
      CHECK(error.remedy().find("--exclude-tables") != std::string::npos);
      return error.cause();
    }
    return "it was taken";
  };
  Table table = table_with("  CONSTRAINT `c` CHECK (`a` > 0)");
  table.create_sql.resize(table.create_sql.find("KEY (`id`)"));
  CHECK(refused(table) == "its definition has no closing parenthesis");
  table.create_sql = "CREATE TABLE `orders`";
  CHECK(refused(table) == "its definition has no parenthesis");
  table.create_sql = "CREATE TABLE `orders` (PRIMARY KEY (`id`))";
  CHECK(refused(table) == "its definition names no column");
  CHECK(refused(table_with("  CONSTRAINT `z` FOREIGN KEY (`a`) REFERENCES (`x`)")) == "its foreign key z names no table");
}
