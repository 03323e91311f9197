// servers: a=mariadb-10.11
// What the proxy refuses by itself, and in which words: clients that break the protocol's rules, and a server that is none.
#include <string>
#include <vector>

#include "catch.h"
#include "live/support/proxy.h"
#include "live/support/rude_client.h"
#include "live/support/rude_relay.h"
#include "live/support/rude_scenes.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using std::chrono::seconds;

namespace {

constexpr int kRepliesMax = 64;  // that a client gives to a server without an end

void prepare(const Server& server) {
  server.client().script(R"(
CREATE DATABASE IF NOT EXISTS test;
CREATE OR REPLACE USER rude@'%' IDENTIFIED BY '';
CREATE OR REPLACE USER other@'%' IDENTIFIED BY '';
)");
}

// The first error, whatever comes before it.
std::string told_in_the_end(RudeClient& client) {
  for (int packets = 0; packets < kRepliesMax; ++packets) {
    const std::string words = client.told();
    if (words != "no error") return words;
  }
  return "no error";
}

// To an account without a password.
std::string change_of_user(const std::string& user) { return "\x11" + user + std::string("\0\0\0", 3) + raw::number(45, 2) + std::string("mysql_native_password\0", 22); }

std::string greeting(std::uint64_t capabilities) {
  return RawClient::packet("\x0a" + std::string("10.11.0-MariaDB\0", 16) + raw::number(7, 4) + "saltsalt" + std::string(1, '\0') + raw::number(capabilities & 0xFFFF, 2) + raw::number(45, 1) + raw::number(2, 2) +
                           raw::number(capabilities >> 16, 2) + raw::number(21, 1) + std::string(10, '\0') + "saltsaltsalt" + std::string(1, '\0') + std::string("mysql_native_password\0", 22));
}

}  // namespace

