#include "godwit/layer/tls.h"

#include "catch.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "godwit/util/error.h"
#include "refused.h"

using namespace godwit;
using namespace godwit::layer;

namespace {

// A certificate for `app.example` and its authority, made by the openssl program.
struct Files {
  Files() : folder(std::filesystem::temp_directory_path() / ("godwit-tls-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder);
    run("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem");
    run("genpkey -algorithm ED25519 -out other.key");
    run("req -newkey rsa:2048 -nodes -subj /CN=app.example -keyout key.pem -out app.csr");
    std::ofstream(folder / "ext") << "subjectAltName=DNS:app.example,IP:127.0.0.1\n";
    run("x509 -req -in app.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out cert.pem");
  }
  ~Files() { std::filesystem::remove_all(folder); }
  void run(const std::string& arguments) const {
    REQUIRE(std::system(("cd " + folder.string() + " && openssl " + arguments + " >/dev/null 2>&1").c_str()) == 0);
  }
  std::string at(const char* name) const { return (folder / name).string(); }
  TlsFiles own() const { return {.cert = at("cert.pem"), .key = at("key.pem"), .ca = {}}; }
  TlsFiles authority() const { return {.cert = {}, .key = {}, .ca = at("ca.pem")}; }
  std::filesystem::path folder;
};
const Files& files() {
  static const Files made;
  return made;
}

void carry(Tls& from, Tls& to, std::size_t step) {
  while (!from.pending().empty()) {
    const auto piece = from.pending().substr(0, step);
    to.feed(piece);
    from.consume_pending(piece.size());
  }
}

void shake(Tls& client, Tls& server, std::size_t step = 100000) {
  for (int i = 0; i < 10 && !(client.is_established() && server.is_established()); ++i) {
    client.handshake();
    carry(client, server, step);
    server.handshake();
    carry(server, client, step);
  }
  REQUIRE(client.is_established());
  REQUIRE(server.is_established());
}

std::string received(Tls& tls) {
  std::string text;
  std::array<char, 1000> piece{};
  while (const std::size_t size = tls.read(piece)) text.append(piece.data(), size);
  return text;
}

Code code_of_handshake(const TlsContext& client_context, const TlsContext& server_context, const std::string& host) {
  Tls client(client_context, host);
  Tls server(server_context);
  try {
    shake(client, server);
  } catch (const Error& error) {
    return error.code();
  }
  return Code::internal_error;
}

}  // namespace

TEST_CASE("tls: both ways, whatever pieces the bytes come in", "[layer]") {
  const auto server_context = TlsContext::self_signed();
  const auto client_context = TlsContext::client(TlsVerify::none, {});
  for (const std::size_t step : {1U, 7U, 100000U}) {
    Tls client(client_context, "localhost");
    Tls server(server_context);
    shake(client, server, step);
    std::string big(300000, 'x');
    for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 7 / 5);
    client.write("hello");
    client.write(big);
    carry(client, server, step);
    CHECK(received(server) == "hello" + big);
    server.write(big);
    carry(server, client, step);
    CHECK(received(client) == big);
    CHECK(received(client).empty());
    CHECK_FALSE(client.is_closed_by_peer());
    server.close();
    carry(server, client, step);
    CHECK(received(client).empty());
    CHECK(client.is_closed_by_peer());
  }
  CHECK(server_context.fingerprint().size() == 32);
}

TEST_CASE("tls: a connection that is moved goes on", "[layer]") {
  const auto server_context = TlsContext::self_signed();
  const auto client_context = TlsContext::client(TlsVerify::none, {});
  Tls client(client_context);
  Tls server(server_context);
  shake(client, server);
  Tls moved = std::move(client);
  moved.write("still here");
  carry(moved, server, 1000);
  CHECK(received(server) == "still here");
}

