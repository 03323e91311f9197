// The secrets by which accounts are logged in on the other side, and why an account has none. In locked memory, never written anywhere. Any thread.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend.h"

namespace godwit::proxy {

// How a secret came to be known. docs/proxy.md, "Accounts".
enum class Origin { none, native_hash, password_heard, delegated, accounts_file };
std::string_view to_string(Origin origin);

struct AccountRow {  // for SHOW ACCOUNTS
  std::string account;
  Origin origin = Origin::none;
  std::string proved_on;  // sides on which a login with the secret has succeeded
  std::string note;
  std::uint64_t sessions = 0;
};

class Vault {
 public:
  // By which the account is logged in on that side.
  std::shared_ptr<const Credential> find(const std::string& account, db::Side side) const;
  // What both sides take; a delegated one is of one side alone, where it goes before the other.
  void put(const std::string& account, Origin origin, std::shared_ptr<const Credential> credential);
  std::shared_ptr<const Credential> find_delegated(const std::string& account, db::Side side) const;
  void put_delegated(const std::string& account, db::Side side, std::shared_ptr<const Credential> credential);
  void note_login(const std::string& account);
  void note_proof(const std::string& account, db::Side side);
  // What logs it in on the other side is found, or cannot be had.
  void decide(const std::string& account, std::string why);
  // It was not to be found out, or did not log in: to be looked at again where it is needed, and not for each client that logs in.
  void note_failure(const std::string& account, std::string why);
  bool is_looked_at(const std::string& account) const;
  bool has_failed(const std::string& account) const;
  // A server that refuses it does not know it any more.
  void drop_delegated(const std::string& account, db::Side side);
  std::vector<AccountRow> rows() const;
  std::uint64_t sessions_of(const std::string& user) const;
  bool enter(const std::string& user, std::uint64_t limit);  // false: there are as many already
  void leave(const std::string& user);

 private:
  struct Entry {
    std::shared_ptr<const Credential> credential;
    std::array<std::shared_ptr<const Credential>, 2> delegated;  // source, target
    AccountRow row;
    bool has_failed = false;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::uint64_t> users_;
};

}  // namespace godwit::proxy
