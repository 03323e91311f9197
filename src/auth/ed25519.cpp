#include "godwit/auth/ed25519.h"

#include <sodium.h>

#include "digest.h"

namespace godwit::auth {
namespace {

using Scalar = Digest<32>;
using Point = Digest<32>;

Scalar reduced(const Digest<64>& wide) {
  Scalar scalar;
  crypto_core_ed25519_scalar_reduce(scalar.bytes.data(), wide.bytes.data());
  return scalar;
}

Point times_base(const Scalar& scalar) {
  Point point;
  GODWIT_CHECK(crypto_scalarmult_ed25519_base_noclamp(point.bytes.data(), scalar.bytes.data()) == 0);
  return point;
}

struct Key {
  Digest<64> expanded;  // the scalar, and what makes the signature's secret number
  Scalar scalar;
  Point public_key;
  std::string_view prefix() const { return expanded.view().substr(32); }
};

Key key_of(std::string_view password) {
  GODWIT_CHECK(sodium_init() >= 0);
  Key key{.expanded = sha512({password}), .scalar = {}, .public_key = {}};
  for (std::size_t i = 0; i < 32; ++i) key.scalar.bytes[i] = key.expanded.bytes[i];
  key.scalar.bytes[0] &= 248;
  key.scalar.bytes[31] = static_cast<unsigned char>((key.scalar.bytes[31] & 127) | 64);
  key.public_key = times_base(key.scalar);
  return key;
}

}  // namespace

std::string ed25519_reply(std::string_view password, std::string_view nonce) {
  const Key key = key_of(password);
  const Scalar number = reduced(sha512({key.prefix(), nonce}));
  const Point commitment = times_base(number);
  const Scalar challenge = reduced(sha512({commitment.view(), key.public_key.view(), nonce}));
  Scalar proof;
  crypto_core_ed25519_scalar_mul(proof.bytes.data(), challenge.bytes.data(), key.scalar.bytes.data());
  crypto_core_ed25519_scalar_add(proof.bytes.data(), proof.bytes.data(), number.bytes.data());
  return commitment.text() + proof.text();
}

std::string ed25519_public_key(std::string_view password) { return key_of(password).public_key.text(); }

}  // namespace godwit::auth
