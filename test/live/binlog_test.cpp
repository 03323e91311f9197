// servers: a=mariadb-10.11 c=mysql-9.7 e=mariadb-11.8 f=mariadb-10.5
// Rows that come out of the stream are, byte for byte, what the server itself selects of them.
#include <algorithm>

#include "catch.h"
#include "godwit/binlog/json.h"
#include "godwit/util/error.h"
#include "live/fixtures/fidelity.h"
#include "live/support/compare.h"
#include "live/support/row_images.h"

using namespace godwit;
using namespace godwit::test;

namespace {

struct Fixture {
  explicit Fixture(const std::string& name) : server(name), client(server.client()) {
    client.execute("DROP DATABASE IF EXISTS fidelity");
    client.execute("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'");
  }
  ~Fixture() { client.execute("DROP DATABASE IF EXISTS fidelity"); }

  // A table of its own in the schema, for a test that needs no more.
  void make_table(const std::string& definition) {
    client.execute("CREATE DATABASE fidelity CHARACTER SET utf8mb4");
    client.execute("CREATE TABLE fidelity.t (" + definition + ")");
  }
  TableRows rows() const { return selected(server, "fidelity", {"t"}).at("t"); }

  Server server;
  Client client;
};

// A global setting for the time of a test; sessions opened meanwhile have it too.
struct GlobalSetting {
  GlobalSetting(Client& c, std::string n, const std::string& value)
      : client(c), name(std::move(n)), old(c.scalar("SELECT @@GLOBAL." + name)) {
    client.execute("SET GLOBAL " + name + " = " + value);
  }
  ~GlobalSetting() {
    const bool is_number = old.find_first_not_of("0123456789") == std::string::npos;
    client.execute("SET GLOBAL " + name + " = " + (is_number ? old : literal(old)));
  }
  Client& client;
  std::string name;
  std::string old;
};

void check_rows(const std::map<std::string, TableRows>& logged,
                const std::string& table,
                const TableRows& rows) {
  INFO(table);
  const auto found = logged.find(table);
  CHECK(difference(found == logged.end() ? TableRows{} : found->second, rows) == "");
}

std::map<std::string, TableRows> all_selected(Fixture& it) {
  return selected(it.server, "fidelity", tables_of(it.client, "fidelity"));
}

// Some tables' rows are moved to another key, so that an update has an image before and one after of every value.
const char* const kMovable[] = {
    "numbers", "temporals", "texts", "members", "shapes", "generated_columns", "invisible_columns"};
const char* const kMovableMysql[] = {"documents", "vectors"};
const char* const kMovableMariadb[] = {"addresses", "packed"};

std::vector<std::string> movable(Fixture& it) {
  std::vector<std::string> wanted(std::begin(kMovable), std::end(kMovable));
  wanted.insert(wanted.end(), std::begin(kMovableMysql), std::end(kMovableMysql));
  wanted.insert(wanted.end(), std::begin(kMovableMariadb), std::end(kMovableMariadb));
  const auto there = tables_of(it.client, "fidelity");
  wanted.erase(
      std::remove_if(wanted.begin(),
                     wanted.end(),
                     [&](const auto& t) { return std::count(there.begin(), there.end(), t) == 0; }),
      wanted.end());
  return wanted;
}

// Inserts, updates and deletes of every type; what each logs is what was selected before and after.
Changes check_fidelity(const std::string& name,
                       const std::vector<std::string>& settings,
                       const ReadOptions& options = {}) {
  Fixture it(name);
  INFO(it.server.flavour());
  for (const auto& setting : settings) it.client.execute(setting);
  const auto start = position_of(it.server);
  load_fidelity(it.client, it.server.flavour());
  const auto rows = all_selected(it);
  const auto inserts = read_changes(it.server, start, "fidelity", options);
  for (const auto& [table, expected] : rows) check_rows(inserts.inserted, table, expected);

  const auto loaded = position_of(it.server);
  for (const auto& table : movable(it))
    it.client.execute("UPDATE fidelity." + quoted(table) + " SET id = id + 1000 ORDER BY id DESC");
  const auto moved = all_selected(it);
  const auto updates = read_changes(it.server, loaded, "fidelity", options);
  for (const auto& table : movable(it)) {
    check_rows(updates.before, table, rows.at(table));
    check_rows(updates.after, table, moved.at(table));
  }

  const auto updated = position_of(it.server);
  it.client.execute("SET foreign_key_checks = 0");
  for (const auto& [table, expected] : moved)
    it.client.execute("DELETE FROM fidelity." + quoted(table));
  const auto deletes = read_changes(it.server, updated, "fidelity", options);
  for (const auto& [table, expected] : moved) check_rows(deletes.before, table, expected);
  return inserts;
}

}  // namespace

