#include "catch.h"
#include "godwit/shard/layout.h"

using namespace godwit;
using namespace godwit::shard;

namespace {

Layout layout_of() {
  return parse_layout({.shards = {"-80=mysql://one/s", "80-=mysql://two/s"},
                       .vindexes = {"customers.id=hash", "orders.customer_id=hash", "notes.customer_id=xxhash", "pairs.a,b=multicol", "halves.x,y=multicol"},
                       .partitions = {"visits=HASH(id)", "hits=HASH(visit)", "old=RANGE(visit) 10, MAXVALUE"},
                       .references = {"countries", "regions"},
                       .unsharded = {"settings", "texts"}});
}

bool meet(const std::string& child, std::vector<std::string> columns, const std::string& parent, std::vector<std::string> referenced, const Layout& layout = layout_of()) {
  return are_colocated(layout, {.schema = "shop", .name = child}, {.columns = std::move(columns), .referenced_schema = "shop", .referenced_table = parent, .referenced_columns = std::move(referenced)});
}

}  // namespace

TEST_CASE("shard: rows that refer to each other are on one shard by one function of what joins them", "[shard]") {
  CHECK(meet("orders", {"Customer_ID"}, "customers", {"id"}));
  CHECK_FALSE(meet("notes", {"customer_id"}, "customers", {"id"}));      // another function
  CHECK_FALSE(meet("orders", {"seller_id"}, "customers", {"id"}));       // another column of the child
  CHECK_FALSE(meet("orders", {"customer_id"}, "customers", {"number"}));  // … and of the parent
  CHECK(meet("orders", {"n", "customer_id"}, "customers", {"n", "id"}));
  CHECK(meet("halves", {"x", "y"}, "pairs", {"a", "b"}));
  CHECK_FALSE(meet("halves", {"y", "x"}, "pairs", {"a", "b"}));
  CHECK_FALSE(meet("halves", {"x"}, "pairs", {"a"}));
  CHECK(meet("hits", {"visit"}, "visits", {"id"}));
  CHECK_FALSE(meet("old", {"visit"}, "visits", {"id"}));
  CHECK_FALSE(meet("hits", {"visit"}, "customers", {"id"}));
}

TEST_CASE("shard: a reference table is met everywhere, an unsharded one by its like", "[shard]") {
  CHECK(meet("orders", {"country"}, "countries", {"code"}));
  CHECK(meet("settings", {"country"}, "countries", {"code"}));
  CHECK(meet("regions", {"country"}, "countries", {"code"}));
  CHECK_FALSE(meet("countries", {"of"}, "customers", {"id"}));
  CHECK_FALSE(meet("countries", {"of"}, "settings", {"id"}));
  CHECK(meet("texts", {"of"}, "settings", {"id"}));
  CHECK_FALSE(meet("orders", {"of"}, "settings", {"id"}));
  CHECK_FALSE(meet("settings", {"of"}, "orders", {"id"}));
  CHECK_FALSE(meet("orders", {"of"}, "unheard", {"id"}));
  CHECK(meet("orders", {"of"}, "unheard", {"id"}, parse_layout({.shards = {"-=mysql://one/s"}})));
}

TEST_CASE("shard: an unsharded table has its place on the first shard alone", "[shard]") {
  const Layout layout = layout_of();
  for (const std::size_t shard : {0U, 1U}) {
    CHECK(has_place(layout, {.schema = "shop", .name = "orders"}, shard));
    CHECK(has_place(layout, {.schema = "shop", .name = "countries"}, shard));
    CHECK(has_place(layout, {.schema = "shop", .name = "settings"}, shard) == (shard == 0));
  }
}
