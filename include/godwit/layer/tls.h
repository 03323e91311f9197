// TLS without I/O, in either role: bytes of the network in, plain bytes out, and back. TLS 1.2 at least, no renegotiation. A context may be used
// by many threads; a Tls by one. Every failure is an Error(tls_failed), after which only pending() is of use: it may hold an alert for the peer.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace godwit::layer {

enum class TlsVerify {
  none,       // encrypted, with whomever
  authority,  // a certificate that an authority vouches for
  identity,   // and that names the host
};

struct TlsFiles {  // PEM; empty: none
  std::string cert;
  std::string key;
  std::string ca;
};

struct TlsShared;

class TlsContext {
 public:
  // Its certificate is named. With an authority, clients are asked for certificates, and one that is given must be vouched for. Sessions may be resumed, by tickets.
  static TlsContext server(const TlsFiles& files);
  // A certificate made for this run, which nobody vouches for: what servers do that were given none.
  static TlsContext self_signed();
  // Towards one server: its newest session is resumed. Without `ca` the system's authorities count.
  static TlsContext client(TlsVerify verify, const TlsFiles& files);
  TlsContext(TlsContext&&) noexcept;
  TlsContext& operator=(TlsContext&&) noexcept;
  ~TlsContext();

  // SHA-256 of the own certificate (32 bytes); empty where there is none.
  const std::string& fingerprint() const;

 private:
  friend class Tls;
  explicit TlsContext(std::unique_ptr<TlsShared> shared);
  std::unique_ptr<TlsShared> shared_;
};

class Tls {
 public:
  enum class Result { ok, want_more, closed };

  // The context outlives it. `host` is what TlsVerify::identity asks for, a name or an address; a client tells names to the server too.
  explicit Tls(const TlsContext& context, const std::string& host = {});
  Tls(Tls&&) noexcept;
  Tls& operator=(Tls&&) noexcept;
  ~Tls();

  // Bytes that came. They are kept until the handshake or read() takes them: read until it gives nothing.
  void feed(std::string_view network);
  // want_more: send what is pending, and feed what comes. What was fed may hold plain bytes behind the handshake's end: read() once after it.
  Result handshake();
  bool is_established() const;
  bool is_resumed() const;
  // Whether the peer showed a certificate that was vouched for.
  bool has_peer_certificate() const;
  // SHA-256 of the peer's certificate; empty: it showed none.
  std::string peer_fingerprint() const;

  // Plain bytes; 0: more network bytes are needed, or the peer has closed.
  std::size_t read(std::span<char> into);
  bool is_closed_by_peer() const;
  // Established only. All of it goes to pending().
  void write(std::string_view plain);
  // Says farewell.
  void close();

  // What must go to the network; valid until the next call of another function.
  std::string_view pending() const;
  void consume_pending(std::size_t bytes);
  // Frees the buffers' memory, when they are empty.
  void release();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::layer
