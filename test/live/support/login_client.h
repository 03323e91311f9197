// A client that speaks the protocol byte by byte over a blocking socket: logins with any secret, in any layer. It uses godwit's auth and layer modules
// and nothing else of it, so that a real server is what proves them; and a server of one login, with which real clients prove the other part.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "godwit/auth/prover.h"
#include "godwit/auth/sha2.h"
#include "godwit/layer/compression.h"
#include "godwit/layer/tls.h"

namespace godwit::test {

// Bytes over a socket, through TLS and compression where they were begun. Throws std::runtime_error when the peer is gone.
class Wire {
 public:
  explicit Wire(int socket) : socket_(socket) {}
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  void begin_tls(const layer::TlsContext& context, const std::string& host);
  void begin_compression(layer::Compression kind);
  std::string read_packet();
  void write_packet(std::string_view payload);  // with the next number
  void begin_command();                          // numbers start anew
  void send_raw(std::string_view bytes);         // past all layers
  std::uint8_t last_number() const { return last_number_; }  // of the packet that was read last
  bool is_tls() const { return tls_.has_value(); }
  bool is_resumed() const { return tls_ && tls_->is_resumed(); }
  std::string peer_fingerprint() const { return tls_ ? tls_->peer_fingerprint() : std::string(); }

 private:
  std::string read_bytes(std::size_t bytes);
  void fill();
  std::size_t take_plain(layer::Tls& tls);
  void unpack(std::string_view bytes);
  void send_through_tls(std::string_view bytes);

  int socket_;
  std::optional<layer::Tls> tls_;
  layer::Compressor compressor_;
  std::optional<layer::Inflow> inflow_;
  std::optional<layer::Outflow> outflow_;
  std::string plain_;
  std::uint8_t number_ = 0;
  std::uint8_t last_number_ = 0;
};

struct LoginForm {
  std::string user;
  const auth::Credentials* credentials = nullptr;
  bool has_tls = true;
  bool has_alternatives = false;
  std::optional<layer::Compression> compression;
  std::string initial_plugin = "mysql_native_password";  // what the handshake response names; "unknown": as a relay does
  std::string proxy_header;  // sent before anything else
};

class LoginClient {
 public:
  LoginClient(int port, const LoginForm& login);
  bool is_in() const { return error_.empty(); }
  const std::string& error() const { return error_; }
  const std::vector<std::string>& plugins() const { return plugins_; }  // that the server asked for
  // A result of text, row by row, its cells joined by '|'.
  std::vector<std::string> query(const std::string& sql);
  std::vector<std::string> next_result();  // of several statements
  // The numbers of the packets that the last query was answered with.
  const std::vector<int>& numbers() const { return numbers_; }
  const std::string& salt() const { return salt_; }        // of the last challenge
  const std::string& ok_message() const { return message_; }  // of the login
  std::string scalar(const std::string& sql) { return query(sql).at(0); }
  Wire& wire() { return *wire_; }

 private:
  void log_in(int port, const LoginForm& login);
  void authenticate(auth::Prover& prover, std::string packet);
  std::string read_numbered();

  std::unique_ptr<Wire> wire_;
  std::string error_;
  std::vector<std::string> plugins_;
  std::vector<int> numbers_;
  std::string salt_;
  std::string message_;
};

// Accepts one client on loopback, learns its password by auth::Sha2Terminator (or verifies it, as mysql_native_password), lets it in, and says OK to
// all it asks.
class TerminatingServer {
 public:
  struct Options {
    bool has_tls = false;
    const auth::Secret* known = nullptr;
    std::string native_stage2 = {};  // named: mysql_native_password, and a proof of the certificate
    bool has_wrong_proof = false;
  };
  explicit TerminatingServer(Options options);
  ~TerminatingServer();
  int port() const { return port_; }
  // What was learned; nothing: refused, with `error`. Waits for the end of the login.
  std::optional<std::string> password();
  const std::string& error() const { return error_; }
  int steps() const { return steps_; }

 private:
  void serve();
  void talk(Wire& wire);
  void terminate(Wire& wire, std::string packet, const std::string& salt);
  std::string verify(std::string_view reply, const std::string& salt) const;

  Options options_;
  int listener_ = -1;
  int port_ = 0;
  int steps_ = 0;
  std::optional<std::string> password_;
  std::string error_;
  std::thread thread_;
};

const auth::RsaKey& test_rsa_key();

}  // namespace godwit::test
