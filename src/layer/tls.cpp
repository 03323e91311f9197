#include "godwit/layer/tls.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "godwit/util/error.h"
#include "openssl.h"

namespace godwit::layer {
namespace {

constexpr std::size_t kSlackBytes = std::size_t{64} << 10;  // what was taken is cut off when it is more, and most of the buffer

// Bytes that are appended at the end and taken from the front; its memory stays.
struct Buffer {
  std::string bytes;
  std::size_t begin = 0;

  std::string_view view() const { return std::string_view(bytes).substr(begin); }
  void append(std::string_view more) {
    if (begin > kSlackBytes && begin > bytes.size() / 2) {
      bytes.erase(0, begin);
      begin = 0;
    }
    bytes.append(more);
  }
  void take(std::size_t count) {
    begin += count;
    if (begin < bytes.size()) return;
    bytes.clear();
    begin = 0;
  }
  void release() {
    if (bytes.empty()) std::string().swap(bytes);
  }
};

bool is_address(const std::string& host) {
  std::array<unsigned char, 16> parsed{};
  return inet_pton(AF_INET, host.c_str(), parsed.data()) == 1 || inet_pton(AF_INET6, host.c_str(), parsed.data()) == 1;
}

// What OpenSSL reads from and writes to.
struct Pipes {
  Buffer in;
  Buffer out;
  static Pipes& of(BIO* bio) { return *static_cast<Pipes*>(BIO_get_data(bio)); }
};

int read_bio(BIO* bio, char* into, int size) {
  Buffer& in = Pipes::of(bio).in;
  BIO_clear_retry_flags(bio);
  const auto bytes = in.view().substr(0, static_cast<std::size_t>(size));
  if (bytes.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::copy(bytes.begin(), bytes.end(), into);
  const int taken = static_cast<int>(bytes.size());
  in.take(bytes.size());
  return taken;
}

int write_bio(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  Pipes::of(bio).out.append({bytes, static_cast<std::size_t>(size)});
  return size;
}

long control_bio(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* bio_method() {
  static const Owned<BIO_METHOD> method = [] {
    Owned<BIO_METHOD> made(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "godwit"));
    GODWIT_CHECK(made != nullptr);
    BIO_meth_set_read(made.get(), read_bio);
    BIO_meth_set_write(made.get(), write_bio);
    BIO_meth_set_ctrl(made.get(), control_bio);
    return made;
  }();
  return method.get();
}

void set_host(SSL* ssl, const std::string& host, TlsVerify verify) {
  if (host.empty()) return;
  const bool is_name = !is_address(host);
  if (is_name) SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(host.c_str()));  // the macro has C's casts
  if (verify != TlsVerify::identity) return;
  if (is_name) {
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    GODWIT_CHECK(SSL_set1_host(ssl, host.c_str()) == 1);
  } else {
    GODWIT_CHECK(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1);
  }
}

}  // namespace

struct Tls::Impl {
  Owned<SSL> ssl;
  Pipes pipes;
  std::string host;
  bool is_closed_by_peer = false;
  bool has_failed = false;

  // Without a farewell OpenSSL would not have the session resumed; here connections end without one, and only a failure speaks against it.
  ~Impl() {
    if (ssl && !has_failed) SSL_set_shutdown(ssl.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }

  [[noreturn]] void fail(std::string_view doing) {
    has_failed = true;
    const long verified = SSL_get_verify_result(ssl.get());
    std::string cause = take_openssl_error();
    if (verified != X509_V_OK) cause += std::string(": ") + X509_verify_cert_error_string(verified);
    throw Error(Code::tls_failed, {.object = host.empty() ? "TLS" : "TLS with " + host, .cause = std::string(doing) + ": " + cause, .remedy = "check its certificate, and the authority and the host name that it is verified with"});
  }

  // What a call that did not succeed means: ok never.
  Result result_of(int status, std::string_view doing) {
    const int error = SSL_get_error(ssl.get(), status);
    if (error == SSL_ERROR_WANT_READ) return Result::want_more;
    if (error != SSL_ERROR_ZERO_RETURN) fail(doing);
    is_closed_by_peer = true;
    return Result::closed;
  }
};

Tls::Tls(const TlsContext& context, const std::string& host) : impl_(std::make_unique<Impl>()) {
  ERR_clear_error();
  TlsShared& shared = *context.shared_;
  impl_->ssl.reset(SSL_new(shared.ssl.get()));
  impl_->host = host;
  SSL* ssl = impl_->ssl.get();
  GODWIT_CHECK(ssl != nullptr);
  BIO* bio = BIO_new(bio_method());
  GODWIT_CHECK(bio != nullptr);
  BIO_set_data(bio, &impl_->pipes);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  if (shared.is_server) {
    SSL_set_accept_state(ssl);
    return;
  }
  SSL_set_connect_state(ssl);
  set_host(ssl, host, shared.verify);
  std::lock_guard lock(shared.mutex);
  if (shared.newest) SSL_set_session(ssl, shared.newest.get());
}
Tls::Tls(Tls&&) noexcept = default;
Tls& Tls::operator=(Tls&&) noexcept = default;
Tls::~Tls() = default;

void Tls::feed(std::string_view network) { impl_->pipes.in.append(network); }

Tls::Result Tls::handshake() {
  ERR_clear_error();
  const int status = SSL_do_handshake(impl_->ssl.get());
  return status == 1 ? Result::ok : impl_->result_of(status, "handshake");
}

bool Tls::is_established() const { return SSL_is_init_finished(impl_->ssl.get()) == 1; }
bool Tls::is_resumed() const { return SSL_session_reused(impl_->ssl.get()) == 1; }
bool Tls::is_closed_by_peer() const { return impl_->is_closed_by_peer; }

bool Tls::has_peer_certificate() const {
  return SSL_get0_peer_certificate(impl_->ssl.get()) != nullptr && SSL_get_verify_result(impl_->ssl.get()) == X509_V_OK;
}

std::string Tls::peer_fingerprint() const {
  const X509* certificate = SSL_get0_peer_certificate(impl_->ssl.get());
  return certificate == nullptr ? std::string() : fingerprint_of(certificate);
}

std::size_t Tls::read(std::span<char> into) {
  std::size_t made = 0;
  ERR_clear_error();
  while (made < into.size()) {
    std::size_t more = 0;
    const int status = SSL_read_ex(impl_->ssl.get(), into.data() + made, into.size() - made, &more);
    made += more;
    if (status == 1) continue;
    impl_->result_of(status, "read");
    break;
  }
  return made;
}

void Tls::write(std::string_view plain) {
  GODWIT_CHECK(is_established());
  ERR_clear_error();
  while (!plain.empty()) {
    std::size_t taken = 0;
    if (SSL_write_ex(impl_->ssl.get(), plain.data(), plain.size(), &taken) != 1) impl_->fail("write");
    plain.remove_prefix(taken);
  }
}

void Tls::close() {
  ERR_clear_error();
  if (is_established()) SSL_shutdown(impl_->ssl.get());
  ERR_clear_error();
}

std::string_view Tls::pending() const { return impl_->pipes.out.view(); }
void Tls::consume_pending(std::size_t bytes) { impl_->pipes.out.take(std::min(bytes, impl_->pipes.out.view().size())); }

void Tls::release() {
  impl_->pipes.in.release();
  impl_->pipes.out.release();
}

}  // namespace godwit::layer