TEST_CASE("logged rows of every type are what the server selects: MariaDB 10.11", "[binlog]") {
  check_fidelity("a", {});
}
TEST_CASE("logged rows of every type are what the server selects: MariaDB 11.8", "[binlog]") {
  check_fidelity("e", {});
}
TEST_CASE("logged rows of every type are what the server selects: MariaDB 10.5", "[binlog]") {
  check_fidelity("f", {});
}
TEST_CASE("logged rows of every type are what the server selects: MySQL 9.7", "[binlog]") {
  check_fidelity("c", {});
}
TEST_CASE("on MySQL the table map alone says all that reading needs", "[binlog]") {
  check_fidelity("c", {}, {.has_facts = false});
}

TEST_CASE("a compressed transaction holds the same rows", "[binlog]") {
  const auto changes = check_fidelity("c", {"SET SESSION binlog_transaction_compression = ON"});
  CHECK(changes.types.count(binlog::EventType::transaction_payload) == 1);
}

TEST_CASE("compressed events of MariaDB hold the same rows", "[binlog]") {
  Client client = Server("a").client();
  const GlobalSetting compress(client, "log_bin_compress", "1");
  const GlobalSetting length(client, "log_bin_compress_min_len", "10");
  const auto changes = check_fidelity("a", {}, {.has_statements = true});
  CHECK(changes.types.count(binlog::EventType::write_rows_compressed_v1) == 1);
  CHECK(changes.types.count(binlog::EventType::query_compressed) == 1);
  CHECK(changes.types.count(binlog::EventType::annotate_rows) == 1);
}

TEST_CASE("full metadata of MariaDB does not change what is read", "[binlog]") {
  Client client = Server("e").client();
  const GlobalSetting metadata(client, "binlog_row_metadata", "FULL");
  check_fidelity("e", {});
}

TEST_CASE("full metadata names columns, members and the primary key", "[binlog]") {
  for (const char* name : {"a", "c", "e"}) {
    Fixture it(name);
    INFO(it.server.flavour());
    const GlobalSetting metadata(it.client, "binlog_row_metadata", "FULL");
    it.make_table(
        "a INT, y YEAR, b TINYINT UNSIGNED, e ENUM('x','y') CHARACTER SET latin1, s SET('p','q'), "
        "c CHAR(3) CHARACTER SET latin1, "
        "d BINARY(3), u BIGINT UNSIGNED, v VARCHAR(9) CHARACTER SET ucs2 COLLATE ucs2_general_ci, "
        "t TEXT, p POINT, m DECIMAL(5,2) UNSIGNED, PRIMARY KEY (u, v(2))");
    const auto start = position_of(it.server);
    it.client.execute("INSERT INTO fidelity.t (b, u, v) VALUES (200, 18446744073709551615, 'x')");
    std::shared_ptr<const binlog::TableMap> table;
    binlog::Stream stream(endpoint_of(it.server), {.from = start, .is_endless = false});
    while (const auto* event = stream.next()) {
      if (const auto* mapped = event->as<binlog::TableMapped>()) table = mapped->table;
    }
    REQUIRE(table);
    REQUIRE(table->columns.size() == 12);
    CHECK(table->columns[0].name == "a");
    CHECK(table->columns[11].name == "m");
    CHECK(table->columns[0].is_unsigned == false);
    CHECK(table->columns[2].is_unsigned == true);
    CHECK(table->columns[7].is_unsigned == true);
    CHECK(table->columns[11].is_unsigned == true);
    CHECK(table->columns[3].members == std::vector<std::string>{"x", "y"});
    CHECK(table->columns[4].members == std::vector<std::string>{"p", "q"});
    CHECK(table->columns[3].collation == 8U);
    CHECK(table->columns[5].collation == 8U);
    CHECK(table->columns[6].collation == 63U);
    CHECK(table->columns[8].collation == 35U);
    CHECK(table->columns[10].geometry_type == 1U);
    REQUIRE(table->primary_key.size() == 2);
    CHECK(table->primary_key[0].column == 7);
    CHECK(table->primary_key[1].column == 8);
    CHECK(table->primary_key[1].prefix_length == 2);
  }
}

