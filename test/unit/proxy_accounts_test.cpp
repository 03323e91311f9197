#include "godwit/accounts/delegation.h"
#include "godwit/accounts/facts.h"
#include "godwit/accounts/method.h"
#include "godwit/accounts/passwords.h"

#include "catch.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "godwit/auth/native.h"
#include "godwit/util/error.h"

using namespace godwit;
using namespace godwit::accounts;

namespace {

constexpr std::uint64_t kNow = 1800000000;
constexpr std::string_view kHash = "*18909B4997396E3206F3F88F04027DEDC776E92A";

AccountFacts priv(std::string_view text) {
  const auto facts = facts_of_global_priv(text, kNow, 0);
  REQUIRE(facts);
  return *facts;
}

AccountFacts account(db::Flavour flavour, std::vector<AuthMethod> methods) {
  return {.user = "app", .host = "%", .flavour = flavour, .methods = std::move(methods)};
}
AccountFacts mariadb(std::vector<AuthMethod> methods) { return account(db::Flavour::mariadb, std::move(methods)); }
AccountFacts mysql(std::vector<AuthMethod> methods) { return account(db::Flavour::mysql, std::move(methods)); }

AuthMethod native(char hash) { return {.plugin = "mysql_native_password", .stage2 = std::string(20, hash)}; }
AuthMethod plugin(std::string name) { return {.plugin = std::move(name)}; }
AuthMethod no_password() { return {.plugin = "mysql_native_password", .stage2 = {}, .is_empty = true}; }

Method method_of(const AccountFacts& here, const AccountFacts& there, const MethodOptions& options = {}) {
  const auto decision = decide(&here, &there, options);
  CHECK_FALSE(decision.why.empty());
  return decision.method;
}

constexpr MethodOptions kTls{.client_has_tls = true, .other_has_tls = true};
constexpr MethodOptions kDelegating{.may_delegate = true};

Code code_of(std::string_view text) {
  try {
    Passwords::parse(text, "file");
  } catch (const Error& error) {
    CHECK(error.cause().find("secret") == std::string::npos);
    return error.code();
  }
  return Code::internal_error;
}

}  // namespace

TEST_CASE("accounts: MariaDB's methods are read in their order", "[proxy_accounts]") {
  const auto one = priv(R"({"access":0,"plugin":"mysql_native_password","authentication_string":"*18909B4997396E3206F3F88F04027DEDC776E92A","password_last_changed":1795676262})");
  REQUIRE(one.methods.size() == 1);
  CHECK(auth::star_hex_of(one.methods[0].stage2) == kHash);
  CHECK_FALSE(one.methods[0].is_empty);
  const auto several = priv(
      R"({"plugin":"mysql_native_password","authentication_string":"*18909B4997396E3206F3F88F04027DEDC776E92A","auth_or":[{"plugin":"unix_socket"},{},{"plugin":"ed25519","authentication_string":"x"}]})");
  REQUIRE(several.methods.size() == 3);
  CHECK(several.methods[0].plugin == "unix_socket");
  CHECK(auth::star_hex_of(several.methods[1].stage2) == kHash);
  CHECK(several.methods[2].plugin == "ed25519");
  CHECK(priv(R"({"access":1})").methods.at(0).is_empty);
  CHECK(priv(R"({"plugin":"mysql_native_password","authentication_string":"invalid"})").methods.at(0).stage2.empty());
  CHECK_FALSE(facts_of_global_priv(R"({"is_role":true})", kNow, 0));
  CHECK(priv("no json").methods.empty());
  CHECK(priv(R"({"auth_or":[1,"x",null],"plugin":7,"ssl_type":"x","password_last_changed":-1e300})").methods.empty());
}

