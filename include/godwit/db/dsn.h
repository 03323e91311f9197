// How to reach one server: mysql://user@host:port/schema?ssl-mode=…&socket=…  Pure; any thread.
// The password never appears in what to_string() gives; that text is what state, logs and messages may hold.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::db {

// preferred: TLS when the server offers it; required: TLS or refusal; verify_ca: also a certificate that `ssl_ca` vouches for;
// verify_identity: also one that names this host (without ssl_ca the system's authorities count).
enum class SslMode { disabled, preferred, required, verify_ca, verify_identity };

struct Dsn {
  std::string user;
  std::string password;
  bool has_password = false;  // it was given in the DSN, which the operator is warned about
  std::string host = "127.0.0.1";
  std::uint16_t port = 3306;
  bool has_host = false;  // named, not assumed; likewise the port
  bool has_port = false;
  std::string socket;  // when set, host and port are not used
  std::string schema;  // may be empty
  SslMode ssl_mode = SslMode::preferred;
  bool has_ssl_mode = false;  // named; where it is not, an ssl_ca means verify_ca
  std::string ssl_ca;
  std::string ssl_cert;
  std::string ssl_key;
};

// Percent-encoded parts are decoded. Throws Error(bad_usage) with what it could not take; never shows the password.
// `flag` is how the operator named it, "--source".
Dsn parse_dsn(std::string_view text, std::string_view flag);
std::string to_string(const Dsn& dsn);
std::string address(const Dsn& dsn);  // "127.0.0.1:3306" or the socket's path
std::string to_string(SslMode mode);

// user, password, host, port, socket, ssl-* of the [client] and [godwit] groups of a my.cnf-style file; what the DSN names wins,
// and of two lines the later. Throws Error(bad_usage) when the file cannot be read.
void apply_defaults_file(Dsn& dsn, const std::string& path);

}  // namespace godwit::db
