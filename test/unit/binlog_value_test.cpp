#include <limits>

#include "catch.h"
#include "godwit/binlog/json.h"
#include "godwit/binlog/value.h"
#include "godwit/util/error.h"

using namespace godwit;
using namespace godwit::binlog;

namespace {

std::string bytes_of(const std::string& hexadecimal) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hexadecimal.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(hexadecimal.substr(i, 2), nullptr, 16)));
  return bytes;
}

ColumnLayout layout_of(ColumnType type,
                       unsigned meta,
                       const ColumnFacts& facts = {},
                       gtid::Flavour flavour = gtid::Flavour::mysql) {
  auto table = std::make_shared<TableMap>();
  table->flavour = flavour;
  table->columns.push_back({.type = type, .meta = static_cast<std::uint16_t>(meta)});
  return make_layout(table, {&facts, 1}).columns.front();
}

std::string rendered(const ColumnLayout& column, const std::string& hexadecimal) {
  const std::string bytes = bytes_of(hexadecimal);
  std::string out;
  append_value(out, {.state = Cell::State::value, .bytes = bytes}, column);
  return out;
}

std::string number(double value) {
  std::string out;
  append_double(out, value);
  return out;
}

std::string json(const std::string& hexadecimal) {
  std::string out;
  append_json(out, bytes_of(hexadecimal));
  return out;
}

}  // namespace

TEST_CASE("doubles are printed as the servers print them", "[binlog]") {
  CHECK(number(0) == "0");
  CHECK(number(-0.0) == "-0");
  CHECK(number(0.1) == "0.1");
  CHECK(number(100) == "100");
  CHECK(number(1e14) == "100000000000000");
  CHECK(number(1e15) == "1e15");
  CHECK(number(1.5e15) == "1.5e15");
  CHECK(number(1234567890123456.7) == "1234567890123456.8");
  CHECK(number(123456789012345678.0) == "1.2345678901234568e17");
  CHECK(number(1e-15) == "0.000000000000001");
  CHECK(number(1e-16) == "1e-16");
  CHECK(number(-1.7976931348623157e308) == "-1.7976931348623157e308");
  CHECK(number(4.9e-324) == "5e-324");
  CHECK_THROWS_AS(number(std::numeric_limits<double>::infinity()), Error);
}

TEST_CASE("a negative DECIMAL borrows nothing from its sign", "[binlog]") {
  const auto column = layout_of(ColumnType::newdecimal, 10 << 8 | 2);
  CHECK(rendered(column, "8000000000") == "0.00");
  CHECK(rendered(column, "8000007b2d") == "123.45");
  CHECK(rendered(column, "7fffff84d2") == "-123.45");
  CHECK(rendered(column, "7ffffffffe") == "-0.01");
  CHECK(rendered(layout_of(ColumnType::newdecimal, 5 << 8 | 5), "804d2c").size() == 7);
  CHECK_THROWS_AS(rendered(column, "8000007b65"), Error);  // 101 hundredths
}

TEST_CASE("a negative TIME with a fraction is not off by a second", "[binlog]") {
  CHECK(rendered(layout_of(ColumnType::time2, 0), "800000") == "00:00:00");
  CHECK(rendered(layout_of(ColumnType::time2, 0), "4b9105") == "-838:59:59");
  CHECK(rendered(layout_of(ColumnType::time2, 6), "7fffffffffff") == "-00:00:00.000001");
  CHECK(rendered(layout_of(ColumnType::time2, 2), "7fffffce") == "-00:00:00.50");
  CHECK(rendered(layout_of(ColumnType::time2, 3), "8000001388") == "00:00:00.500");
}

TEST_CASE("zero and impossible dates are printed as they are stored", "[binlog]") {
  CHECK(rendered(layout_of(ColumnType::date, 0), "000000") == "0000-00-00");
  CHECK(rendered(layout_of(ColumnType::date, 0), "5fca0f") == "2021-02-31");
  CHECK(rendered(layout_of(ColumnType::datetime2, 0), "8000000000") == "0000-00-00 00:00:00");
  CHECK(rendered(layout_of(ColumnType::timestamp2, 6), "00000000000000") ==
        "0000-00-00 00:00:00.000000");
  CHECK(rendered(layout_of(ColumnType::timestamp2, 0), "00000001") == "1970-01-01 00:00:01");
  CHECK(rendered(layout_of(ColumnType::timestamp2, 0), "7fffffff") == "2038-01-19 03:14:07");
  CHECK(rendered(layout_of(ColumnType::timestamp2, 0), "38bb0000").substr(0, 4) == "2000");
  CHECK(rendered(layout_of(ColumnType::year, 0), "00") == "0000");
  CHECK_THROWS_AS(rendered(layout_of(ColumnType::date, 0), "ffffff"), Error);
}

