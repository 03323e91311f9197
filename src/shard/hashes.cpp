#include "hashes.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include <array>
#include <memory>

#include "godwit/util/error.h"

namespace godwit::shard {
namespace {

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

struct FreeDigest {
  void operator()(EVP_MD* digest) const { EVP_MD_free(digest); }
};
using Digest = std::unique_ptr<EVP_MD, FreeDigest>;

// OpenSSL 3 keeps DES with its old algorithms, which need not be there. Three times DES with one key is DES: the second turn undoes the first.
Cipher make_cipher() {
  constexpr std::array<unsigned char, 24> kZeroKey{};
  Cipher cipher(EVP_CIPHER_CTX_new());
  GODWIT_CHECK(cipher != nullptr);
  GODWIT_CHECK(EVP_EncryptInit_ex(cipher.get(), EVP_des_ede3_ecb(), nullptr, kZeroKey.data(), nullptr) == 1);
  EVP_CIPHER_CTX_set_padding(cipher.get(), 0);
  return cipher;
}

}  // namespace

std::string big_endian(std::uint64_t number) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(number >> (56 - 8 * i));
  return bytes;
}

std::string md5(std::string_view bytes) {
  static const Digest algorithm(EVP_MD_fetch(nullptr, "MD5", nullptr));  // once: looking it up takes longer than a digest
  GODWIT_CHECK(algorithm != nullptr);
  std::string digest(16, '\0');
  GODWIT_CHECK(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, algorithm.get(), nullptr) == 1);
  return digest;
}

std::string xxh64(std::string_view bytes) {
  const std::string number = big_endian(XXH64(bytes.data(), bytes.size(), 0));
  return {number.rbegin(), number.rend()};
}

std::string des_of_zero_key(std::uint64_t number) {
  thread_local const Cipher cipher = make_cipher();
  const std::string block = big_endian(number);
  std::string encrypted(8, '\0');
  int size = 0;
  GODWIT_CHECK(EVP_EncryptUpdate(cipher.get(), reinterpret_cast<unsigned char*>(encrypted.data()), &size,
                                 reinterpret_cast<const unsigned char*>(block.data()), 8) == 1 && size == 8);
  return encrypted;
}

}  // namespace godwit::shard