TEST_CASE("without checksums everything is read alike", "[binlog]") {
  Client client = Server("c").client();
  const GlobalSetting none(client, "binlog_checksum", "NONE");
  check_fidelity("c", {});
}

TEST_CASE("a stream goes on where checksums are switched on and off in between", "[binlog]") {
  for (const char* name : {"a", "c"}) {
    Fixture it(name);
    it.make_table("id INT PRIMARY KEY");
    const auto start = position_of(it.server);
    it.client.execute("INSERT INTO fidelity.t VALUES (1)");
    {
      const GlobalSetting none(it.client, "binlog_checksum", "NONE");
      it.client.execute("INSERT INTO fidelity.t VALUES (2)");
    }
    it.client.execute("INSERT INTO fidelity.t VALUES (3)");
    check_rows(read_changes(it.server, start, "fidelity").inserted, "t", it.rows());
  }
}

TEST_CASE("a minimal image leaves out what did not change, and that is not NULL", "[binlog]") {
  for (const char* name : {"a", "c", "e", "f"}) {
    Fixture it(name);
    INFO(it.server.flavour());
    it.make_table("id INT PRIMARY KEY, a INT, b TEXT, c VARCHAR(9) DEFAULT 'c'");
    it.client.execute("INSERT INTO fidelity.t VALUES (1, 2, 'b', 'c')");
    it.client.execute("SET SESSION binlog_row_image = MINIMAL");
    const auto start = position_of(it.server);
    it.client.execute("UPDATE fidelity.t SET a = NULL");
    it.client.execute("DELETE FROM fidelity.t");
    const auto changes = read_changes(it.server, start, "fidelity");
    CHECK(changes.before.at("t") == TableRows{{"=1", "(absent)", "(absent)", "(absent)"},
                                              {"=1", "(absent)", "(absent)", "(absent)"}});
    CHECK(changes.after.at("t") == TableRows{{"(absent)", "NULL", "(absent)", "(absent)"}});
  }
}

TEST_CASE("an image without blobs leaves them out unless they changed", "[binlog]") {
  for (const char* name : {"a", "c"}) {
    Fixture it(name);
    it.make_table("id INT PRIMARY KEY, a INT, b TEXT");
    it.client.execute("INSERT INTO fidelity.t VALUES (1, 2, 'b')");
    it.client.execute("SET SESSION binlog_row_image = NOBLOB");
    const auto start = position_of(it.server);
    it.client.execute("UPDATE fidelity.t SET a = 3");
    it.client.execute("UPDATE fidelity.t SET b = 'c'");
    const auto changes = read_changes(it.server, start, "fidelity");
    CHECK(changes.after.at("t") == TableRows{{"=1", "=3", "(absent)"}, {"=1", "=3", "=c"}});
  }
}

TEST_CASE("an event of more than 16 MiB is one event", "[binlog]") {
  for (const char* name : {"a", "c"}) {
    Fixture it(name);
    it.make_table("id INT PRIMARY KEY, b LONGTEXT");
    const auto start = position_of(it.server);
    it.client.execute(
        "INSERT INTO fidelity.t VALUES (1, REPEAT('0123456789abcdef', 1310720)), (2, 'small')");
    const auto changes = read_changes(it.server, start, "fidelity");
    check_rows(changes.inserted, "t", it.rows());
  }
}

// --- JSON ---------------------------------------------------------------------------------------------------------

