#include "godwit/util/text.h"

#include "catch.h"
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "godwit/db/dsn.h"
#include "godwit/sql/quote.h"
#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "refused.h"

#include <set>

using namespace godwit;

TEST_CASE("sizes and durations are read with their units", "[text]") {
  CHECK(parse_bytes("50MiB") == 50U * 1024 * 1024);
  CHECK(parse_bytes("64k") == 64U * 1024);
  CHECK(parse_bytes("7") == 7U);
  CHECK_FALSE(parse_bytes("many"));
  CHECK_FALSE(parse_bytes("-1"));
  CHECK(parse_duration("250ms") == std::chrono::milliseconds(250));
  CHECK(parse_duration("15m") == std::chrono::minutes(15));
  CHECK_FALSE(parse_duration("soon"));
}

TEST_CASE("figures for people carry unit and scale", "[text]") {
  CHECK(format_bytes(1536) == "1.5 KiB");
  CHECK(format_count(4218334) == "4,218,334");
  CHECK(format_count(12) == "12");
  CHECK(format_duration(std::chrono::milliseconds(850)) == "850 ms");
  CHECK(format_duration(std::chrono::seconds(125)) == "2 m 05 s");
}

TEST_CASE("the time left is told from a hundredth on, and until the estimate is reached", "[text]") {
  CHECK(time_left({.done = 250, .total = 1000, .per_s = 10}) == std::chrono::seconds(75));
  CHECK(time_left({.done = 10, .total = 1000, .per_s = 10}) == std::chrono::seconds(99));
  CHECK_FALSE(time_left({.done = 9, .total = 1000, .per_s = 10}));
  CHECK_FALSE(time_left({.done = 250, .total = 1000, .per_s = 0.5}));
  CHECK_FALSE(time_left({.done = 1001, .total = 1000, .per_s = 10}));
  CHECK_FALSE(time_left({}));
}

TEST_CASE("identifiers and literals are quoted whatever they hold", "[sql]") {
  CHECK(sql::quote_identifier("a`b") == "`a``b`");
  CHECK(sql::quote_string(std::string("it's\\\0\n", 7)) == "'it\\'s\\\\\\0\\n'");
  CHECK(sql::hex_literal(std::string("\0\xff", 2)) == "X'00FF'");
}

TEST_CASE("a DSN is printed without its password", "[dsn]") {
  const auto dsn = db::parse_dsn("mysql://u%40x:secret@[::1]:3307/my%2Fdb?ssl-mode=verify_identity&ssl-ca=/c.pem", "--source");
  CHECK(dsn.user == "u@x");
  CHECK(dsn.password == "secret");
  CHECK(dsn.host == "::1");
  CHECK(dsn.port == 3307);
  CHECK(dsn.schema == "my/db");
  CHECK(db::to_string(dsn).find("secret") == std::string::npos);
  CHECK(db::to_string(db::parse_dsn(db::to_string(dsn), "--source")) == db::to_string(dsn));
}

TEST_CASE("a DSN that cannot be taken is refused with the flag's name, never with its password", "[dsn]") {
  for (const char* text : {"host/db", "pg://u@h/d", "mysql://u:secret@h:0/d", "mysql://u:secret@h/d?x=1", "mysql://u:secret%zz@h/d"}) {
    try {
      db::parse_dsn(text, "--target");
      FAIL("taken: " << text);
    } catch (const Error& error) {
      CHECK(error.code() == Code::bad_usage);
      CHECK(error.object() == "--target");
      CHECK(std::string(error.what()).find("secret") == std::string::npos);
    }
  }
}

TEST_CASE("a DSN is refused with what is wrong in it", "[dsn]") {
  const auto cause = [](const char* text) { return refusal([&] { db::parse_dsn(text, "--source"); }).cause(); };
  CHECK(has(cause("mysql://u@h/d?ssl-mode=maybe"), "ssl-mode is none of disabled, preferred, required, verify_ca, verify_identity"));
  CHECK(has(cause("mysql://u@[::1/d"), "the IPv6 address has no closing bracket"));
  CHECK(has(cause("mysql://u@h:65536/d"), "the port is not a number from 1 to 65535"));
  db::Dsn dsn;
  const Error unread = refusal([&] { db::apply_defaults_file(dsn, "/nowhere/my.cnf"); });
  CHECK(unread.code() == Code::bad_usage);
  CHECK(unread.object() == "/nowhere/my.cnf");
  CHECK(unread.cause() == "the defaults file cannot be read");
  CHECK(unread.remedy() == "a my.cnf-style file with a [client] group, readable by this user");
}

TEST_CASE("error codes are unique, and each has an exit status of its reaction", "[error]") {
  std::set<std::string_view> ids;
  for (const auto& code : all_codes()) {
    CHECK(ids.insert(code.id).second);
    CHECK(code.id.size() == 6);
    CHECK(exit_status(code.reaction) != 0);
  }
}

TEST_CASE("an ssl-ca without an ssl-mode is asked", "[dsn]") {
  CHECK(db::parse_dsn("mysql://h/d?ssl-ca=/c.pem", "--source").ssl_mode == db::SslMode::verify_ca);
  CHECK(db::parse_dsn("mysql://h/d?ssl-ca=/c.pem&ssl-mode=required", "--source").ssl_mode == db::SslMode::required);
  const std::string text = "mysql://h:3306/d?ssl-mode=preferred&ssl-ca=/c.pem";
  CHECK(db::to_string(db::parse_dsn(text, "--source")) == text);
}

TEST_CASE("what the DSN names wins over the defaults file", "[dsn]") {
  const std::string path = "/tmp/godwit-unit-defaults-" + std::to_string(::getpid());
  std::ofstream(path) << "[mysqld]\nuser=daemon\n[client]\nuser = filed\npassword=\"of file\"\nhost=elsewhere\nport=4000\n"
                         "ssl_mode=disabled\nssl-ca=/file.pem\nsocket=/s\n";
  auto dsn = db::parse_dsn("mysql://named@h/d?ssl-mode=required", "--source");
  db::apply_defaults_file(dsn, path);
  CHECK(dsn.user == "named");
  CHECK(dsn.password == "of file");
  CHECK(dsn.host == "h");
  CHECK(dsn.socket == "");
  CHECK(dsn.port == 4000);
  CHECK(dsn.ssl_mode == db::SslMode::required);
  CHECK(dsn.ssl_ca == "/file.pem");
  auto bare = db::parse_dsn("mysql:///d", "--source");
  db::apply_defaults_file(bare, path);
  CHECK(bare.user == "filed");
  CHECK(bare.socket == "/s");
  CHECK(bare.ssl_mode == db::SslMode::disabled);
  std::filesystem::remove(path);
}
