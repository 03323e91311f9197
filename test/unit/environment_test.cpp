#include "godwit/util/environment.h"

#include <algorithm>
#include <cstdlib>

#include "catch.h"

using namespace godwit;

namespace {

bool has(const std::vector<std::string>& all, const std::string& entry) { return std::find(all.begin(), all.end(), entry) != all.end(); }
bool names(const std::vector<std::string>& all, const std::string& name) {
  return std::any_of(all.begin(), all.end(), [&](const std::string& entry) { return entry.rfind(name + "=", 0) == 0; });
}

}  // namespace

TEST_CASE("a child gets what this process was given, not what it has set for itself") {
  ::setenv("GODWIT_TEST_GIVEN", "before", 1);
  ::unsetenv("GODWIT_TEST_NOT_GIVEN");
  set_for_this_process("GODWIT_TEST_GIVEN", "own");
  set_for_this_process("GODWIT_TEST_GIVEN", "own again");
  set_for_this_process("GODWIT_TEST_NOT_GIVEN", "own");
  CHECK(std::string(std::getenv("GODWIT_TEST_GIVEN")) == "own again");
  CHECK(given_environment("GODWIT_TEST_GIVEN") == "before");
  CHECK(given_environment("GODWIT_TEST_NOT_GIVEN") == std::nullopt);
  const auto all = environment_with({}, Passwords::kept);
  CHECK(has(all, "GODWIT_TEST_GIVEN=before"));
  CHECK_FALSE(has(all, "GODWIT_TEST_GIVEN=own again"));
  CHECK_FALSE(names(all, "GODWIT_TEST_NOT_GIVEN"));
  CHECK(has(environment_with({{"GODWIT_TEST_GIVEN", "more"}}, Passwords::kept), "GODWIT_TEST_GIVEN=more"));
  CHECK_FALSE(has(environment_with({{"GODWIT_TEST_GIVEN", "more"}}, Passwords::kept), "GODWIT_TEST_GIVEN=before"));
}
