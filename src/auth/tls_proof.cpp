#include "godwit/auth/tls_proof.h"

#include "digest.h"
#include "godwit/util/text.h"

namespace godwit::auth {

std::string tls_proof(std::string_view stored, std::string_view salt, std::string_view fingerprint) {
  return "\1" + hex(sha256({stored, salt, fingerprint}).view());
}

}  // namespace godwit::auth
