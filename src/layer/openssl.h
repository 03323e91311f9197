// What tls_context.cpp and tls.cpp share: owners of OpenSSL's objects, and its errors. Private to layer.
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <mutex>
#include <string>

#include "godwit/layer/tls.h"

namespace godwit::layer {

struct FreeOpenssl {
  void operator()(SSL* freed) const { SSL_free(freed); }
  void operator()(SSL_CTX* freed) const { SSL_CTX_free(freed); }
  void operator()(SSL_SESSION* freed) const { SSL_SESSION_free(freed); }
  void operator()(X509* freed) const { X509_free(freed); }
  void operator()(EVP_PKEY* freed) const { EVP_PKEY_free(freed); }
  void operator()(BIO_METHOD* freed) const { BIO_meth_free(freed); }
};
template <typename T>
using Owned = std::unique_ptr<T, FreeOpenssl>;

// The oldest error in OpenSSL's queue in words; the queue is empty afterwards. It is the thread's: what one session leaves there, the next one reports.
std::string take_openssl_error();

std::string fingerprint_of(const X509* certificate);  // SHA-256

struct TlsShared {
  Owned<SSL_CTX> ssl;
  bool is_server = false;
  TlsVerify verify = TlsVerify::none;
  std::string fingerprint;

  std::mutex mutex;
  Owned<SSL_SESSION> newest;  // of a client; under mutex
};

}  // namespace godwit::layer
