#include "catch.h"
#include "godwit/wire/bytes.h"
#include "godwit/wire/handshake.h"
#include "godwit/wire/ok.h"

using namespace godwit;
using namespace std::string_literals;

namespace {

constexpr wire::Capabilities kMysql = wire::cap::mysql | wire::cap::protocol_41 | wire::cap::secure_connection | wire::cap::plugin_auth | wire::cap::plugin_auth_lenenc | wire::cap::connect_with_db |
                                      wire::cap::connect_attrs;
constexpr wire::Capabilities kMariadb = (kMysql & ~wire::cap::mysql) | wire::cap::cache_metadata | wire::cap::progress;
const std::string kSalt = "ABCDEFGHIJKLMNOPQRST";

wire::Greeting greeting_of(wire::Capabilities capabilities) {
  return {.version = "11.8.2-MariaDB", .connection_id = 77, .salt = kSalt, .capabilities = capabilities, .charset = 45, .status = 2, .plugin = "mysql_native_password"};
}

wire::Login login_of(wire::Capabilities capabilities) {
  wire::Login login{.capabilities = capabilities, .packet_bytes_max = 1 << 24, .charset = 45, .user = "app", .auth = "\0secret"s, .schema = "shop", .plugin = "caching_sha2_password", .attributes = {}, .zstd_level = 3};
  wire::put_attribute(login.attributes, "_client_name", "test");
  return login;
}

}  // namespace

TEST_CASE("wire: integers of every length read back as they were written", "[wire]") {
  for (const std::uint64_t value : {0ULL, 1ULL, 250ULL, 251ULL, 255ULL, 256ULL, 65535ULL, 65536ULL, 0xFFFFFFULL, 0x1000000ULL, ~0ULL}) {
    std::string bytes;
    wire::put_lenenc(bytes, value);
    wire::Input in(bytes);
    CHECK(in.lenenc() == value);
    CHECK(in.is_good());
    CHECK(in.left() == 0);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      wire::Input short_of(std::string_view(bytes).substr(0, cut));
      short_of.lenenc();
      CHECK_FALSE(short_of.is_good());
    }
  }
  wire::Input null("\xFB");
  null.lenenc();
  CHECK_FALSE(null.is_good());
}

TEST_CASE("wire: reading past the end gives nothing, and says so", "[wire]") {
  wire::Input in("\x05"s + "abc");
  CHECK(in.lenenc_string().empty());
  CHECK_FALSE(in.is_good());
  CHECK(in.u32() == 0);
  CHECK(in.rest().empty());
  wire::Input huge("\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s + "abc");
  CHECK(huge.lenenc_string().empty());
  CHECK_FALSE(huge.is_good());
  wire::Input unended("abc");
  CHECK(unended.nul_string().empty());
  CHECK_FALSE(unended.is_good());
  wire::Input rest("abc");
  CHECK(rest.nul_or_rest() == "abc");
  CHECK(rest.is_good());
}

TEST_CASE("wire: a packet of just 16 MiB less one ends with an empty frame", "[wire]") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, wire::kFrameMax - 1, wire::kFrameMax, wire::kFrameMax + 1, 2 * wire::kFrameMax}) {
    const std::string payload(size, 'x');
    std::string out;
    const std::size_t frames = size / wire::kFrameMax + 1;
    CHECK(wire::put_packet(out, 254, payload) == static_cast<std::uint8_t>(254 + frames));
    CHECK(out.size() == size + frames * wire::kHeaderBytes);
    std::string read;
    for (std::size_t at = 0, i = 0; at < out.size(); ++i) {
      const std::size_t length = wire::frame_length(out.data() + at);
      CHECK(static_cast<std::uint8_t>(out[at + 3]) == static_cast<std::uint8_t>(254 + i));
      read += out.substr(at + wire::kHeaderBytes, length);
      at += wire::kHeaderBytes + length;
    }
    CHECK(read == payload);
  }
}