namespace {

// Documents that use every form of the binary one; large ones, too.
const char* const kDocuments[] = {
    "JSON_OBJECT()",
    "JSON_ARRAY()",
    "CAST('null' AS JSON)",
    "CAST('[true,false,null,0,-1,1,127,128,-128,-129,32767,32768,-32768,-32769,65535,65536,"
    "2147483647,2147483648,-2147483648,-2147483649,4294967295,4294967296,9223372036854775807,-"
    "9223372036854775808,18446744073709551615]' AS JSON)",
    "JSON_ARRAY(0e0, -0e0, 1e0, -1.5e0, 0.1e0, 1e15, 1e16, 123456789012345678e0, 1e-14, 1e-15, "
    "1e-16, 1.7976931348623157e308, 4.9e-324, 1234567890123456.7e0)",
    "JSON_ARRAY(1.0, 1.50, -0.01, "
    "99999999999999999999999999999999999.999999999999999999999999999999, CAST(5 AS DECIMAL(10,0)), "
    "0.000)",
    "JSON_ARRAY(CAST('2020-01-02 03:04:05.000006' AS DATETIME(6)), CAST('0000-00-00' AS DATE), "
    "CAST('9999-12-31' AS DATE), CAST('-838:59:59' AS TIME), CAST('-00:00:00.5' AS TIME(1)), "
    "CAST('12:00:00' AS TIME), TIMESTAMP'2020-01-01 00:00:00')",
    "JSON_ARRAY(CAST(X'00ff' AS BINARY), CAST(REPEAT(X'41', 200) AS BINARY), CAST('' AS BINARY), "
    "b'101', X'01')",
    "JSON_ARRAY('', 'plain', '\"\\\\/', CONCAT(CHAR(1), CHAR(8), CHAR(9), CHAR(10), CHAR(12), "
    "CHAR(13), CHAR(31), CHAR(127)), 'é日😀', REPEAT('x', 127), REPEAT('x', 128), REPEAT('y', "
    "20000))",
    "JSON_OBJECT('b', 1, 'a', 2, 'aa', 3, '', 4, 'é', 5, 'with \"quotes\"', 6, 'B', 7)",
    "JSON_OBJECT('big', REPEAT('z', 70000), 'n', 70000, 'i', 2147483648, 'k', JSON_ARRAY(70000, "
    "-70000, 1, NULL))",
    "CAST(CONCAT(REPEAT('[', 90), REPEAT(']', 90)) AS JSON)",
    "CAST('\"just text\"' AS JSON)",
    "CAST('1.0' AS JSON)",
    "CAST('12345678901234567890123' AS JSON)",
    "JSON_ARRAY(ST_AsGeoJSON(ST_GeomFromText('POINT(1 2)')), YEAR('2020-01-01'))",
};

}  // namespace

TEST_CASE("JSON is printed as MySQL prints it, whatever is in it", "[binlog]") {
  Fixture it("c");
  it.make_table("id INT PRIMARY KEY, j JSON");
  const auto start = position_of(it.server);
  int id = 0;
  for (const char* document : kDocuments)
    it.client.execute("INSERT INTO fidelity.t VALUES (" + std::to_string(id++) + ", " + document +
                      ")");
  check_rows(read_changes(it.server, start, "fidelity").inserted, "t", it.rows());
}

