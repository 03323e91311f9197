#include "catch.h"
#include "godwit/catalog/accounts.h"

using namespace godwit;
using namespace godwit::catalog;

namespace {

const std::string kHash = "'*B69027D44F6E5EDC07F1AEAD1477967B16F28227'";

AccountOptions options_for(db::Flavour source, db::Flavour target) {
  AccountOptions options;
  options.source.flavour = source;
  options.target.flavour = target;
  options.schemas = {"shop"};
  options.target_plugins = {"mysql_native_password", target == db::Flavour::mysql ? "caching_sha2_password" : "ed25519"};
  options.target_privileges = {"SELECT", "INSERT", "EXECUTE", "RELOAD", "PROCESS"};
  return options;
}

AccountPlan plan_user(const std::string& create, const std::vector<std::string>& grants, const AccountOptions& options) {
  return plan_account({.name = {.user = "app", .host = "%"}, .create_sql = create, .grants = grants}, options);
}

}  // namespace

TEST_CASE("a native hash goes from MariaDB to a MySQL that has the plugin", "[accounts]") {
  const auto options = options_for(db::Flavour::mariadb, db::Flavour::mysql);
  const auto plan = plan_user("CREATE USER `app`@`%` IDENTIFIED BY PASSWORD " + kHash + " WITH MAX_STATEMENT_TIME 3 MAX_USER_CONNECTIONS 5 ACCOUNT LOCK PASSWORD EXPIRE NEVER", {}, options);
  CHECK(!plan.needs_password);
  CHECK(plan.create_sql == "CREATE USER 'app'@'%' IDENTIFIED WITH 'mysql_native_password' AS " + kHash + " WITH MAX_USER_CONNECTIONS 5 ACCOUNT LOCK PASSWORD EXPIRE NEVER");
  CHECK(plan.left_out == std::vector<std::string>{"MAX_STATEMENT_TIME 3"});
  CHECK(plan.shown(plan.create_sql).find(kHash) == std::string::npos);
}

TEST_CASE("a native hash goes from MySQL to MariaDB, without what MariaDB has no word for", "[accounts]") {
  const auto options = options_for(db::Flavour::mysql, db::Flavour::mariadb);
  const auto plan = plan_user("CREATE USER `app`@`%` IDENTIFIED WITH 'mysql_native_password' AS " + kHash +
                                  " DEFAULT ROLE `r1`@`%`,`r2`@`%` REQUIRE NONE PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK PASSWORD HISTORY 5 "
                                  "PASSWORD REUSE INTERVAL DEFAULT PASSWORD REQUIRE CURRENT DEFAULT FAILED_LOGIN_ATTEMPTS 3",
                              {"GRANT `r1`@`%`,`r2`@`%` TO `app`@`%` WITH ADMIN OPTION"}, options);
  CHECK(!plan.needs_password);
  CHECK(plan.create_sql == "CREATE USER 'app'@'%' IDENTIFIED VIA mysql_native_password USING " + kHash);
  CHECK(plan.statements == std::vector<std::string>{"GRANT 'r1' TO 'app'@'%' WITH ADMIN OPTION", "GRANT 'r2' TO 'app'@'%' WITH ADMIN OPTION", "SET DEFAULT ROLE 'r1' FOR 'app'@'%'"});
  CHECK(plan.left_out == std::vector<std::string>{"PASSWORD HISTORY 5", "FAILED_LOGIN_ATTEMPTS 3", "more than one default role"});
  CHECK(plan.roles.size() == 2);
}

TEST_CASE("a hash that the target cannot take becomes a placeholder", "[accounts]") {
  const std::string create = "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x244124 REQUIRE SSL";
  const auto cross = plan_user(create, {}, options_for(db::Flavour::mysql, db::Flavour::mariadb));
  CHECK(cross.needs_password);
  CHECK(cross.create_sql == "CREATE USER 'app'@'%' IDENTIFIED BY '<password of app>' REQUIRE SSL");
  const auto same = plan_user(create, {}, options_for(db::Flavour::mysql, db::Flavour::mysql));
  CHECK(!same.needs_password);
  auto without_native = options_for(db::Flavour::mysql, db::Flavour::mysql);
  without_native.target_plugins = {"caching_sha2_password"};
  CHECK(plan_user("CREATE USER `app`@`%` IDENTIFIED WITH 'mysql_native_password' AS " + kHash, {}, without_native).needs_password);
}

