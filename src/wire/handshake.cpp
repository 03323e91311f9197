#include "godwit/wire/handshake.h"

#include <algorithm>

#include "godwit/wire/bytes.h"

namespace godwit::wire {
namespace {

constexpr std::size_t kSaltFirst = 8;
constexpr std::size_t kSaltSecond = 12;
constexpr std::size_t kLoginHead = 32;

Capabilities extended_of(std::uint32_t bits) { return Capabilities{bits} << 32; }

void put_login_head(std::string& out, const Login& login, Capabilities capabilities) {
  put(out, capabilities & 0xFFFFFFFF, 4);
  put(out, login.packet_bytes_max, 4);
  put(out, login.charset, 1);
  out.append(19, '\0');
  put(out, (capabilities & cap::mysql) != 0 ? 0 : capabilities >> 32, 4);
}

}  // namespace

std::optional<Greeting> read_greeting(std::string_view payload) {
  Input in(payload);
  Greeting it;
  if (in.u8() != 10) return std::nullopt;
  it.version = in.nul_string();
  it.connection_id = in.u32();
  it.salt = in.take(kSaltFirst);
  in.u8();
  it.capabilities = in.u16();
  it.charset = in.u8();
  it.status = in.u16();
  it.capabilities |= Capabilities{in.u16()} << 16;
  const std::size_t salt_size = in.u8();
  in.take(6);
  const Capabilities extended = extended_of(in.u32());
  if ((it.capabilities & cap::mysql) == 0) it.capabilities |= extended;
  if (!in.is_good() || (it.capabilities & cap::protocol_41) == 0) return std::nullopt;
  const auto second = in.take(std::min<std::size_t>(in.left(), std::max<std::size_t>(kSaltSecond + 1, salt_size < kSaltFirst ? 0 : salt_size - kSaltFirst)));
  it.salt += second.substr(0, std::min(second.size(), kSaltSecond));
  if (it.salt.size() != kSaltFirst + kSaltSecond) return std::nullopt;
  if ((it.capabilities & cap::plugin_auth) != 0) it.plugin = in.nul_or_rest();
  return it;
}

std::string write_greeting(const Greeting& it) {
  std::string out;
  put(out, 10, 1);
  put_nul_string(out, it.version);
  put(out, it.connection_id, 4);
  out += it.salt.substr(0, kSaltFirst);
  out.push_back('\0');
  put(out, it.capabilities & 0xFFFF, 2);
  put(out, it.charset, 1);
  put(out, it.status, 2);
  put(out, (it.capabilities >> 16) & 0xFFFF, 2);
  put(out, (it.capabilities & cap::plugin_auth) != 0 ? kSaltFirst + kSaltSecond + 1 : 0, 1);
  out.append(6, '\0');
  put(out, (it.capabilities & cap::mysql) != 0 ? 0 : it.capabilities >> 32, 4);
  out += it.salt.substr(kSaltFirst);
  out.push_back('\0');
  if ((it.capabilities & cap::plugin_auth) != 0) put_nul_string(out, it.plugin);
  return out;
}

bool is_tls_request(std::string_view payload) {
  Input in(payload);
  return payload.size() == kLoginHead && (in.u32() & cap::ssl) != 0;
}

std::optional<Login> read_login(std::string_view payload) {
  Input in(payload);
  Login it;
  it.capabilities = in.u32();
  it.packet_bytes_max = in.u32();
  it.charset = in.u8();
  in.take(19);
  const Capabilities extended = extended_of(in.u32());
  if ((it.capabilities & cap::mysql) == 0) it.capabilities |= extended;
  if ((it.capabilities & cap::protocol_41) == 0) return std::nullopt;
  it.user = in.nul_string();
  if ((it.capabilities & cap::plugin_auth_lenenc) != 0) {
    it.auth = in.lenenc_string();
  } else if ((it.capabilities & cap::secure_connection) != 0) {
    it.auth = in.take(in.u8());
  } else {
    it.auth = in.nul_string();
  }
  if (!in.is_good()) return std::nullopt;
  // Some clients announce these and leave the last of them out, or without its end.
  if ((it.capabilities & cap::connect_with_db) != 0 && in.left() > 0) it.schema = in.nul_or_rest();
  if ((it.capabilities & cap::plugin_auth) != 0 && in.left() > 0) it.plugin = in.nul_or_rest();
  if ((it.capabilities & cap::connect_attrs) != 0 && in.left() > 0) it.attributes = in.lenenc_string();
  if ((it.capabilities & cap::zstd) != 0 && in.left() > 0) it.zstd_level = in.u8();
  if (!in.is_good()) return std::nullopt;
  return it;
}

std::string write_login(const Login& it) {
  std::string out;
  // One form of the reply for all servers: the length-encoded one, where the other side knows it.
  put_login_head(out, it, it.capabilities);
  put_nul_string(out, it.user);
  if ((it.capabilities & cap::plugin_auth_lenenc) != 0) {
    put_lenenc_string(out, it.auth);
  } else if ((it.capabilities & cap::secure_connection) != 0) {
    put(out, std::min<std::size_t>(it.auth.size(), 255), 1);
    out += it.auth.substr(0, 255);
  } else {
    put_nul_string(out, it.auth);
  }
  if ((it.capabilities & cap::connect_with_db) != 0) put_nul_string(out, it.schema);
  if ((it.capabilities & cap::plugin_auth) != 0) put_nul_string(out, it.plugin);
  if ((it.capabilities & cap::connect_attrs) != 0) put_lenenc_string(out, it.attributes);
  if ((it.capabilities & cap::zstd) != 0) put(out, it.zstd_level, 1);
  return out;
}

std::string write_tls_request(const Login& login) {
  std::string out;
  put_login_head(out, login, login.capabilities | cap::ssl);
  return out;
}

std::optional<AuthSwitch> read_auth_switch(std::string_view payload) {
  Input in(payload);
  if (in.u8() != 0xFE || payload.size() < 2) return std::nullopt;
  AuthSwitch it;
  it.plugin = in.nul_or_rest();
  it.salt = in.rest();
  return it;
}

std::string write_auth_switch(const AuthSwitch& it) {
  std::string out("\xFE", 1);
  put_nul_string(out, it.plugin);
  out += it.salt;
  return out;
}

std::optional<ChangeUser> read_change_user(std::string_view payload, Capabilities capabilities) {
  Input in(payload);
  if (in.u8() != static_cast<std::uint8_t>(Command::change_user)) return std::nullopt;
  ChangeUser it;
  it.user = in.nul_string();
  it.auth = (capabilities & cap::secure_connection) != 0 ? in.take(in.u8()) : in.nul_string();
  it.schema = in.nul_or_rest();
  if (!in.is_good()) return std::nullopt;
  if (in.left() < 2) return it;  // what follows comes in this order, or not at all
  it.charset = in.u16();
  if ((capabilities & cap::plugin_auth) != 0 && in.left() > 0) it.plugin = in.nul_or_rest();
  if ((capabilities & cap::connect_attrs) != 0 && in.left() > 0) it.attributes = in.lenenc_string();
  if (!in.is_good()) return std::nullopt;
  return it;
}

std::string write_change_user(const ChangeUser& it, Capabilities capabilities) {
  std::string out;
  put(out, static_cast<std::uint8_t>(Command::change_user), 1);
  put_nul_string(out, it.user);
  if ((capabilities & cap::secure_connection) != 0) {
    put(out, std::min<std::size_t>(it.auth.size(), 255), 1);
    out += it.auth.substr(0, 255);
  } else {
    put_nul_string(out, it.auth);
  }
  put_nul_string(out, it.schema);
  if (!it.charset) return out;
  put(out, *it.charset, 2);
  if (it.plugin) put_nul_string(out, *it.plugin);
  if (it.attributes) put_lenenc_string(out, *it.attributes);
  return out;
}

void put_attribute(std::string& block, std::string_view name, std::string_view value) {
  put_lenenc_string(block, name);
  put_lenenc_string(block, value);
}

}  // namespace godwit::wire
