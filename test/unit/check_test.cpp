// Findings that need no server.
#include "../../src/check/context.h"
#include "catch.h"

using namespace godwit;
using namespace godwit::check;

TEST_CASE("check: shards of another version than the first are named", "[check]") {
  const auto findings = shard_versions({{"-80", "10.11.14-MariaDB"}, {"80-c0", "10.11.14-MariaDB"}, {"c0-", "9.7.0"}});
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].verdict == Verdict::warning);
  CHECK(findings[0].code == Code::schema_differs);
  CHECK(findings[0].object == "shard c0-");
  CHECK(findings[0].cause == "it is 9.7.0, shard -80 is 10.11.14-MariaDB");
  CHECK(findings[0].remedy == "one version on all of them, before the switch");
  CHECK(shard_versions({{"-80", "9.7.0"}, {"80-", "9.7.0"}}).at(0).verdict == Verdict::ok);
}
