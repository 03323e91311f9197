// servers: a=mariadb-10.11 c=mysql-9.7
// The statements of docs/privileges.md make accounts with which check finds nothing missing, copy carries everything, and replicate
// follows, with a heartbeat where the page's grant for it was given, and with which either side can be fenced for a switch.
#include <fstream>
#include <sstream>

#include "catch.h"
#include "godwit/fence/fence.h"
#include "godwit/state/sidecar.h"
#include "live/support/process.h"
#include "live/support/sidecars.h"

using namespace godwit::test;

namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(std::string(GODWIT_SOURCE_DIR) + "/" + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The ```sql block under a heading of the page.
std::string statements_under(const std::string& heading) {
  static const std::string page = read_file("docs/privileges.md");
  const auto at = page.find("### " + heading + "\n");
  REQUIRE(at != std::string::npos);
  const auto begin = page.find("```sql\n", at) + 7;
  return page.substr(begin, page.find("```", begin) - begin);
}

std::string flavour_name(const Server& server) { return server.is_mariadb() ? "MariaDB" : "MySQL"; }

void drop_accounts(const Server& server) {
  server.client().execute("DROP USER IF EXISTS 'godwit_source'@'%', 'godwit_target'@'%'");
  server.client().execute("SET GLOBAL log_bin_trust_function_creators = OFF");
}

void load_shop(const Server& source) {
  source.client().execute("CREATE DATABASE shop");
  // A mode that both flavours have: which modes are carried is not this test's business.
  source.client("shop").script("SET sql_mode = 'STRICT_TRANS_TABLES';\n" +
                               read_file("examples/sample-shop/schema.sql"));
  source.client("shop").execute(
      "INSERT INTO customers (id, email, name) VALUES (1, 'a@example.com', 'Ada')");
}

std::string with_user(std::string dsn, const std::string& user) {
  return dsn.replace(dsn.find("godwit@"), 7, user + "@");
}

// The account fences its server in both ways, opens it, and takes the fence away.
void fence_each(const Server& server, const std::string& user, godwit::db::Side side) {
  using namespace godwit;
  server.client().execute("CREATE DATABASE IF NOT EXISTS shop");
  server.client().execute("CREATE TABLE IF NOT EXISTS shop.customers (id INT PRIMARY KEY)");
  const auto open = [&] {
    db::Endpoint endpoint = endpoint_of(server, side, user);
    endpoint.dsn.password = "choose one";
    return db::Connection::open(endpoint);
  };
  db::Connection own = open();
  db::Connection keeper = open();
  for (const auto kind : {fence::Kind::read_only, fence::Kind::triggers}) {
    INFO(server.flavour() << " " << user << " " << fence::to_string(kind));
    const fence::Plan plan{.workflow = "shop", .side = side, .kind = kind, .tables = {{"shop", "customers"}}};
    state::Sidecar(keeper).create();
    state::Authority authority(keeper, "shop");
    authority.create();
    authority.set_fence(std::string(fence::to_string(kind)));
    if (side == db::Side::target) REQUIRE(authority.commit(authority.begin(authority.read()->epoch, "test")->epoch));
    fence::prepare(own, plan, std::chrono::seconds(5));
    const auto hold = authority.begin(authority.read()->epoch, "test")->epoch;
    fence::close(own, authority, plan, hold, std::chrono::seconds(5));
    CHECK(fence::is_fenced(own, plan));
    REQUIRE(authority.abort(hold));
    CHECK(!fence::follow(own, authority, plan, std::chrono::seconds(5)).is_fenced);
    fence::remove(own, plan);
    authority.forget();
  }
  state::Sidecar(keeper).drop_unused();
}

