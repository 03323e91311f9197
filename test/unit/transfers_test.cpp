#include "catch.h"
#include "godwit/catalog/ddl.h"
#include "godwit/util/error.h"

using namespace godwit;
using namespace godwit::catalog;

namespace {

Table table_with(std::vector<std::string> columns) {
  Table table{.schema = "shop", .name = "orders"};
  for (auto& name : columns) table.columns.push_back({.name = std::move(name), .data_type = "int", .column_type = "int"});
  return table;
}

}  // namespace

TEST_CASE("transfers: a column that the target lacks is named, with the ALTER that adds it", "[transfers]") {
  try {
    transfers(table_with({"id", "added"}), table_with({"id"}), {});
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.code() == Code::schema_differs);
    CHECK(error.cause().find("`added`") != std::string::npos);
    CHECK(error.remedy().find("ALTER TABLE `shop`.`orders` ADD COLUMN `added` int") == 0);
  }
}

TEST_CASE("transfers: names are the same whatever their case, and the target may have more columns", "[transfers]") {
  const auto result = transfers(table_with({"ID"}), table_with({"id", "more"}), {});
  REQUIRE(result.size() == 1);
  CHECK(result[0].column == "ID");
}
