// How godwit comes to log in, without the client, to the server that its session is moved to: decided for each account from what both servers know
// of it. Pure. docs/proxy-accounts.md has the reasons.
#pragma once

#include <string>
#include <string_view>

#include "godwit/accounts/facts.h"

namespace godwit::accounts {

enum class Method {
  relay_harvest,   // the server's own challenge goes to the client; its reply gives away what the other server takes
  terminate_sha2,  // godwit asks the client for its password, as caching_sha2_password does
  delegated,       // a second credential of the account, that godwit made on the other server
  file,            // the password is in the operator's file
  none,            // the client logs in by relay, and its sessions cannot be moved
};
std::string_view to_string(Method method);

struct MethodOptions {
  bool client_has_tls = false;     // on the client's leg: of this session, or offered
  bool client_fetches_key = false;  // without TLS, clients are asked to encrypt their password with godwit's RSA key
  bool other_has_tls = false;      // between godwit and the other server
  bool may_delegate = false;       // --delegate-auth
  bool has_password = false;       // the file has one
};

struct Decision {
  Method method = Method::none;
  std::string why;  // for SHOW ACCOUNTS
};

// `here`: the server that the client logs in to; `there`: the one that its session may be moved to. nullptr: no such account.
Decision decide(const AccountFacts* here, const AccountFacts* there, const MethodOptions& options);

}  // namespace godwit::accounts
