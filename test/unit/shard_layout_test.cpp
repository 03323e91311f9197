#include "godwit/shard/layout.h"

#include "catch.h"
#include "godwit/util/error.h"

using namespace godwit;
using namespace godwit::shard;

namespace {

const std::vector<std::string> kFour{"c0-=mysql://u@d:3306/shop", "-40=mysql://u@a:3306/shop", "40-80=mysql://u@b:3306/shop", "80-c0=mysql://u@c:3306/shop"};

catalog::Table table(const std::string& name, std::vector<catalog::Column> columns) {
  catalog::Table result{.schema = "shop", .name = name};
  result.columns = std::move(columns);
  return result;
}

catalog::Column integer(const std::string& name, bool is_unsigned = false) {
  return {.name = name, .data_type = "bigint", .column_type = "bigint(20)", .is_unsigned = is_unsigned};
}

catalog::Column text(const std::string& name, const std::string& charset = "utf8mb4") {
  return {.name = name, .data_type = "varchar", .column_type = "varchar(20)", .charset = charset};
}

const catalog::Table kOrders = table("orders", {integer("id"), integer("Customer_id"), text("note"), text("old", "latin1")});

using Key = std::vector<std::optional<std::string_view>>;

std::size_t shard_of(const Layout& layout, const Key& key) { return Route(layout, kOrders).shard_of(key); }

// "GW1204 bad_placement: cause", or "taken".
template <typename Deed>
std::string refusal(Deed deed) {
  try {
    deed();
  } catch (const Error& error) {
    CHECK(!error.object().empty());
    CHECK(!error.remedy().empty());
    CHECK(std::string(error.what()).find("secret") == std::string::npos);
    return std::string(info(error.code()).name) + ": " + error.cause();
  }
  return "taken";
}

std::string layout_refusal(const LayoutOptions& options) {
  return refusal([&] { parse_layout(options); });
}

std::string route_refusal(const LayoutOptions& options) {
  const Layout layout = parse_layout(options);
  return refusal([&] { make_routes(layout, {&kOrders, 1}); });
}

}  // namespace

TEST_CASE("shards stand in the order of their ranges, however they were given", "[shard]") {
  const Layout layout = parse_layout({.shards = kFour});
  std::string order;
  for (const auto& shard : layout.shards) order += to_string(shard.range) + "@" + shard.dsn.host + " ";
  CHECK(order == "-40@a 40-80@b 80-c0@c c0-@d ");
}

TEST_CASE("a row goes to the shard whose range holds its keyspace id", "[shard]") {
  const Layout layout = parse_layout({.shards = kFour, .vindexes = {"orders.customer_id=hash"}});
  const Route route(layout, kOrders);
  CHECK(route.columns() == std::vector<std::size_t>{1});
  CHECK(!route.is_everywhere());
  CHECK(shard_of(layout, {"1"}) == 0);  // 166b40b44aba4bd6
  CHECK(shard_of(layout, {"3"}) == 1);  // 4eb190c9a2fa169c
  CHECK(shard_of(layout, {"0"}) == 2);  // 8ca64de9c1b123a7
  CHECK(shard_of(layout, {"4"}) == 3);  // d2fd8867d50d2dfe
}

TEST_CASE("a bound belongs to the shard that begins with it", "[shard]") {
  const Layout layout = parse_layout({.shards = kFour, .vindexes = {"shop.orders.id=numeric"}});
  CHECK(shard_of(layout, {"4611686018427387903"}) == 0);
  CHECK(shard_of(layout, {"4611686018427387904"}) == 1);
  CHECK(shard_of(layout, {"0"}) == 0);
}

TEST_CASE("several columns may be the key, in the order in which the flag names them", "[shard]") {
  const Layout layout = parse_layout({.shards = kFour, .vindexes = {"`shop`.`orders`.note,`id` = multicol(column_vindex=binary;column_bytes=1)"}});
  const Route route(layout, kOrders);
  CHECK(route.columns() == std::vector<std::size_t>{2, 0});
  CHECK(route.shard_of(Key{"A", "7"}) == 1);
  CHECK(route.shard_of(Key{"\xc0", "7"}) == 3);
}