TEST_CASE("grants follow the schemas that are copied, under their names on the target", "[accounts]") {
  auto options = options_for(db::Flavour::mariadb, db::Flavour::mariadb);
  options.names = NameMap({"shop=store_1"});
  options.left_tables = {{"shop", "logs"}};
  const auto plan = plan_user("CREATE USER `app`@`%`",
                              {"GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD " + kHash,
                               "GRANT SELECT, INSERT (`a`, `b`) ON `shop`.`orders` TO `app`@`%` WITH GRANT OPTION",
                               "GRANT SELECT ON `shop`.`logs` TO `app`@`%`",
                               "GRANT EXECUTE ON PROCEDURE `shop`.`pay` TO `app`@`%`",
                               "GRANT ALL PRIVILEGES ON `sho_`.* TO `app`@`%`",
                               "GRANT SELECT ON `other`.* TO `app`@`%`",
                               "GRANT FEDERATED ADMIN, PROCESS ON *.* TO `app`@`%`",
                               "GRANT SELECT ON `shop`.* TO `role_of_app`",
                               "GRANT PROXY ON ''@'%' TO 'app'@'%'"},
                              options);
  CHECK(plan.statements == std::vector<std::string>{"GRANT SELECT, INSERT (`a`, `b`) ON `store_1`.`orders` TO 'app'@'%' WITH GRANT OPTION",
                                                    "GRANT EXECUTE ON PROCEDURE `store_1`.`pay` TO 'app'@'%'",
                                                    "GRANT ALL PRIVILEGES ON `store\\_1`.* TO 'app'@'%'",
                                                    "GRANT PROCESS ON *.* TO 'app'@'%'"});
  CHECK(plan.left_out == std::vector<std::string>{"SELECT ON `shop`.`logs`: it is not copied",
                                                  "SELECT ON `other`.*: it is not copied",
                                                  "FEDERATED ADMIN ON *.*: the target has no such privilege",
                                                  "GRANT PROXY ON ''@'%' TO 'app'@'%'"});
}

TEST_CASE("a wildcard grant stays one where no name changes", "[accounts]") {
  const auto options = options_for(db::Flavour::mariadb, db::Flavour::mariadb);
  const auto plan = plan_user("CREATE USER `app`@`%`", {"GRANT SELECT ON `sh%`.* TO `app`@`%`"}, options);
  CHECK(plan.statements == std::vector<std::string>{"GRANT SELECT ON `sh%`.* TO 'app'@'%'"});
}

TEST_CASE("a privilege goes by its name on the other flavour", "[accounts]") {
  auto to_mariadb = options_for(db::Flavour::mysql, db::Flavour::mariadb);
  to_mariadb.target_privileges = {"BINLOG MONITOR", "SLAVE MONITOR", "CONNECTION ADMIN"};
  const auto plan = plan_user("CREATE USER `app`@`%`", {"GRANT REPLICATION CLIENT, CONNECTION_ADMIN, CLONE_ADMIN ON *.* TO `app`@`%`"}, to_mariadb);
  CHECK(plan.statements == std::vector<std::string>{"GRANT BINLOG MONITOR, SLAVE MONITOR, CONNECTION ADMIN ON *.* TO 'app'@'%'"});
  CHECK(plan.left_out.size() == 1);
}

TEST_CASE("any text gives a plan", "[accounts]") {
  const auto options = options_for(db::Flavour::mariadb, db::Flavour::mysql);
  for (const char* text : {"", "GRANT", "GRANT SELECT ON", "GRANT SELECT ON `shop", "GRANT (((", "GRANT `r` TO", "REVOKE SELECT ON *.* FROM x", "SET", "CREATE USER", "CREATE USER `a`@`b` IDENTIFIED VIA", "CREATE USER a IDENTIFIED BY PASSWORD"}) {
    plan_user(text, {text}, options);
  }
}

TEST_CASE("--accounts takes names with and without hosts", "[accounts]") {
  const std::vector<AccountName> all{{.user = "app", .host = "%"}, {.user = "app", .host = "10.%"}, {.user = "report", .host = "%"}};
  CHECK(select_accounts(all, {"all"}).size() == 3);
  CHECK(select_accounts(all, {"app"}).size() == 2);
  CHECK(select_accounts(all, {"'app'@'10.%'", "report@%"}).size() == 2);
  CHECK_THROWS_AS(select_accounts(all, {"ap"}), Error);
}
