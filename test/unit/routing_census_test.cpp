// Which metadata locks keep a session where it is: by the rows that the servers give.
#include "catch.h"
#include "godwit/routing/census.h"

using namespace godwit;
using routing::Result;

namespace {

std::string reasons(const std::string& type, const std::string& mode, const std::string& duration) {
  Result result;
  result.rows.rows.push_back({"5", type, mode, "shop.t", duration});
  std::string text;
  for (const auto& [session, locks] : routing::read_locks(routing::ServerFacts{}, result)) {
    for (const auto& lock : locks) text += std::to_string(session) + " " + lock.reason + " " + lock.object;
  }
  return text;
}

}  // namespace

TEST_CASE("census: MySQL's metadata locks, by what holds them", "[routing]") {
  CHECK(reasons("TABLE", "SHARED_READ", "EXPLICIT") == "5 handler shop.t");
  CHECK(reasons("TABLE", "SHARED", "EXPLICIT") == "5 handler shop.t");
  CHECK(reasons("TABLE", "SHARED_READ", "TRANSACTION") == "");
  CHECK(reasons("TABLE", "SHARED_NO_READ_WRITE", "TRANSACTION") == "5 table_lock shop.t");
  CHECK(reasons("USER LEVEL LOCK", "EXCLUSIVE", "EXPLICIT") == "5 user_lock shop.t");
}

TEST_CASE("census: the sessions that MySQL lists, where MariaDB's read themselves", "[routing]") {
  Result result;
  result.rows.rows = {{"5"}, {"77"}};
  CHECK(routing::read_sessions(result) == std::set<std::uint64_t>{5, 77});
  CHECK(routing::sessions_statement({.flavour = gtid::Flavour::mysql}).has_value());
  CHECK_FALSE(routing::sessions_statement({.flavour = gtid::Flavour::mariadb}).has_value());
}