TEST_CASE("wire: a greeting reads back, and cut short it is none", "[wire]") {
  for (const auto capabilities : {kMysql, kMariadb}) {
    const std::string bytes = wire::write_greeting(greeting_of(capabilities));
    const auto read = wire::read_greeting(bytes);
    REQUIRE(read);
    CHECK(read->version == "11.8.2-MariaDB");
    CHECK(read->connection_id == 77);
    CHECK(read->salt == kSalt);
    CHECK(read->capabilities == capabilities);
    CHECK(read->charset == 45);
    CHECK(read->status == 2);
    CHECK(read->plugin == "mysql_native_password");
    CHECK(wire::write_greeting(*read) == bytes);
    const std::size_t salt_ends = bytes.size() - read->plugin.size() - 2;
    for (std::size_t cut = 0; cut < salt_ends; ++cut) CHECK_FALSE(wire::read_greeting(std::string_view(bytes).substr(0, cut)));
  }
  CHECK_FALSE(wire::read_greeting("\x09"s + wire::write_greeting(greeting_of(kMysql)).substr(1)));
}

TEST_CASE("wire: MariaDB's own capabilities do not count beside MySQL's bit", "[wire]") {
  std::string bytes = wire::write_login(login_of(kMysql));
  wire::overwrite(bytes.data() + 28, 0xFFFFFFFF, 4);
  const auto login = wire::read_login(bytes);
  REQUIRE(login);
  CHECK((login->capabilities >> 32) == 0);
}

TEST_CASE("wire: a login reads back in each form of its reply", "[wire]") {
  const wire::Capabilities forms[] = {kMysql, kMariadb, kMysql & ~wire::cap::plugin_auth_lenenc, kMysql | wire::cap::zstd};
  for (const auto capabilities : forms) {
    auto login = login_of(capabilities);
    login.zstd_level = 7;
    const std::string bytes = wire::write_login(login);
    const auto read = wire::read_login(bytes);
    REQUIRE(read);
    CHECK(read->capabilities == capabilities);
    CHECK(read->packet_bytes_max == login.packet_bytes_max);
    CHECK(read->charset == 45);
    CHECK(read->user == "app");
    CHECK(read->auth == login.auth);
    CHECK(read->schema == "shop");
    CHECK(read->plugin == "caching_sha2_password");
    CHECK(read->attributes == login.attributes);
    CHECK(read->zstd_level == ((capabilities & wire::cap::zstd) != 0 ? 7 : 3));
    CHECK(wire::write_login(*read) == bytes);
  }
}

TEST_CASE("wire: a login that ends before its reply does is none; one without the last fields it announced is", "[wire]") {
  const auto login = login_of(kMysql);
  const std::string bytes = wire::write_login(login);
  const std::size_t reply_ends = 32 + login.user.size() + 1 + 1 + login.auth.size();
  for (std::size_t cut = 0; cut < reply_ends; ++cut) CHECK_FALSE(wire::read_login(std::string_view(bytes).substr(0, cut)));
  const auto read = wire::read_login(std::string_view(bytes).substr(0, reply_ends));
  REQUIRE(read);
  CHECK(read->user == "app");
  CHECK(read->schema.empty());
}

TEST_CASE("wire: a request for TLS is the head of a login, and nothing longer or without its bit is", "[wire]") {
  const auto login = login_of(kMysql);
  const std::string request = wire::write_tls_request(login);
  CHECK(request.size() == 32);
  CHECK(wire::is_tls_request(request));
  CHECK_FALSE(wire::read_login(request));
  CHECK_FALSE(wire::is_tls_request(request + 'x'));
  CHECK_FALSE(wire::is_tls_request(std::string_view(request).substr(0, 31)));
  CHECK_FALSE(wire::is_tls_request(wire::write_login(login).substr(0, 32)));
}

TEST_CASE("wire: a switch of the method reads back, the old form of before 4.1 is none", "[wire]") {
  const std::string bytes = wire::write_auth_switch({.plugin = "ed25519", .salt = kSalt + '\0'});
  const auto read = wire::read_auth_switch(bytes);
  REQUIRE(read);
  CHECK(read->plugin == "ed25519");
  CHECK(read->salt == kSalt + '\0');
  CHECK_FALSE(wire::read_auth_switch("\xFE"));
  CHECK_FALSE(wire::read_auth_switch("\x01"s + "x"));
}

