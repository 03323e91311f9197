// servers: a=mariadb-10.11 b=mysql-9.7 c=mariadb-11.8
// How a proxy comes to log in without its client: each method proved by real logins, and delegated credentials that are given and taken back whoever dies.
#include <algorithm>
#include <cstdlib>
#include <functional>

#include "catch.h"
#include "godwit/accounts/delegation.h"
#include "godwit/accounts/facts.h"
#include "godwit/accounts/method.h"
#include "godwit/auth/native.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "live/support/login_client.h"
#include "live/support/row_images.h"
#include "live/support/servers.h"

using namespace godwit;
using namespace godwit::accounts;
using godwit::test::Client;
using godwit::test::LoginClient;
using godwit::test::LoginForm;
using godwit::test::Server;
using godwit::test::TerminatingServer;

namespace {

const Server& server_a() {
  static const Server server("a");
  return server;
}
const Server& server_b() {
  static const Server server("b");
  return server;
}
const Server& server_c() {
  static const Server server("c");
  return server;
}

db::Connection connection_to(const Server& server) {
  return db::Connection::open(test::endpoint_of(server));
}

// An account of one case, gone at its end.
struct Account {
  Account(const Server& on, const std::string& user_name, const std::string& identified) : server(on), user(user_name) {
    server.client().execute("DROP USER IF EXISTS " + user + "@'%'");
    server.client().execute("CREATE USER " + user + "@'%' " + identified);
  }
  ~Account() { server.client().execute("DROP USER IF EXISTS " + user + "@'%'"); }
  Account(const Account&) = delete;
  Account& operator=(const Account&) = delete;

  AccountFacts facts() const {
    auto connection = connection_to(server);
    auto all = read_accounts(connection);
    const auto* found = find(all, user + "@%");
    REQUIRE(found != nullptr);
    return *found;
  }
  // What an operator sees of it.
  std::string shown() const {
    Client client = server.client();
    if (!server.is_mariadb()) client.execute("SET SESSION print_identified_with_as_hex = 1");
    return client.scalar("SHOW CREATE USER " + user + "@'%'");
  }
  const Server& server;
  std::string user;
};

auth::Credentials with_password(std::string_view password) { return {.password = auth::Secret(password), .has_password = true, .stage1 = {}}; }

// CURRENT_USER() after a login with the password, or the server's words.
std::string login(const Server& server, const std::string& user, const auth::Credentials& credentials, bool has_tls = true, bool has_alternatives = false) {
  LoginClient client(server.port(), {.user = user, .credentials = &credentials, .has_tls = has_tls, .has_alternatives = has_alternatives, .initial_plugin = "unknown"});
  return client.is_in() ? client.scalar("SELECT CURRENT_USER()") : client.error();
}
std::string login(const Server& server, const std::string& user, std::string_view password, bool has_tls = true) {
  const auto credentials = with_password(password);
  return login(server, user, credentials, has_tls);
}
bool is_denied(const std::string& answer) { return answer.find("Access denied") != std::string::npos; }

std::string binlog_end(const Server& server) {
  Client client = server.client();
  return client.scalar(server.is_mariadb() ? "SELECT @@gtid_binlog_pos" : "SELECT @@global.gtid_executed");
}

bool has_delegation_schema(const Server& server) {
  return server.client().scalar("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '_godwit_proxy'") == "1";
}

std::string give(const Server& server, const AccountFacts& facts, const DelegationKey& key) {
  auto connection = connection_to(server);
  return std::string(Delegation(connection).give(facts, key).view());
}
std::vector<std::string> take_back_all(const Server& server) {
  auto connection = connection_to(server);
  return Delegation(connection).take_back_all();
}

void arm(const std::string& failpoint) {
  ::setenv("GODWIT_FAILPOINTS", (failpoint + "=error").c_str(), 1);
  arm_failpoints_from_environment();
  ::unsetenv("GODWIT_FAILPOINTS");
}

}  // namespace

