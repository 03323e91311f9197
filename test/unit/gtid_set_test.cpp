#include "godwit/gtid/set.h"
#include "refused.h"

using namespace godwit;
using gtid::Flavour;
using gtid::Set;

namespace {

const std::string kUuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const std::string kOther = "3e11fa47-71ca-11e1-9e33-c80aa9429563";

Set mysql(const std::string& text) { return Set::parse(Flavour::mysql, text); }
Set mariadb(const std::string& text) { return Set::parse(Flavour::mariadb, text); }
gtid::Gtid one(const std::string& text) { return gtid::parse_gtid(Flavour::mysql, text); }

}  // namespace

TEST_CASE("a set is printed as the server prints it: sorted, merged, tags behind their UUID",
          "[gtid]") {
  CHECK(mysql("").to_string() == "");
  CHECK(mysql(" , ,").to_string() == "");
  CHECK(mysql("3E11FA47-71CA-11E1-9E33-C80AA9429562:5-7:1-3:4").to_string() == kUuid + ":1-7");
  CHECK(mysql("3E11FA4771CA11E19E33C80AA9429562:9-3:1").to_string() == kUuid + ":1");
  CHECK(mysql(kOther + ":1,\n" + kUuid + ":Tag:7:1-2:other:1:3").to_string() ==
        kUuid + ":other:1:3:tag:1-2:7," + kOther + ":1");
  CHECK(mariadb("2-1-5, 0-1-10").to_string() == "0-1-10,2-1-5");
}

TEST_CASE("the same UUID named twice keeps both intervals", "[gtid]") {
  CHECK(mysql(kUuid + ":1-3," + kUuid + ":7").to_string() == kUuid + ":1-3:7");
}

TEST_CASE("adding transactions one by one closes gaps from either side", "[gtid]") {
  Set set(Flavour::mysql);
  for (const char* number : {"5", "3", "4", "1", "9", "2", "5"}) set.add(one(kUuid + ":" + number));
  CHECK(set.to_string() == kUuid + ":1-5:9");
  CHECK(set.contains(one(kUuid + ":4")));
  CHECK_FALSE(set.contains(one(kUuid + ":6")));
  CHECK_FALSE(set.contains(one(kOther + ":4")));
  CHECK_FALSE(set.contains(one(kUuid + ":tag:4")));
}

TEST_CASE("containing, subtracting and intersecting look at tags and gaps", "[gtid]") {
  const Set set = mysql(kUuid + ":1-10:t:5-8");
  CHECK(set.contains(mysql(kUuid + ":2-3:9:t:5")));
  CHECK(set.contains(mysql("")));
  CHECK_FALSE(set.contains(mysql(kUuid + ":2-11")));
  CHECK_FALSE(set.contains(mysql(kUuid + ":t:1")));
  CHECK(set.intersects(mysql(kUuid + ":10-20")));
  CHECK_FALSE(set.intersects(mysql(kUuid + ":11-20:t:9," + kOther + ":1")));
  Set rest = set;
  rest.subtract(mysql(kUuid + ":1:4-6:10:t:1-20"));
  CHECK(rest.to_string() == kUuid + ":2-3:7-9");
  rest.subtract(rest);
  CHECK(rest.is_empty());
}

TEST_CASE("a MariaDB position moves forward in its domain, never back", "[gtid]") {
  Set set = mariadb("0-1-10,3-1-7");
  CHECK(set.contains(gtid::Gtid(gtid::MariadbGtid{0, 2, 10})));
  CHECK_FALSE(set.contains(gtid::Gtid(gtid::MariadbGtid{0, 1, 11})));
  CHECK_FALSE(set.contains(gtid::Gtid(gtid::MariadbGtid{1, 1, 1})));
  set.add(gtid::MariadbGtid{0, 2, 12});
  set.add(gtid::MariadbGtid{3, 9, 5});
  CHECK(set.to_string() == "0-2-12,3-1-7");
  CHECK(set.contains(mariadb("0-1-12")));
  set.subtract(mariadb("0-5-11,3-1-7"));
  CHECK(set.to_string() == "0-2-12");
}

TEST_CASE("what two positions have in common: of MySQL's the same transactions, of MariaDB's the earlier of each domain", "[gtid]") {
  Set set = mysql(kUuid + ":1-10:t:5-8," + kOther + ":1");
  set.intersect(mysql(kUuid + ":3-4:8-20:t:1-5"));
  CHECK(set.to_string() == kUuid + ":3-4:8-10:t:5");
  Set domains = mariadb("0-1-10,3-1-7,4-1-1");
  domains.intersect(mariadb("0-2-9,3-5-8"));
  CHECK(domains.to_string() == "0-2-9,3-1-7");
}

TEST_CASE("the binary form is tagged only when a tag needs it", "[gtid]") {
  const std::string plain = mysql(kUuid + ":1-3").encode();
  CHECK(plain.size() == 8 + 16 + 8 + 16);
  CHECK(plain[7] == '\0');
  const Set tagged = mysql(kUuid + ":1-3:tag:9," + kOther + ":2");
  CHECK(tagged.encode()[7] == '\1');
  CHECK(Set::decode(tagged.encode()) == tagged);
  CHECK(Set::decode(mysql("").encode()).is_empty());
}

TEST_CASE("a binary form cut anywhere is refused", "[gtid]") {
  const std::string whole = mysql(kUuid + ":1-3:tag:9," + kOther + ":2").encode();
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_THROWS_AS(Set::decode(whole.substr(0, size)), Error);
  CHECK_THROWS_AS(Set::decode(whole + "x"), Error);
}

TEST_CASE("what is no position of the flavour is refused with the place", "[gtid]") {
  for (const std::string& text : {std::string("0-1-10"),
                                  kUuid + ":",
                                  kUuid + ":0",
                                  kUuid + ":1-",
                                  kUuid + ":1 2",
                                  kUuid + ":x-y",
                                  kUuid.substr(1) + ":1"}) {
    INFO(text);
    CHECK_THROWS_AS(mysql(text), Error);
  }
  for (const std::string& text : {std::string("0-1"),
                                  std::string("0-1-2-3"),
                                  std::string("0-1-2,0-1-3"),
                                  std::string("4294967296-1-1"),
                                  std::string("0-1-18446744073709551616"),
                                  kUuid + ":1",
                                  std::string("0-1-2,")}) {
    INFO(text);
    CHECK_THROWS_AS(mariadb(text), Error);
  }
  const Error misplaced = refusal([] { mysql(kUuid + ":1:oops!"); });
  CHECK(misplaced.code() == Code::gtid_unreadable);
  CHECK(has(misplaced.cause(), "byte 43"));
  const Error long_tag = refusal([] { mysql(kUuid + ":" + std::string(33, 't') + ":1"); });
  CHECK(long_tag.code() == Code::gtid_unreadable);
  CHECK(has(long_tag.cause(), "a tag of at most 32 letters, digits and underscores"));
}
