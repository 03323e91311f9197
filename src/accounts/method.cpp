#include "godwit/accounts/method.h"

#include <algorithm>

namespace godwit::accounts {
namespace {

enum class Kind { native, sha2, sha256, ed25519, clear, socket, foreign };

Kind kind_of(std::string_view plugin) {
  if (plugin == "mysql_native_password") return Kind::native;
  if (plugin == "caching_sha2_password") return Kind::sha2;
  if (plugin == "sha256_password") return Kind::sha256;
  if (plugin == "ed25519") return Kind::ed25519;
  if (plugin == "pam" || plugin == "authentication_pam" || plugin == "authentication_ldap_simple") return Kind::clear;
  return plugin == "unix_socket" || plugin == "auth_socket" ? Kind::socket : Kind::foreign;
}

enum class Known { nothing, stage1, password };

// The method that a client who comes over the network is asked for first: what follows is asked for only when that fails.
const AuthMethod* first_method(const AccountFacts& facts) {
  const auto it = std::find_if(facts.methods.begin(), facts.methods.end(), [](const AuthMethod& method) { return kind_of(method.plugin) != Kind::socket; });
  return it == facts.methods.end() ? nullptr : &*it;
}

Known known_by_relay(const AuthMethod& method, const MethodOptions& options) {
  if (method.is_empty) return Known::password;
  switch (kind_of(method.plugin)) {
    case Kind::native: return method.stage2.empty() ? Known::nothing : Known::stage1;
    case Kind::clear: return options.client_has_tls ? Known::password : Known::nothing;
    case Kind::sha2:
    case Kind::sha256:
    case Kind::ed25519:
    case Kind::socket:
    case Kind::foreign: return Known::nothing;
  }
  return Known::nothing;
}

// Whether a password that is learned from the client can be shown to this server to be the right one.
bool takes_password(const AuthMethod& method, bool has_tls) {
  switch (kind_of(method.plugin)) {
    case Kind::native:
    case Kind::sha2:
    case Kind::sha256:
    case Kind::ed25519: return true;
    case Kind::clear: return has_tls;
    case Kind::socket:
    case Kind::foreign: return false;
  }
  return false;
}

// Both hashes are known, and differ: no need to try.
bool is_another_password(const AuthMethod& here, const AuthMethod& there) {
  const bool are_native = kind_of(here.plugin) == Kind::native && kind_of(there.plugin) == Kind::native;
  return here.is_empty != there.is_empty || (are_native && here.stage2 != there.stage2);
}

bool is_answered(Known known, const AuthMethod& here, const AccountFacts& there, bool has_tls) {
  return std::any_of(there.methods.begin(), there.methods.end(), [&](const AuthMethod& method) {
    if (is_another_password(here, method)) return false;
    if (known == Known::stage1) return kind_of(method.plugin) == Kind::native && method.stage2 == here.stage2;
    return known == Known::password && takes_password(method, has_tls);
  });
}

bool can_be_delegated(const AccountFacts& facts) {
  if (facts.flavour == db::Flavour::mariadb) return !facts.methods.empty();
  const AuthMethod* method = first_method(facts);
  if (method == nullptr || method->is_empty || facts.has_second_password) return false;
  const Kind kind = kind_of(method->plugin);
  return kind == Kind::native || kind == Kind::sha2 || kind == Kind::sha256;
}

// What stands against a login at all, whatever godwit knows; "" for nothing.
std::string obstacle(const AccountFacts* facts, std::string_view which, bool has_tls) {
  const std::string server(which);
  if (facts == nullptr) return server + " has no such account";
  if (facts->is_locked) return "locked on " + server;
  if (facts->is_expired) return "its password is expired on " + server;
  if (facts->needs_further_factors) return "asked for further factors on " + server;
  if (facts->tls == TlsDemand::certificate) return "REQUIRE X509 on " + server + ": godwit cannot show the client's certificate";
  if (facts->tls == TlsDemand::tls && !has_tls) return "REQUIRE SSL on " + server + ", which is reached without TLS";
  return {};
}

std::string remedy(const AuthMethod& here, const AccountFacts& there, const MethodOptions& options) {
  const bool wants_tls = takes_password(here, true) && !options.client_has_tls && is_answered(Known::password, here, there, options.other_has_tls);
  std::string text = here.plugin + ": nothing that the other server takes can be learned";
  if (wants_tls) text += "; with TLS to the client it could";
  if (!options.may_delegate && can_be_delegated(there)) text += "; --delegate-auth gives godwit a credential of its own";
  return text;
}

}  // namespace

std::string_view to_string(Method method) {
  switch (method) {
    case Method::relay_harvest: return "relay_harvest";
    case Method::terminate_sha2: return "terminate_sha2";
    case Method::delegated: return "delegated";
    case Method::file: return "file";
    case Method::none: return "none";
  }
  return "none";
}

Decision decide(const AccountFacts* here, const AccountFacts* there, const MethodOptions& options) {
  const auto none = [](std::string why) { return Decision{.method = Method::none, .why = std::move(why)}; };
  if (auto why = obstacle(here, "this server", true); !why.empty()) return none(std::move(why));
  if (auto why = obstacle(there, "the other server", options.other_has_tls); !why.empty()) return none(std::move(why));
  const AuthMethod* method = first_method(*here);
  if (method == nullptr) return none("the operating system vouches for it, through a socket file");

  const bool password_suffices = takes_password(*method, true) && is_answered(Known::password, *method, *there, options.other_has_tls);
  if (options.has_password && password_suffices) return {.method = Method::file, .why = "its password is in the file"};
  const Known relayed = known_by_relay(*method, options);
  if (relayed != Known::nothing && is_answered(relayed, *method, *there, options.other_has_tls))
    return {.method = Method::relay_harvest, .why = method->is_empty ? "no password" : relayed == Known::stage1 ? "one hash on both servers" : method->plugin + ": the password passes"};
  const bool is_asked = options.client_has_tls || options.client_fetches_key;
  if (is_asked && password_suffices) return {.method = Method::terminate_sha2, .why = method->plugin + ": the client is asked for its password"};
  if (options.may_delegate && can_be_delegated(*there)) return {.method = Method::delegated, .why = method->plugin + ": a second credential on the other server"};
  return none(remedy(*method, *there, options));
}

}  // namespace godwit::accounts
