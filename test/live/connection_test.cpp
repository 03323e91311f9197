// servers: a=mariadb-10.11 c=mysql-9.7:--bind-address=127.0.0.1,127.0.0.2
// How a session comes about: passwords and plugins, every ssl-mode, sockets, defaults files. godwit's own connections.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "../../src/workflow/sidecar_checkpoint.h"
#include "catch.h"
#include "godwit/apply/applier.h"
#include "godwit/db/connection.h"
#include "godwit/util/error.h"
#include "live/support/process.h"
#include "live/support/servers.h"
#include "live/support/waiting.h"

using namespace godwit;
using namespace godwit::test;

namespace {

std::string servers_dir() { return std::getenv("GODWIT_SERVERS_DIR"); }

std::string ca() { return servers_dir() + "/tls/ca.pem"; }

// An authority that has signed nothing here.
std::string other_ca() {
  const std::string path = servers_dir() + "/other-ca.pem";
  if (std::filesystem::exists(path)) return path;
  const std::string command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other -keyout /dev/null -out " + path + " 2>/dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
  return path;
}

db::Connection connect(const std::string& dsn, const std::string& password) {
  db::Endpoint endpoint{.side = db::Side::source, .dsn = db::parse_dsn(dsn, "--source")};
  endpoint.dsn.password = password;
  return db::Connection::open(endpoint);
}

std::string dsn_of(const Server& server, const std::string& user, const std::string& options, const std::string& host = "127.0.0.1") {
  return "mysql://" + user + "@" + host + ":" + std::to_string(server.port()) + "/?" + options;
}

// The refusal's code name, or "connected".
std::string attempt(const std::string& dsn, const std::string& password) {
  try {
    connect(dsn, password);
    return "connected";
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(error.object().find("source 127.0.0.") == 0);
    CHECK(!error.cause().empty());
    CHECK(!error.remedy().empty());
    CHECK(std::string(error.what()).find("secret") == std::string::npos);
    return std::string(info(error.code()).name);
  }
}

// A variable of this process, for as long as this lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name), before_(std::getenv(name) != nullptr ? std::getenv(name) : "") { ::setenv(name, value.c_str(), 1); }
  ~Variable() { ::setenv(name_, before_.c_str(), 1); }
  Variable(const Variable&) = delete;

 private:
  const char* name_;
  const std::string before_;
};

void make_account(const Server& server, const std::string& account, const std::string& how) {
  Client client = server.client();
  client.execute("DROP USER IF EXISTS " + account);
  client.execute("CREATE USER " + account + " " + how);
}

}  // namespace

TEST_CASE("a caching_sha2 account connects without TLS when the server has never seen it", "[connection]") {
  const Server server("c");
  make_account(server, "sha2", "IDENTIFIED WITH caching_sha2_password BY 'secret1'");
  server.client().execute("FLUSH PRIVILEGES");  // the cache would allow the fast path
  auto first = connect(dsn_of(server, "sha2", "ssl-mode=disabled"), "secret1");
  CHECK(!first.is_tls());
  CHECK(first.scalar("SELECT CURRENT_USER()") == "sha2@%");
  auto cached = connect(dsn_of(server, "sha2", "ssl-mode=disabled"), "secret1");
  CHECK(!cached.is_tls());
}

TEST_CASE("a caching_sha2 account connects with TLS when the server has never seen it", "[connection]") {
  const Server server("c");
  make_account(server, "sha2", "IDENTIFIED WITH caching_sha2_password BY 'secret1'");
  server.client().execute("FLUSH PRIVILEGES");
  auto connection = connect(dsn_of(server, "sha2", "ssl-mode=required"), "secret1");
  CHECK(connection.is_tls());
}

TEST_CASE("an empty password and a long one connect", "[connection]") {
  const std::string longest(64, 'p');
  for (const char* name : {"a", "c"}) {
    const Server server(name);
    for (const std::string& password : {std::string(), longest}) {
      make_account(server, "any", "IDENTIFIED BY '" + password + "'");
      for (const char* mode : {"disabled", "required"}) {
        CHECK(attempt(dsn_of(server, "any", std::string("ssl-mode=") + mode), password) == "connected");
      }
    }
  }
}

TEST_CASE("a wrong password and an unknown user are refused, with and without TLS", "[connection]") {
  for (const char* name : {"a", "c"}) {
    const Server server(name);
    make_account(server, "sha2", "IDENTIFIED BY 'secret1'");
    for (const char* mode : {"disabled", "preferred", "required"}) {
      const std::string option = std::string("ssl-mode=") + mode;
      CHECK(attempt(dsn_of(server, "sha2", option), "secret2") == "access_denied");
      CHECK(attempt(dsn_of(server, "sha2", option), "") == "access_denied");
      CHECK(attempt(dsn_of(server, "nobody", option), "secret1") == "access_denied");
    }
  }
}

