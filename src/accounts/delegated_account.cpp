#include "delegated_account.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "godwit/auth/native.h"
#include "godwit/catalog/accounts.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"

namespace godwit::accounts {
namespace {

using nlohmann::json;
using sql::hex_literal;
using sql::quote_string;

std::string quoted(const std::string& user, const std::string& host) { return catalog::to_string({.user = user, .host = host}); }

[[noreturn]] void refuse(const AccountFacts& account, std::string cause) {
  throw Error(Code::delegation_refused,
              {.object = quoted(account.user, account.host), .cause = std::move(cause), .remedy = "TLS to the client, or its password by --accounts FILE"});
}

std::string where(const std::string& user, const std::string& host) {
  return fmt::format(" WHERE User = {} AND Host = {}", quote_string(user), quote_string(host));
}

// --- MariaDB: one more method ---------------------------------------------------------------------------------------

struct Stored {  // a method as mysql.global_priv has it
  std::string plugin;
  std::string text;
  bool operator==(const Stored&) const = default;
};

Stored stored_in(const json& object) {
  std::string plugin = object.value("plugin", "");
  return {.plugin = plugin.empty() ? "mysql_native_password" : std::move(plugin), .text = object.value("authentication_string", "")};
}

// None: no such account.
std::vector<Stored> stored_methods(db::Connection& connection, const std::string& user, const std::string& host) {
  const json priv = json::parse(connection.scalar("SELECT Priv FROM mysql.global_priv" + where(user, host)), nullptr, false);
  if (!priv.is_object()) return {};
  const auto list = priv.find("auth_or");
  if (list == priv.end()) return {stored_in(priv)};
  std::vector<Stored> methods;
  for (const auto& item : *list) methods.push_back(stored_in(item.empty() ? priv : item));
  return methods;
}

void set_methods(db::Connection& connection, const std::string& user, const std::string& host, const std::vector<Stored>& methods) {
  std::string sql = "ALTER USER " + quoted(user, host) + " IDENTIFIED";
  for (const auto& method : methods) {
    sql += (&method == &methods.front() ? " VIA " : " OR ") + sql::quote_identifier(method.plugin);
    if (!method.text.empty()) sql += " USING " + quote_string(method.text);
  }
  execute_unquoted(connection, std::move(sql));
}

Stored our_method(const std::string& credential) { return {.plugin = "mysql_native_password", .text = credential}; }

// --- MySQL: a second password -----------------------------------------------------------------------------------------

struct Passwords {
  std::string plugin;
  std::string first;  // hashes, as they are stored
  std::string second;
};

std::string bytes_of_hex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) bytes.push_back(static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

Passwords stored_passwords(db::Connection& connection, const std::string& user, const std::string& host) {
  const db::Rows rows = connection.query(
      "SELECT plugin AS p, HEX(authentication_string) AS a, HEX(IFNULL(JSON_UNQUOTE(User_attributes->'$.additional_password'), '')) AS b FROM mysql.user" +
      where(user, host));
  if (rows.empty()) return {};
  return {.plugin = rows.text(0, "p"), .first = bytes_of_hex(rows.text(0, "a")), .second = bytes_of_hex(rows.text(0, "b"))};
}

void set_password(db::Connection& connection, const std::string& account, const std::string& plugin, const std::string& hash, bool retains) {
  execute_unquoted(connection, fmt::format("ALTER USER {} IDENTIFIED WITH {} AS {}{}", account, quote_string(plugin), hex_literal(hash),
                                           retains ? " RETAIN CURRENT PASSWORD" : ""));
}

// The server itself makes the hash, in whatever format it stores today, on an account that is locked and gone again.
std::string hash_by_server(db::Connection& connection, const std::string& plugin, const auth::Secret& password) {
  const std::string scratch = quoted("_godwit_scratch", "localhost");
  connection.execute("DROP USER IF EXISTS " + scratch);
  execute_unquoted(connection,
                   fmt::format("CREATE USER {} IDENTIFIED WITH {} BY {} ACCOUNT LOCK", scratch, quote_string(plugin), quote_string(password.view())));
  std::string hash = stored_passwords(connection, "_godwit_scratch", "localhost").first;
  connection.execute("DROP USER " + scratch);
  return hash;
}

void require_room(const AccountFacts& account, const Passwords& now) {
  if (now.plugin.empty()) refuse(account, "there is no such account");
  if (!now.second.empty()) refuse(account, "it has a second password already, which would be lost");
  if (now.first.empty()) refuse(account, "it has no password, and MySQL keeps no empty one as the second");
  if (account.needs_further_factors) refuse(account, "it is asked for further factors");
  const bool is_known = now.plugin == "caching_sha2_password" || now.plugin == "sha256_password" || now.plugin == "mysql_native_password";
  if (!is_known) refuse(account, "MySQL keeps no second password for " + now.plugin);
}

// The account's own password ends up first, as it was, and ours second: to take ours back is then one statement that needs to know nothing. In between,
// ours is the first one and the account's own the second: both log in at every moment.
void add_second_password(db::Connection& connection, const AccountFacts& account, const std::string& credential) {
  const Passwords before = stored_passwords(connection, account.user, account.host);
  require_room(account, before);
  const std::string name = quoted(account.user, account.host);
  set_password(connection, name, before.plugin, credential, true);
  failpoint(Fp::proxy_credential_first);
  set_password(connection, name, before.plugin, before.first, true);
}

bool remove_second_password(db::Connection& connection, const std::string& user, const std::string& host, const std::string& credential) {
  Passwords now = stored_passwords(connection, user, host);
  const std::string name = quoted(user, host);
  const bool is_first = !now.first.empty() && now.first == credential;  // killed in between
  if (is_first && !now.second.empty()) {
    set_password(connection, name, now.plugin, now.second, true);
    now = stored_passwords(connection, user, host);
  }
  if (now.second.empty() || now.second != credential) return false;
  connection.execute("ALTER USER " + name + " DISCARD OLD PASSWORD");
  return true;
}

}  // namespace

void execute_unquoted(db::Connection& connection, std::string sql) {
  try {
    connection.execute_unquoted(sql);
  } catch (...) {
    auth::wipe(sql);
    throw;
  }
  auth::wipe(sql);
}

std::string make_credential(db::Connection& connection, const AccountFacts& account, const auth::Secret& password) {
  if (account.is_locked || account.is_expired) refuse(account, account.is_locked ? "it is locked" : "its password is expired");
  if (connection.server().is_mariadb()) return auth::star_hex_of(auth::native_stage2(auth::native_stage1(password.view()).view()));
  const Passwords now = stored_passwords(connection, account.user, account.host);
  require_room(account, now);
  return hash_by_server(connection, now.plugin, password);
}

bool has_credential(db::Connection& connection, const std::string& user, const std::string& host, const std::string& credential) {
  if (!connection.server().is_mariadb()) return stored_passwords(connection, user, host).second == credential;
  const auto methods = stored_methods(connection, user, host);
  return std::find(methods.begin(), methods.end(), our_method(credential)) != methods.end();
}

void add_credential(db::Connection& connection, const AccountFacts& account, const std::string& credential) {
  if (!connection.server().is_mariadb()) return add_second_password(connection, account, credential);
  auto methods = stored_methods(connection, account.user, account.host);
  if (methods.empty()) refuse(account, "there is no such account");
  methods.push_back(our_method(credential));
  set_methods(connection, account.user, account.host, methods);
}

bool remove_credential(db::Connection& connection, const std::string& user, const std::string& host, const std::string& credential) {
  if (!connection.server().is_mariadb()) return remove_second_password(connection, user, host, credential);
  auto methods = stored_methods(connection, user, host);
  const bool was_there = std::erase(methods, our_method(credential)) != 0;
  if (was_there && methods.empty())
    throw Error(Code::delegation_refused,
                {.object = quoted(user, host), .cause = "godwit's credential is the only one it has left", .remedy = "ALTER USER with its own, then again"});
  if (was_there) set_methods(connection, user, host, methods);
  return was_there;
}

}  // namespace godwit::accounts