TEST_CASE("accounts: what MariaDB asks besides the password", "[proxy_accounts]") {
  CHECK(priv(R"({"ssl_type":1})").tls == TlsDemand::tls);
  CHECK(priv(R"({"ssl_type":2})").tls == TlsDemand::certificate);
  CHECK(priv(R"({"ssl_type":3,"x509_subject":"/CN=x"})").tls == TlsDemand::certificate);
  CHECK(priv(R"({"ssl_type":3,"ssl_cipher":"AES256-SHA"})").tls == TlsDemand::tls);
  CHECK(priv(R"({"account_locked":true})").is_locked);
  CHECK(priv(R"({"password_last_changed":0})").is_expired);
  CHECK_FALSE(priv(R"({"password_last_changed":1799000000})").is_expired);
  CHECK(priv(R"({"password_last_changed":1799000000,"password_lifetime":3})").is_expired);
  CHECK_FALSE(priv(R"({"password_last_changed":1799000000,"password_lifetime":0})").is_expired);
  CHECK(facts_of_global_priv(R"({"password_last_changed":1799000000,"password_lifetime":-1})", kNow, 5)->is_expired);
}

TEST_CASE("accounts: hosts as servers match them", "[proxy_accounts]") {
  CHECK(host_matches("%", "10.1.2.3"));
  CHECK(host_matches("", "10.1.2.3"));
  CHECK(host_matches("10.%", "10.1.2.3"));
  CHECK_FALSE(host_matches("10.%", "110.1.2.3"));
  CHECK(host_matches("10.1._.3", "10.1.2.3"));
  CHECK(host_matches("10.%.3", "10.1.3.3"));
  CHECK(host_matches("10.1.0.0/255.255.0.0", "10.1.2.3"));
  CHECK_FALSE(host_matches("10.1.0.0/255.255.0.0", "10.2.2.3"));
  CHECK(host_matches("10.1.0.0/16", "10.1.2.3"));
  CHECK_FALSE(host_matches("10.1.0.0/33", "10.1.2.3"));
  CHECK(host_matches("localhost", "127.0.0.1"));
  CHECK(host_matches("LOCALHOST", ""));
  CHECK_FALSE(host_matches("localhost", "10.1.2.3"));
  CHECK_FALSE(host_matches("db.example", "10.1.2.3"));
}

TEST_CASE("accounts: the most exact host is taken, and a named user before the anonymous one", "[proxy_accounts]") {
  std::vector<AccountFacts> all;
  for (const auto& [user, host] : std::vector<std::pair<std::string, std::string>>{{"app", "%"}, {"app", "10.%"}, {"app", "10.1.2.3"}, {"", "10.1.%"}, {"", "%"}})
    all.push_back({.user = user, .host = host});
  CHECK(match(all, "app", "10.1.2.3")->name() == "app@10.1.2.3");
  CHECK(match(all, "app", "10.2.2.3")->name() == "app@10.%");
  CHECK(match(all, "app", "10.1.9.9")->name() == "@10.1.%");
  CHECK(match(all, "app", "192.0.2.1")->name() == "app@%");
  CHECK(match(all, "other", "192.0.2.1")->name() == "@%");
  CHECK(match({}, "app", "10.1.2.3") == nullptr);
  CHECK(find(all, "app@10.%") == &all[1]);
  CHECK(find(all, "app@11.%") == nullptr);
  CHECK(find(all, "") == nullptr);
}

TEST_CASE("method: one native hash on both servers needs nothing else", "[proxy_accounts]") {
  CHECK(method_of(mariadb({native('a')}), mariadb({native('a')})) == Method::relay_harvest);
  CHECK(method_of(mariadb({plugin("unix_socket"), native('a')}), mariadb({plugin("ed25519"), native('a')})) == Method::relay_harvest);
  CHECK(method_of(mariadb({native('a')}), mariadb({native('b')}), kTls) == Method::none);
  CHECK(method_of(mariadb({no_password()}), mysql({{.plugin = "caching_sha2_password", .stage2 = {}, .is_empty = true}})) == Method::relay_harvest);
  CHECK(method_of(mariadb({no_password()}), mariadb({native('a')}), kTls) == Method::none);
}

