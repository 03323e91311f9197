// Values, rows and JSON that no server writes, and columns that cannot be read: what is said about each.
#include <limits>

#include "binlog_events.h"
#include "godwit/binlog/json.h"
#include "godwit/binlog/rows.h"
#include "godwit/binlog/value.h"
#include "refused.h"

using namespace godwit;
using namespace godwit::binlog;
using namespace godwit::binlog::made;

namespace {

struct Described {
  ColumnType type;
  unsigned meta = 0;
  gtid::Flavour flavour = gtid::Flavour::mysql;
  ColumnFacts facts;
};

Layout layout_of(const Described& it) {
  auto table = std::make_shared<TableMap>();
  table->flavour = it.flavour;
  table->columns.push_back({.type = it.type, .meta = static_cast<std::uint16_t>(it.meta)});
  return make_layout(table, {&it.facts, 1});
}

Error refusal_of_value(const Described& it, const std::string& bytes) {
  const Layout layout = layout_of(it);
  std::string out;
  return refusal([&] { append_value(out, {.state = Cell::State::value, .bytes = bytes}, layout.columns.front()); });
}

std::string corrupt(const Error& error) {
  CHECK(error.code() == Code::event_corrupt);
  CHECK(error.object() == "binlog");
  return error.cause();
}

std::string corrupt_value(const Described& it, const std::string& bytes) { return corrupt(refusal_of_value(it, bytes)); }

std::string corrupt_json(const std::string& document) {
  std::string out;
  return corrupt(refusal([&] { append_json(out, document); }));
}

// A column that cannot be read, whatever its bytes are.
std::string unreadable(const Described& it) {
  const Error error = refusal_of_value(it, "");
  CHECK(error.code() == Code::value_unreadable);
  CHECK(error.remedy() == "SET GLOBAL binlog_row_metadata = FULL on the source, convert the column, or leave the table out");
  return error.cause();
}

struct Inserted {
  unsigned columns = 1;
  std::string present = "\xff";
  std::string rows;
};
Error refusal_of_rows(const Layout& layout, const Inserted& it) {
  const Rows event{.kind = RowsKind::insert, .column_count = it.columns, .present_after = it.present, .rows = it.rows};
  Row row;
  return refusal([&] {
    RowReader reader(layout, event);
    while (reader.next(row)) continue;
  });
}

// Documents of MySQL's binary JSON: a type, then the value.
constexpr unsigned kSmallObject = 0;
constexpr unsigned kSmallArray = 2;
constexpr unsigned kLiteral = 4;
constexpr unsigned kString = 12;
constexpr unsigned kOpaque = 15;
constexpr std::size_t kArrayHeadBytes = 7;  // count, size, and its one entry

std::string nested_arrays(unsigned depth) {
  std::string body = u16(0) + u16(4);
  for (unsigned i = 1; i < depth; ++i) body = u16(1) + u16(static_cast<unsigned>(kArrayHeadBytes + body.size())) + u8(kSmallArray) + u16(kArrayHeadBytes) + body;
  return u8(kSmallArray) + body;
}

// {"a": null}
const std::string kDocument = u8(kSmallObject) + u16(1) + u16(12) + u16(11) + u16(1) + u8(kLiteral) + u16(0) + "a";
const std::string kNull = u8(kLiteral) + u8(0);

std::string replaced(std::string_view path) { return u8(0) + short_text(path) + short_text(kNull); }
std::string inserted(std::string_view path) { return u8(1) + short_text(path) + short_text(kNull); }
std::string removed(std::string_view path) { return u8(2) + short_text(path); }

std::string after(const std::string& diffs) {
  std::string out;
  append_json_after(out, kDocument, decode_json_diffs(diffs));
  return out;
}

std::string corrupt_diff(const std::string& diffs) { return corrupt(refusal([&] { after(diffs); })); }

}  // namespace

TEST_CASE("binlog: temporals of parts that no moment has", "[binlog]") {
  constexpr std::string_view kLastMinute("\x80\x0f\xc0", 3);  // 00:63:00
  CHECK(corrupt_value({.type = ColumnType::time2}, std::string(kLastMinute)) == "a time that no clock shows");
  CHECK(corrupt_value({.type = ColumnType::datetime2}, std::string("\x80\x00\x01\xf0\x00", 5)) == "an hour that no day has");
  CHECK(corrupt_value({.type = ColumnType::datetime2}, std::string("\x7f\xff\xff\xff\xff", 5)) == "a date before the year 0");
  CHECK(corrupt_value({.type = ColumnType::date}, "\xff\xff\xff") == "a date that no calendar has");
}

