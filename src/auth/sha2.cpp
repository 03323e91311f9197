#include "godwit/auth/sha2.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>

#include "digest.h"

namespace godwit::auth {
namespace {

struct FreeOpenssl {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};
template <typename T>
using Owned = std::unique_ptr<T, FreeOpenssl>;

constexpr std::size_t kPublicPemBytesMax = 8192;

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// The password with its final zero, masked with the nonce again and again.
void mask(char* bytes, std::size_t size, std::string_view nonce) {
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(bytes[i] ^ nonce[i % nonce.size()]);
}

std::string pem_of(EVP_PKEY* key) {
  const Owned<BIO> out(BIO_new(BIO_s_mem()));
  GODWIT_CHECK(out != nullptr && PEM_write_bio_PUBKEY(out.get(), key) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

}  // namespace

std::string sha2_reply(std::string_view password, std::string_view nonce) {
  if (password.empty()) return {};
  auto reply = sha256({password});
  reply ^= sha256({sha256({reply.view()}).view(), nonce}).view();
  return reply.text();
}

bool sha2_matches(std::string_view reply, std::string_view nonce, std::string_view password) { return is_equal(reply, sha2_reply(password, nonce)); }

struct RsaKey::Impl {
  Owned<EVP_PKEY> key;
};

RsaKey::RsaKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)), public_pem_(pem_of(impl_->key.get())) {}
RsaKey::RsaKey(RsaKey&&) noexcept = default;
RsaKey& RsaKey::operator=(RsaKey&&) noexcept = default;
RsaKey::~RsaKey() = default;

RsaKey RsaKey::generate(int bits) {
  auto impl = std::make_unique<Impl>();
  impl->key.reset(EVP_RSA_gen(static_cast<unsigned>(bits)));
  GODWIT_CHECK(impl->key != nullptr);
  return RsaKey(std::move(impl));
}

std::optional<Secret> RsaKey::decrypt(std::string_view encrypted, std::string_view nonce) const {
  const auto key_bytes = static_cast<std::size_t>(EVP_PKEY_get_size(impl_->key.get()));
  if (encrypted.size() != key_bytes || nonce.empty()) return std::nullopt;
  const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(impl_->key.get(), nullptr));
  GODWIT_CHECK(context != nullptr && EVP_PKEY_decrypt_init(context.get()) == 1);
  GODWIT_CHECK(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1);
  std::string plain(key_bytes, '\0');
  std::size_t size = plain.size();
  if (EVP_PKEY_decrypt(context.get(), bytes_of(plain), &size, bytes_of(encrypted), encrypted.size()) != 1) size = 0;
  ERR_clear_error();
  mask(plain.data(), size, nonce);
  const bool is_whole = size > 0 && plain[size - 1] == '\0';
  std::optional<Secret> password;
  if (is_whole) password.emplace(std::string_view(plain).substr(0, size - 1));
  wipe(plain);
  return password;
}

std::optional<std::string> rsa_encrypted(const Secret& password, std::string_view nonce, std::string_view public_pem) {
  if (public_pem.size() > kPublicPemBytesMax || nonce.empty()) return std::nullopt;
  const Owned<BIO> in(BIO_new_mem_buf(public_pem.data(), static_cast<int>(public_pem.size())));
  const Owned<EVP_PKEY> key(PEM_read_bio_PUBKEY(in.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!key || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) return std::nullopt;
  const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key.get(), nullptr));
  const bool is_ready = context != nullptr && EVP_PKEY_encrypt_init(context.get()) == 1 &&
                        EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1;
  std::string plain = std::string(password.view()) + '\0';
  mask(plain.data(), plain.size(), nonce);
  std::string encrypted(static_cast<std::size_t>(EVP_PKEY_get_size(key.get())), '\0');
  std::size_t size = encrypted.size();
  const bool is_done = is_ready && EVP_PKEY_encrypt(context.get(), bytes_of(encrypted), &size, bytes_of(std::string_view(plain)), plain.size()) == 1;
  wipe(plain);
  ERR_clear_error();
  if (!is_done) return std::nullopt;
  encrypted.resize(size);
  return encrypted;
}

}  // namespace godwit::auth