TEST_CASE("accounts: facts of real accounts", "[proxy_accounts]") {
  const Account native(server_a(), "pa_native", "IDENTIFIED BY 'secret' REQUIRE SSL");
  const auto facts = native.facts();
  REQUIRE(facts.methods.size() == 1);
  CHECK(facts.methods[0].stage2 == auth::native_stage2(auth::native_stage1("secret").view()));
  CHECK(facts.tls == TlsDemand::tls);
  const Account expired(server_c(), "pa_expired", "IDENTIFIED BY 'secret' REQUIRE X509 PASSWORD EXPIRE ACCOUNT LOCK");
  CHECK(expired.facts().is_expired);
  CHECK(expired.facts().is_locked);
  CHECK(expired.facts().tls == TlsDemand::certificate);
  const Account empty(server_c(), "pa_empty", "IDENTIFIED BY ''");
  CHECK(empty.facts().methods.at(0).is_empty);

  const Account sha2(server_b(), "pa_sha2", "IDENTIFIED BY 'secret' REQUIRE SSL");
  CHECK(sha2.facts().methods.at(0).plugin == "caching_sha2_password");
  CHECK(sha2.facts().tls == TlsDemand::tls);
  CHECK_FALSE(sha2.facts().is_expired);
  const Account old(server_b(), "pa_old", "IDENTIFIED BY 'secret' REQUIRE SUBJECT '/CN=x' PASSWORD EXPIRE ACCOUNT LOCK");
  CHECK(old.facts().is_expired);
  CHECK(old.facts().is_locked);
  CHECK(old.facts().tls == TlsDemand::certificate);
  server_b().client().execute("ALTER USER pa_sha2@'%' IDENTIFIED BY 'second' RETAIN CURRENT PASSWORD");
  CHECK(sha2.facts().has_second_password);
}

TEST_CASE("accounts: a session's account is found by the name that the server gives it", "[proxy_accounts]") {
  for (const auto* server : {&server_a(), &server_b(), &server_c()}) {
    auto connection = connection_to(*server);
    const auto all = read_accounts(connection);
    const auto* found = find(all, connection.scalar("SELECT CURRENT_USER()"));
    REQUIRE(found != nullptr);
    CHECK(found->name() == "godwit@%");
    CHECK(match(all, "godwit", "127.0.0.1") == found);
  }
}

TEST_CASE("relay_harvest: one reply of a client gives what logs in to the other server", "[proxy_accounts]") {
  const Account here(server_a(), "pa_relay", "IDENTIFIED BY 'secret'");
  const Account there(server_c(), "pa_relay", "IDENTIFIED BY 'secret'");
  const auto facts = here.facts();
  const auto other = there.facts();
  CHECK(decide(&facts, &other, {}).method == Method::relay_harvest);
  const std::string salt = auth::make_salt();
  auto stage1 = auth::recover_stage1(auth::native_reply("secret", salt), salt, facts.methods.at(0).stage2);
  REQUIRE(stage1);
  const auth::Credentials harvested{.password = {}, .has_password = false, .stage1 = std::move(*stage1)};
  CHECK(login(server_a(), "pa_relay", harvested, false) == "pa_relay@%");
  CHECK(login(server_c(), "pa_relay", harvested) == "pa_relay@%");
}

