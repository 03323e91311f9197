#include "godwit/accounts/attempts.h"

#include "catch.h"

using namespace godwit::accounts;
using namespace std::chrono_literals;

namespace {

constexpr AttemptLimits kLimits{.window = 60s, .failures_per_user_max = 3, .failures_per_address_max = 5, .entries_max = 100};
const Attempts::Time kStart{1000h};

void fail(Attempts& attempts, const char* user, const char* address, int times, Attempts::Time now) {
  for (int i = 0; i < times; ++i) attempts.failed(user, address, now);
}

}  // namespace

TEST_CASE("attempts: who failed too often is refused for a while, others from elsewhere are not", "[proxy_accounts]") {
  Attempts attempts(kLimits);
  fail(attempts, "app", "10.0.0.1", 2, kStart);
  CHECK_FALSE(attempts.is_refused("app", "10.0.0.1", kStart));
  fail(attempts, "app", "10.0.0.1", 1, kStart + 30s);
  CHECK(attempts.is_refused("app", "10.0.0.1", kStart + 59s));
  CHECK_FALSE(attempts.is_refused("app", "10.0.0.2", kStart + 59s));
  CHECK_FALSE(attempts.is_refused("other", "10.0.0.1", kStart + 59s));
  CHECK(attempts.is_refused("app", "10.0.0.1", kStart + 61s));  // one window at least
  CHECK_FALSE(attempts.is_refused("app", "10.0.0.1", kStart + 130s));
}

TEST_CASE("attempts: one who guesses users is refused by address", "[proxy_accounts]") {
  Attempts attempts(kLimits);
  for (const char* user : {"a", "b", "c", "d", "e"}) fail(attempts, user, "10.0.0.1", 1, kStart);
  CHECK(attempts.is_refused("f", "10.0.0.1", kStart));
  CHECK_FALSE(attempts.is_refused("f", "10.0.0.2", kStart));
  CHECK_FALSE(attempts.is_refused("f", "10.0.0.1", kStart + 500s));
}

TEST_CASE("attempts: a login forgives the user's failures", "[proxy_accounts]") {
  Attempts attempts(kLimits);
  fail(attempts, "app", "10.0.0.1", 3, kStart);
  attempts.succeeded("app", "10.0.0.1");
  CHECK_FALSE(attempts.is_refused("app", "10.0.0.1", kStart));
}

TEST_CASE("attempts: many addresses take no more than the limit of memory, and the newest count", "[proxy_accounts]") {
  Attempts attempts(kLimits);
  for (int i = 0; i < 10000; ++i) attempts.failed("app", std::to_string(i), kStart);
  fail(attempts, "app", "10.0.0.1", 3, kStart);
  CHECK(attempts.is_refused("app", "10.0.0.1", kStart));
}
