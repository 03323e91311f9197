#include "godwit/copy/key_range.h"

#include <set>

#include "catch.h"
#include "godwit/copy/ledger.h"
#include "godwit/copy/throttle.h"
#include "godwit/util/error.h"

using namespace godwit;
using namespace godwit::copy;

namespace {

const KeySpec kPair{.index = "PRIMARY", .columns = {{.name = "a"}, {.name = "b", .is_descending = true}}};
const KeyColumn kSigned{.name = "k"};
const KeyColumn kUnsigned{.name = "k", .is_unsigned = true};

Chunk chunk(std::uint64_t number, Bound lower, Bound upper, bool is_done = true) {
  return {.number = number, .range = {.lower = std::move(lower), .upper = std::move(upper)}, .is_done = is_done};
}

}  // namespace

TEST_CASE("a range of a composite key is an expanded comparison, never a row constructor", "[key_range]") {
  CHECK(predicate(kPair, {}) == "");
  CHECK(predicate(kPair, {.lower = {"1", "2"}, .upper = {}}) == "((`a` > 1) OR (`a` = 1 AND `b` < 2))");
  CHECK(predicate(kPair, {.lower = {}, .upper = {"1", "2"}}) == "((`a` < 1) OR (`a` = 1 AND `b` >= 2))");
  CHECK(order_by(kPair) == "`a`, `b` DESC");
}

TEST_CASE("integers are split evenly, over zero and up to the last value of the type", "[key_range]") {
  const auto middle = split_by_value(kSigned, {.first = "-10", .last = "10"}, 2);
  REQUIRE(middle.size() == 1);
  CHECK(middle[0] == Bound{"0"});
  const auto whole = split_by_value(kSigned, {.first = "-9223372036854775808", .last = "9223372036854775807"}, 4);
  CHECK(whole.size() == 3);
  CHECK(whole[1] == Bound{"-2"});
  const auto top = split_by_value(kUnsigned, {.first = "0", .last = "18446744073709551615"}, 2);
  CHECK(top == std::vector<Bound>{{"9223372036854775807"}});
  CHECK(split_by_value(kSigned, {.first = "5", .last = "5"}, 10).empty());
  CHECK(split_by_value(kSigned, {.first = "5", .last = "7"}, 1000).size() == 1);
}

TEST_CASE("a bound is the same after it was written and read", "[key_range]") {
  const Bound bound{"_utf8mb4 X'C3A9'", "'it''s'", "-1"};
  CHECK(bound_from_text(to_text(bound)) == bound);
  CHECK(bound_from_text("").empty());
  CHECK_THROWS_AS(bound_from_text("nonsense"), Error);
}

TEST_CASE("a table is complete only when its chunks lead from end to end (I4)", "[ledger]") {
  const TableName table{"s", "t"};
  CHECK_NOTHROW(prove_complete(table, {chunk(1, {}, {})}));
  CHECK_NOTHROW(prove_complete(table, {chunk(2, {"5"}, {}), chunk(1, {}, {"5"})}));
  CHECK_THROWS_AS(prove_complete(table, {}), Error);
  CHECK_THROWS_AS(prove_complete(table, {chunk(1, {}, {"5"})}), Error);
  CHECK_THROWS_AS(prove_complete(table, {chunk(1, {}, {"5"}), chunk(2, {"6"}, {})}), Error);
  CHECK_THROWS_AS(prove_complete(table, {chunk(1, {}, {"5"}), chunk(2, {"5"}, {}, false)}), Error);
  CHECK_THROWS_AS(prove_complete(table, {chunk(1, {}, {}), chunk(2, {"5"}, {})}), Error);
  CHECK_THROWS_AS(prove_complete(table, {chunk(1, {}, {"5"}), chunk(2, {"5"}, {"5"}), chunk(3, {"5"}, {})}), Error);
}

TEST_CASE("the first reason to hold back is named with figure and limit", "[throttle]") {
  CHECK_FALSE(throttle_reason({.source_threads_running = 50}, {}));
  CHECK(throttle_reason({.source_threads_running = 26}, {.source_threads_running_max = 25}) == "source Threads_running=26 >= 25");
  CHECK_FALSE(throttle_reason({.source_threads_running = 24}, {.source_threads_running_max = 25}));
}

TEST_CASE("a key of a type whose values have no literal is refused by its table", "[key_range]") {
  godwit::catalog::Table table{.schema = "shop", .name = "orders"};
  table.columns.push_back({.name = "v", .data_type = "vector", .column_type = "vector(3)"});
  godwit::catalog::Key key{.name = "PRIMARY"};
  key.parts.push_back({.column = "v"});
  try {
    key_spec(table, key);
    FAIL("it was taken");
  } catch (const Error& error) {
    CHECK(error.code() == Code::no_usable_key);
    CHECK(error.object() == "`shop`.`orders`");
    CHECK(error.cause() == "key PRIMARY has column v of type vector(3)");
    CHECK(error.remedy().find("--allow-no-key") != std::string::npos);
  }
}
