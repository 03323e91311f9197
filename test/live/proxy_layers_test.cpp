// servers: a=mariadb-10.11:--proxy-protocol-networks=* b=mysql-9.7 c=mariadb-11.8
// The byte-transforming layers against real servers: compression of both kinds, TLS, the PROXY protocol, MariaDB's proof of its certificate.
#include <cstdlib>

#include "catch.h"
#include "godwit/auth/ed25519.h"
#include "godwit/auth/native.h"
#include "godwit/auth/tls_proof.h"
#include "godwit/layer/proxy_header.h"
#include "live/support/login_client.h"
#include "live/support/servers.h"

using namespace godwit;
using namespace godwit::test;
using layer::Compression;

namespace {

const auth::Credentials& credentials() {
  static const auth::Credentials made{.password = auth::Secret("godwit"), .has_password = true, .stage1 = {}};
  return made;
}

std::string big_text(std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; text.size() < bytes; ++i) text += std::to_string(i * 7919 % 104729);
  text.resize(bytes);
  return text;
}

void check_conversation(LoginClient& client) {
  REQUIRE(client.error().empty());
  CHECK(client.scalar("SELECT 1") == "1");
  const std::string text = big_text(3000000);
  CHECK(client.scalar("SELECT CONCAT('" + text + "', 'end')") == text + "end");
  const auto rows = client.query("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, REPEAT('row', 300) FROM n");
  REQUIRE(rows.size() == 900);
  CHECK(rows.back().substr(0, 7) == "900|row");
  CHECK(client.scalar("SELECT 2") == "2");
}

}  // namespace

TEST_CASE("compression: servers and this side understand each other, with TLS below and without", "[proxy_layers]") {
  for (const char* name : {"a", "b", "c"}) {
    const Server server(name);
    for (const auto kind : {Compression::zlib, Compression::zstd}) {
      if (server.is_mariadb() && kind == Compression::zstd) continue;  // which it does not have
      for (const bool has_tls : {true, false}) {
        INFO(server.flavour() << (kind == Compression::zlib ? " zlib" : " zstd") << (has_tls ? " TLS" : ""));
        LoginClient client(server.port(), {.user = "godwit", .credentials = &credentials(), .has_tls = has_tls, .compression = kind});
        check_conversation(client);
      }
    }
  }
}

// Why a relay with compression on one leg alone must number packets itself: when a server that compresses flushes, as it does after each result, its
// packets' number goes on from the frames'.
TEST_CASE("compression: packets inside frames are not numbered one after another, from the second result on", "[proxy_layers]") {
  const auto is_in_sequence = [](const std::vector<int>& numbers) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (numbers[i] != static_cast<int>((i + 1) % 256)) return false;
    }
    return true;
  };
  for (const char* name : {"a", "b", "c"}) {
    const Server server(name);
    for (const bool is_compressed : {false, true}) {
      INFO(server.flavour() << (is_compressed ? " compressed" : ""));
      LoginForm login{.user = "godwit", .credentials = &credentials()};
      if (is_compressed) login.compression = Compression::zlib;
      LoginClient client(server.port(), login);
      client.query("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 400) SELECT i, REPEAT('row', 300) FROM n; SELECT 2");
      CHECK(is_in_sequence(client.numbers()));
      CHECK(client.next_result() == std::vector<std::string>{"2"});
      CHECK(is_in_sequence(client.numbers()) == !is_compressed);
    }
  }
}

TEST_CASE("tls: a second connection to each server resumes the session", "[proxy_layers]") {
  for (const char* name : {"a", "b", "c"}) {
    const Server server(name);
    INFO(server.flavour());
    const LoginForm login{.user = "godwit", .credentials = &credentials()};
    {
      LoginClient first(server.port(), login);
      first.query("SELECT 1");  // the session comes with an answer
    }
    LoginClient second(server.port(), login);
    CHECK(second.wire().is_resumed());
    CHECK(second.scalar("SELECT 1") == "1");
  }
}

TEST_CASE("proxy header: MariaDB takes the address that it is told", "[proxy_layers]") {
  const Server server("a");
  const auto header = layer::make_proxy_header({.address = "192.0.2.77", .port = 40000}, {.address = "127.0.0.1", .port = 3306});
  LoginClient client(server.port(), {.user = "godwit", .credentials = &credentials(), .proxy_header = header});
  CHECK(client.scalar("SELECT USER()") == "godwit@192.0.2.77");
  const auto ipv6 = layer::make_proxy_header({.address = "2001:db8::7", .port = 40000}, {.address = "::1", .port = 3306});
  LoginClient second(server.port(), {.user = "godwit", .credentials = &credentials(), .proxy_header = ipv6});
  CHECK(second.scalar("SELECT USER()") == "godwit@2001:db8::7");
}

TEST_CASE("tls proof: what MariaDB 11.8 says of its certificate is what is computed here", "[proxy_layers]") {
  LoginClient client(Server("c").port(), {.user = "godwit", .credentials = &credentials()});
  REQUIRE(client.is_in());
  const std::string stored = auth::native_stage2(auth::native_stage1("godwit").view());
  const std::string proof = auth::tls_proof(stored, client.salt(), client.wire().peer_fingerprint());
  CHECK(client.ok_message().find(proof) != std::string::npos);
  CHECK(client.ok_message().find(auth::tls_proof(stored, client.salt(), std::string(32, 'x'))) == std::string::npos);
  LoginClient old(Server("a").port(), {.user = "godwit", .credentials = &credentials()});
  CHECK(old.ok_message().find('\1') == std::string::npos);
}

TEST_CASE("tls proof: the client of MariaDB 11.8 accepts a certificate that nobody vouches for with it, and not with a wrong one", "[proxy_layers]") {
  const std::string stage2 = auth::native_stage2(auth::native_stage1("of mine").view());
  const auto is_accepted = [](const TerminatingServer& server, const std::string& password) {
    const std::string line = std::string(GODWIT_SOURCE_DIR) + "/scripts/servers client-11.8 --protocol=tcp --host=localhost --port=" + std::to_string(server.port()) +
                             " --user=anyone --password='" + password + "' -e 'DO 1' >/dev/null 2>&1";
    return std::system(line.c_str()) == 0;
  };
  TerminatingServer proved({.has_tls = true, .native_stage2 = stage2});
  CHECK(is_accepted(proved, "of mine"));
  TerminatingServer unproved({.has_tls = true, .native_stage2 = stage2, .has_wrong_proof = true});
  CHECK_FALSE(is_accepted(unproved, "of mine"));
  TerminatingServer other({.has_tls = true, .native_stage2 = stage2});
  CHECK_FALSE(is_accepted(other, "of another"));
  TerminatingServer sha2({.has_tls = true});
  CHECK_FALSE(is_accepted(sha2, "of mine"));  // it does not even send its name to one whom it cannot come to trust
}
