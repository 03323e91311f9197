#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "godwit/catalog/accounts.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::catalog {
namespace {

// The servers' own, and those of the usual hosted services.
constexpr std::array<std::string_view, 9> kSystemUsers{
    "", "root", "mysql", "mariadb.sys", "PUBLIC", "debian-sys-maint", "rdsadmin", "azure_superuser", "cloudsqladmin"};

std::string current_account(db::Connection& connection) {
  const std::string current = connection.scalar("SELECT CURRENT_USER()");
  const auto at = current.rfind('@');
  return to_string({.user = current.substr(0, at), .host = current.substr(at + 1)});
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::set<std::string> first_column(db::Connection& connection, const std::string& sql) {
  std::set<std::string> result;
  for (const auto& row : connection.query(sql).rows) result.insert(row.at(0).value_or(""));
  return result;
}

// A role of MySQL is an account that someone was granted, or one that was never given a password and is locked.
constexpr std::string_view kMysqlRoles =
    " AND NOT EXISTS (SELECT 1 FROM mysql.role_edges e WHERE e.FROM_USER = u.User AND e.FROM_HOST = u.Host) "
    "AND NOT (account_locked = 'Y' AND password_expired = 'Y' AND authentication_string = '')";

bool is_wanted(const AccountName& account, const std::string& wanted) {
  std::string plain = wanted;
  std::erase_if(plain, [](char c) { return c == '\'' || c == '`' || c == '"'; });
  return plain == "all" || plain == account.user || plain == account.user + "@" + account.host;
}

}  // namespace

std::string to_string(const AccountName& name) {
  const std::string user = sql::quote_string(name.user);
  return name.host.empty() && name.is_role ? user : user + "@" + sql::quote_string(name.host);
}

bool is_system_account(std::string_view user) {
  return user.starts_with("mysql.") || std::find(kSystemUsers.begin(), kSystemUsers.end(), user) != kSystemUsers.end();
}

std::vector<AccountName> application_accounts(db::Connection& connection) {
  const bool is_mariadb = connection.server().is_mariadb();
  std::vector<AccountName> accounts;
  try {
    const db::Rows rows = connection.query(fmt::format("SELECT User AS u, Host AS h FROM mysql.user u WHERE User <> ''{} ORDER BY User, Host",
                                                       is_mariadb ? " AND is_role = 'N'" : kMysqlRoles));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!is_system_account(rows.text(i, "u"))) accounts.push_back({.user = rows.text(i, "u"), .host = rows.text(i, "h")});
    }
  } catch (const Error& error) {
    if (error.code() != Code::privilege_missing) throw;
    throw Error(Code::privilege_missing,
                {.object = error.object(),
                 .cause = "the account may not read mysql.user",
                 .remedy = fmt::format("GRANT SELECT ON mysql.* TO {}", current_account(connection))});
  }
  return accounts;
}

std::vector<AccountName> select_accounts(const std::vector<AccountName>& all, const std::vector<std::string>& wanted) {
  std::vector<AccountName> selected;
  for (const auto& account : all) {
    if (std::any_of(wanted.begin(), wanted.end(), [&](const std::string& it) { return is_wanted(account, it); })) selected.push_back(account);
  }
  for (const auto& it : wanted) {
    if (it == "all" || std::any_of(all.begin(), all.end(), [&](const AccountName& account) { return is_wanted(account, it); })) continue;
    throw Error(Code::no_such_account,
                {.object = "--accounts " + it,
                 .cause = "the source has no such account, or it is one of the system's",
                 .remedy = "godwit check names those that the target lacks"});
  }
  return selected;
}

Account read_account(db::Connection& connection, const AccountName& name) {
  Account account{.name = name};
  const std::string quoted = to_string(name);
  if (!connection.server().is_mariadb()) connection.execute("SET SESSION print_identified_with_as_hex = 1");
  if (!name.is_role) account.create_sql = connection.scalar("SHOW CREATE USER " + quoted);
  for (const auto& row : connection.query("SHOW GRANTS FOR " + quoted).rows) account.grants.push_back(row.at(0).value_or(""));
  return account;
}

AccountOptions account_options(db::Connection& source, db::Connection& target, const Catalog& catalog, const NameMap& names) {
  AccountOptions options{.source = source.server(), .target = target.server(), .names = names};
  std::set<std::pair<std::string, std::string>> copied;
  for (const auto& table : catalog.tables) copied.emplace(table.schema, table.name);
  for (const auto& [schema, unused] : catalog.schemas) {
    options.schemas.insert(schema);
    for (const auto& table : first_column(source, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA = " + sql::quote_string(schema))) {
      if (copied.count({schema, table}) == 0) options.left_tables.emplace(schema, table);
    }
  }
  options.target_plugins = first_column(
      target, "SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'AUTHENTICATION' AND PLUGIN_STATUS = 'ACTIVE'");
  for (const auto& privilege : first_column(target, "SHOW PRIVILEGES")) options.target_privileges.insert(upper(privilege));
  return options;
}

}  // namespace godwit::catalog