TEST_CASE("terminate_sha2: Connector/C gives its password over TLS, over RSA, and not again when it is known", "[proxy_accounts]") {
  const auto connect = [](int port, const char* password, bool has_tls) {
    MYSQL* handle = mysql_init(nullptr);
    const my_bool enforce = has_tls ? 1 : 0;
    const my_bool verify = 0;
    mysql_options(handle, MYSQL_OPT_SSL_ENFORCE, &enforce);
    mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    const bool is_in = mysql_real_connect(handle, "127.0.0.1", "anyone", password, nullptr, static_cast<unsigned>(port), nullptr, 0) != nullptr;
    const std::string error = mysql_error(handle);
    mysql_close(handle);
    INFO(error);
    CHECK(is_in);
  };
  const auth::Secret known("secret of mine");
  for (const bool has_tls : {true, false}) {
    TerminatingServer fresh({.has_tls = has_tls});
    connect(fresh.port(), "secret of mine", has_tls);
    CHECK(fresh.password() == "secret of mine");
    CHECK(fresh.error().empty());
    TerminatingServer again({.has_tls = has_tls, .known = &known});
    connect(again.port(), "secret of mine", has_tls);
    CHECK(again.password() == "secret of mine");
    CHECK(again.steps() == 1);
    TerminatingServer changed({.has_tls = has_tls, .known = &known});
    connect(changed.port(), "changed since", has_tls);
    CHECK(changed.password() == "changed since");
    TerminatingServer empty({.has_tls = has_tls});
    connect(empty.port(), "", has_tls);
    CHECK(empty.password() == "");
  }
}

TEST_CASE("terminate_sha2: a password logs in to every method, over TLS and without", "[proxy_accounts]") {
  const Account sha2(server_b(), "pa_any", "IDENTIFIED BY 'secret'");
  const Account sha256(server_b(), "pa_old", "IDENTIFIED WITH sha256_password BY 'secret'");
  const Account native(server_a(), "pa_any", "IDENTIFIED BY 'secret'");
  server_a().client().execute("INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519'");
  const Account ed25519(server_a(), "pa_ed", "IDENTIFIED VIA ed25519 USING PASSWORD('secret')");
  for (const bool has_tls : {true, false}) {
    server_b().client().execute("FLUSH PRIVILEGES");  // forgets who has logged in: the whole password is asked for
    CHECK(login(server_b(), "pa_any", "secret", has_tls) == "pa_any@%");
    CHECK(login(server_b(), "pa_any", "secret", has_tls) == "pa_any@%");  // and now it is not
    CHECK(is_denied(login(server_b(), "pa_any", "wrong", has_tls)));
    CHECK(login(server_b(), "pa_old", "secret", has_tls) == "pa_old@%");
    CHECK(login(server_a(), "pa_any", "secret", has_tls) == "pa_any@%");
    CHECK(login(server_a(), "pa_ed", "secret", has_tls) == "pa_ed@%");
    CHECK(is_denied(login(server_a(), "pa_ed", "wrong", has_tls)));
  }
  const auto here = ed25519.facts();
  const auto there = sha2.facts();
  CHECK(decide(&here, &there, {.client_has_tls = true, .other_has_tls = true}).method == Method::terminate_sha2);
}

TEST_CASE("delegated: MariaDB's account gets a method more, and is as it was afterwards", "[proxy_accounts]") {
  server_a().client().execute("INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519'");
  const auto key = DelegationKey::random();
  for (const std::string identified : {"IDENTIFIED BY 'secret' REQUIRE SSL WITH MAX_USER_CONNECTIONS 7", "IDENTIFIED VIA ed25519 USING PASSWORD('secret')",
                                       "IDENTIFIED VIA unix_socket OR ed25519 USING PASSWORD('secret')", "IDENTIFIED VIA mysql_native_password USING 'invalid'"}) {
    INFO(identified);
    const Account account(server_a(), "pa_more", identified);
    const std::string before = account.shown();
    const std::string position = binlog_end(server_a());
    const auto facts = account.facts();
    const std::string password = give(server_a(), facts, key);
    CHECK(give(server_a(), facts, key) == password);
    const bool has_own = identified.find("invalid") == std::string::npos;
    CHECK(login(server_a(), "pa_more", with_password(password), true, true) == "pa_more@%");
    CHECK((login(server_a(), "pa_more", "secret") == "pa_more@%") == has_own);
    CHECK(is_denied(login(server_a(), "pa_more", "wrong")));
    {
      auto connection = connection_to(server_a());
      auto all = read_accounts(connection);
      CHECK(find(all, "pa_more@%")->methods.size() == facts.methods.size() + 1);
      leave_out_delegated(connection, all);
      CHECK(find(all, "pa_more@%")->methods.size() == facts.methods.size());
    }
    CHECK(take_back_all(server_a()) == std::vector<std::string>{"pa_more@%"});
    CHECK(account.shown() == before);
    CHECK(is_denied(login(server_a(), "pa_more", with_password(password), true, true)));
    CHECK((login(server_a(), "pa_more", "secret") == "pa_more@%") == has_own);
    CHECK(binlog_end(server_a()) == position);
    CHECK_FALSE(has_delegation_schema(server_a()));
  }
}