TEST_CASE("method: caching_sha2 and ed25519 are terminated where the client has TLS", "[proxy_accounts]") {
  const auto sha2 = mysql({plugin("caching_sha2_password")});
  CHECK(method_of(sha2, sha2, kTls) == Method::terminate_sha2);
  CHECK(method_of(sha2, sha2) == Method::none);
  CHECK(decide(&sha2, &sha2, {}).why.find("TLS") != std::string::npos);
  CHECK(method_of(sha2, sha2, {.client_fetches_key = true}) == Method::terminate_sha2);
  CHECK(method_of(mariadb({native('a')}), sha2, kTls) == Method::terminate_sha2);
  CHECK(method_of(mariadb({plugin("ed25519")}), mariadb({plugin("ed25519")}), kTls) == Method::terminate_sha2);
  CHECK(method_of(mariadb({plugin("parsec")}), mariadb({plugin("parsec")}), kTls) == Method::none);
}

TEST_CASE("method: what passes in the clear is taken on the way, over TLS", "[proxy_accounts]") {
  const auto pam = mariadb({plugin("pam")});
  CHECK(method_of(pam, pam, kTls) == Method::relay_harvest);
  CHECK(method_of(pam, mysql({plugin("caching_sha2_password")}), kTls) == Method::relay_harvest);
  CHECK(method_of(pam, pam) == Method::none);
  CHECK(method_of(pam, pam, {.client_has_tls = true}) == Method::none);  // the other server is reached without
}

TEST_CASE("method: a second credential where it was allowed, and only where the server can hold one", "[proxy_accounts]") {
  const auto sha2 = mysql({plugin("caching_sha2_password")});
  CHECK(method_of(sha2, sha2, kDelegating) == Method::delegated);
  CHECK(method_of(mariadb({plugin("ed25519")}), mariadb({plugin("ed25519")}), kDelegating) == Method::delegated);
  CHECK(method_of(mariadb({native('a')}), mariadb({native('b')}), kDelegating) == Method::delegated);
  CHECK(method_of(mariadb({plugin("gssapi")}), mariadb({plugin("gssapi")}), kDelegating) == Method::delegated);
  auto two = sha2;
  two.has_second_password = true;
  CHECK(method_of(sha2, two, kDelegating) == Method::none);
  CHECK(method_of(mysql({plugin("authentication_kerberos")}), mysql({plugin("authentication_kerberos")}), kDelegating) == Method::none);
}

TEST_CASE("method: the operator's file comes first, where a password helps", "[proxy_accounts]") {
  const MethodOptions with_file{.other_has_tls = true, .has_password = true};
  const auto sha2 = mysql({plugin("caching_sha2_password")});
  CHECK(method_of(sha2, sha2, with_file) == Method::file);
  CHECK(method_of(mariadb({native('a')}), mariadb({native('a')}), with_file) == Method::file);
  CHECK(method_of(mariadb({plugin("gssapi")}), mariadb({plugin("gssapi")}), with_file) == Method::none);
}

TEST_CASE("method: accounts that no proxy can move are named with the reason", "[proxy_accounts]") {
  const auto fine = mariadb({native('a')});
  const auto why = [&](const AccountFacts* here, const AccountFacts* there, const MethodOptions& options = kTls) {
    const auto decision = decide(here, there, options);
    CHECK(decision.method == Method::none);
    return decision.why;
  };
  CHECK(why(nullptr, &fine) == "this server has no such account");
  CHECK(why(&fine, nullptr) == "the other server has no such account");
  auto other = fine;
  other.is_locked = true;
  CHECK(why(&fine, &other) == "locked on the other server");
  other = fine;
  other.is_expired = true;
  CHECK(why(&other, &fine) == "its password is expired on this server");
  other = fine;
  other.tls = TlsDemand::certificate;
  CHECK(why(&fine, &other).find("X509") != std::string::npos);
  other.tls = TlsDemand::tls;
  CHECK(why(&fine, &other, {}).find("without TLS") != std::string::npos);
  CHECK(method_of(fine, other, kTls) == Method::relay_harvest);
  other = fine;
  other.needs_further_factors = true;
  CHECK(why(&fine, &other).find("factors") != std::string::npos);
  const auto socket = mariadb({plugin("unix_socket")});
  CHECK(why(&socket, &socket).find("socket") != std::string::npos);
}