TEST_CASE("binlog: numbers and strings that their column cannot hold", "[binlog]") {
  CHECK(corrupt_value({.type = ColumnType::newdecimal, .meta = 2 << 8 | 0}, "\xe4") == "a decimal of digits that are none");  // 100
  CHECK(corrupt_value({.type = ColumnType::double_number, .meta = 8}, std::string("\0\0\0\0\0\0\xf0\x7f", 8)) == "a number that is infinite or none");
  CHECK(corrupt_value({.type = ColumnType::string, .meta = 2, .facts = {.data_type = "binary"}}, "abc") == "more bytes than the column takes");
  constexpr auto kCompressed = ColumnType::blob_compressed;
  CHECK(corrupt_value({.type = kCompressed, .meta = 2}, u8(0x91) + u8(3) + deflated("abc")) == "a compressed column whose algorithm is not known");
  CHECK(corrupt_value({.type = kCompressed, .meta = 2}, u8(0x81) + u8(2) + deflated("abc")) == "a compressed part is longer than it says");
}

TEST_CASE("binlog: columns that cannot be read say why, and what to do", "[binlog]") {
  CHECK(unreadable({.type = ColumnType::blob, .meta = 5}) == "a length of 5 bytes");
  CHECK(unreadable({.type = ColumnType::set, .meta = 9}) == "a member number of 9 bytes");
  CHECK(unreadable({.type = ColumnType::datetime2, .meta = 7}) == "7 digits of a fraction");
  CHECK(unreadable({.type = ColumnType::newdecimal, .meta = 66 << 8}) == "decimal(66,0)");
  CHECK(unreadable({.type = ColumnType::bit, .meta = 9 << 8}) == "bit(72)");
  CHECK(unreadable({.type = ColumnType::datetime, .flavour = gtid::Flavour::mariadb}) == "a temporal in MariaDB's format before 10.1.2, whose precision the binlog does not say");
  CHECK(unreadable({.type = ColumnType::string, .meta = 16, .flavour = gtid::Flavour::mariadb, .facts = {.data_type = "newtype"}}) == "a newtype that travels as CHAR or BINARY");
  CHECK(unreadable({.type = ColumnType::string, .meta = 8, .flavour = gtid::Flavour::mariadb, .facts = {.data_type = "uuid"}}) == "uuid of 8 bytes");
  CHECK(unreadable({.type = ColumnType::typed_array}) == "a column of type typed_array");
  CHECK(unreadable({.type = ColumnType::decimal_old}) == "a column of type decimal_old");
}

TEST_CASE("binlog: rows that do not fit the table they are read as", "[binlog]") {
  const Layout layout = layout_of({.type = ColumnType::year});
  CHECK(corrupt(refusal_of_rows(layout, {.columns = 2, .rows = u8(0) + u8(1) + u8(2)})) == "rows of another number of columns");
  CHECK(corrupt(refusal_of_rows(layout, {.present = u8(0), .rows = u8(0)})) == "a row of no bytes");
  CHECK(corrupt(refusal_of_rows(layout, {.rows = u8(0)})) == "it ends in the middle of a field");
  const Error unknown_width = refusal_of_rows(layout_of({.type = ColumnType::typed_array}), {.rows = u8(0) + u8(1)});
  CHECK(unknown_width.code() == Code::value_unreadable);
  CHECK(unknown_width.cause() == "a column of type typed_array");
  CHECK(unknown_width.remedy() == "convert the column (ALTER TABLE … MODIFY), or leave the table out");
}

TEST_CASE("binlog: JSON documents that no server stores", "[binlog]") {
  CHECK(corrupt_json(u8(kString) + std::string(5, '\xff')) == "a JSON string whose length does not end");
  CHECK(corrupt_json(u8(13)) == "a JSON value of a type that is not known");
  CHECK(corrupt_json(u8(kLiteral) + u8(3)) == "a JSON literal that is not known");
  CHECK(corrupt_json(nested_arrays(102)) == "a JSON document nested too deeply");
  CHECK(corrupt_json(u8(kSmallArray) + u16(1) + u16(7) + u8(kSmallArray) + u16(0)) == "a JSON value inside its container's head");
  constexpr unsigned kDecimal = 246;
  CHECK(corrupt_json(u8(kOpaque) + u8(kDecimal) + short_text(u8(0) + u8(0))) == "a JSON decimal of a form that none has");
}

TEST_CASE("binlog: JSON diffs that cannot be read, or do not fit the old document", "[binlog]") {
  CHECK(after("") == R"({"a": null})");
  CHECK(after(inserted(R"($."b c")")) == R"({"a": null, "b c": null})");
  CHECK(corrupt_diff(u8(3) + short_text("$.a")) == "a JSON diff that is not known");
  for (const char* path : {"", "a", "$a", "$.", "$[x]", "$[1x]", "$[99999999999]", R"($."\q")", R"($."\u00ff")", R"($."\u00G0")"}) {
    INFO(path);
    CHECK(corrupt_diff(removed(path)) == "a JSON diff whose path cannot be read");
  }
  for (const auto& unmatched : {replaced("$.b"), inserted("$.a"), removed("$.b"), removed("$"), replaced("$[0]"), inserted("$.b.c"), inserted("$.a[0]")})
    CHECK(corrupt_diff(unmatched) == "a JSON diff that finds nothing at its path in the old document");
}
