#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "godwit/layer/authorities.h"
#include "godwit/layer/tls.h"
#include "godwit/util/error.h"
#include "openssl.h"

namespace godwit::layer {
namespace {

constexpr unsigned char kSessionContext[] = "godwit";
constexpr long kYearSeconds = 365L * 24 * 3600;

[[noreturn]] void fail_files(const std::string& file, std::string_view what) {
  throw Error(Code::tls_files_unusable, {.object = file, .cause = std::string(what) + ": " + take_openssl_error(), .remedy = "a file in PEM form that godwit may read"});
}

void load_own(SSL_CTX* ssl, const TlsFiles& files) {
  if (files.cert.empty()) return;
  if (SSL_CTX_use_certificate_chain_file(ssl, files.cert.c_str()) != 1) fail_files(files.cert, "no certificate");
  const std::string& key = files.key.empty() ? files.cert : files.key;
  if (SSL_CTX_use_PrivateKey_file(ssl, key.c_str(), SSL_FILETYPE_PEM) != 1) fail_files(key, "no private key");
  if (SSL_CTX_check_private_key(ssl) != 1) fail_files(key, "not the certificate's key");
}

void load_authorities(SSL_CTX* ssl, const std::string& ca) {
  if (ca.empty()) {
    const Authorities system = system_authorities();
    SSL_CTX_load_verify_locations(ssl, system.file.empty() ? nullptr : system.file.c_str(), system.directory.c_str());
  } else if (SSL_CTX_load_verify_locations(ssl, ca.c_str(), nullptr) != 1) {
    fail_files(ca, "no authority's certificate");
  }
}

// OpenSSL hands over the session (1: it is kept here now), from within whatever Tls is at work.
int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* shared = static_cast<TlsShared*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  std::lock_guard lock(shared->mutex);
  shared->newest.reset(session);
  return 1;
}

Owned<X509> make_certificate(EVP_PKEY* key) {
  Owned<X509> certificate(X509_new());
  GODWIT_CHECK(certificate != nullptr);
  std::int64_t serial = 0;
  GODWIT_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1);
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate.get()), serial & 0x7fffffffffffffffL);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -24L * 3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 10 * kYearSeconds);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("godwit proxy"), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  GODWIT_CHECK(X509_sign(certificate.get(), key, EVP_sha256()) != 0);
  return certificate;
}

std::unique_ptr<TlsShared> make(bool is_server) {
  auto shared = std::make_unique<TlsShared>();
  ERR_clear_error();
  shared->is_server = is_server;
  shared->ssl.reset(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));
  SSL_CTX* ssl = shared->ssl.get();
  GODWIT_CHECK(ssl != nullptr);
  SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_app_data(ssl, shared.get());
  if (is_server) {
    SSL_CTX_set_session_id_context(ssl, kSessionContext, sizeof kSessionContext - 1);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);  // tickets only: no memory for each client
    SSL_CTX_set_num_tickets(ssl, 1);
  } else {
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ssl, keep_session);
  }
  return shared;
}

}  // namespace

std::string fingerprint_of(const X509* certificate) {
  std::string digest(32, '\0');
  unsigned size = 0;
  GODWIT_CHECK(X509_digest(certificate, EVP_sha256(), reinterpret_cast<unsigned char*>(digest.data()), &size) == 1 && size == digest.size());
  return digest;
}

std::string take_openssl_error() {
  const unsigned long code = ERR_get_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  if (reason != nullptr) return reason;
  return code == 0 ? "the connection ended" : "error " + std::to_string(code);
}

TlsContext::TlsContext(std::unique_ptr<TlsShared> shared) : shared_(std::move(shared)) {}
TlsContext::TlsContext(TlsContext&&) noexcept = default;
TlsContext& TlsContext::operator=(TlsContext&&) noexcept = default;
TlsContext::~TlsContext() = default;

TlsContext TlsContext::server(const TlsFiles& files) {
  GODWIT_CHECK(!files.cert.empty());
  auto shared = make(true);
  load_own(shared->ssl.get(), files);
  if (!files.ca.empty()) {
    load_authorities(shared->ssl.get(), files.ca);
    SSL_CTX_set_client_CA_list(shared->ssl.get(), SSL_load_client_CA_file(files.ca.c_str()));
    SSL_CTX_set_verify(shared->ssl.get(), SSL_VERIFY_PEER, nullptr);
  }
  shared->fingerprint = fingerprint_of(SSL_CTX_get0_certificate(shared->ssl.get()));
  return TlsContext(std::move(shared));
}

TlsContext TlsContext::self_signed() {
  auto shared = make(true);
  const Owned<EVP_PKEY> key(EVP_RSA_gen(2048));  // of a kind that the oldest client knows
  GODWIT_CHECK(key != nullptr);
  const auto certificate = make_certificate(key.get());
  GODWIT_CHECK(SSL_CTX_use_certificate(shared->ssl.get(), certificate.get()) == 1 && SSL_CTX_use_PrivateKey(shared->ssl.get(), key.get()) == 1);
  shared->fingerprint = fingerprint_of(certificate.get());
  return TlsContext(std::move(shared));
}

TlsContext TlsContext::client(TlsVerify verify, const TlsFiles& files) {
  auto shared = make(false);
  shared->verify = verify;
  load_own(shared->ssl.get(), files);
  if (!files.cert.empty()) shared->fingerprint = fingerprint_of(SSL_CTX_get0_certificate(shared->ssl.get()));
  if (verify != TlsVerify::none) {
    load_authorities(shared->ssl.get(), files.ca);
    SSL_CTX_set_verify(shared->ssl.get(), SSL_VERIFY_PEER, nullptr);
  }
  return TlsContext(std::move(shared));
}

const std::string& TlsContext::fingerprint() const { return shared_->fingerprint; }

}  // namespace godwit::layer