TEST_CASE("partial JSON updates end in the documents that the server has", "[binlog]") {
  for (const char* image : {"FULL", "NOBLOB"}) {
    Fixture it("c");
    it.make_table("id INT PRIMARY KEY, i JSON, j JSON, n INT, k JSON");
    it.client.execute(std::string("SET SESSION binlog_row_image = ") + image +
                      ", binlog_row_value_options = PARTIAL_JSON");
    const std::string document =
        R"('{"a": [1, 2, {"b": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}], "with \\"quote\\"": {"x y": 1.5}, "zz": null, "long": "0123456789012345678901234567890123456789"}')";
    it.client.execute("INSERT INTO fidelity.t VALUES (1, " + document + ", " + document +
                      ", 1, NULL), (2, " + document + ", NULL, 2, " + document + ")");
    const auto start = position_of(it.server);
    const auto before = it.rows();
    const auto update = [&](const std::string& set) {
      const auto from = position_of(it.server);
      it.client.execute("UPDATE fidelity.t SET n = n + 1, " + set);
      const auto changes = read_changes(it.server, from, "fidelity");
      INFO(set);
      if (std::string(image) == "FULL") {
        check_rows(changes.after, "t", it.rows());
      } else {
        CHECK(changes.after.at("t").size() == 2);
      }
      return changes;
    };
    if (std::string(image) == "FULL") {
      int diffs = 0;
      diffs += update(R"(j = JSON_SET(j, '$.a[2].b', 'y'))").json_diffs;
      diffs +=
          update(R"(j = JSON_SET(j, '$.new', 1, '$."other new"', JSON_ARRAY(1, 2)))").json_diffs;
      diffs += update(R"(j = JSON_REMOVE(j, '$.a[0]', '$.zz'))").json_diffs;
      diffs +=
          update(R"(j = JSON_ARRAY_INSERT(j, '$.a[1]', CAST('{"deep": [1]}' AS JSON)))").json_diffs;
      diffs += update(R"(j = JSON_SET(j, '$."with \\"quote\\""."x y"', 2.50))").json_diffs;
      diffs +=
          update(R"(i = JSON_REPLACE(i, '$.a', 7), k = JSON_SET(k, '$.a[0]', 'k'))").json_diffs;
      diffs += update(R"(j = JSON_ARRAY_APPEND(j, '$.a', 8))").json_diffs;
      CHECK(diffs >= 10);
    } else {
      // Of three JSON columns the middle one is in the image: the bitmap of partial ones must be read in step.
      update(R"(k = JSON_SET(k, '$.a[0]', 'k'))");
      CHECK(update("n = n").types.count(binlog::EventType::partial_update_rows) <= 1);
    }
  }
}

TEST_CASE("a partial JSON update in a minimal image says which column it changes", "[binlog]") {
  Fixture it("c");
  it.make_table("id INT PRIMARY KEY, i JSON, j JSON, k JSON");
  it.client.execute(
      "INSERT INTO fidelity.t VALUES (1, '[1]', '[1, "
      "\"0123456789012345678901234567890123456789\"]', '[1]')");
  it.client.execute(
      "SET SESSION binlog_row_image = MINIMAL, binlog_row_value_options = PARTIAL_JSON");
  const auto start = position_of(it.server);
  it.client.execute("UPDATE fidelity.t SET j = JSON_SET(j, '$[0]', 2), k = '[1, 2, 3]'");
  binlog::Stream stream(endpoint_of(it.server), {.from = start, .is_endless = false});
  bool was_seen = false;
  while (const auto* event = stream.next()) {
    const auto* rows = event->as<binlog::Rows>();
    if (rows == nullptr) continue;
    CHECK(rows->is_partial);
    const auto layout = binlog::make_layout(rows->table);
    binlog::RowReader reader(layout, *rows);
    binlog::Row row;
    REQUIRE(reader.next(row));
    CHECK(row.after[1].state == binlog::Cell::State::absent);
    REQUIRE(row.after[2].state == binlog::Cell::State::json_diff);
    CHECK(row.after[3].state == binlog::Cell::State::value);
    const auto diffs = binlog::decode_json_diffs(row.after[2].bytes);
    REQUIRE(diffs.size() == 1);
    CHECK(diffs[0].operation == binlog::JsonDiff::Operation::replace);
    CHECK(diffs[0].path == "$[0]");
    std::string value;
    binlog::append_json(value, diffs[0].value);
    CHECK(value == "2");
    CHECK_FALSE(reader.next(row));
    was_seen = true;
  }
  CHECK(was_seen);
}

// --- Types of one flavour -----------------------------------------------------------------------------------------