TEST_CASE("delegated: SHA1 of the password is enough, and wrong answers lead on to it", "[proxy_accounts]") {
  server_a().client().execute("INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519'");
  const Account account(server_a(), "pa_half", "IDENTIFIED VIA ed25519 USING PASSWORD('secret')");
  const std::string password = give(server_a(), account.facts(), DelegationKey::random());
  const auth::Credentials half{.password = {}, .has_password = false, .stage1 = auth::native_stage1(password)};
  CHECK(login(server_a(), "pa_half", half, true, true) == "pa_half@%");
  take_back_all(server_a());
}

TEST_CASE("delegated: MySQL's account keeps its password first, and is as it was afterwards", "[proxy_accounts]") {
  const auto key = DelegationKey::random();
  for (const std::string identified : {"IDENTIFIED BY 'secret' REQUIRE SSL WITH MAX_USER_CONNECTIONS 7 PASSWORD HISTORY 3", "IDENTIFIED WITH sha256_password BY 'secret'"}) {
    INFO(identified);
    const Account account(server_b(), "pa_more", identified);
    const std::string before = account.shown();
    const std::string position = binlog_end(server_b());
    const std::string password = give(server_b(), account.facts(), key);
    CHECK(account.shown() == before);
    CHECK(account.facts().has_second_password);
    CHECK(give(server_b(), account.facts(), key) == password);
    CHECK(login(server_b(), "pa_more", password) == "pa_more@%");
    CHECK(login(server_b(), "pa_more", "secret") == "pa_more@%");
    CHECK(is_denied(login(server_b(), "pa_more", "wrong")));
    CHECK(take_back_all(server_b()) == std::vector<std::string>{"pa_more@%"});
    CHECK(account.shown() == before);
    CHECK_FALSE(account.facts().has_second_password);
    CHECK(is_denied(login(server_b(), "pa_more", password)));
    CHECK(login(server_b(), "pa_more", "secret") == "pa_more@%");
    CHECK(binlog_end(server_b()) == position);
    CHECK_FALSE(has_delegation_schema(server_b()));
    CHECK(server_b().client().scalar("SELECT COUNT(*) FROM mysql.user WHERE User = '_godwit_scratch'") == "0");
  }
}

TEST_CASE("delegated: killed at any statement, a later run of another key finds its way, and both passwords of the account work all along", "[proxy_accounts]") {
  const bool goes_on = GENERATE(true, false);  // or takes it back at once
  for (const auto* server : {&server_b(), &server_c()}) {
    for (const std::string point : {"proxy.credential_recorded", "proxy.credential_first", "proxy.credential_given", "proxy.credential_taken"}) {
      if (server->is_mariadb() && point == "proxy.credential_first") continue;  // there it is one statement
      INFO(server->flavour() << " " << point);
      const Account account(*server, "pa_crash", "IDENTIFIED BY 'secret'");
      const std::string before = account.shown();
      const auto facts = account.facts();
      if (point == "proxy.credential_taken") {
        give(*server, facts, DelegationKey::random());
        arm(point);
        CHECK_THROWS_AS(take_back_all(*server), Error);
      } else {
        arm(point);
        CHECK_THROWS_AS(give(*server, facts, DelegationKey::random()), Error);
      }
      CHECK(login(*server, "pa_crash", "secret") == "pa_crash@%");
      if (goes_on) {
        const std::string password = give(*server, facts, DelegationKey::random());
        CHECK(login(*server, "pa_crash", with_password(password), true, true) == "pa_crash@%");
        CHECK(login(*server, "pa_crash", "secret") == "pa_crash@%");
        CHECK(take_back_all(*server).size() == 1);
      }
      take_back_all(*server);
      CHECK(account.shown() == before);
      CHECK(login(*server, "pa_crash", "secret") == "pa_crash@%");
      CHECK_FALSE(account.facts().has_second_password);
      CHECK_FALSE(has_delegation_schema(*server));
    }
  }
}

