// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7
// What only an admin's queries see of sessions, what a light pull sees, and what happens when a server does not tell.
#include "catch.h"
#include "live/support/session_pair.h"

using namespace godwit;
using namespace godwit::test;

namespace {

using Pair = SessionPair;

std::string lock_after(Pair& pair, const routing::ServerFacts& facts, const std::string& sql, const std::string& undo) {
  Session session(pair.from, "godwit", "shop");
  session.execute(sql);
  auto locks = routing::read_locks(facts, pair.from_admin.run(*routing::locks_statement(facts)));
  session.execute(undo);
  const auto& held = locks[session.id()];
  return held.empty() ? std::string("none") : held.front().reason + " " + held.front().object;
}

void require_lock_kinds(Pair& pair, const routing::ServerFacts& facts) {
  CHECK(lock_after(pair, facts, "SELECT GET_LOCK(CONCAT('t', 'ill'), 0)", "SELECT RELEASE_LOCK('till')") == "user_lock till");
  CHECK(lock_after(pair, facts, "HANDLER t OPEN", "HANDLER t CLOSE") == "handler shop.t");
  CHECK(lock_after(pair, facts, "LOCK TABLES t WRITE", "UNLOCK TABLES") == "table_lock shop.t");
  CHECK(lock_after(pair, facts, "LOCK TABLES t READ", "UNLOCK TABLES") == "table_lock shop.t");
  CHECK(lock_after(pair, facts, "FLUSH TABLES WITH READ LOCK", "UNLOCK TABLES") == "global_read_lock ");
  CHECK(lock_after(pair, facts, "SELECT * FROM t", "DO 1") == "none");
}

}  // namespace

TEST_CASE("session census: with the lock plugin MariaDB shows every kind of lock, and hints are not needed", "[session_census]") {
  Server b("b"), a("a");
  Pair pair(b, a);
  b.client().execute("INSTALL SONAME 'metadata_lock_info'");
  const auto facts = facts_of(pair.from_admin, b);
  REQUIRE(facts.sees_locks());
  require_lock_kinds(pair, facts);
  CHECK(lock_after(pair, facts, "BACKUP STAGE START", "BACKUP STAGE END") == "backup_lock ");
  b.client().execute("UNINSTALL SONAME 'metadata_lock_info'");
}

TEST_CASE("session census: MySQL shows every kind of lock", "[session_census]") {
  Server c("c"), d("d");
  Pair pair(c, d);
  const auto facts = facts_of(pair.from_admin, c);
  require_lock_kinds(pair, facts);
  CHECK(lock_after(pair, facts, "LOCK INSTANCE FOR BACKUP", "UNLOCK INSTANCE") == "backup_lock ");
}

TEST_CASE("session census: a routine that calls GET_LOCK unseen keeps MariaDB's sessions until the plugin is there", "[session_census]") {
  Server a("a"), b("b");
  Pair pair(a, b);
  auto admin = a.client("shop");
  admin.execute("CREATE PROCEDURE locks() SELECT GET_LOCK('hidden', 0)");
  require_refused(pair, {"CALL locks()"}, "user_lock_unseen");
  admin.execute("DROP PROCEDURE locks");
}

TEST_CASE("session census: values of the old server's own configuration travel as far as the account may set them", "[session_census]") {
  Server c("c"), d("d");
  Pair pair(c, d);
  auto admin = c.client();
  admin.execute("SET GLOBAL max_error_count = 77, GLOBAL sort_buffer_size = 400000");
  require_same(pair, {"a default", {}, "SELECT @@sort_buffer_size"});
  admin.execute("SET GLOBAL max_error_count = DEFAULT, GLOBAL sort_buffer_size = DEFAULT");
}

TEST_CASE("session census: of a pull that fails nothing is believed", "[session_census]") {
  Server a("a"), b("b");
  Pair pair(a, b);
  const auto facts = facts_of(pair.from_admin, a);
  std::vector<routing::Result> results(routing::pull_statements(facts, {}).size());
  results[2] = {.server_errno = 1969, .sqlstate = "70100", .error = "Query execution was interrupted"};
  const auto state = routing::read_state(facts, {}, {}, results);
  const auto refused = routing::refusals(facts, state);
  REQUIRE(!refused.empty());
  CHECK(refused.front().reason == "state_unreadable");
  CHECK(refused.front().detail == "Query execution was interrupted");
}