TEST_CASE("MariaDB's UUIDs and addresses are read as it prints them, of every version",
          "[binlog]") {
  for (const char* name : {"a", "e"}) {
    Fixture it(name);
    it.make_table("id INT PRIMARY KEY AUTO_INCREMENT, u UUID, a INET6, b INET4");
    const auto start = position_of(it.server);
    for (const char* version : {"0", "1", "4", "5", "6", "7", "8", "f"}) {
      for (const char* variant : {"0", "8", "b", "c", "f"}) {
        it.client.execute(std::string("INSERT INTO fidelity.t (u) VALUES ('12345678-9abc-") +
                          version + "ef0-" + variant + "123-456789abcdef')");
        it.client.execute(std::string("INSERT INTO fidelity.t (u) VALUES ('00000000-0000-") +
                          version + "000-" + variant + "000-000000000000')");
      }
    }
    for (const char* address : {"::",
                                "::1",
                                "1::",
                                "::1.2.3.4",
                                "::ffff:1.2.3.4",
                                "::ffff:0.0.0.0",
                                "1:0:0:2::",
                                "1:0:2:0:0:3:0:4",
                                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                "2001:db8::ff00:42:8329",
                                "0:0:0:0:1::",
                                "::1:0:0:0",
                                "::ff",
                                "::1:2",
                                "1:2:3:4:5:6:7:0",
                                "1:0:2:3:4:0:6:7",
                                "0:2:3:4:5:6:7:8",
                                "0:1:2:3:4:5:6:7",
                                "::fffe:1.2.3.4",
                                "1:0:0:0:0:0:0:1",
                                "64:ff9b::1.2.3.4"}) {
      it.client.execute(std::string("INSERT INTO fidelity.t (a) VALUES ('") + address + "')");
    }
    for (const char* address : {"0.0.0.0", "255.255.255.255", "1.2.3.0"})
      it.client.execute(std::string("INSERT INTO fidelity.t (b) VALUES ('") + address + "')");
    check_rows(read_changes(it.server, start, "fidelity").inserted, "t", it.rows());
  }
}

TEST_CASE("MariaDB's older temporals are read, with a fraction and without", "[binlog]") {
  for (const char* name : {"a", "e", "f"}) {
    Fixture it(name);
    const GlobalSetting format(it.client, "mysql56_temporal_format", "0");
    std::string columns = "id INT PRIMARY KEY AUTO_INCREMENT";
    for (int digits = 0; digits <= 6; ++digits) {
      const std::string d = std::to_string(digits);
      columns += ", t" + d + " TIME(" + d + "), d" + d + " DATETIME(" + d + "), s" + d +
                 " TIMESTAMP(" + d + ") NULL";
    }
    it.make_table(columns);
    const auto start = position_of(it.server);
    const auto insert = [&](const std::string& t, const std::string& d, const std::string& s) {
      std::string values = "NULL";
      for (int digits = 0; digits <= 6; ++digits)
        values += ", '" + t + "', '" + d + "', '" + s + "'";
      it.client.execute("INSERT INTO fidelity.t VALUES (" + values + ")");
    };
    insert("-838:59:58.999999", "9999-12-31 23:59:58.999999", "2038-01-19 03:14:06.999999");
    insert("838:59:58.123456", "1000-01-01 00:00:00.000001", "1970-01-01 00:00:01.000001");
    insert("-00:00:00.000001", "0000-00-00 00:00:00", "2001-02-03 04:05:06.789012");
    insert("00:00:00", "2021-02-31 01:02:03.5", "0000-00-00 00:00:00");
    insert("-10:11:12.5", "2020-00-01 12:13:14", "2000-02-29 23:59:59");
    check_rows(read_changes(it.server, start, "fidelity").inserted, "t", it.rows());
  }
}

