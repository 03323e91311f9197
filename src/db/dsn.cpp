#include "godwit/db/dsn.h"

#include <fmt/format.h>

#include <array>
#include <fstream>
#include <optional>
#include <utility>

#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::db {
namespace {

constexpr std::array<std::pair<SslMode, std::string_view>, 5> kSslModes{{
    {SslMode::disabled, "disabled"},
    {SslMode::preferred, "preferred"},
    {SslMode::required, "required"},
    {SslMode::verify_ca, "verify_ca"},
    {SslMode::verify_identity, "verify_identity"},
}};

[[noreturn]] void refuse(std::string_view flag, std::string cause) {
  throw Error(Code::bad_usage,
              {.object = std::string(flag),
               .cause = std::move(cause),
               .remedy = "mysql://user@host:port/schema?ssl-mode=verify_identity&ssl-ca=FILE"});
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decode(std::string_view text, std::string_view flag) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) refuse(flag, "a percent sign is not followed by two hex digits");
    result.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return result;
}

std::string encode(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/$").find(c) != std::string_view::npos;
    if (plain) {
      result.push_back(c);
    } else {
      result += "%" + hex(std::string_view(&c, 1));
    }
  }
  return result;
}

std::optional<SslMode> parse_ssl_mode(std::string_view text) {
  std::string wanted = lower(text);
  for (auto& c : wanted) c = c == '-' ? '_' : c;
  for (const auto& [mode, name] : kSslModes) {
    if (name == wanted) return mode;
  }
  return std::nullopt;
}

std::uint16_t parse_port(std::string_view text, std::string_view flag) {
  const auto port = parse_u64(text);
  if (!port || *port == 0 || *port > 65535) refuse(flag, "the port is not a number from 1 to 65535");
  return static_cast<std::uint16_t>(*port);
}

// False when the option is none of ours.
bool set_option(Dsn& dsn, std::string_view name, const std::string& value, std::string_view flag) {
  if (name == "socket") {
    dsn.socket = value;
  } else if (name == "ssl-ca") {
    dsn.ssl_ca = value;
  } else if (name == "ssl-cert") {
    dsn.ssl_cert = value;
  } else if (name == "ssl-key") {
    dsn.ssl_key = value;
  } else if (name == "ssl-mode") {
    const auto mode = parse_ssl_mode(value);
    if (!mode) {
      refuse(flag, "ssl-mode is none of disabled, preferred, required, verify_ca, verify_identity");
    }
    dsn.ssl_mode = *mode;
    dsn.has_ssl_mode = true;
  } else {
    return false;
  }
  return true;
}

void parse_user_info(Dsn& dsn, std::string_view text, std::string_view flag) {
  const auto colon = text.find(':');
  dsn.user = decode(text.substr(0, colon), flag);
  if (colon == std::string_view::npos) return;
  dsn.password = decode(text.substr(colon + 1), flag);
  dsn.has_password = true;
}

void parse_host_port(Dsn& dsn, std::string_view text, std::string_view flag) {
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) refuse(flag, "the IPv6 address has no closing bracket");
    dsn.host = std::string(text.substr(1, close - 1));
    text.remove_prefix(close + 1);
    dsn.has_host = true;
    if (!text.starts_with(':')) return;
    dsn.port = parse_port(text.substr(1), flag);
    dsn.has_port = true;
    return;
  }
  const auto colon = text.find(':');
  dsn.has_host = colon != 0 && !text.empty();
  dsn.has_port = colon != std::string_view::npos;
  if (dsn.has_host) dsn.host = decode(text.substr(0, colon), flag);
  if (dsn.has_port) dsn.port = parse_port(text.substr(colon + 1), flag);
}

void parse_options(Dsn& dsn, std::string_view query, std::string_view flag) {
  for (const auto& item : split(query, '&')) {
    if (item.empty()) continue;
    const auto equals = item.find('=');
    const std::string name = item.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : decode(item.substr(equals + 1), flag);
    if (!set_option(dsn, name, value, flag)) refuse(flag, fmt::format("unknown option \"{}\"", name));
  }
}

// An authority that is named and then not asked would be a promise not kept.
void settle_ssl_mode(Dsn& dsn) {
  if (!dsn.has_ssl_mode && !dsn.ssl_ca.empty()) dsn.ssl_mode = SslMode::verify_ca;
}