// What STATE_CHANGE does not tell is read again every time.
TEST_CASE("session census: a light pull on top of a full one finds what no tracker tells", "[session_census]") {
  Server a("a"), b("b"), c("c"), d("d");
  Pair mariadb(a, b), mysql(c, d);
  for (Pair* pair : {&mariadb, &mysql}) {
    INFO(pair->from.flavour());
    const auto facts = facts_of(pair->from_admin, pair->from);
    Session session(pair->from, "app", "shop");
    session.execute("SET sort_buffer_size = 300000, NAMES latin1");
    const auto full = session.pull(facts, pair->from_admin);
    for (const char* sql : {"SET ROLE reader", "SELECT @made := 'x'", "INSERT INTO t (a) VALUES (1)"}) session.execute(sql);
    const auto light = session.pull(facts, pair->from_admin, &full);
    CHECK(light.variables.at("sort_buffer_size") == "300000");
    CHECK(light.role);
    REQUIRE(light.user_variables.size() == 1);
    CHECK(light.user_variables[0].charset == "latin1");
    CHECK(light.last_insert_id > 0);
    CHECK(light.diagnostics.row_count == 1);
    CHECK(routing::refusals(facts, light).empty());
  }
}

TEST_CASE("session census: a session that was the first to open a permanent MEMORY table has no temporary one", "[session_census]") {
  Server c("c"), d("d");
  Pair pair(c, d);
  c.client("shop").script("DROP TABLE IF EXISTS held;\nCREATE TABLE held (a INT) ENGINE=MEMORY;\nFLUSH TABLES held;\n");
  require_same(pair, {"a permanent table in memory", {"SELECT * FROM held"}, "SELECT 1"});
}

// docs/session-state.md names the grants.
TEST_CASE("session census: the admin account sees what it must with the grants of the page", "[session_census]") {
  Server a("a"), c("c");
  Pair mariadb(a, a), mysql(c, c);
  a.client().script("DROP USER IF EXISTS watcher@'%';\nCREATE USER watcher@'%' IDENTIFIED BY 'watcher';\nGRANT SELECT ON mysql.proc TO watcher@'%';\nGRANT TRIGGER ON shop.* TO watcher@'%';\n");
  c.client().script("DROP USER IF EXISTS watcher@'%';\nCREATE USER watcher@'%' IDENTIFIED BY 'watcher';\nGRANT PROCESS, SHOW_ROUTINE ON *.* TO watcher@'%';\nGRANT SELECT ON performance_schema.* TO watcher@'%';\n");
  a.client("shop").execute("CREATE PROCEDURE locks() SELECT GET_LOCK('hidden', 0)");
  Session watcher(a, "watcher", "");
  CHECK(facts_of(watcher, a).routines_with_user_locks == 1);
  a.client("shop").execute("DROP PROCEDURE locks");

  Session eye(c, "watcher", "");
  const auto facts = facts_of(eye, c);
  Session session(c, "app", "shop");
  for (const char* sql : {"SET @v = 1", "CREATE TEMPORARY TABLE mine (a INT)", "PREPARE s FROM 'SELECT 1'", "SELECT GET_LOCK('till', 0)"}) session.execute(sql);
  CHECK(routing::read_user_variables(eye.run(*routing::user_variables_statement(facts)))[session.id()] == std::vector<std::string>{"v"});
  CHECK(routing::read_temporary_tables(eye.run(*routing::temporary_tables_statement(facts)))[session.id()] == 1);
  CHECK(routing::read_named_statements(eye.run(*routing::named_statements_statement(facts)))[session.id()] == std::vector<routing::NamedStatement>{{"s", "SELECT 1", true}});
  CHECK(routing::read_locks(facts, eye.run(*routing::locks_statement(facts)))[session.id()] == std::vector<routing::HeldLock>{{"user_lock", "till"}});
}
