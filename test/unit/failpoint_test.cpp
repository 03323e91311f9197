#include "godwit/util/failpoint.h"

#include <cstdlib>

#include "godwit/util/stop.h"
#include "refused.h"

using namespace godwit;

namespace {

void arm(const char* value) {
  ::setenv("GODWIT_FAILPOINTS", value, 1);
  arm_failpoints_from_environment();
}

struct Disarm {
  Disarm() = default;
  Disarm(const Disarm&) = delete;
  Disarm& operator=(const Disarm&) = delete;
  ~Disarm() {
    arm("");
    ::unsetenv("GODWIT_FAILPOINTS");
  }
};

std::string misspelt(const char* value) {
  const Error error = refusal([&] { arm(value); });
  CHECK(error.code() == Code::bad_usage);
  CHECK(error.object() == "GODWIT_FAILPOINTS \"" + std::string(value) + "\"");
  CHECK(error.remedy() == "godwit inspect failpoints lists the names; name=kill|error|fatal|sleep:MS[@hit]");
  return error.cause();
}

}  // namespace

TEST_CASE("failpoints: one that is misspelt is refused with what is wrong", "[failpoint]") {
  const Disarm afterwards;
  CHECK(misspelt("copy.recorded") == "there is no '='");
  CHECK(misspelt("copy.recorted=error") == "no failpoint has this name");
  CHECK(misspelt("copy.recorded=err") == "unknown action");
  CHECK(misspelt("copy.recorded=error@0") == "the hit is not a positive number");
  CHECK(misspelt("copy.recorded=sleep:long") == "the sleep is not a number of milliseconds");
}

TEST_CASE("failpoints: each fails at its hit, once where the error may be tried again", "[failpoint]") {
  const Disarm afterwards;
  arm("copy.recorded=error@2;copy.finished=fatal");
  failpoint(Fp::copy_recorded);
  const Error error = refusal([] { failpoint(Fp::copy_recorded); });
  CHECK(error.code() == Code::failpoint_hit);
  CHECK(error.is_retryable());
  CHECK(error.object() == "copy.recorded");
  CHECK(error.remedy() == "unset GODWIT_FAILPOINTS");
  failpoint(Fp::copy_recorded);
  for (int i = 0; i < 2; ++i) CHECK(refusal([] { failpoint(Fp::copy_finished); }).code() == Code::internal_error);
  failpoint(Fp::copy_snapshot_opened);
}

TEST_CASE("a stop that was requested ends the work, and says how to go on", "[stop]") {
  Stop stop;
  stop.throw_if_requested();
  stop.request();
  const Error error = refusal([&] { stop.throw_if_requested(); });
  CHECK(error.code() == Code::interrupted);
  CHECK(exit_status(error.reaction()) == 130);
  CHECK(error.cause() == "a stop was requested");
  CHECK(error.remedy() == "run the same command again");
}