TEST_CASE("proxy_refusals: a client that breaks a rule of the protocol is told which", "[proxy_refusals]") {
  const Server server("a");
  prepare(server);
  const Proxy proxy(server, server, {.options = {"--no-tls"}});
  RudeClient client(proxy.port());
  SECTION("TLS that was not offered") {
    REQUIRE(client.packet());
    client.send_packet(raw::number(raw::kUsual | kTls, 4) + raw::number(1 << 24, 4) + raw::number(45, 1) + std::string(23, '\0'), 1);
    CHECK_THAT(client.told(), Catch::StartsWith("1105 #HY000 godwit proxy: GW1001") && Catch::Contains("[127.0.0.1]: it asks for TLS, which was not offered => let it connect without TLS"));
  }
  SECTION("a login of megabytes") {
    REQUIRE(client.packet());
    client.send(std::string("\xFF\xFF\xFF\x01", 4));
    CHECK_THAT(client.told(), Catch::Contains("GW1001") && Catch::Contains("[client 127.0.0.1:") && Catch::Contains("a packet of over 65536 bytes where none is so long => is it a client or server of MySQL's protocol?"));
  }
  SECTION("requests out of order") {
    REQUIRE(client.log_in("rude"));
    client.send_packet("\x03SELECT 1", 5);
    CHECK(client.told() == "1156 #08S01 Got packets out of order");
  }
  SECTION("a change of user that is too large to be one") {
    REQUIRE(client.log_in("rude"));
    client.send_packet(change_of_user("rude") + std::string(70'000, 'x'), 0);
    CHECK(client.told() == "1153 #08S01 Got a packet bigger than the proxy takes of this command");
  }
  SECTION("a command that is not passed on, too large to be answered") {
    REQUIRE(client.log_in("rude"));
    client.send_packet("\x12" + std::string(70'000, 'x'), 0);
    CHECK(client.told() == "1153 #08S01 Got a packet bigger than the proxy takes of this command");
  }
  CHECK(client.is_over(seconds(10)));
  RudeClient next(proxy.port());
  CHECK(next.log_in("rude"));
}

TEST_CASE("proxy_refusals: a server that is none, or lets nobody in, is named to its clients", "[proxy_refusals]") {
  const Server server("a");
  prepare(server);
  RudeRelay relay(server.port(), 1);
  const std::string name = "source 127.0.0.1:" + std::to_string(relay.port());
  const auto dsn = [&](const std::string& tls) { return "mysql://godwit@127.0.0.1:" + std::to_string(relay.port()) + "/test?ssl-mode=" + tls; };
  SECTION("in its first words") {
    const Proxy proxy(server, server, {.source_dsn = dsn("required")});
    const std::pair<std::string, std::string> cases[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "a packet of over 65536 bytes where none is so long"},
        {RawClient::packet("no greeting"), "its first packet is no greeting => is it a MySQL or MariaDB server?"},
        {RawClient::packet("\xFF" + raw::number(1129, 2) + "Host 'here' is blocked"), "1129 Host 'here' is blocked => the words are the server's own: its error log, max_connections and FLUSH HOSTS"},
        {RawClient::packet("\xFF" + raw::number(1040, 2) + "Too many connections"), "too_many_connections [" + name + "]: 1040 Too many connections => the words are the server's own"},
        {greeting(raw::kUsual), "tls_failed [" + name + "]: the server offers no TLS => give the server a certificate"}};
    for (const auto& [said, words] : cases) {
      relay.say(said);
      RudeClient client(proxy.port());
      REQUIRE(client.packet());
      client.send_packet(client.login_payload("rude", 0, "mysql_native_password"), 1);
      CHECK_THAT(client.told(), Catch::StartsWith("1105 #HY000 godwit proxy: GW") && Catch::Contains("[" + name + "]") && Catch::Contains(words));
    }
    relay.say("");
    RudeClient client(proxy.port());
    CHECK(client.log_in("rude"));
  }
  SECTION("in a login that it does not end") {
    const Proxy proxy(server, server, {.source_dsn = dsn("disabled")});
    std::string words = greeting(raw::kUsual);
    for (int i = 0; i < kRepliesMax; ++i) words += RawClient::packet("\x01more", 2);
    relay.say(words);
    RudeClient client(proxy.port());
    REQUIRE(client.packet());
    client.send_packet(client.login_payload("rude", 0, "mysql_native_password"), 1);
    for (int i = 0; i < kRepliesMax; ++i) client.send_packet("reply", 3);
    CHECK_THAT(told_in_the_end(client), Catch::Contains("GW1001") && Catch::Contains("[" + name + "]: its part of a login has no end => is it a MySQL or MariaDB server?"));
  }
}

TEST_CASE("proxy_refusals: a server that asks more of an account than is known of it is named to the admin", "[proxy_refusals]") {
  const Server server("a");
  prepare(server);
  RudeRelay relay(server.port(), 1);
  const std::string address = "127.0.0.1:" + std::to_string(relay.port());
  Proxy proxy(server, server, {.target_options = {"--target", "mysql://godwit@" + address + "/test?ssl-mode=disabled"}});
  RudeClient client(proxy.port());
  REQUIRE(client.log_in("rude"));
  relay.say(greeting(raw::kUsual) + RawClient::packet("\x01what is the second password?", 2));
  CHECK_THAT(proxy.command("WARM TO target").message,
             Catch::Contains("GW1003") && Catch::Contains("GW1006 login_unprovable [rude]: target " + address + " asks for what is not known of the account => SHOW ACCOUNTS on the proxy says what can be done"));
  relay.say("");
  CHECK_NOTHROW(proxy.must("WARM TO target"));
}

TEST_CASE("proxy_refusals: a password that is not encrypted with the proxy's key is not passed on", "[proxy_refusals]") {
  const Server server("a");
  prepare(server);
  RudeRelay relay(server.port(), 1);
  const Proxy proxy(server, server, {.options = {"--no-tls"}, .source_dsn = relay.dsn("test")});
  relay.say(greeting(raw::kUsual) + RawClient::packet("\x01\x04", 2));  // caching_sha2_password: the server does not know the account yet
  RudeClient client(proxy.port());
  REQUIRE(client.packet());
  client.send_packet(client.login_payload("rude", 0, "caching_sha2_password"), 1);
  CHECK(client.packet() == "\x01\x04");
  client.send_packet("in the clear", 3);
  CHECK(client.told() == "1045 #28000 Access denied: the password was not encrypted with the proxy's key");
}

// The two are on both sides by turns: where they are on one, its server refuses, since the account is not its own; where they are not, the proxy does.
TEST_CASE("proxy_refusals: a KILL of another account's session on the other side is refused as one of nobody's", "[proxy_refusals]") {
  const Server server("a");
  prepare(server);
  const Proxy proxy(server, server, {.options = {"--move-always"}});
  const auto login = [&](const std::string& user) { return AppClient({.port = proxy.port(), .user = user, .password = ""}); };
  AppClient victim = login("rude");
  AppClient killer = login("other");
  victim.scalar("SELECT 1");
  const auto id = std::to_string(victim.id());
  AppAnswer answer;
  CHECK(holds_within(seconds(10), [&] {
    answer = killer.ask("KILL QUERY " + id);
    CHECK((answer.error == 1094 || answer.error == 1095));
    return answer.error == 1094;
  }));
  CHECK(answer.message == "Unknown thread id: " + id);
  CHECK(victim.scalar("SELECT 1") == "1");
}
