// The packets of a login, as structs in wire order. Pure. Reading gives nothing when the bytes are no such packet; what is written reads back the same.
// Sources: MySQL 9.7 "Connection Phase Packets" (HandshakeV10, HandshakeResponse41, AuthSwitchRequest), MariaDB "Connecting" (extended capabilities).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/wire/protocol.h"

namespace godwit::wire {

struct Greeting {
  std::string version;
  std::uint32_t connection_id = 0;
  std::string salt;  // 20 bytes
  Capabilities capabilities = 0;
  std::uint8_t charset = 0;
  std::uint16_t status = 0;
  std::string plugin;
};
std::optional<Greeting> read_greeting(std::string_view payload);
std::string write_greeting(const Greeting& greeting);

struct Login {  // HandshakeResponse41
  Capabilities capabilities = 0;
  std::uint32_t packet_bytes_max = 0;
  std::uint8_t charset = 0;
  std::string user;
  std::string auth;
  std::string schema;
  std::string plugin;
  std::string attributes;  // their block, without its length
  std::uint8_t zstd_level = 3;
};
// The first 32 bytes of a login alone: the client asks for TLS before it says more.
bool is_tls_request(std::string_view payload);
std::optional<Login> read_login(std::string_view payload);
std::string write_login(const Login& login);
std::string write_tls_request(const Login& login);

struct AuthSwitch {
  std::string plugin;
  std::string salt;  // all that follows, a zero at its end included
};
std::optional<AuthSwitch> read_auth_switch(std::string_view payload);
std::string write_auth_switch(const AuthSwitch& request);

struct ChangeUser {  // with the command byte
  std::string user;
  std::string auth;
  std::string schema;
  std::optional<std::uint16_t> charset;
  std::optional<std::string> plugin;
  std::optional<std::string> attributes;
};
std::optional<ChangeUser> read_change_user(std::string_view payload, Capabilities capabilities);
std::string write_change_user(const ChangeUser& request, Capabilities capabilities);

// Appends one more to a block of connection attributes.
void put_attribute(std::string& block, std::string_view name, std::string_view value);

}  // namespace godwit::wire
