// From a server's error number to the reaction.
#include "../../src/db/errno.h"

#include "catch.h"

using namespace godwit;
using godwit::db::code_of_errno;

TEST_CASE("a server's error number has the code of what is done about it", "[errno]") {
  CHECK(code_of_errno(1053, "Server shutdown in progress") == Code::server_shutting_down);
  CHECK(code_of_errno(1062, "Duplicate entry '1' for key 'PRIMARY'") == Code::duplicate_key);
  CHECK(code_of_errno(1412, "Table definition has changed, please retry transaction") == Code::snapshot_lost);
  CHECK(code_of_errno(1040, "Too many connections") == Code::too_many_connections);
  CHECK(code_of_errno(1226, "User 'app' has exceeded the 'max_user_connections' resource") == Code::too_many_connections);
  CHECK(code_of_errno(1406, "Data too long for column 'name' at row 1") == Code::bad_data);
  CHECK(code_of_errno(1317, "Query execution was interrupted") == Code::interrupted);
}

TEST_CASE("a number that nobody has thought of is a statement that failed", "[errno]") { CHECK(code_of_errno(59999, "?") == Code::statement_failed); }