TEST_CASE("tls: a client verifies authority and name as it was told", "[layer]") {
  const auto server = TlsContext::server(files().own());
  const auto strict = TlsContext::client(TlsVerify::identity, files().authority());
  const auto lax = TlsContext::client(TlsVerify::authority, files().authority());
  CHECK(code_of_handshake(strict, server, "app.example") == Code::internal_error);  // no error
  CHECK(code_of_handshake(strict, server, "127.0.0.1") == Code::internal_error);
  CHECK(code_of_handshake(strict, server, "other.example") == Code::tls_failed);
  CHECK(code_of_handshake(strict, server, "127.0.0.2") == Code::tls_failed);
  CHECK(code_of_handshake(lax, server, "other.example") == Code::internal_error);
  CHECK(code_of_handshake(lax, TlsContext::self_signed(), "app.example") == Code::tls_failed);
  CHECK(code_of_handshake(TlsContext::client(TlsVerify::none, {}), TlsContext::self_signed(), "app.example") == Code::internal_error);
}

TEST_CASE("tls: clients' certificates are asked for where there is an authority, and one that is none of its is refused", "[layer]") {
  TlsFiles with_ca = files().own();
  with_ca.ca = files().at("ca.pem");
  const auto server_context = TlsContext::server(with_ca);
  const auto without = TlsContext::client(TlsVerify::none, {});
  const auto with = TlsContext::client(TlsVerify::none, files().own());
  const auto is_known = [&](const TlsContext& context) {
    Tls client(context);
    Tls server(server_context);
    shake(client, server);
    return server.has_peer_certificate();
  };
  CHECK_FALSE(is_known(without));
  CHECK(is_known(with));
  files().run("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=stranger -keyout stranger.key -out stranger.pem");
  const auto stranger = TlsContext::client(TlsVerify::none, {.cert = files().at("stranger.pem"), .key = files().at("stranger.key"), .ca = {}});
  CHECK(code_of_handshake(stranger, server_context, "") == Code::tls_failed);
}

TEST_CASE("tls: the second connection resumes the first one's session", "[layer]") {
  const auto server_context = TlsContext::server(files().own());
  const auto client_context = TlsContext::client(TlsVerify::identity, files().authority());
  for (int i = 0; i < 3; ++i) {
    Tls client(client_context, "app.example");
    Tls server(server_context);
    shake(client, server);
    server.write("the ticket came before this");
    carry(server, client, 1000);
    CHECK(received(client) == "the ticket came before this");
    CHECK(client.is_resumed() == (i > 0));
  }
}

TEST_CASE("tls: bytes that are none end the connection with an error and an alert, and leave no trace for the next", "[layer]") {
  const auto server_context = TlsContext::self_signed();
  const auto client_context = TlsContext::client(TlsVerify::none, {});
  Tls broken(server_context);
  broken.feed("GET / HTTP/1.1\r\n\r\n");
  CHECK_THROWS_AS(broken.handshake(), Error);
  Tls client(client_context);
  Tls server(server_context);
  shake(client, server);
  client.write("hello");
  std::string bytes(client.pending());
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  server.feed(bytes);
  CHECK_THROWS_AS(received(server), Error);
  CHECK_FALSE(server.pending().empty());
}

TEST_CASE("tls: files that cannot be used are named", "[layer]") {
  const auto object_of = [](const TlsFiles& named) {
    try {
      TlsContext::server(named);
    } catch (const Error& error) {
      CHECK(error.code() == Code::tls_files_unusable);
      return error.object();
    }
    return std::string();
  };
  CHECK(object_of({.cert = "/nowhere.pem", .key = {}, .ca = {}}) == "/nowhere.pem");
  CHECK(object_of({.cert = files().at("cert.pem"), .key = files().at("ca.key"), .ca = {}}) == files().at("ca.key"));
  CHECK(object_of({.cert = files().at("cert.pem"), .key = files().at("key.pem"), .ca = files().at("ext")}) == files().at("ext"));
  const Error other_kind = refusal([] { TlsContext::server({.cert = files().at("cert.pem"), .key = files().at("other.key"), .ca = {}}); });
  CHECK(other_kind.code() == Code::tls_files_unusable);
  CHECK(other_kind.object() == files().at("other.key"));
  CHECK(has(other_kind.cause(), "not the certificate's key: "));
}
