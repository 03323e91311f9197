// Accounts and roles of one server as statements for another. Planning is pure; reading belongs to the connection's thread.
// A password's hash goes along where the target can take it; else the statement has a placeholder for the operator.
// Formats: SHOW CREATE USER and SHOW GRANTS of MySQL 8.0 to 9.7 and MariaDB 10.5 to 11.8.
#pragma once

#include <compare>
#include <set>
#include <string>
#include <vector>

#include "godwit/catalog/catalog.h"
#include "godwit/catalog/ddl.h"

namespace godwit::catalog {

struct AccountName {
  std::string user;
  std::string host;  // empty for a role of MariaDB
  bool is_role = false;
  auto operator<=>(const AccountName&) const = default;
};
std::string to_string(const AccountName& name);  // 'app'@'10.%', or 'reader' for a role without a host: SQL, and for people

// All that may belong to an application: neither roles nor the system's own (root, mysql.sys, mariadb.sys …).
// Throws Error(privilege_missing) with the GRANT it needs.
std::vector<AccountName> application_accounts(db::Connection& connection);
bool is_system_account(std::string_view user);

// What --accounts asks for: "all", "app" (at every host), "app@10.%". Throws Error(no_such_account).
std::vector<AccountName> select_accounts(const std::vector<AccountName>& all, const std::vector<std::string>& wanted);

struct Account {
  AccountName name;
  std::string create_sql;           // SHOW CREATE USER; empty for a role
  std::vector<std::string> grants;  // SHOW GRANTS, of this account only
};
Account read_account(db::Connection& connection, const AccountName& name);

struct AccountOptions {
  db::Server source;
  db::Server target;
  NameMap names;
  std::set<std::string> schemas;                            // of the source, those that are copied
  std::set<std::pair<std::string, std::string>> left_tables;  // of these schemas, those that are not
  std::set<std::string> target_plugins;                     // authentication plugins that are active there
  std::set<std::string> target_privileges;                  // SHOW PRIVILEGES, upper case
};
AccountOptions account_options(db::Connection& source, db::Connection& target, const Catalog& catalog, const NameMap& names);

struct AccountPlan {
  AccountName name;                     // on the target
  std::string create_sql;
  std::vector<std::string> statements;  // grants, then default roles; may be repeated
  std::vector<AccountName> roles;       // on the source, which `statements` need
  bool needs_password = false;          // create_sql has a placeholder: for the operator to run
  std::string why;                      // it needs one
  std::vector<std::string> left_out;    // what the target cannot hold, or what belongs to schemas that stay
  std::vector<std::string> secrets;     // hashes inside create_sql: never to be shown

  std::string shown(std::string text) const;  // the text without the secrets
};
AccountPlan plan_account(const Account& account, const AccountOptions& options);

}  // namespace godwit::catalog
