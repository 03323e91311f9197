// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7
// copy --accounts: created where absent, with password, grants and roles; the rest is printed; cancel drops what it made.
#include <nlohmann/json.hpp>

#include "catch.h"
#include "live/support/process.h"

using namespace godwit::test;
using nlohmann::json;

namespace {

// Accounts are the server's, not a schema's: each case begins and ends without them.
struct Cast {
  Cast(const Server& one, const Server& two) : servers{one, two} { clear(); }
  ~Cast() { clear(); }
  void clear() const {
    for (const auto& server : servers) {
      Client client = server.client();
      for (const char* account : {"acc_app@'127.%'", "acc_keeper@'%'", "acc_limited@'%'"}) client.execute(std::string("DROP USER IF EXISTS ") + account);
      client.execute("DROP ROLE IF EXISTS acc_reader");
    }
  }
  Server servers[2];
};

void load(const Server& source, const Server& target) {
  Client client = source.client();
  client.script(
      "CREATE DATABASE acc;\nCREATE TABLE acc.orders (id INT PRIMARY KEY, a INT, b INT);\nINSERT INTO acc.orders VALUES (1, 2, 3);\n"
      "CREATE PROCEDURE acc.pay() SELECT 1;\nCREATE ROLE acc_reader;\nGRANT SELECT ON acc.* TO acc_reader;\n"
      "CREATE USER acc_app@'127.%' IDENTIFIED BY 'pw-of-app' REQUIRE SSL WITH MAX_USER_CONNECTIONS 7;\n"
      "GRANT SELECT, UPDATE (a, b) ON acc.orders TO acc_app@'127.%' WITH GRANT OPTION;\n"
      "GRANT EXECUTE ON PROCEDURE acc.pay TO acc_app@'127.%';\nGRANT INSERT, DELETE ON acc.* TO acc_app@'127.%';\n"
      "GRANT REPLICATION CLIENT, PROCESS ON *.* TO acc_app@'127.%';\nGRANT SELECT ON elsewhere.* TO acc_app@'127.%';\n"
      "GRANT acc_reader TO acc_app@'127.%';\nCREATE USER acc_keeper@'%' IDENTIFIED BY 'of-source';\n");
  client.execute(source.is_mariadb() ? "SET DEFAULT ROLE acc_reader FOR acc_app@'127.%'" : "SET DEFAULT ROLE acc_reader TO acc_app@'127.%'");
  target.client().execute("CREATE USER acc_keeper@'%' IDENTIFIED BY 'of-target'");
}

bool can_log_in(const Server& server, const std::string& user, const std::string& password) {
  MYSQL* handle = mysql_init(nullptr);
  const my_bool enforce = 1;
  const my_bool verify = 0;
  mysql_options(handle, MYSQL_OPT_SSL_ENFORCE, &enforce);
  mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  const bool connected = mysql_real_connect(handle, "127.0.0.1", user.c_str(), password.c_str(), nullptr, static_cast<unsigned>(server.port()), nullptr, 0) != nullptr;
  mysql_close(handle);
  return connected;
}

std::vector<std::string> grants(const Server& server, const std::string& account) {
  std::vector<std::string> lines;
  for (const auto& row : server.client().query("SHOW GRANTS FOR " + account)) lines.push_back(*row[0]);
  return lines;
}

json account(const json& document, const std::string& name) {
  for (const auto& it : document["accounts"]) {
    if (it["account"] == name) return it;
  }
  return {{"state", "(none)"}};
}

void check_no_secret(const Outcome& outcome) {
  for (const char* secret : {"pw-of-app", "of-source", "of-target", "0x2441", "PASSWORD '*", "USING '*"}) {
    INFO(secret);
    CHECK((outcome.out + outcome.err).find(secret) == std::string::npos);
  }
}

void carry_within(const std::string& source_name, const std::string& target_name) {
  const Server source(source_name);
  const Server target(target_name);
  INFO(source.flavour());
  const Cast cast(source, target);
  const Migration migration(source, target, "acc");
  migration.clean();
  load(source, target);

  const Outcome plan = migration.run("copy", {"--accounts", "acc_app,acc_keeper", "--dry-run", "--json"});
  INFO(plan.out << plan.err);
  CHECK(plan.status == 0);
  check_no_secret(plan);
  CHECK(account(json::parse(plan.out), "'acc_app'@'127.%'")["state"] == "planned");
  CHECK(!can_log_in(target, "acc_app", "pw-of-app"));

  const Outcome outcome = migration.run("copy", {"--accounts", "acc_app,acc_keeper", "--json"});
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  check_no_secret(outcome);
  const json document = json::parse(outcome.out);
  const json app = account(document, "'acc_app'@'127.%'");
  CHECK(app["state"] == "created");
  CHECK(app["statements"].empty());
  CHECK(app["left_out"] == json::array({"SELECT ON `elsewhere`.*: it is not copied"}));
  CHECK(account(document, "'acc_keeper'@'%'")["state"] == "there_already");
  CHECK(account(document, source.is_mariadb() ? "'acc_reader'" : "'acc_reader'@'%'")["state"] == "created");

  CHECK(can_log_in(target, "acc_app", "pw-of-app"));
  CHECK(!can_log_in(target, "acc_app", "another"));
  CHECK(can_log_in(target, "acc_keeper", "of-target"));
  auto expected = grants(source, "acc_app@'127.%'");
  std::erase_if(expected, [](const std::string& line) { return line.find("elsewhere") != std::string::npos; });
  CHECK(grants(target, "acc_app@'127.%'") == expected);
  CHECK(grants(target, "acc_reader") == grants(source, "acc_reader"));
  if (!source.is_mariadb()) {
    CHECK(target.client().scalar("SELECT DEFAULT_ROLE_USER FROM mysql.default_roles WHERE USER = 'acc_app'") == "acc_reader");
  }

  const Outcome again = migration.run("copy", {"--accounts", "acc_app", "--json"});
  CHECK(again.status == 0);
  CHECK(grants(target, "acc_app@'127.%'") == expected);

  const Outcome cancelled = migration.run("cancel");
  INFO(cancelled.err);
  CHECK(cancelled.status == 0);
  CHECK(cancelled.out.find("dropped account 'acc_app'@'127.%'") != std::string::npos);
  CHECK(target.client().scalar("SELECT GROUP_CONCAT(User) FROM mysql.user WHERE User LIKE 'acc%'") == "acc_keeper");
  CHECK(can_log_in(target, "acc_keeper", "of-target"));
  CHECK(can_log_in(source, "acc_app", "pw-of-app"));
  migration.clean();
}

// What is printed works once the operator has put the password in.
void print_across(const std::string& source_name, const std::string& target_name) {
  const Server source(source_name);
  const Server target(target_name);
  INFO(source.flavour() << " -> " << target.flavour());
  const Cast cast(source, target);
  const Migration migration(source, target, "acc");
  migration.clean();
  load(source, target);
  const Outcome outcome = migration.run("copy", {"--accounts", "acc_app@127.%", "--json"});
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  check_no_secret(outcome);
  const json app = account(json::parse(outcome.out), "'acc_app'@'127.%'");
  CHECK(app["state"] == "by_hand");
  Client client = target.client();
  CHECK(client.scalar("SELECT COUNT(*) FROM mysql.user WHERE User = 'acc_app'") == "0");
  for (std::string statement : app["statements"].get<std::vector<std::string>>()) {
    const auto at = statement.find("<password of acc_app>");
    if (at != std::string::npos) statement.replace(at, 21, "pw-of-app");
    client.execute(statement);
  }
  CHECK(can_log_in(target, "acc_app", "pw-of-app"));
  const auto lines = grants(target, "acc_app@'127.%'");
  const std::string all = json(lines).dump();
  for (const char* part : {"SELECT, UPDATE (`a`, `b`) ON `acc`.`orders`", "EXECUTE ON PROCEDURE `acc`.`pay`", "INSERT, DELETE ON `acc`.*", "`acc_reader`", "PROCESS"}) {
    INFO(all);
    CHECK(all.find(part) != std::string::npos);
  }
  CHECK(json::parse(outcome.out)["pending"].empty());
  CHECK(all.find(target.is_mariadb() ? "BINLOG MONITOR" : "REPLICATION CLIENT") != std::string::npos);
  migration.run("cancel");
  migration.clean();
}

}  // namespace

