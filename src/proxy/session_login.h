// What logins and changes of user share.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "backend.h"
#include "client_error.h"
#include "godwit/wire/protocol.h"

namespace godwit::proxy {

inline constexpr std::size_t kLoginBytesMax = 65536;
inline constexpr std::string_view kUnknownPlugin = "godwit_asks_anew";  // no server has it: it answers with a switch to the account's own, and a salt of its own
inline constexpr std::string_view kSha2 = "caching_sha2_password";
inline constexpr std::string_view kNative = "mysql_native_password";

struct Refused {  // the client was told
};

inline std::shared_ptr<Credential> credential_of(std::string_view password) {
  auto credential = std::make_shared<Credential>();
  credential->password = auth::Secret(password);
  credential->has_password = true;
  return credential;
}

}  // namespace godwit::proxy