TEST_CASE("passwords: as lines and as JSON", "[proxy_accounts]") {
  const auto lines = Passwords::parse("# comment\n\napp:se:cr et \r\napp@10.%:other\nempty:\n", "file");
  CHECK(lines.size() == 3);
  CHECK(lines.find("app", "%")->view() == "se:cr et ");
  CHECK(lines.find("app", "10.%")->view() == "other");
  CHECK(lines.find("empty", "%")->is_empty());
  CHECK(lines.find("nobody", "%") == nullptr);
  const auto json = Passwords::parse(R"( {"app": "s\"ecret", "a:b@%": "x"} )", "file");
  CHECK(json.find("app", "%")->view() == "s\"ecret");
  CHECK(json.find("a:b", "%")->view() == "x");
  CHECK(Passwords::parse("", "file").size() == 0);
}

TEST_CASE("passwords: what is none is refused, and not shown", "[proxy_accounts]") {
  for (const auto* text : {"secret", ":secret", R"({"app": 7})", R"({"app": {"a": "secret"}})", R"({"app": ["secret"]})", R"({"app": "secret)", R"({"app": "secret"} x)"}) {
    INFO(text);
    CHECK(code_of(text) == Code::accounts_file_unusable);
  }
}

TEST_CASE("passwords: the file must be its owner's alone", "[proxy_accounts]") {
  const auto path = std::filesystem::temp_directory_path() / ("godwit-passwords-" + std::to_string(::getpid()));
  std::ofstream(path) << "app:secret\n";
  ::chmod(path.c_str(), 0600);
  CHECK(Passwords::load(path).find("app", "%")->view() == "secret");
  for (const mode_t mode : {0640U, 0604U, 0610U}) {
    ::chmod(path.c_str(), mode);
    CHECK_THROWS_AS(Passwords::load(path), Error);
  }
  ::chmod(path.c_str(), 0600);
  std::filesystem::resize_file(path, (std::size_t{4} << 20) + 1);
  CHECK_THROWS_WITH(Passwords::load(path), Catch::Contains("larger than 4 MiB"));
  std::filesystem::remove(path);
  CHECK_THROWS_AS(Passwords::load(path), Error);
  CHECK_THROWS_AS(Passwords::load(std::filesystem::temp_directory_path()), Error);
}

TEST_CASE("delegation: a key makes another password for each account and server, and the same one again", "[proxy_accounts]") {
  const auto key = DelegationKey::of(auth::Secret(std::string(32, 'k')));
  const auto first = key.password_for("uuid", "app", "%");
  CHECK(first.view() == DelegationKey::of(auth::Secret(std::string(32, 'k'))).password_for("uuid", "app", "%").view());
  CHECK(first.view() != key.password_for("uuid", "ap", "p%").view());
  CHECK(first.view() != key.password_for("uuid2", "app", "%").view());
  CHECK(first.view() != DelegationKey::random().password_for("uuid", "app", "%").view());
  CHECK_THROWS_AS(DelegationKey::of(auth::Secret("short")), Error);
  const auto derived = DelegationKey::derived("one secret", "shop").password_for("uuid", "app", "%");
  CHECK(derived.view() == DelegationKey::derived("one secret", "shop").password_for("uuid", "app", "%").view());
  CHECK(derived.view() != DelegationKey::derived("one secret", "shops").password_for("uuid", "app", "%").view());
  CHECK(derived.view() != DelegationKey::derived("another", "shop").password_for("uuid", "app", "%").view());
  CHECK(DelegationKey::derived("", "shop").password_for("uuid", "app", "%").view() != DelegationKey::derived("", "shop").password_for("uuid", "app", "%").view());
}
