#include "godwit/accounts/delegation.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <array>
#include <utility>

#include "delegated_account.h"
#include "godwit/auth/native.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/text.h"

namespace godwit::accounts {
namespace {

using sql::quote_string;

constexpr std::size_t kKeyBytes = 32;
constexpr std::string_view kLock = "godwit.delegation";
constexpr int kLockSeconds = 10;

std::string schema() { return sql::quote_identifier(kDelegationSchema); }
std::string table() { return sql::quote_table(kDelegationSchema, "delegated_account"); }

std::string where(const Delegation::Record& record) {
  return fmt::format(" WHERE user_name = {} AND host_name = {}", quote_string(record.user), quote_string(record.host));
}

bool has_schema(db::Connection& connection) {
  return !connection
              .query(fmt::format("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = 'delegated_account'", quote_string(kDelegationSchema)))
              .empty();
}

void create_schema(db::Connection& connection) {
  connection.execute("CREATE DATABASE IF NOT EXISTS " + schema());
  connection.execute("CREATE TABLE IF NOT EXISTS " + table() +
                     " (user_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, host_name VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, "
                     "credential VARBINARY(512) NOT NULL, password_check CHAR(64) CHARACTER SET ascii NOT NULL, created TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (user_name, host_name)) ENGINE=InnoDB");
}

std::vector<Delegation::Record> records_on(db::Connection& connection) {
  if (!has_schema(connection)) return {};
  const db::Rows rows = connection.query("SELECT user_name AS u, host_name AS h, credential AS c, password_check AS k FROM " + table() + " ORDER BY user_name, host_name");
  std::vector<Delegation::Record> all;
  for (std::size_t i = 0; i < rows.size(); ++i) all.push_back({.user = rows.text(i, "u"), .host = rows.text(i, "h"), .credential = rows.text(i, "c"), .check = rows.text(i, "k")});
  return all;
}

std::string check_of(const auth::Secret& password) {
  std::array<unsigned char, 32> digest{};
  unsigned size = 0;
  const auto bytes = password.view();
  GODWIT_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  return lower(hex({reinterpret_cast<const char*>(digest.data()), size}));
}

}  // namespace

// --- DelegationKey ------------------------------------------------------------------------------------------------

DelegationKey DelegationKey::random() {
  std::string bytes(kKeyBytes, '\0');
  GODWIT_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size())) == 1);
  DelegationKey key{auth::Secret(bytes)};
  auth::wipe(bytes);
  return key;
}

DelegationKey DelegationKey::derived(std::string_view passwords, std::string_view workflow) {
  if (passwords.empty()) return random();
  const std::string about = fmt::format("godwit delegation of {}", workflow);
  std::array<unsigned char, kKeyBytes> mac{};
  unsigned size = 0;
  GODWIT_CHECK(HMAC(EVP_sha256(), passwords.data(), static_cast<int>(passwords.size()), reinterpret_cast<const unsigned char*>(about.data()), about.size(), mac.data(), &size) != nullptr);
  GODWIT_CHECK(size == kKeyBytes);
  DelegationKey key{auth::Secret(std::string_view(reinterpret_cast<const char*>(mac.data()), size))};
  OPENSSL_cleanse(mac.data(), mac.size());
  return key;
}

DelegationKey DelegationKey::of(auth::Secret bytes) {
  if (bytes.view().size() < kKeyBytes)
    throw Error(Code::accounts_file_unusable, {.object = "the key of delegated credentials", .cause = "shorter than 32 bytes", .remedy = "openssl rand -base64 32 > FILE; chmod 600 FILE"});
  return DelegationKey(std::move(bytes));
}

// Letters of both cases, a digit and a sign, for servers that insist.
auth::Secret DelegationKey::password_for(std::string_view server_identity, std::string_view user, std::string_view host) const {
  const std::string about = fmt::format("{}:{}{}:{}{}:{}", server_identity.size(), server_identity, user.size(), user, host.size(), host);
  std::array<unsigned char, 32> mac{};
  unsigned size = 0;
  const auto key = bytes_.view();
  GODWIT_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(about.data()), about.size(), mac.data(), &size) != nullptr);
  std::string text = "Gw1-" + lower(hex({reinterpret_cast<const char*>(mac.data()), size}));
  auth::Secret password(text);
  auth::wipe(text);
  OPENSSL_cleanse(mac.data(), mac.size());
  return password;
}

// --- Delegation ---------------------------------------------------------------------------------------------------

Delegation::Delegation(db::Connection& connection) : db_(connection) {
  db_.execute("SET SESSION sql_log_bin = 0");
  if (db_.scalar(fmt::format("SELECT GET_LOCK({}, {})", quote_string(kLock), kLockSeconds)) != "1")
    throw Error(Code::lock_contention, {.object = db::describe(db_.endpoint()), .cause = "another godwit changes delegated credentials", .remedy = "again, when it is done"});
}

Delegation::~Delegation() {
  try {
    db_.query(fmt::format("SELECT RELEASE_LOCK({})", quote_string(kLock)));
    db_.execute("SET SESSION sql_log_bin = 1");
  } catch (const Error&) {  // the session is gone, and lock and setting with it
  }
}

std::vector<Delegation::Record> Delegation::records() { return records_on(db_); }

// The record comes first: killed after it, the account may or may not have the credential, and undo() looks.
auth::Secret Delegation::give(const AccountFacts& account, const DelegationKey& key) {
  auth::Secret password = key.password_for(db_.server().identity, account.user, account.host);
  for (const auto& record : records()) {
    if (record.user != account.user || record.host != account.host) continue;
    if (record.check == check_of(password) && has_credential(db_, record.user, record.host, record.credential)) return password;
    undo(record);
  }
  const Record record{.user = account.user, .host = account.host, .credential = make_credential(db_, account, password), .check = check_of(password)};
  create_schema(db_);
  execute_unquoted(db_, fmt::format("INSERT INTO {} (user_name, host_name, credential, password_check) VALUES ({}, {}, {}, {})", table(),
                                    quote_string(record.user), quote_string(record.host), sql::hex_literal(record.credential), quote_string(record.check)));
  failpoint(Fp::proxy_credential_recorded);
  add_credential(db_, account, record.credential);
  failpoint(Fp::proxy_credential_given);
  return password;
}

void leave_out_delegated(db::Connection& connection, std::vector<AccountFacts>& accounts) {
  for (const auto& record : records_on(connection)) {
    for (auto& account : accounts) {
      if (account.user != record.user || account.host != record.host) continue;
      account.has_second_password = false;
      std::erase_if(account.methods, [&](const AuthMethod& method) { return !method.stage2.empty() && auth::star_hex_of(method.stage2) == record.credential; });
    }
  }
}

bool Delegation::undo(const Record& record) {
  const bool was_there = remove_credential(db_, record.user, record.host, record.credential);
  failpoint(Fp::proxy_credential_taken);
  forget(record);
  return was_there;
}

void Delegation::forget(const Record& record) { db_.execute("DELETE FROM " + table() + where(record)); }

bool Delegation::take_back(const std::string& user, const std::string& host) {
  bool was_there = false;
  for (const auto& record : records()) {
    if (record.user == user && record.host == host) was_there = undo(record) || was_there;
  }
  return was_there;
}

std::vector<std::string> Delegation::take_back_all() {
  std::vector<std::string> changed;
  for (const auto& record : records()) {
    if (undo(record)) changed.push_back(record.user + "@" + record.host);
  }
  if (has_schema(db_)) db_.execute("DROP DATABASE IF EXISTS " + schema());
  return changed;
}

}  // namespace godwit::accounts