TEST_CASE("delegated: a password that was changed meanwhile stays, whether the old one was kept or not", "[proxy_accounts]") {
  for (const auto* server : {&server_b(), &server_c()}) {
    for (const std::string retain : {"", " RETAIN CURRENT PASSWORD"}) {
      if (server->is_mariadb() && !retain.empty()) continue;
      INFO(server->flavour() << retain);
      const Account account(*server, "pa_change", "IDENTIFIED BY 'secret'");
      const std::string password = give(*server, account.facts(), DelegationKey::random());
      server->client().execute("ALTER USER pa_change@'%' IDENTIFIED BY 'new one'" + retain);
      const std::string changed = account.shown();
      take_back_all(*server);
      CHECK(account.shown() == changed);
      CHECK(login(*server, "pa_change", "new one") == "pa_change@%");
      CHECK(is_denied(login(*server, "pa_change", with_password(password), true, true)));
      CHECK((login(*server, "pa_change", "secret") == "pa_change@%") == !retain.empty());
    }
  }
}

TEST_CASE("delegated: an account that was dropped meanwhile is forgotten", "[proxy_accounts]") {
  for (const auto* server : {&server_b(), &server_c()}) {
    {
      const Account account(*server, "pa_gone", "IDENTIFIED BY 'secret'");
      give(*server, account.facts(), DelegationKey::random());
    }
    CHECK(take_back_all(*server).empty());
    CHECK_FALSE(has_delegation_schema(*server));
  }
}

TEST_CASE("delegated: accounts that could not be restored are refused, untouched", "[proxy_accounts]") {
  // Why; "" where it was given.
  const auto refusal = [](const Account& account, const std::function<void(AccountFacts&)>& change = [](AccountFacts&) {}) -> std::string {
    const std::string before = account.shown();
    AccountFacts facts = account.facts();
    change(facts);
    try {
      give(account.server, facts, DelegationKey::random());
    } catch (const Error& error) {
      CHECK(account.shown() == before);
      CHECK(take_back_all(account.server).empty());
      CHECK(error.code() == Code::delegation_refused);
      CHECK(error.object() == "'" + facts.user + "'@'%'");
      CHECK(error.remedy().find("--accounts FILE") != std::string::npos);
      return error.cause();
    }
    return "";
  };
  const Account two(server_b(), "pa_two", "IDENTIFIED BY 'first'");
  server_b().client().execute("ALTER USER pa_two@'%' IDENTIFIED BY 'second' RETAIN CURRENT PASSWORD");
  CHECK(refusal(two) == "it has a second password already, which would be lost");
  CHECK(login(server_b(), "pa_two", "first") == "pa_two@%");
  const Account empty(server_b(), "pa_none", "IDENTIFIED BY ''");
  CHECK(refusal(empty) == "it has no password, and MySQL keeps no empty one as the second");
  const Account locked(server_c(), "pa_lock", "IDENTIFIED BY 'secret' ACCOUNT LOCK");
  CHECK(refusal(locked) == "it is locked");
  const Account expired(server_b(), "pa_late", "IDENTIFIED BY 'secret' PASSWORD EXPIRE");
  CHECK(refusal(expired) == "its password is expired");
  // A method for a second factor is a plugin that the server may not have: the server's word for one is all that is needed.
  const Account plain(server_b(), "pa_plain", "IDENTIFIED BY 'secret'");
  CHECK(refusal(plain, [](AccountFacts& facts) { facts.needs_further_factors = true; }) == "it is asked for further factors");
  for (const auto* server : {&server_b(), &server_c()}) {
    const Account here(*server, "pa_here", "IDENTIFIED BY 'secret'");
    CHECK(refusal(here, [](AccountFacts& facts) { facts.user = "pa_nobody"; }) == "there is no such account");
  }
  server_b().client().execute("UPDATE mysql.user SET plugin = 'authentication_ldap_simple' WHERE User = 'pa_plain'");
  CHECK(refusal(plain) == "MySQL keeps no second password for authentication_ldap_simple");
}