TEST_CASE("every ssl-mode does what its name says", "[connection]") {
  for (const char* name : {"a", "c"}) {
    const Server server(name);
    const std::string right = "&ssl-ca=" + ca();
    const std::string wrong = "&ssl-ca=" + other_ca();
    CHECK(!connect(dsn_of(server, "godwit", "ssl-mode=disabled"), "godwit").is_tls());
    for (const std::string& mode : {"preferred", "required"}) {
      CHECK(connect(dsn_of(server, "godwit", "ssl-mode=" + mode), "godwit").is_tls());
    }
    CHECK(connect(dsn_of(server, "godwit", ""), "godwit").is_tls());
    for (const std::string& mode : {"ssl-mode=required", "ssl-mode=verify_ca", "ssl-mode=verify_identity"}) {
      INFO(name << " " << mode);
      CHECK(connect(dsn_of(server, "godwit", mode + right), "godwit").is_tls());
      CHECK(attempt(dsn_of(server, "godwit", mode + wrong), "godwit") == "tls_failed");
    }
    CHECK(attempt(dsn_of(server, "godwit", "ssl-ca=" + other_ca()), "godwit") == "tls_failed");
    CHECK(attempt(dsn_of(server, "godwit", "ssl-mode=verify_identity"), "godwit") == "tls_failed");
    CHECK(attempt(dsn_of(server, "godwit", "ssl-mode=verify_ca&ssl-ca=/nowhere.pem"), "godwit") == "tls_failed");
    CHECK(attempt(dsn_of(server, "godwit", "ssl-mode=verify_ca"), "godwit") == "bad_usage");
  }
}

TEST_CASE("verify_identity alone asks the system's authorities", "[connection]") {
  const Server server("c");
  const Variable file("SSL_CERT_FILE", ca());
  CHECK(attempt(dsn_of(server, "godwit", "ssl-mode=verify_identity"), "godwit") == "connected");
  CHECK(attempt(dsn_of(server, "godwit", "ssl-mode=verify_identity", "127.0.0.2"), "godwit") == "tls_failed");
  const Variable other("SSL_CERT_FILE", other_ca());
  CHECK(attempt(dsn_of(server, "godwit", "ssl-mode=verify_identity"), "godwit") == "tls_failed");
  const Variable none("SSL_CERT_FILE", "/nowhere.pem");
  CHECK(attempt(dsn_of(server, "godwit", "ssl-mode=verify_identity"), "godwit") == "tls_failed");
}

// Whoever opens a pipe that nobody writes to waits for ever.
TEST_CASE("the system's authorities are read for who asks them, and for nobody else", "[connection]") {
  const Server source("a");
  const Server target("c");
  const std::string pipe = servers_dir() + "/authorities.pem";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  Migration migration(source, target, "nothing_here");
  const auto checked = [&](const std::string& options, std::chrono::seconds limit) {
    auto words = migration.arguments("check", {"--json"});
    for (auto& word : words) word = word.rfind("mysql://", 0) == 0 ? word + options : word;
    Process process(words, {{"SSL_CERT_FILE", pipe}, {"GODWIT_SOURCE_PASSWORD", "godwit"}, {"GODWIT_TARGET_PASSWORD", "godwit"}});
    const bool has_ended = holds_within(limit, [&] { return !process.is_running(); });
    process.signal(SIGKILL);
    return has_ended ? process.wait().out : "it reads them";
  };
  CHECK_THAT(checked("?ssl-mode=required", std::chrono::seconds(20)), Catch::Contains("nothing_here"));
  CHECK(checked("?ssl-mode=verify_identity", std::chrono::seconds(3)) == "it reads them");
}

TEST_CASE("a certificate for another host passes verify_ca and fails verify_identity", "[connection]") {
  const Server server("c");
  const std::string right = "&ssl-ca=" + ca();
  CHECK(attempt(dsn_of(server, "godwit", "ssl-mode=verify_ca" + right, "127.0.0.2"), "godwit") == "connected");
  CHECK(attempt(dsn_of(server, "godwit", "ssl-mode=verify_identity" + right, "127.0.0.2"), "godwit") == "tls_failed");
}