std::string unquote_value(std::string_view text) {
  const auto value = trim(text);
  const bool is_quoted = value.size() >= 2 && value.front() == value.back() &&
                         (value.front() == '"' || value.front() == '\'');
  return std::string(is_quoted ? value.substr(1, value.size() - 2) : value);
}

// What a defaults file says, and what the DSN had said before: that is kept.
void apply_default(Dsn& dsn, const Dsn& named, const std::string& name, const std::string& value, std::string_view flag) {
  if (name == "user" && named.user.empty()) {
    dsn.user = value;
  } else if (name == "password" && !named.has_password) {
    dsn.password = value;
  } else if (name == "host" && !named.has_host) {
    dsn.host = value;
  } else if (name == "port" && !named.has_port) {
    dsn.port = parse_port(value, flag);
  } else if (name == "socket" && named.socket.empty() && !named.has_host) {
    dsn.socket = value;
  } else if ((name == "ssl-mode" && !named.has_ssl_mode) || (name == "ssl-ca" && named.ssl_ca.empty()) ||
             (name == "ssl-cert" && named.ssl_cert.empty()) || (name == "ssl-key" && named.ssl_key.empty())) {
    set_option(dsn, name, value, flag);
  }
}

}  // namespace

Dsn parse_dsn(std::string_view text, std::string_view flag) {
  std::string_view rest = text;
  const auto scheme = rest.find("://");
  if (scheme == std::string_view::npos) refuse(flag, "it does not begin with mysql://");
  const auto name = rest.substr(0, scheme);
  if (name != "mysql" && name != "mariadb") refuse(flag, "the scheme is neither mysql nor mariadb");
  rest.remove_prefix(scheme + 3);

  Dsn dsn;
  if (const auto question = rest.find('?'); question != std::string_view::npos) {
    parse_options(dsn, rest.substr(question + 1), flag);
    rest = rest.substr(0, question);
  }
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    parse_user_info(dsn, rest.substr(0, at), flag);
    rest.remove_prefix(at + 1);
  }
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    dsn.schema = decode(rest.substr(slash + 1), flag);
    rest = rest.substr(0, slash);
  }
  parse_host_port(dsn, rest, flag);
  settle_ssl_mode(dsn);
  return dsn;
}

std::string to_string(SslMode mode) {
  for (const auto& [known, name] : kSslModes) {
    if (known == mode) return std::string(name);
  }
  return "preferred";
}

std::string address(const Dsn& dsn) {
  if (!dsn.socket.empty()) return dsn.socket;
  const bool is_v6 = dsn.host.find(':') != std::string::npos;
  return is_v6 ? fmt::format("[{}]:{}", dsn.host, dsn.port) : fmt::format("{}:{}", dsn.host, dsn.port);
}

std::string to_string(const Dsn& dsn) {
  std::string text = "mysql://";
  if (!dsn.user.empty()) text += encode(dsn.user) + "@";
  if (dsn.socket.empty()) text += address(dsn);
  if (!dsn.schema.empty()) text += "/" + encode(dsn.schema);
  char separator = '?';
  const auto add = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    text += fmt::format("{}{}={}", separator, name, encode(value));
    separator = '&';
  };
  add("socket", dsn.socket);
  if (dsn.has_ssl_mode) add("ssl-mode", to_string(dsn.ssl_mode));
  add("ssl-ca", dsn.ssl_ca);
  add("ssl-cert", dsn.ssl_cert);
  add("ssl-key", dsn.ssl_key);
  return text;
}

void apply_defaults_file(Dsn& dsn, const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    throw Error(Code::bad_usage,
                {.object = path,
                 .cause = "the defaults file cannot be read",
                 .remedy = "a my.cnf-style file with a [client] group, readable by this user"});
  }
  const Dsn named = dsn;
  bool in_client_group = false;
  for (std::string line; std::getline(file, line);) {
    const auto text = trim(line);
    if (text.empty() || text.front() == '#' || text.front() == ';') continue;
    if (text.front() == '[') {
      in_client_group = text == "[client]" || text == "[godwit]";
      continue;
    }
    if (!in_client_group) continue;
    const auto equals = text.find('=');
    std::string name = lower(trim(text.substr(0, equals)));
    for (auto& c : name) c = c == '_' ? '-' : c;
    apply_default(dsn, named, name, equals == std::string_view::npos ? "" : unquote_value(text.substr(equals + 1)), path);
  }
  settle_ssl_mode(dsn);
}

}  // namespace godwit::db