TEST_CASE("delegated: a credential that is the only one an account has left is not taken away", "[proxy_accounts]") {
  const Account account(server_c(), "pa_last", "IDENTIFIED BY 'secret'");
  const std::string password = give(server_c(), account.facts(), DelegationKey::random());
  Client root = server_c().client();
  root.execute("ALTER USER pa_last@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('" + password + "')");
  try {
    take_back_all(server_c());
    FAIL("it was taken away");
  } catch (const Error& error) {
    CHECK(error.code() == Code::delegation_refused);
    CHECK(error.object() == "'pa_last'@'%'");
    CHECK(error.cause() == "godwit's credential is the only one it has left");
    CHECK(error.remedy().find("ALTER USER") == 0);
  }
  CHECK(login(server_c(), "pa_last", password) == "pa_last@%");
  root.execute("ALTER USER pa_last@'%' IDENTIFIED BY 'another'");
  CHECK(take_back_all(server_c()).empty());
  CHECK(login(server_c(), "pa_last", "another") == "pa_last@%");
}

TEST_CASE("delegated: one godwit at a time, and only with a look at the accounts", "[proxy_accounts]") {
  auto first = connection_to(server_a());
  const Delegation at_work(first);
  auto second = connection_to(server_a());
  second.execute("SET SESSION max_statement_time = 0.2");  // which ends its wait for the other
  const auto refused = [](Code code, const std::string& cause, const std::string& remedy, const std::function<void()>& deed) {
    try {
      deed();
      FAIL("it went on");
    } catch (const Error& error) {
      INFO(error.what());
      CHECK(error.code() == code);
      CHECK(error.object().find("source 127.0.0.1") == 0);
      CHECK(error.cause() == cause);
      CHECK(error.remedy() == remedy);
    }
  };
  refused(Code::lock_contention, "another godwit changes delegated credentials", "again, when it is done", [&] { const Delegation too(second); });
  for (const auto* server : {&server_a(), &server_b()}) {
    const Account poor(*server, "pa_poor", "IDENTIFIED BY 'secret'");
    db::Endpoint endpoint = test::endpoint_of(*server);
    endpoint.dsn.user = "pa_poor";
    endpoint.dsn.password = "secret";
    auto connection = db::Connection::open(endpoint);
    refused(Code::privilege_missing, "the account may not read the accounts' methods", "GRANT SELECT ON mysql.* TO the account", [&] { read_accounts(connection); });
  }
}

TEST_CASE("delegated: an error shows neither password nor hash", "[proxy_accounts]") {
  const Account account(server_b(), "pa_policy", "IDENTIFIED BY 'secret'");
  Client root = server_b().client();
  root.execute("INSTALL COMPONENT 'file://component_validate_password'");
  root.execute("SET GLOBAL validate_password.length = 200");
  try {
    give(server_b(), account.facts(), DelegationKey::random());
    FAIL("the server's policy wants 200 characters");
  } catch (const Error& error) {
    INFO(error.cause());
    CHECK(error.cause().find("policy") != std::string::npos);
    CHECK(error.cause().find("Gw1-") == std::string::npos);
  }
  root.execute("UNINSTALL COMPONENT 'file://component_validate_password'");
  CHECK(take_back_all(server_b()).empty());
}
