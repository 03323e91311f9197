// --delegate-auth: a second credential of an account, which godwit alone knows, on the server that sessions are moved to. The account's own stays as
// it is. MariaDB: one more method (… OR mysql_native_password); MySQL: a second password (RETAIN CURRENT PASSWORD). Nothing of it goes to the binlog.
//
// Killed at any statement, what is on the server can be told and taken back by a later run: a credential is recorded in `_godwit_proxy` before it is
// given. docs/proxy-accounts.md has the table. One thread; the connection is used for nothing else meanwhile.
#pragma once

#include <string>
#include <vector>

#include "godwit/accounts/facts.h"
#include "godwit/auth/secret.h"
#include "godwit/db/connection.h"

namespace godwit::accounts {

inline constexpr std::string_view kDelegationSchema = "_godwit_proxy";

// What the credentials are made of. Proxies that share one, share the credentials; a random one is lost with its process, and the next one makes
// new credentials: two proxies at a time would take each other's away.
class DelegationKey {
 public:
  static DelegationKey random();
  // Of what every proxy of the workflow knows, and nobody who may not give credentials anyway: the passwords of godwit's own accounts. Random where they are empty.
  static DelegationKey derived(std::string_view passwords, std::string_view workflow);
  // Of at least 32 bytes.
  static DelegationKey of(auth::Secret bytes);

  auth::Secret password_for(std::string_view server_identity, std::string_view user, std::string_view host) const;

 private:
  explicit DelegationKey(auth::Secret bytes) : bytes_(std::move(bytes)) {}
  auth::Secret bytes_;
};

class Delegation {
 public:
  // Locks out other runs (GET_LOCK); throws Error(lock_contention) where one is at work, Error(privilege_missing) without the right to leave the binlog.
  explicit Delegation(db::Connection& connection);
  ~Delegation();
  Delegation(const Delegation&) = delete;
  Delegation& operator=(const Delegation&) = delete;

  // Gives the account the credential, where it does not have it already, and returns the password. One of an earlier key is taken back first.
  // Throws Error(delegation_refused) with the reason: godwit's statements only go out where they can be undone.
  auth::Secret give(const AccountFacts& account, const DelegationKey& key);
  // Leaves the account as it was. False: there was nothing of ours.
  bool take_back(const std::string& user, const std::string& host);
  // All of them, whichever run gave them; then the schema too. The accounts that were changed; throws at the first that cannot be.
  std::vector<std::string> take_back_all();

  struct Record {
    std::string user;
    std::string host;
    std::string credential;  // as the server stores it: a hash, of 256 random bits
    std::string check;       // SHA-256 of the password, in hexadecimal
  };
  std::vector<Record> records();

 private:
  bool undo(const Record& record);
  void forget(const Record& record);

  db::Connection& db_;
};

// The accounts of a server as they are without what proxies have given them: so they are decided on. Changes nothing, and locks nobody out.
void leave_out_delegated(db::Connection& connection, std::vector<AccountFacts>& accounts);

}  // namespace godwit::accounts
