// caching_sha2_password. The fast reply is SHA256(password) XOR SHA256(SHA256(SHA256(password)), nonce); a server whose cache does not know the
// account asks for the password itself: as it is where the connection is secure, else encrypted with the server's RSA key. Pure; any thread.
// Packets: the server's documentation, "Caching SHA-2 Pluggable Authentication", and sha2_password.cc of MySQL 8.0.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/auth/secret.h"

namespace godwit::auth {

inline constexpr std::string_view kSha2FastOk{"\x03", 1};      // AuthMoreData of a server: the reply was right, OK follows
inline constexpr std::string_view kSha2AskPassword{"\x04", 1};  // and: send the password
inline constexpr std::string_view kSha2AskKey{"\x02", 1};      // a client's packet: send the public key
inline constexpr std::size_t kPasswordBytesMax = 4096;         // that a client may send; MySQL itself ends at 256

// Empty for an empty password; the nonce has 20 bytes.
std::string sha2_reply(std::string_view password, std::string_view nonce);
bool sha2_matches(std::string_view reply, std::string_view nonce, std::string_view password);

class RsaKey {
 public:
  static RsaKey generate(int bits = 2048);
  RsaKey(RsaKey&&) noexcept;
  RsaKey& operator=(RsaKey&&) noexcept;
  ~RsaKey();

  const std::string& public_pem() const { return public_pem_; }
  // What a client encrypted for this key: any bytes; nothing when it is no such thing. Some threads may call it at once.
  std::optional<Secret> decrypt(std::string_view encrypted, std::string_view nonce) const;

 private:
  struct Impl;
  explicit RsaKey(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  std::string public_pem_;
};

// What a client sends to a server without TLS. Nothing when the text is no RSA key, or the password is too long for it.
std::optional<std::string> rsa_encrypted(const Secret& password, std::string_view nonce, std::string_view public_pem);

}  // namespace godwit::auth
