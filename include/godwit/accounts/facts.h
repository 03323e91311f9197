// What a server knows of its accounts, as far as logins through a proxy depend on it. Reading belongs to the connection's thread; the rest is pure.
// Formats: mysql.global_priv of MariaDB 10.5 to 11.8 (JSON), mysql.user of MySQL 8.0 to 9.7.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/db/connection.h"

namespace godwit::accounts {

struct AuthMethod {
  std::string plugin;      // as the server calls it: "ed25519", where a client says client_ed25519
  std::string stage2;      // of mysql_native_password with a password: SHA1(SHA1(password)), 20 bytes
  bool is_empty = false;   // no password is asked for
};

enum class TlsDemand { none, tls, certificate };

struct AccountFacts {
  std::string user;
  std::string host;
  db::Flavour flavour = db::Flavour::mysql;
  std::vector<AuthMethod> methods;  // one is enough; asked for in this order
  TlsDemand tls = TlsDemand::none;
  bool is_locked = false;
  bool is_expired = false;              // its password
  bool has_second_password = false;     // MySQL: RETAIN CURRENT PASSWORD
  bool needs_further_factors = false;   // MySQL: AND IDENTIFIED …
  std::string name() const { return user + "@" + host; }  // as CURRENT_USER() has it
};

// Roles are left out. Throws Error(privilege_missing) with the GRANT it needs.
std::vector<AccountFacts> read_accounts(db::Connection& connection);
// One row of mysql.global_priv; nothing for a role. Text that is no JSON gives an account without a method.
std::optional<AccountFacts> facts_of_global_priv(std::string_view priv, std::uint64_t now_s, std::uint64_t default_lifetime_days);

// The account that CURRENT_USER() names; none: nullptr. Valid as long as the list.
const AccountFacts* find(const std::vector<AccountFacts>& all, std::string_view current_user);
// The account that a server takes for a user who comes from an address (an empty one is the socket file): the most exact host first. Hosts that
// are names cannot be told from an address, except localhost.
const AccountFacts* match(const std::vector<AccountFacts>& all, std::string_view user, std::string_view address);
bool host_matches(std::string_view pattern, std::string_view address);

}  // namespace godwit::accounts