TEST_CASE("accounts go along with their passwords: MariaDB", "[accounts]") { carry_within("a", "b"); }
TEST_CASE("accounts go along with their passwords: MySQL", "[accounts]") { carry_within("c", "d"); }
TEST_CASE("what cannot go is printed and works: MariaDB to MySQL", "[accounts]") { print_across("a", "c"); }
TEST_CASE("what cannot go is printed and works: MySQL to MariaDB", "[accounts]") { print_across("c", "a"); }

TEST_CASE("check names accounts that the target lacks, and says which are connected", "[accounts]") {
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("c", "d"), std::pair("a", "c")}) {
    const Server source(from);
    const Server target(to);
    const Cast cast(source, target);
    const Migration migration(source, target, "acc");
    migration.clean();
    load(source, target);
    source.client().execute("CREATE USER acc_limited@'%' IDENTIFIED BY 'x'");
    MYSQL* session = mysql_init(nullptr);
    const my_bool enforce = 1;
    const my_bool verify = 0;
    mysql_options(session, MYSQL_OPT_SSL_ENFORCE, &enforce);
    mysql_options(session, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    REQUIRE(mysql_real_connect(session, "127.0.0.1", "acc_app", "pw-of-app", nullptr, static_cast<unsigned>(source.port()), nullptr, 0) != nullptr);
    const Outcome outcome = migration.run("check", {"--json"});
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    std::map<std::string, json> found;
    const json document = json::parse(outcome.out);
    for (const auto& finding : document["findings"]) {
      if (finding["check"] == "accounts") found[finding["object"]] = finding;
    }
    REQUIRE(found.count("'acc_app'@'127.%'") == 1);
    const json app = found["'acc_app'@'127.%'"];
    CHECK(app["verdict"] == "warning");
    CHECK(app["code"] == (source.is_mariadb() == target.is_mariadb() ? "GW0603" : "GW0601"));
    CHECK(app["cause"].get<std::string>().find("connected now") != std::string::npos);
    CHECK(app["remedy"].get<std::string>().find("--accounts 'acc_app@127.%'") != std::string::npos);
    CHECK(found["'acc_limited'@'%'"]["cause"].get<std::string>().find("connected") == std::string::npos);
    CHECK(found.count("'acc_keeper'@'%'") == 0);
    CHECK(found.count("'acc_reader'@'%'") == 0);
    for (const auto& [object, unused] : found) CHECK(object.find("'root'") == std::string::npos);
    mysql_close(session);
    migration.clean();
  }
}

