#include "godwit/accounts/facts.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "godwit/auth/native.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::accounts {
namespace {

using nlohmann::json;

constexpr std::string_view kNative = "mysql_native_password";
constexpr std::uint64_t kDaySeconds = 86400;

AuthMethod method_of(std::string plugin, std::string_view stored) {
  AuthMethod method{.plugin = plugin.empty() ? std::string(kNative) : std::move(plugin), .stage2 = {}, .is_empty = false};
  const bool has_hash = method.plugin == kNative || method.plugin == "caching_sha2_password" || method.plugin == "sha256_password" || method.plugin == "ed25519";
  method.is_empty = has_hash && stored.empty();
  if (method.plugin == kNative) method.stage2 = auth::stage2_of(stored).value_or("");
  return method;
}

// --- MariaDB ------------------------------------------------------------------------------------------------------

std::string text_in(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}
bool true_in(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_boolean() && it->get<bool>();
}
std::optional<std::int64_t> number_in(const json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_number_integer()) return std::nullopt;
  return it->get<std::int64_t>();
}

// "auth_or" lists the methods in order; an empty object in it is the method of the row itself.
std::vector<AuthMethod> methods_of(const json& priv) {
  const auto own = method_of(text_in(priv, "plugin"), text_in(priv, "authentication_string"));
  const auto list = priv.find("auth_or");
  if (list == priv.end() || !list->is_array()) return {own};
  std::vector<AuthMethod> methods;
  for (const auto& item : *list) {
    if (!item.is_object()) continue;
    methods.push_back(item.contains("plugin") ? method_of(text_in(item, "plugin"), text_in(item, "authentication_string")) : own);
  }
  return methods;
}

TlsDemand tls_of(const json& priv) {
  enum : std::int64_t { none, any, x509, specified };
  const auto type = number_in(priv, "ssl_type").value_or(none);
  if (type == none) return TlsDemand::none;
  const bool is_cipher_only = type == specified && text_in(priv, "x509_issuer").empty() && text_in(priv, "x509_subject").empty();
  return type == any || is_cipher_only ? TlsDemand::tls : TlsDemand::certificate;
}

// Changed at 0: by PASSWORD EXPIRE. A lifetime below 0 is the server's default, and 0 is for ever.
bool is_expired(const json& priv, std::uint64_t now_s, std::uint64_t default_lifetime_days) {
  const auto changed = number_in(priv, "password_last_changed");
  if (!changed) return false;
  if (*changed == 0) return true;
  const auto own = number_in(priv, "password_lifetime").value_or(-1);
  const auto days = own < 0 ? default_lifetime_days : static_cast<std::uint64_t>(own);
  const bool has_end = days > 0 && days < 100000 && *changed > 0;
  return has_end && static_cast<std::uint64_t>(*changed) + days * kDaySeconds < now_s;
}

std::vector<AccountFacts> read_mariadb(db::Connection& connection) {
  const db::Rows rows = connection.query(
      "SELECT User AS u, Host AS h, Priv AS p, UNIX_TIMESTAMP() AS now_s, @@default_password_lifetime AS days FROM mysql.global_priv ORDER BY User, Host");
  std::vector<AccountFacts> all;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto facts = facts_of_global_priv(rows.text(i, "p"), rows.u64(i, "now_s"), rows.u64(i, "days"));
    if (!facts) continue;
    facts->user = rows.text(i, "u");
    facts->host = rows.text(i, "h");
    all.push_back(std::move(*facts));
  }
  return all;
}

// --- MySQL --------------------------------------------------------------------------------------------------------

constexpr std::string_view kMysqlQuery =
    "SELECT User AS u, Host AS h, plugin AS p, CAST(IF(plugin = 'mysql_native_password', authentication_string, "
    "IF(authentication_string = '', '', '?')) AS CHAR) AS a, "
    "CASE ssl_type WHEN '' THEN 0 WHEN 'ANY' THEN 1 WHEN 'SPECIFIED' THEN IF(x509_issuer = '' AND x509_subject = '', 1, 2) ELSE 2 END AS tls, "
    "account_locked = 'Y' AS locked, "
    "password_expired = 'Y' OR (IFNULL(password_lifetime, @@default_password_lifetime) > 0 AND "
    "password_last_changed + INTERVAL IFNULL(password_lifetime, @@default_password_lifetime) DAY < NOW()) AS expired, "
    "IFNULL(JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password'), 0) AS second, "
    "IFNULL(JSON_CONTAINS_PATH(User_attributes, 'one', '$.multi_factor_authentication'), 0) AS factors "
    "FROM mysql.user ORDER BY User, Host";

std::vector<AccountFacts> read_mysql(db::Connection& connection) {
  const db::Rows rows = connection.query(kMysqlQuery);
  std::vector<AccountFacts> all;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    all.push_back({.user = rows.text(i, "u"),
                   .host = rows.text(i, "h"),
                   .flavour = db::Flavour::mysql,
                   .methods = {method_of(rows.text(i, "p"), rows.text(i, "a"))},
                   .tls = static_cast<TlsDemand>(rows.u64(i, "tls")),
                   .is_locked = rows.u64(i, "locked") != 0,
                   .is_expired = rows.u64(i, "expired") != 0,
                   .has_second_password = rows.u64(i, "second") != 0,
                   .needs_further_factors = rows.u64(i, "factors") != 0});
  }
  return all;
}

}  // namespace

std::optional<AccountFacts> facts_of_global_priv(std::string_view priv, std::uint64_t now_s, std::uint64_t default_lifetime_days) {
  const json parsed = json::parse(priv, nullptr, false);
  AccountFacts facts{.user = {}, .host = {}, .flavour = db::Flavour::mariadb, .methods = {}};
  if (!parsed.is_object()) return facts;
  if (true_in(parsed, "is_role")) return std::nullopt;
  facts.methods = methods_of(parsed);
  facts.tls = tls_of(parsed);
  facts.is_locked = true_in(parsed, "account_locked");
  facts.is_expired = is_expired(parsed, now_s, default_lifetime_days);
  return facts;
}

std::vector<AccountFacts> read_accounts(db::Connection& connection) {
  try {
    return connection.server().is_mariadb() ? read_mariadb(connection) : read_mysql(connection);
  } catch (const Error& error) {
    if (error.code() != Code::privilege_missing) throw;
    throw Error(Code::privilege_missing,
                {.object = error.object(), .cause = "the account may not read the accounts' methods", .remedy = "GRANT SELECT ON mysql.* TO the account"});
  }
}

}  // namespace godwit::accounts
