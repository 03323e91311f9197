#include "godwit/shard/vschema.h"

#include <nlohmann/json.hpp>

#include "catch.h"
#include "godwit/util/error.h"

using namespace godwit;
using namespace godwit::shard;
using nlohmann::json;

namespace {

const std::vector<std::string> kTwo{"-80=mysql://u@a:3306/shop", "80-=mysql://u@b:3306/shop"};

catalog::Table table(const std::string& name) {
  catalog::Table result{.schema = "shop", .name = name};
  result.columns = {{.name = "id", .data_type = "bigint", .column_type = "bigint(20)", .is_auto_increment = true}, {.name = "region", .data_type = "int", .column_type = "int(11)"}};
  return result;
}

json described(const LayoutOptions& options, const std::vector<std::string>& names) {
  const Layout layout = parse_layout(options);
  std::vector<catalog::Table> tables;
  for (const auto& name : names) tables.push_back(table(name));
  return vschema(layout, tables);
}

}  // namespace

TEST_CASE("a vschema names each function once, and pins what is unsharded", "[shard]") {
  const json found = described({.shards = kTwo, .vindexes = {"a.id=xxhash", "b.region=xxhash"}, .references = {"c"}, .unsharded = {"d"}}, {"a", "b", "c", "d"});
  CHECK(found == json::parse(R"({"sharded": true, "vindexes": {"xxhash": {"type": "xxhash"}}, "tables": {
    "a": {"column_vindexes": [{"column": "id", "name": "xxhash"}], "auto_increment": {"column": "id", "sequence": "a_seq"}},
    "b": {"column_vindexes": [{"column": "region", "name": "xxhash"}], "auto_increment": {"column": "id", "sequence": "b_seq"}},
    "c": {"type": "reference"}, "d": {"pinned": "00"}}})"));
}

TEST_CASE("functions with parameters keep them in a vschema, and two that differ have two names", "[shard]") {
  const json found = described({.shards = kTwo, .vindexes = {"a.id=numeric_static_map(json={\"1\":2};fallback_type=hash)", "b.id=numeric_static_map(json={\"1\":3})", "c.region,id=multicol(column_vindex=hash,xxhash;column_bytes=2,6)",
                                                             "d.region,id=region_experimental(region_bytes=1)"}},
                               {"a", "b", "c", "d"});
  CHECK(found["vindexes"]["numeric_static_map"] == json::parse(R"({"type": "numeric_static_map", "params": {"json": "{\"1\":2}", "fallback_type": "hash"}})"));
  CHECK(found["vindexes"]["numeric_static_map_2"]["params"]["json"] == "{\"1\":3}");
  CHECK(found["tables"]["b"]["column_vindexes"][0]["name"] == "numeric_static_map_2");
  CHECK(found["vindexes"]["multicol"]["params"] == json::parse(R"({"column_count": "2", "column_vindex": "hash,xxhash", "column_bytes": "2,6"})"));
  CHECK(found["tables"]["c"]["column_vindexes"][0]["columns"] == json::parse(R"(["region", "id"])"));
  CHECK(found["vindexes"]["region_experimental"]["params"]["region_bytes"] == "1");
}

TEST_CASE("MariaDB's partitioning has no vschema", "[shard]") {
  CHECK_THROWS_WITH(described({.shards = kTwo, .partitions = {"a=HASH(id)"}}, {"a"}), Catch::Contains("--partition a=HASH(id)"));
}

TEST_CASE("a route tells a key's keyspace id, where it has one", "[shard]") {
  const Layout layout = parse_layout({.shards = kTwo, .vindexes = {"a.id=hash"}, .unsharded = {"b"}});
  const catalog::Table a = table("a");
  const catalog::Table b = table("b");
  const std::vector<std::optional<std::string_view>> one{"1"};
  const std::vector<std::optional<std::string_view>> null{std::nullopt};
  CHECK(to_hex(Route(layout, a).keyspace_id_of(one).value()) == "166b40b44aba4bd6");
  CHECK(!Route(layout, a).keyspace_id_of(null));
  CHECK(!Route(layout, b).keyspace_id_of({}));
}
