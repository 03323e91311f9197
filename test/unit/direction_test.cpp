#include "godwit/workflow/direction.h"

#include "catch.h"
#include "godwit/workflow/copy.h"

using namespace godwit;
using namespace godwit::workflow;
using Names = std::vector<std::string>;

namespace {

Definition shop() {
  Definition definition;
  definition.name = "shop";
  definition.source = db::parse_dsn("mysql://app@old:3306/shop", "--source");
  definition.target = db::parse_dsn("mysql://dba@new:3307/store", "--target");
  definition.source.password = "of the old";
  definition.target.password = "of the new";
  return definition;
}

}  // namespace

TEST_CASE("reversed: each side keeps its address, account and password", "[direction]") {
  const Definition back = reversed(shop());
  CHECK(back.source.host == "new");
  CHECK(back.source.password == "of the new");
  CHECK(back.target.user == "app");
  CHECK(back.target.password == "of the old");
  CHECK(stream_key(back).direction == "reverse");
  CHECK(stream_key(back).workflow == "shop");
  const Definition again = reversed(back);
  CHECK(again.direction == Direction::forward);
  CHECK(again.source.host == "old");
}

TEST_CASE("reversed: messages name the migration's side, whichever is read", "[direction]") {
  const Definition back = reversed(shop());
  CHECK(db::describe(endpoint_of(back, db::Side::target)) == "target new:3307");
  CHECK(db::describe(endpoint_of(back, db::Side::source)) == "source old:3306");
  CHECK(endpoint_of(back, db::Side::source).side == db::Side::target);  // its role: it is written to
  CHECK(db::describe(endpoint_of(shop(), db::Side::target)) == "target new:3307");
}

TEST_CASE("reversed: schemas, tables and rules have the names of the other side", "[direction]") {
  Definition definition = shop();
  definition.tables = {"shop.orders", "line*", "shop.customer*"};
  definition.exclude_tables = {"shop.secret"};
  definition.map = {"shop.orders=archive.purchases"};
  definition.collation_map = {"utf8mb4_0900_ai_ci=utf8mb4_general_ci", "utf8mb4_0900_as_ci=utf8mb4_general_ci"};
  const Definition back = reversed(definition);
  CHECK(back.databases == Names{"store", "archive"});
  CHECK(back.tables == Names{"store.orders", "archive.purchases", "line*", "store.customer*"});
  CHECK(back.exclude_tables == Names{"store.secret"});
  CHECK(back.map == Names{"archive.purchases=shop.orders"});
  CHECK(back.collation_map == Names{"utf8mb4_general_ci=utf8mb4_0900_ai_ci"});
  CHECK(names_of(back).schema("store") == "shop");
  CHECK(names_of(back).table("archive", "purchases") == std::pair<std::string, std::string>("shop", "orders"));
}

TEST_CASE("reversed: where two schemas became one, the first comes back", "[direction]") {
  Definition definition = shop();
  definition.target.schema.clear();
  definition.databases = {"a", "b", "c"};
  definition.map = {"a=all", "b=all"};
  const Definition back = reversed(definition);
  CHECK(back.databases == Names{"all", "c"});
  CHECK(back.map == Names{"all=a"});
}

TEST_CASE("the direction is what the authority says, and forward where it says nothing", "[direction]") {
  CHECK(direction_of(std::nullopt) == Direction::forward);
  CHECK(direction_of(state::Route{.epoch = 3, .serving = db::Side::target}) == Direction::reverse);
  CHECK(direction_of(state::Route{.epoch = 4, .serving = db::Side::source, .is_switching = true}) == Direction::forward);
  CHECK(passive_side(Direction::reverse) == db::Side::source);
}