TEST_CASE("signedness is never guessed", "[binlog]") {
  auto table = std::make_shared<TableMap>();
  table->columns.push_back({.type = ColumnType::tiny});
  CHECK(make_layout(table).columns[0].kind == ValueKind::unreadable);
  CHECK(make_layout(table, {}, Unexplained::assume).columns[0].is_signedness_guessed);
  CHECK(rendered(layout_of(ColumnType::tiny, 0, {.data_type = "tinyint"}), "ff") == "-1");
  CHECK(rendered(layout_of(ColumnType::tiny, 0, {.data_type = "tinyint", .is_unsigned = true}),
                 "ff") == "255");
  CHECK(rendered(layout_of(ColumnType::int24, 0, {.data_type = "mediumint"}), "000080") ==
        "-8388608");
  CHECK(rendered(layout_of(ColumnType::longlong, 0, {.data_type = "bigint", .is_unsigned = true}),
                 "ffffffffffffffff") == "18446744073709551615");
}

TEST_CASE("BINARY comes back to its length, CHAR without blanks", "[binlog]") {
  CHECK(rendered(layout_of(ColumnType::string, 4, {.data_type = "binary", .charset = ""}), "41") ==
        std::string("A\0\0\0", 4));
  CHECK(rendered(layout_of(ColumnType::string, 4, {.data_type = "char", .charset = "latin1"}),
                 "412020") == "A");
  CHECK(rendered(layout_of(ColumnType::string, 8, {.data_type = "char", .charset = "utf16"}),
                 "00410020") == std::string("\0A", 2));
  CHECK_THROWS_AS(
      rendered(layout_of(ColumnType::string, 2, {.data_type = "binary", .charset = ""}), "414141"),
      Error);
  CHECK(layout_of(ColumnType::string, 16, {.data_type = "newtype"}, gtid::Flavour::mariadb).kind ==
        ValueKind::unreadable);
}

TEST_CASE("old temporals of MariaDB are refused while nobody says their precision", "[binlog]") {
  CHECK(layout_of(ColumnType::datetime, 0, {}, gtid::Flavour::mariadb).width == Width::unknown);
  CHECK(layout_of(ColumnType::datetime,
                  0,
                  {.data_type = "datetime", .fraction_digits = 3},
                  gtid::Flavour::mariadb)
            .kind == ValueKind::datetime_hires);
  CHECK(rendered(layout_of(ColumnType::time, 0), "ffffff") == "-00:00:01");
}

TEST_CASE("JSON whose parts point at each other ends in an error, not in endless text",
          "[binlog]") {
  CHECK(json("") == "null");
  CHECK(json("0400") == "null");
  CHECK(json("0000000400") == "{}");
  CHECK(json("05ffff") == "-1");
  CHECK(json("0c0161") == "\"a\"");
  CHECK(json("0c021f22") == "\"\\u001f\\\"\"");
  CHECK_THROWS_AS(json("0201000700020000"), Error);  // an array that holds itself
  CHECK_THROWS_AS(json("0c05616263"), Error);
  CHECK_THROWS_AS(json("0403"), Error);
  // Each of 60 arrays holds the next one twice: 2^60 values, were nobody counting.
  std::string nested = "0403";
  std::string document;
  for (int depth = 0; depth < 60; ++depth) {
    std::string body = std::string("\x02\x00", 2);
    const auto size = static_cast<unsigned>(10 + document.size());
    body += {static_cast<char>(size & 255U), static_cast<char>(size >> 8U)};
    for (int i = 0; i < 2; ++i)
      body += std::string(1, depth == 0 ? '\x04' : '\x02') +
              (depth == 0 ? std::string("\0\0", 2) : std::string("\x0a\0", 2));
    document = body + document;
  }
  std::string out;
  CHECK_THROWS_AS(append_json(out, "\x02" + document), Error);
  CHECK(out.size() < 100'000);
}
