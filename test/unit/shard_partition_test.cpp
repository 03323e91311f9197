// Against MariaDB itself: test/live/shard_partition_test.cpp.
#include "godwit/shard/partition.h"

#include "catch.h"
#include "godwit/util/error.h"

using namespace godwit;
using namespace godwit::shard;

namespace {

Scheme scheme(std::string_view text, std::size_t partitions) { return parse_scheme({.text = text, .partitions = partitions}, "--partition"); }

// "-" where there is no place.
std::string place(const Scheme& scheme, const std::string& value) {
  const auto partition = value == "NULL" ? partition_of(scheme, std::nullopt) : partition_of(scheme, parse_integer(value).value());
  return partition ? std::to_string(*partition) : "-";
}

void check_refused(std::string_view text, std::size_t partitions, const std::string& cause) {
  INFO(text);
  try {
    scheme(text, partitions);
    CHECK(cause == "taken");
  } catch (const Error& error) {
    CHECK(error.code() == Code::bad_placement);
    CHECK(error.cause() == cause);
    CHECK(!error.remedy().empty());
  }
}

}  // namespace

TEST_CASE("integers are ordered by value, over the whole of both BIGINTs", "[shard]") {
  const std::vector<std::string> rising{"-9223372036854775808", "-2", "-1", "0", "1", "9223372036854775807", "9223372036854775808", "18446744073709551615"};
  for (std::size_t i = 0; i < rising.size(); ++i) {
    CHECK(to_string(parse_integer(rising[i]).value()) == rising[i]);
    for (std::size_t j = 0; j < rising.size(); ++j) {
      INFO(rising[i] << " and " << rising[j]);
      CHECK((parse_integer(rising[i]) <=> parse_integer(rising[j])) == (i <=> j));
    }
  }
  CHECK(parse_integer("-0") == parse_integer("0"));
  for (const std::string text : {"", "-", "1.5", "18446744073709551616", "-9223372036854775809", "x"}) CHECK(!parse_integer(text));
}

TEST_CASE("hash partitions take the rest of a signed number, without its sign", "[shard]") {
  const Scheme seven = scheme("HASH(id)", 7);
  CHECK(seven.column == "id");
  CHECK(place(seven, "8") == "1");
  CHECK(place(seven, "-8") == "1");
  CHECK(place(seven, "18446744073709551615") == "1");
  CHECK(place(seven, "NULL") == place(seven, "-9223372036854775808"));
}

TEST_CASE("range partitions end below their bound, and NULL is in the first", "[shard]") {
  const Scheme open = scheme("RANGE(`the id`) -10, 0, 1000", 3);
  CHECK(open.column == "the id");
  CHECK(place(open, "NULL") == "0");
  CHECK(place(open, "-11") == "0");
  CHECK(place(open, "-10") == "1");
  CHECK(place(open, "999") == "2");
  CHECK(place(open, "1000") == "-");
  CHECK(place(scheme("range(id) 5, maxvalue", 2), "18446744073709551615") == "1");
}

TEST_CASE("list partitions have what they list, and a default one has the rest", "[shard]") {
  const Scheme closed = scheme("LIST(id) (1, -3), (2, NULL)", 2);
  CHECK(place(closed, "-3") == "0");
  CHECK(place(closed, "NULL") == "1");
  CHECK(place(closed, "4") == "-");
  CHECK(place(scheme("LIST(id) (1)", 1), "NULL") == "-");
  const Scheme open = scheme("LIST(id) DEFAULT, (1, 3)", 2);
  CHECK(place(open, "3") == "1");
  CHECK(place(open, "4") == "0");
  CHECK(place(open, "NULL") == "0");
}

TEST_CASE("a scheme is refused with what is wrong with it", "[shard]") {
  check_refused("KEY(id)", 2, "it is neither HASH nor RANGE nor LIST");
  check_refused("HASH", 2, "it ends where \"(\" is expected");
  check_refused("HASH(a, b)", 2, "\")\" is expected before \", b)\"");
  check_refused("HASH(a) 3", 2, "\"3\" is left over");
  check_refused("HASH(`a)", 2, "a name in backquotes does not end");
  check_refused("RANGE(a) 1, 2", 3, "it has 2 partitions for 3 shards");
  check_refused("RANGE(a) 2, 2", 2, "2 is not above the bound before it");
  check_refused("RANGE(a) MAXVALUE, 2", 2, "a bound follows MAXVALUE");
  check_refused("RANGE(a) 1, x", 2, "a number is expected before \"x\"");
  check_refused("RANGE(a) 18446744073709551616", 1, "18446744073709551616 is beyond BIGINT");
  check_refused("LIST(a) (1, 2), (2)", 2, "2 is there twice");
  check_refused("LIST(a) (NULL), (NULL)", 2, "NULL is there twice");
  check_refused("LIST(a) DEFAULT, DEFAULT", 2, "DEFAULT is there twice");
  check_refused("LIST(a) (1", 1, "it ends where \")\" is expected");
}