TEST_CASE("--accounts names what is not there, and what is the system's", "[accounts]") {
  const Server source("a");
  const Server target("b");
  const Cast cast(source, target);
  const Migration migration(source, target, "acc");
  migration.clean();
  load(source, target);
  for (const char* name : {"nobody", "root", "acc_app@%"}) {
    const Outcome outcome = migration.run("copy", {"--accounts", name, "--json"});
    INFO(name << outcome.out << outcome.err);
    CHECK(outcome.status == 2);
    CHECK(json::parse(outcome.out)["error"]["code"] == "GW0602");
    CHECK(json::parse(outcome.out)["error"]["object"] == "--accounts " + std::string(name));
  }
  CHECK(target.client().scalar("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ('acc', '_godwit')") == "0");
  migration.clean();
}

TEST_CASE("--accounts without CREATE USER on the target is a blocker with its GRANT", "[accounts]") {
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("c", "d")}) {
    const Server source(from);
    const Server target(to);
    const Cast cast(source, target);
    Migration migration(source, target, "acc");
    migration.clean();
    load(source, target);
    Client client = target.client();
    client.execute("CREATE USER acc_limited@'%' IDENTIFIED BY 'godwit'");
    client.execute("GRANT ALL ON acc.* TO acc_limited@'%'");
    client.execute("GRANT ALL ON _godwit.* TO acc_limited@'%'");
    client.execute("GRANT SELECT ON mysql.* TO acc_limited@'%'");
    migration.target_dsn.replace(migration.target_dsn.find("godwit@"), 6, "acc_limited");
    const Outcome outcome = migration.run("copy", {"--accounts", "acc_app", "--json"});
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 3);
    CHECK(json::parse(outcome.out)["error"]["code"] == "GW0106");
    CHECK(json::parse(outcome.out)["error"]["remedy"] == "GRANT CREATE USER ON *.* TO 'acc_limited'@'%'");
    migration.clean();
  }
}
