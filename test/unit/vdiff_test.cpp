#include "godwit/vdiff/plan.h"

#include "catch.h"
#include "godwit/util/error.h"

using namespace godwit;
using namespace godwit::vdiff;
using db::Side;

namespace {

catalog::Column column(std::string name, std::string data_type, std::string column_type, bool is_nullable = false) {
  return {.name = std::move(name), .data_type = std::move(data_type), .column_type = std::move(column_type), .is_nullable = is_nullable};
}

catalog::Column text_column(std::string name, std::string charset, std::string collation) {
  catalog::Column result = column(std::move(name), "varchar", "varchar(20)");
  result.charset = std::move(charset);
  result.collation = std::move(collation);
  return result;
}

catalog::Table table(std::vector<catalog::Column> columns, std::vector<std::string> key) {
  catalog::Table result{.schema = "shop", .name = "t", .columns = std::move(columns)};
  if (key.empty()) return result;
  catalog::Key primary{.name = "PRIMARY", .is_unique = true, .index_type = "BTREE"};
  for (auto& part : key) primary.parts.push_back({.column = std::move(part)});
  result.keys.push_back(std::move(primary));
  return result;
}

const db::Server kMysql{.flavour = db::Flavour::mysql, .version = {9, 7, 0}};
const db::Server kMariadb{.flavour = db::Flavour::mariadb, .version = {10, 11, 0}};
const db::Server kOldMariadb{.flavour = db::Flavour::mariadb, .version = {10, 5, 0}};

TablePlan plan(const catalog::Table& source, const catalog::Table& target, const db::Server& source_server = kMysql, const db::Server& target_server = kMysql, PlanOptions options = {}) {
  return plan_table(source, target, source_server, target_server, options);
}

std::string normal(Normal how, std::string_view value, bool folds_minus_zero = false) {
  std::string room;
  return std::string(normalize({.normal = how, .folds_minus_zero = folds_minus_zero}, value, room));
}

}  // namespace

TEST_CASE("vdiff: spellings of one value become one", "[vdiff]") {
  CHECK(normal(Normal::decimal, "1.50") == normal(Normal::decimal, "1.5000"));
  CHECK(normal(Normal::decimal, "-0.00") == "0");
  CHECK(normal(Normal::decimal, "100") == "100");
  CHECK(normal(Normal::fraction, "12:00:00.500000") == normal(Normal::fraction, "12:00:00.5"));
  CHECK(normal(Normal::fraction, "12:00:00") == normal(Normal::fraction, "12:00:00.000"));
  CHECK(normal(Normal::number, "1e20") == normal(Normal::number, "100000000000000000000"));
  CHECK(normal(Normal::number, "0.1") != normal(Normal::number, "0.10000000000000002"));
  CHECK(normal(Normal::number, "-0", true) == normal(Normal::number, "0", true));
  CHECK(normal(Normal::number, "-0") != normal(Normal::number, "0"));
  CHECK(normal(Normal::json, R"({"b": 1, "a": [1.0, "x"]})") == normal(Normal::json, R"({"a":[1.0,"x"],"b":1})"));
  CHECK(normal(Normal::json, "1") != normal(Normal::json, "1.0"));
  CHECK(normal(Normal::json, "1") != normal(Normal::json, "\"1\""));
  CHECK(normal(Normal::json, "not json") == "not json");
  CHECK(normal(Normal::padding, std::string_view("a\0\0", 3)) == "a");
  CHECK(normal(Normal::none, "1.50") == "1.50");
}

TEST_CASE("vdiff: a bound comes back from its text as it was", "[vdiff]") {
  const Bound bound{"42", std::string("\0'\xff", 3), ""};
  CHECK(bound_from_text(to_text(bound)) == bound);
  CHECK_THROWS_AS(bound_from_text("nonsense"), Error);
}

TEST_CASE("vdiff: ranges are spelled out, never as row constructors", "[vdiff]") {
  const auto t = table({column("a", "int", "int"), column("b", "varbinary", "varbinary(8)")}, {"a", "b"});
  const TablePlan p = plan(t, t);
  const std::string sql = select_rows(p, Side::source, {.lower = Bound{"1", "x"}, .upper = Bound{"2", ""}}, 10);
  CHECK(sql ==
        "SELECT `a`, `b` FROM `shop`.`t` FORCE INDEX (`PRIMARY`) WHERE ((`a` > 1) OR (`a` = 1 AND `b` > X'78')) AND ((`a` < 2) OR (`a` = 2 AND `b` <= '')) ORDER BY `a`, `b` LIMIT 10");
  CHECK(p.are_ranges_exact);
}

TEST_CASE("vdiff: NULL, the empty text and digits in a neighbour hash apart", "[vdiff]") {
  const auto t = table({column("id", "int", "int"), column("n", "int", "int", true), column("s", "varbinary", "varbinary(8)", true), column("e", "varbinary", "varbinary(8)")}, {"id"});
  const std::string sql = select_hash(plan(t, t), Side::source, {});
  CHECK(sql.find("CONCAT_WS('|',`id`,IFNULL(`n`,'N'),IFNULL(`s`,''),`e`,IFNULL(LENGTH(`s`),'N'),LENGTH(`e`))") != std::string::npos);
  CHECK(sql.find("@godwit_h") == std::string::npos);  // two MySQL take the hash whole
  CHECK(select_hash(plan(t, t, kMysql, kMariadb), Side::source, {}).find("@godwit_h") != std::string::npos);
}

