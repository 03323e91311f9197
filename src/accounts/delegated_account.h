// The two forms of a second credential. Each is given and taken back by statements of which any may be the last one; what the account has then is told
// by comparing what is stored with the credential that was recorded. Private to accounts.
#pragma once

#include <string>

#include "godwit/accounts/facts.h"
#include "godwit/auth/secret.h"
#include "godwit/db/connection.h"

namespace godwit::accounts {

// As the server will store it. Throws Error(delegation_refused) when the account cannot be given one.
std::string make_credential(db::Connection& connection, const AccountFacts& account, const auth::Secret& password);
bool has_credential(db::Connection& connection, const std::string& user, const std::string& host, const std::string& credential);
void add_credential(db::Connection& connection, const AccountFacts& account, const std::string& credential);
// False: the account has no such credential (any more), or is gone.
bool remove_credential(db::Connection& connection, const std::string& user, const std::string& host, const std::string& credential);

// Runs a statement that holds a hash or a password: an error does not quote it.
void execute_unquoted(db::Connection& connection, std::string sql);

}  // namespace godwit::accounts