TEST_CASE(
    "fixed-length text in wide character sets comes without its blanks, BINARY with its zeros",
    "[binlog]") {
  for (const char* name : {"a", "c", "e"}) {
    Fixture it(name);
    it.make_table(
        "id INT PRIMARY KEY, a CHAR(5) CHARACTER SET utf16, b CHAR(5) CHARACTER SET utf32, c "
        "CHAR(5) CHARACTER SET ucs2, d CHAR(5) CHARACTER SET utf16le, "
        "e CHAR(200) CHARACTER SET utf8mb4, f BINARY(5), g BINARY(255), h CHAR(0), i "
        "VARBINARY(300), j CHAR(5) CHARACTER SET latin1 COLLATE latin1_bin, k VARCHAR(255), l "
        "VARCHAR(64) CHARACTER SET utf8mb4");
    const auto start = position_of(it.server);
    it.client.execute(
        "INSERT INTO fidelity.t VALUES (1, 'a', 'b', 'c', 'd', 'e', 'f', 'g', '', 'i', 'j', 'k', "
        "'l'), (2, '', '', '', '', '', '', '', '', '', '', '', ''), "
        "(3, 'a b  ', ' b', 'c\tc', 'dd', REPEAT('😀', 200), X'0001000200', X'00', '', REPEAT('x', "
        "300), ' j', 'k  ', 'l  '), "
        "(4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)");
    check_rows(read_changes(it.server, start, "fidelity").inserted, "t", it.rows());
  }
}

TEST_CASE("time stamps after 2038 are read where the server has them", "[binlog]") {
  Fixture it("e");
  it.make_table("id INT PRIMARY KEY, a TIMESTAMP NULL, b TIMESTAMP(6) NULL");
  const auto start = position_of(it.server);
  it.client.execute(
      "INSERT INTO fidelity.t VALUES (1, '2106-02-07 06:28:15', '2106-02-07 06:28:15.999999'), (2, "
      "'2038-01-19 03:14:08', '2040-02-29 00:00:00.000001')");
  check_rows(read_changes(it.server, start, "fidelity").inserted, "t", it.rows());
}

TEST_CASE(
    "columns made for functional keys are not in the log; generated ones and the invisible key are",
    "[binlog]") {
  Fixture it("c");
  it.client.execute("SET SESSION sql_generate_invisible_primary_key = 1");
  it.make_table(
      "a INT, j JSON, v INT AS (a + 1), s INT AS (a + 2) STORED, KEY f ((a + 3)), KEY m "
      "((CAST(j->'$.x' AS UNSIGNED ARRAY)))");
  const auto start = position_of(it.server);
  it.client.execute("INSERT INTO fidelity.t (a, j) VALUES (1, '{\"x\": [1, 2]}'), (NULL, NULL)");
  check_rows(read_changes(it.server, start, "fidelity").inserted,
             "t",
             it.rows());  // read_changes refuses other columns
}

TEST_CASE("compressed columns of MariaDB are unpacked", "[binlog]") {
  for (const char* name : {"a", "e", "f"}) {
    Fixture it(name);
    it.make_table(
        "id INT PRIMARY KEY, a VARCHAR(50) COMPRESSED, b VARCHAR(254) COMPRESSED CHARACTER SET "
        "latin1, c VARCHAR(255) COMPRESSED CHARACTER SET latin1, d VARCHAR(1000) COMPRESSED, e "
        "TEXT COMPRESSED, f TINYBLOB COMPRESSED, g MEDIUMTEXT COMPRESSED, h LONGBLOB COMPRESSED, i "
        "VARBINARY(300) COMPRESSED");
    const auto start = position_of(it.server);
    it.client.execute("INSERT INTO fidelity.t VALUES (1, '', '', '', '', '', '', '', '', '')");
    it.client.execute(
        "INSERT INTO fidelity.t VALUES (2, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i')");
    it.client.execute(
        "INSERT INTO fidelity.t VALUES (3, REPEAT('ab', 25), REPEAT('b', 254), REPEAT('c', 255), "
        "REPEAT('dé', 500), REPEAT('e', 60000), REPEAT('f', 250), REPEAT('gh', 100000), "
        "REPEAT('h', 200000), REPEAT(X'00', 300))");
    it.client.execute(
        "SET SESSION column_compression_zlib_wrap = 1, column_compression_threshold = 0");
    it.client.execute(
        "INSERT INTO fidelity.t VALUES (4, REPEAT('ab', 20), 'b', 'c', 'dé', 'e', 'f', 'g', 'h', "
        "'i')");
    check_rows(read_changes(it.server, start, "fidelity").inserted, "t", it.rows());
  }
}
