#include <map>

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

// Of a target that was there before: each thing in the way, with what mends it.
TEST_CASE("transfers: what of an existing table does not take the source's rows is named", "[transfers]") {
  const auto differences = [](const Table& source, const Table& target) {
    std::map<std::string, std::string> result;
    for (const auto& issue : compare_tables(source, target, {})) {
      CHECK(issue.severity == Severity::blocker);
      CHECK(issue.code == Code::schema_differs);
      CHECK(issue.object == "`shop`.`orders`");
      result[issue.cause] = issue.remedy;
    }
    return result;
  };
  using Differences = std::map<std::string, std::string>;
  const Table source = table_with({"id", "state"});
  CHECK(differences(source, source).empty());

  Table target = source;
  target.columns[1].generated = Generated::stored;
  CHECK(differences(source, target) == Differences{{"column `state` is generated there", "make it an ordinary column"}});

  target = source;
  target.columns[1].is_nullable = false;
  CHECK(differences(source, target) == Differences{{"column `state` takes no NULL there", "allow NULL in it for the time of the migration"}});

  target = table_with({"id", "state", "more"});
  CHECK(differences(source, target).empty());
  target.columns[2].is_nullable = false;
  CHECK(differences(source, target) == Differences{{"it has a column `more` that the source lacks", "drop it, or let it be NULL"}});

  Table members = source;
  members.columns[1].data_type = "enum";
  members.columns[1].column_type = "enum('a','b')";
  target = members;
  target.columns[1].column_type = "enum('a')";
  CHECK(differences(members, target) == Differences{{"column `state` is enum('a') there, enum('a','b') on the source", "ALTER TABLE `shop`.`orders` MODIFY `state` enum('a','b')"}});

  Table keyed = source;
  for (auto& column : keyed.columns) column.is_nullable = false;
  Key key{.name = "PRIMARY", .is_unique = true, .index_type = "BTREE"};
  key.parts.push_back({.column = "id"});
  keyed.keys.push_back(key);
  target = keyed;
  CHECK(differences(keyed, target).empty());
  target.keys[0].parts[0].column = "state";
  CHECK(differences(keyed, target) == Differences{{"its key is not the source's PRIMARY (id)", "give it the same primary key"}});
}

TEST_CASE("transfers: names are the same whatever their case, and the target may have more columns", "[transfers]") {
  const auto result = transfers(table_with({"ID"}), table_with({"id", "more"}), {});
  REQUIRE(result.size() == 1);
  CHECK(result[0].column == "ID");
}

TEST_CASE("a rule of --map that maps nothing, or the same name twice, is refused", "[transfers]") {
  const auto refused = [](const std::vector<std::string>& rules) -> std::string {
    try {
      const NameMap names(rules);
    } catch (const Error& error) {
      CHECK(error.code() == Code::bad_mapping);
      CHECK(error.remedy().find("--map shop=store") == 0);
      return error.object() + ": " + error.cause();
    }
    return "";
  };
  for (const char* rule : {"shop", "=store", "shop="}) CHECK(refused({rule}) == std::string("--map ") + rule + ": it is not old=new");
  CHECK(refused({"shop.orders=store"}) == "--map shop.orders=store: one side names a table, the other a schema");
  CHECK(refused({"shop=store", "shop=other"}) == "--map shop=other: the same name is mapped twice");
  CHECK(refused({"shop=store", "shop.orders=store.purchases"}).empty());
}
