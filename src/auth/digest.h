// Digests over several pieces, into arrays that are zeroed when they end. Private to auth.
#pragma once

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "godwit/util/error.h"

namespace godwit::auth {

template <std::size_t N>
struct Digest {
  std::array<unsigned char, N> bytes{};
  Digest() = default;
  Digest(const Digest&) = default;
  Digest& operator=(const Digest&) = default;
  ~Digest() { OPENSSL_cleanse(bytes.data(), N); }
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), N}; }
  std::string text() const { return std::string(view()); }
  Digest& operator^=(std::string_view other) {  // of N bytes
    for (std::size_t i = 0; i < N; ++i) bytes[i] ^= static_cast<unsigned char>(other[i]);
    return *this;
  }
};

template <std::size_t N>
Digest<N> digest(const EVP_MD* kind, std::initializer_list<std::string_view> pieces) {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  GODWIT_CHECK(context != nullptr && EVP_DigestInit_ex(context.get(), kind, nullptr) == 1);
  for (const auto piece : pieces) GODWIT_CHECK(EVP_DigestUpdate(context.get(), piece.data(), piece.size()) == 1);
  Digest<N> result;
  unsigned size = 0;
  GODWIT_CHECK(EVP_DigestFinal_ex(context.get(), result.bytes.data(), &size) == 1 && size == N);
  return result;
}

inline Digest<20> sha1(std::initializer_list<std::string_view> pieces) { return digest<20>(EVP_sha1(), pieces); }
inline Digest<32> sha256(std::initializer_list<std::string_view> pieces) { return digest<32>(EVP_sha256(), pieces); }
inline Digest<64> sha512(std::initializer_list<std::string_view> pieces) { return digest<64>(EVP_sha512(), pieces); }

// Takes the same time whatever the bytes are.
inline bool is_equal(std::string_view a, std::string_view b) { return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

}  // namespace godwit::auth
