// MariaDB's client_ed25519: the client signs the server's 32 bytes with the key that the password is. Ed25519 (RFC 8032), but for the seed, which
// is the password itself, of whatever length (MariaDB Connector/C, plugins/auth/ed25519.c). Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace godwit::auth {

inline constexpr std::size_t kEd25519NonceBytes = 32;
inline constexpr std::size_t kEd25519ReplyBytes = 64;

std::string ed25519_reply(std::string_view password, std::string_view nonce);
// What a server stores of the password: its public key.
std::string ed25519_public_key(std::string_view password);

}  // namespace godwit::auth