TEST_CASE("a partition is the shard of its number", "[shard]") {
  const Layout layout = parse_layout({.shards = kFour, .partitions = {"orders=RANGE(id) 0, 10, 20, 30"}});
  CHECK(shard_of(layout, {"-5"}) == 0);
  CHECK(shard_of(layout, {"29"}) == 3);
  CHECK(shard_of(layout, {std::nullopt}) == 0);
  CHECK(shard_of(parse_layout({.shards = kFour, .partitions = {"orders=HASH(id)"}}), {"-7"}) == 3);
}

TEST_CASE("a row that belongs nowhere is an error by its name", "[shard]") {
  const auto unplaced = [](const LayoutOptions& options, const Key& key) {
    const Layout layout = parse_layout(options);
    return refusal([&] { shard_of(layout, key); });
  };
  CHECK(unplaced({.shards = kFour, .vindexes = {"orders.id=hash"}}, {std::nullopt}) ==
        "row_unplaced: the row with id = NULL belongs to no shard: the function hash has no keyspace id for it");
  CHECK(unplaced({.shards = kFour, .vindexes = {"orders.note=hash"}}, {"x'y"}) ==
        "row_unplaced: the row with note = 'x\\'y' belongs to no shard: the function hash has no keyspace id for it");
  CHECK(unplaced({.shards = kFour, .vindexes = {"orders.note=binary"}}, {""}) ==
        "row_unplaced: the row with note = '' belongs to no shard: its keyspace id is empty, which vtgate takes for no id");
  CHECK(unplaced({.shards = kFour, .partitions = {"orders=HASH(id)"}}, {"1.5"}) == "row_unplaced: the row with id = 1.5 belongs to no shard: it is no integer");
  CHECK(unplaced({.shards = kFour, .partitions = {"orders=RANGE(id) 0, 10, 20, 30"}}, {"30"}) ==
        "row_unplaced: the row with id = 30 belongs to no shard: no partition has a place for it");
}

TEST_CASE("reference tables are everywhere, unsharded ones on the first shard", "[shard]") {
  const Layout layout = parse_layout({.shards = kFour, .references = {"shop.countries"}, .unsharded = {"orders"}});
  const auto countries = table("countries", {integer("id")});
  const std::vector<catalog::Table> tables{countries, kOrders};
  const auto routes = make_routes(layout, tables);
  CHECK(routes[0].is_everywhere());
  CHECK(!routes[1].is_everywhere());
  CHECK(routes[1].columns().empty());
  CHECK(routes[1].shard_of({}) == 0);
}

TEST_CASE("with one shard there is nothing to be said of a table", "[shard]") {
  CHECK(Route(parse_layout({.shards = {"-=mysql://u@a/shop"}}), kOrders).shard_of({}) == 0);
}

TEST_CASE("shards are refused with what is wrong, and no password is shown", "[shard]") {
  CHECK(layout_refusal({.shards = {"mysql://u:secret@a/shop"}}) == "key_range_unreadable: it does not begin with RANGE=");
  CHECK(layout_refusal({.shards = {"mysql://u:secret@a/shop?ssl-mode=required"}}) == "key_range_unreadable: it does not begin with RANGE=");
  CHECK(layout_refusal({.shards = {"-8=mysql://u:secret@a/shop"}}) == "key_range_unreadable: \"8\" is not a whole number of hexadecimal bytes");
  CHECK(layout_refusal({.shards = {"-=nosql://u:secret@a/shop"}}).starts_with("bad_usage: "));
  CHECK(layout_refusal({.shards = {"-80=mysql://u@a/shop"}}) == "shards_leave_gap: no shard holds 80-");
  CHECK(layout_refusal({.shards = {"-80=mysql://u@a/shop", "40-=mysql://u@b/shop"}}) == "shards_overlap: -80 and 40- both hold 40-80");
  CHECK(layout_refusal({.shards = {"-80=mysql://u@a/shop", "80-=mysql://v@a:3306/shop"}}) == "same_tables: it is the same database as that of -80");
}

