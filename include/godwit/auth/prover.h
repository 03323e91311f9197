// The client's part of an authentication, packet by packet and without I/O: what godwit answers a server with the secrets it has of an account.
// One per login; one thread.
#pragma once

#include <string>
#include <string_view>

#include "godwit/auth/secret.h"

namespace godwit::auth {

struct Credentials {
  Secret password;
  bool has_password = false;  // an empty one is one too
  Secret stage1;              // SHA1(password), where that is all there is: mysql_native_password only
};

class Prover {
 public:
  struct Reply {
    enum class Kind {
      send,    // `bytes`, as a packet of its own
      wait,    // for the server's next packet
      cannot,  // these secrets do not answer what the server asks
    };
    Kind kind = Kind::cannot;
    std::string bytes;
  };
  struct Options {
    bool is_secure = false;  // TLS, or a socket file: the password may go as it is
    // An account of MariaDB may have several methods (… OR …), and is asked for the next one after a wrong answer: give wrong answers to what
    // cannot be answered.
    bool has_alternatives = false;
  };
  Prover(const Credentials& credentials, Options options) : credentials_(credentials), options_(options) {}  // which outlive it

  // To the greeting, or to an AuthSwitchRequest: the plugin's name and its data.
  Reply begin(std::string_view plugin, std::string_view data);
  // To an AuthMoreData, without its first byte.
  Reply more(std::string_view data);

 private:
  enum class Stage { none, sha2, sha2_key, sha256_key, other };
  static constexpr int kMethodsMax = 8;

  Reply begin_known(std::string_view plugin, std::string_view data);
  Reply decline(std::string_view plugin);
  Reply encrypted(std::string_view public_pem);
  Reply clear();

  const Credentials& credentials_;
  Options options_;
  Stage stage_ = Stage::none;
  std::string nonce_;
  int methods_ = 0;
};

}  // namespace godwit::auth