TEST_CASE("an account that requires TLS is reached by preferred and not by disabled", "[connection]") {
  for (const char* name : {"a", "c"}) {
    const Server server(name);
    make_account(server, "secure", "IDENTIFIED BY 'secret1' REQUIRE SSL");
    CHECK(attempt(dsn_of(server, "secure", "ssl-mode=preferred"), "secret1") == "connected");
    CHECK(attempt(dsn_of(server, "secure", "ssl-mode=disabled"), "secret1") == "access_denied");
  }
}

TEST_CASE("a socket leads to the same server", "[connection]") {
  for (const char* name : {"a", "c"}) {
    const Server server(name);
    const std::string socket = servers_dir() + "/" + name + "/socket.sock";
    for (const char* mode : {"disabled", "preferred"}) {
      auto by_socket = connect("mysql://godwit@/?socket=" + socket + "&ssl-mode=" + mode, "godwit");
      CHECK(by_socket.scalar("SELECT @@port") == std::to_string(server.port()));
    }
  }
  try {
    connect("mysql://godwit@/?socket=/nowhere.sock", "godwit");
    FAIL("connected");
  } catch (const Error& error) {
    CHECK(error.code() == Code::cannot_connect);
    CHECK(error.object() == "source /nowhere.sock");
  }
}

TEST_CASE("nobody listens: the error says so, and may be tried again", "[connection]") {
  CHECK(attempt("mysql://godwit@127.0.0.3:1/?ssl-mode=disabled", "godwit") == "cannot_connect");
  CHECK(Error(Code::cannot_connect, {.object = "a server", .cause = "it is off", .remedy = "start it"}).is_retryable());
}

TEST_CASE("nobody listens: a stream that may give up says after how many attempts, and why", "[connection]") {
  const db::Endpoint nowhere{.side = db::Side::target, .dsn = db::parse_dsn("mysql://godwit@127.0.0.3:1/?ssl-mode=disabled", "--target")};
  const std::vector<apply::TableBinding> bindings;
  workflow::SidecarCheckpoint checkpoint(gtid::Flavour::mysql, 1, 1);
  apply::ApplyProgress progress;
  const Stop stop;
  apply::Applier applier(nowhere, nowhere, bindings, {.attempts_max = 2}, checkpoint, progress, stop);
  try {
    applier.run(std::nullopt);
    FAIL("it went on");
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(error.code() == Code::retries_used_up);
    CHECK(error.object() == "target 127.0.0.3:1");
    CHECK(error.cause().find("2 attempts failed, the last with GW0101 cannot_connect") == 0);
    CHECK(error.remedy().find("the same command again") != std::string::npos);
  }
}

TEST_CASE("a defaults file gives user and password", "[connection]") {
  const Server server("a");
  db::Endpoint endpoint{.side = db::Side::source, .dsn = db::parse_dsn("mysql:///", "--source")};
  db::apply_defaults_file(endpoint.dsn, servers_dir() + "/a/client.cnf");
  CHECK(db::Connection::open(endpoint).scalar("SELECT CURRENT_USER()") == "godwit@%");
}

TEST_CASE("an account whose plugin takes no password from here is refused by name", "[connection]") {
  const Server mariadb("a");
  mariadb.client().execute("DROP USER IF EXISTS socketed");
  mariadb.client().execute("CREATE USER socketed IDENTIFIED VIA unix_socket");
  CHECK(attempt(dsn_of(mariadb, "socketed", "ssl-mode=required"), "secret1") == "access_denied");
  const Server mysql("c");
  Client client = mysql.client();
  if (client.query("SELECT 1 FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'mysql_no_login'").empty()) {
    client.execute("INSTALL PLUGIN mysql_no_login SONAME 'mysql_no_login.so'");
  }
  make_account(mysql, "closed", "IDENTIFIED WITH mysql_no_login");
  CHECK(attempt(dsn_of(mysql, "closed", "ssl-mode=required"), "secret1") == "access_denied");
}

TEST_CASE("an ed25519 account connects", "[connection]") {
  const Server server("a");
  Client client = server.client();
  client.execute("INSTALL SONAME 'auth_ed25519'");
  client.execute("CREATE OR REPLACE USER ed IDENTIFIED VIA ed25519 USING PASSWORD('secret1')");
  CHECK(attempt(dsn_of(server, "ed", "ssl-mode=required"), "secret1") == "connected");
  CHECK(attempt(dsn_of(server, "ed", "ssl-mode=required"), "secret2") == "access_denied");
  client.execute("DROP USER ed");
  client.execute("UNINSTALL SONAME 'auth_ed25519'");
}