TEST_CASE("vdiff: a row that may be longer than a packet is not taken for hashed", "[vdiff]") {
  const auto t = table({column("id", "int", "int"), column("b", "longblob", "longblob", true)}, {"id"});
  CHECK(select_hash(plan(t, t), Side::source, {}).find("IS NULL") != std::string::npos);
}

TEST_CASE("vdiff: what the servers render otherwise is streamed, and the column is named", "[vdiff]") {
  const auto t = table({column("id", "int", "int"), column("d", "double", "double")}, {"id"});
  CHECK(plan(t, t, kMysql, kMysql).is_hashed);
  CHECK(plan(t, t, kMariadb, kMariadb).is_hashed);
  CHECK_FALSE(plan(t, t, kOldMariadb, kMariadb).is_hashed);  // one of them stores -0
  const TablePlan cross = plan(t, t, kMariadb, kMysql);
  CHECK_FALSE(cross.is_hashed);
  CHECK(cross.why_streamed == "column `d` (double)");
}

TEST_CASE("vdiff: keys that the sides may order otherwise are looked up", "[vdiff]") {
  const auto source = table({text_column("k", "utf8mb4", "utf8mb4_0900_ai_ci")}, {"k"});
  const auto target = table({text_column("k", "latin1", "latin1_swedish_ci")}, {"k"});
  const TablePlan p = plan(source, target);
  CHECK_FALSE(p.are_ranges_exact);
  CHECK(key_equals(p, Side::target, {"a"}) == "`k` = CONVERT(_utf8mb4 X'61' USING latin1) COLLATE latin1_swedish_ci");  // a character that latin1 lacks would be refused
  CHECK(p.columns[0].source_form == "CONVERT(`k` USING utf8mb4)");
}

TEST_CASE("vdiff: only the keys, and tables without one", "[vdiff]") {
  const auto t = table({column("id", "int", "int"), column("v", "int", "int")}, {"id"});
  CHECK(plan(t, t, kMysql, kMysql, {.only_keys = true}).columns.size() == 1);
  const auto keyless = table({column("a", "int", "int")}, {});
  CHECK(plan(keyless, keyless).key.empty());
  CHECK_FALSE(plan(keyless, keyless).is_hashed);
}

TEST_CASE("vdiff: a column that the target lacks is an error, one that it has besides is named", "[vdiff]") {
  const auto narrow = table({column("id", "int", "int")}, {"id"});
  const auto wide = table({column("id", "int", "int"), column("v", "int", "int")}, {"id"});
  CHECK_THROWS_AS(plan(wide, narrow), Error);
  CHECK(plan(narrow, wide).left_out == std::vector<std::string>{"v"});
}

TEST_CASE("vdiff: a table that is spread by a shard key is read with it, on each side by that side's name", "[vdiff]") {
  const catalog::Table source = table({column("id", "int", "int(11)"), column("Customer", "bigint", "bigint(20)")}, {"id"});
  const catalog::Table target = table({column("id", "int", "int"), column("customer", "bigint", "bigint")}, {"id"});
  const shard::Layout layout = shard::parse_layout({.shards = {"-80=mysql://u@one/shop", "80-=mysql://u@two/shop"}, .vindexes = {"t.Customer=hash"}});
  const shard::Route route(layout, source);
  TablePlan spread = plan(source, target);
  CHECK(select_rows(spread, Side::target, {}, 0).find("SELECT `id`, `customer` FROM") == 0);
  place(spread, {.route = route, .routed = source}, source, target);
  CHECK(spread.spread == Spread::by_key);
  CHECK(select_rows(spread, Side::source, {}, 0).find("SELECT `id`, `Customer`, `Customer` FROM") == 0);
  CHECK(select_rows(spread, Side::target, {}, 0).find("SELECT `id`, `customer`, `customer` FROM") == 0);
  CHECK(select_places(spread, Side::target, {.lower = Bound{"5"}, .upper = {}}).find("SELECT `id`, `customer` FROM") == 0);
  CHECK(select_hash(spread, Side::target, {}) == select_hash(plan(source, target), Side::target, {}));

  // The other way round the shards are the source of the stream; which row belongs where is the same.
  TablePlan back = plan(target, source);
  place(back, {.route = route, .routed = source}, target, source);
  CHECK(select_places(back, Side::source, {}).find("SELECT `id`, `customer` FROM") == 0);

  const catalog::Table without = table({column("id", "int", "int")}, {"id"});
  TablePlan keys_only = plan(without, without);
  CHECK_THROWS_AS(place(keys_only, {.route = route, .routed = source}, without, without), Error);
}

TEST_CASE("vdiff: a reference table is compared with every shard, one that is unsharded with the first", "[vdiff]") {
  const catalog::Table one = table({column("id", "int", "int")}, {"id"});
  const auto spread_of = [&](const shard::LayoutOptions& options) {
    const shard::Layout layout = shard::parse_layout(options);
    const shard::Route route(layout, one);
    TablePlan result = plan(one, one);
    place(result, {.route = route, .routed = one}, one, one);
    return result.spread;
  };
  const std::vector<std::string> shards{"-80=mysql://u@one/shop", "80-=mysql://u@two/shop"};
  CHECK(spread_of({.shards = shards, .references = {"t"}}) == Spread::everywhere);
  CHECK(spread_of({.shards = shards, .unsharded = {"t"}}) == Spread::first_shard);
}