void run_with_page_accounts(const Server& source, const Server& target) {
  Migration migration(source, target, "shop");
  migration.clean();
  for (const Server* server : {&source, &target}) drop_accounts(*server);
  load_shop(source);
  source.client().script(statements_under(flavour_name(source) + ", source"));
  target.client().script(statements_under(flavour_name(target) + ", target"));
  target.client().script(statements_under(flavour_name(target) + ", target, definers"));
  migration.source_dsn = with_user(migration.source_dsn, "godwit_source");
  migration.target_dsn = with_user(migration.target_dsn, "godwit_target");
  const std::map<std::string, std::string> passwords{{"GODWIT_SOURCE_PASSWORD", "choose one"},
                                                     {"GODWIT_TARGET_PASSWORD", "choose one"}};

  const Outcome check = migration.run("check", {}, passwords);
  INFO(check.out << check.err);
  CHECK(check.status == 0);
  CHECK(check.out.find("GW0106") == std::string::npos);

  const Outcome copy = migration.run("copy", {}, passwords);
  INFO(copy.out << copy.err);
  CHECK(copy.status == 0);
  CHECK(copy.out.find("waiting") == std::string::npos);
  CHECK(target.client("shop").scalar("SELECT name FROM customers") == "Ada");
  CHECK(target.client("shop").scalar("SELECT COUNT(*) FROM open_orders") == "0");

  const auto follow = [&](const std::string& name) {
    source.client("shop").execute("UPDATE customers SET name = '" + name + "'");
    const Outcome replicate = migration.run("replicate", {"--until-current"}, passwords);
    INFO(replicate.out << replicate.err);
    CHECK(replicate.status == 0);
    CHECK(target.client("shop").scalar("SELECT name FROM customers") == name);
  };
  follow("Grace");
  CHECK(source.client().query("SHOW DATABASES LIKE '\\_godwit'").empty());
  source.client().script(statements_under("Source, heartbeat"));
  follow("Hedy");
  CHECK(source.client().scalar("SELECT sent_us > 0 FROM _godwit.heartbeat") == "1");

  const auto compare = [&](const std::vector<std::string>& more) {
    const Outcome vdiff = migration.run("vdiff", more, passwords);
    UNSCOPED_INFO(vdiff.out << vdiff.err);
    return vdiff.status;
  };
  CHECK(compare({}) == 0);
  target.client("shop").execute("UPDATE customers SET name = 'Mallory'");
  CHECK(compare({}) == 4);
  CHECK(compare({"--repair"}) == 0);
  CHECK(target.client("shop").scalar("SELECT name FROM customers") == "Hedy");

  CHECK(migration.run("cancel", {}, passwords).status == 0);
  const auto look = [&] { return migration.run("check", {}, passwords).out; };
  for (const char* code : {"GW0316", "GW0317"}) CHECK(look().find(code) != std::string::npos);
  source.client().script(statements_under(flavour_name(source) + ", source, switch"));
  source.client().script(statements_under(flavour_name(source) + ", source, definers"));
  target.client().script(statements_under(flavour_name(target) + ", target, switch"));
  const std::string ready = look();
  INFO(ready);
  for (const char* code : {"GW0106", "GW0316", "GW0317"}) CHECK(ready.find(code) == std::string::npos);
  fence_each(source, "godwit_source", godwit::db::Side::source);
  fence_each(target, "godwit_target", godwit::db::Side::target);
  migration.clean();
  for (const Server* server : {&source, &target}) drop_accounts(*server);
}

}  // namespace

TEST_CASE("the page's accounts suffice: MySQL to MariaDB", "[privileges]") {
  run_with_page_accounts(Server("c"), Server("a"));
}
TEST_CASE("the page's accounts suffice: MariaDB to MySQL", "[privileges]") {
  run_with_page_accounts(Server("a"), Server("c"));
}

TEST_CASE("without a grant of the page, check names it and copy does not begin", "[privileges]") {
  const Server source("a");
  const Server target("c");
  Migration migration(source, target, "shop");
  migration.clean();
  drop_accounts(source);
  load_shop(source);
  source.client().script(statements_under("MariaDB, source"));
  source.client().execute("REVOKE REPLICATION SLAVE ON *.* FROM 'godwit_source'@'%'");
  migration.source_dsn = with_user(migration.source_dsn, "godwit_source");
  const std::map<std::string, std::string> passwords{{"GODWIT_SOURCE_PASSWORD", "choose one"}};
  for (const char* command : {"check", "copy"}) {
    const Outcome outcome = migration.run(command, {}, passwords);
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 3);
    CHECK((outcome.out + outcome.err).find("GRANT REPLICATION SLAVE ON *.*") != std::string::npos);
  }
  CHECK(target.client().query("SHOW DATABASES LIKE 'shop'").empty());
  migration.clean();
  drop_accounts(source);
}