TEST_CASE("wire: a change of user reads back, as far as it goes", "[wire]") {
  wire::ChangeUser change{.user = "other", .auth = "0123456789"s, .schema = "shop", .charset = 45, .plugin = "mysql_native_password", .attributes = ""};
  wire::put_attribute(*change.attributes, "a", "b");
  const std::string bytes = wire::write_change_user(change, kMysql);
  const auto read = wire::read_change_user(bytes, kMysql);
  REQUIRE(read);
  CHECK(read->user == "other");
  CHECK(read->auth == change.auth);
  CHECK(read->schema == "shop");
  CHECK(read->charset == 45);
  CHECK(read->plugin == "mysql_native_password");
  CHECK(read->attributes == change.attributes);
  CHECK(wire::write_change_user(*read, kMysql) == bytes);
  const auto old = wire::read_change_user("\x11other\0\0shop\0"s, kMysql);
  REQUIRE(old);
  CHECK(old->schema == "shop");
  CHECK_FALSE(old->charset);
  CHECK_FALSE(old->plugin);
  CHECK_FALSE(wire::read_change_user("\x11other"s, kMysql));
  CHECK_FALSE(wire::read_change_user("\x11other\0\x14short"s, kMysql));
  CHECK_FALSE(wire::read_change_user("\x10other\0\0\0"s, kMysql));
}

TEST_CASE("wire: an OK reads back with its trackers, and without them for who does not follow", "[wire]") {
  std::string variable;
  wire::put_lenenc_string(variable, "autocommit");
  wire::put_lenenc_string(variable, "OFF");
  wire::put_lenenc_string(variable, "time_zone");
  wire::put_lenenc_string(variable, "UTC");
  std::string block;
  wire::put(block, 0, 1);
  wire::put_lenenc_string(block, variable);
  wire::put(block, 5, 1);
  wire::put_lenenc_string(block, "\x08T_______");
  wire::Ok ok{.header = 0, .affected_rows = 300, .last_insert_id = 70000, .status = 3, .warnings = 1, .info = "Rows matched: 1", .trackers = block};
  const std::string bytes = wire::write_ok(ok, true);
  const auto read = wire::read_ok(bytes, true);
  REQUIRE(read);
  CHECK(read->affected_rows == 300);
  CHECK(read->last_insert_id == 70000);
  CHECK(read->status == (3 | wire::status::session_state_changed));
  CHECK(read->warnings == 1);
  CHECK(read->info == "Rows matched: 1");
  CHECK(read->trackers == block);
  for (std::size_t cut = 0; cut < 11; ++cut) CHECK_FALSE(wire::read_ok(std::string_view(bytes).substr(0, cut), true));
  const auto plain = wire::write_ok(*read, false);
  CHECK(plain.find("autocommit") == std::string::npos);
  const auto plain_read = wire::read_ok(plain, false);
  REQUIRE(plain_read);
  CHECK((plain_read->status & wire::status::session_state_changed) == 0);
  std::string seen;
  wire::for_each_tracker(block, [&](std::uint8_t kind, std::string_view data) {
    seen += std::to_string(kind) + ':';
    if (kind == 0) wire::for_each_variable(data, [&](std::string_view name, std::string_view value) { seen += std::string(name) + '=' + std::string(value) + ' '; });
  });
  CHECK(seen == "0:autocommit=OFF time_zone=UTC 5:");
}

TEST_CASE("wire: a block of trackers that is cut ends at what is whole", "[wire]") {
  const std::string block = "\x01\x05\x04shop\x02\x09\x01"s;
  int seen = 0;
  wire::for_each_tracker(block, [&](std::uint8_t, std::string_view) { ++seen; });
  CHECK(seen == 1);
}

TEST_CASE("wire: EOF and ERR, with and without a state", "[wire]") {
  const auto eof = wire::read_eof("\xFE\x01\x00\x22\x40"s);
  REQUIRE(eof);
  CHECK(eof->warnings == 1);
  CHECK(eof->status == 0x4022);
  CHECK_FALSE(wire::read_eof("\xFE\x01\x00\x22"s));
  const std::string bytes = wire::write_error({.number = 1064, .state = "42000", .text = "You have an error"});
  const auto error = wire::read_error(bytes);
  REQUIRE(error);
  CHECK(error->number == 1064);
  CHECK(error->state == "42000");
  CHECK(error->text == "You have an error");
  const auto early = wire::read_error("\xFF\x10\x04Too many connections"s);
  REQUIRE(early);
  CHECK(early->number == 1040);
  CHECK(early->state.empty());
  CHECK(early->text == "Too many connections");
  CHECK_FALSE(wire::read_error("\xFF\x10"s));
}
