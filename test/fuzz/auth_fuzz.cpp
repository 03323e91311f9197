// Both parts of an authentication, fed with packets of any bytes; and a client's part against a server's.
#include "godwit/auth/native.h"
#include "godwit/auth/prover.h"
#include "godwit/auth/terminator.h"
#include "input.h"

using namespace godwit;

namespace {

const auth::RsaKey& key() {
  static const auto made = auth::RsaKey::generate();
  return made;
}

void terminate(fuzz::Input& input, bool is_secure) {
  auth::Sha2Terminator terminator(input.take(auth::kNativeBytes), {.is_secure = is_secure, .key = &key()});
  for (int i = 0; i < 4 && !input.is_at_end(); ++i) terminator.feed(input.sized());
}

void prove(fuzz::Input& input, bool is_secure) {
  constexpr std::string_view kPlugins[] = {"mysql_native_password", "caching_sha2_password", "sha256_password", "client_ed25519", "dialog", "?"};
  const auth::Credentials credentials{.password = auth::Secret("secret"), .has_password = true, .stage1 = {}};
  auth::Prover prover(credentials, {.is_secure = is_secure, .has_alternatives = true});
  while (!input.is_at_end()) {
    prover.begin(kPlugins[input.u8() % 6U], input.sized());
    prover.more(input.sized());
    prover.more(input.sized());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const int how = input.u8();
  if (how % 2 == 0) terminate(input, how / 2 % 2 == 0);
  if (how % 2 != 0) prove(input, how / 2 % 2 == 0);
  auth::stage2_of(input.rest());
  return 0;
}
