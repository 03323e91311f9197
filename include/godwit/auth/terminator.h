// The server's part of caching_sha2_password, packet by packet and without I/O: how godwit learns a client's password. Where the password is
// known already, and the client's reply shows that it has the same, it is not asked for it again. One per login; one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "godwit/auth/secret.h"
#include "godwit/auth/sha2.h"

namespace godwit::auth {

class Sha2Terminator {
 public:
  struct Options {
    bool is_secure = false;         // the client's leg is TLS, or a socket file
    const RsaKey* key = nullptr;    // none: a client without TLS is refused
    const Secret* known = nullptr;  // the password as an earlier login had it
  };
  struct Answer {
    enum class Kind {
      more,      // send `bytes` as an AuthMoreData (a 1, then they), and feed() what comes
      password,  // `password` is what the client has; send `bytes` likewise if there are any. It is not verified: a server has to say so
      refused,   // the client broke the rules, or has no way to send its password
    };
    Kind kind = Kind::refused;
    std::string bytes;
    Secret password;
  };
  // The nonce that the greeting or the AuthSwitchRequest had. What the options point to outlives it.
  Sha2Terminator(std::string_view nonce, Options options) : nonce_(nonce), options_(options) {}
  // A packet of the client: first its reply to the nonce.
  Answer feed(std::string_view packet);

 private:
  enum class Stage { reply, password, encrypted, done };

  Answer on_reply(std::string_view packet);
  Answer on_password(std::string_view packet);
  Answer on_encrypted(std::string_view packet);

  std::string nonce_;
  Options options_;
  Stage stage_ = Stage::reply;
};

}  // namespace godwit::auth