TEST_CASE("placements are refused with what is wrong", "[shard]") {
  const auto of_vindex = [](const std::string& flag) { return layout_refusal({.shards = kFour, .vindexes = {flag}}); };
  CHECK(of_vindex("orders=hash") == "bad_placement: it does not name one table");
  CHECK(of_vindex("a.b.c.d=hash") == "bad_placement: it does not name one table");
  CHECK(of_vindex("orders.id") == "bad_placement: it ends where \"=\" is expected");
  CHECK(of_vindex("orders.id=") == "bad_placement: it ends where a name is expected");
  CHECK(of_vindex("orders.id==hash") == "bad_placement: a name is expected before \"=hash\"");
  CHECK(of_vindex("orders.id=hash(a=1;a=2)") == "bad_placement: \"a\" is there twice");
  CHECK(layout_refusal({.shards = kFour, .partitions = {"orders=RANGE(id) 0, 10,"}}) == "bad_placement: it ends where a number is expected");
  CHECK(of_vindex("orders.id=hash(x)") == "bad_placement: \"x\" is no PARAMETER=VALUE");
  CHECK(of_vindex("orders.id=hash x") == "bad_placement: \"x\" is not (PARAMETER=VALUE;…)");
  CHECK(of_vindex("orders.a,b=hash") == "bad_placement: hash takes 1 column, not 2");
  CHECK(layout_refusal({.shards = kFour, .vindexes = {"orders.id=hash"}, .references = {"shop.orders"}}) == "bad_placement: the table has a place already: --vindex orders.id=hash");
  CHECK(layout_refusal({.shards = kFour, .unsharded = {"a b"}}) == "bad_placement: \"b\" is left over");
  CHECK(layout_refusal({.shards = kFour, .vindexes = {"shop.orders.id=hash", "store.orders.id=hash"}}) == "taken");
}

TEST_CASE("a table that nothing is said of is refused, and a placement of no table", "[shard]") {
  CHECK(route_refusal({.shards = kFour}) == "table_unplaced: no flag says on which of 4 shards its rows live");
  CHECK(route_refusal({.shards = kFour, .unsharded = {"orders", "order"}}) == "bad_placement: no selected table is called so");
}

TEST_CASE("a column is refused as shard key when its values cannot be computed with", "[shard]") {
  const auto of_column = [](catalog::Column column, const std::string& function) {
    const Layout layout = parse_layout({.shards = kFour, .vindexes = {"t.c=" + function}});
    column.name = "c";
    return refusal([&] { Route(layout, table("t", {column})); });
  };
  CHECK(of_column(text("c", "latin1"), "xxhash") == "shard_key_unsuitable: its text is in latin1, and functions are computed from UTF-8");
  CHECK(of_column({.data_type = "double", .column_type = "double"}, "hash") == "shard_key_unsuitable: its type double has no one text that a function could be computed from");
  CHECK(of_column({.data_type = "enum", .column_type = "enum('a')", .charset = "utf8mb4"}, "xxhash").starts_with("shard_key_unsuitable: its type enum('a')"));
  CHECK(of_column({.data_type = "int", .generated = catalog::Generated::stored}, "hash") == "shard_key_unsuitable: it is a generated column, whose values do not travel");
  CHECK(of_column({.data_type = "decimal"}, "xxhash") == "taken");
  CHECK(of_column({.data_type = "binary"}, "binary") == "taken");
  CHECK(route_refusal({.shards = kFour, .vindexes = {"orders.nothing=hash"}}) == "shard_key_unsuitable: the table has no such column");
  CHECK(route_refusal({.shards = kFour, .vindexes = {"orders.id,ID=multicol"}}) == "shard_key_unsuitable: it is there twice in --vindex orders.id,ID=multicol");
}

TEST_CASE("partitions are of integers, and of no negative ones where the column has none", "[shard]") {
  const auto of_column = [](catalog::Column column, const std::string& scheme) {
    const Layout layout = parse_layout({.shards = {"-80=mysql://u@a/s", "80-=mysql://u@b/s"}, .partitions = {"t=" + scheme}});
    return refusal([&] { Route(layout, table("t", {column})); });
  };
  CHECK(of_column(text("c"), "HASH(c)").starts_with("shard_key_unsuitable: its type varchar(20) is no integer"));
  CHECK(of_column(integer("c", true), "RANGE(c) -1, 5").starts_with("shard_key_unsuitable: it is unsigned"));
  CHECK(of_column(integer("c", true), "LIST(c) (5), (3, -1)").starts_with("shard_key_unsuitable: it is unsigned"));
  CHECK(of_column(integer("c"), "RANGE(c) -1, 5") == "taken");
}
