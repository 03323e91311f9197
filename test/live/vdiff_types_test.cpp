// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7 e=mariadb-11.8 f=mariadb-10.5
// vdiff calls equal what was copied faithfully, and finds every change in every type, on each pair of the matrix.
#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "live/fixtures/fidelity.h"
#include "live/support/compare.h"
#include "live/support/plants.h"
#include "live/support/process.h"

using namespace godwit::test;
using nlohmann::json;

namespace {

using Strings = std::vector<std::string>;

const std::string kSchema = "fidelity";
constexpr unsigned kCopiesOfRows = 40;

// --- the report ----------------------------------------------------------------------------------------------------------

struct Counts {
  std::uint64_t missing = 0;
  std::uint64_t extra = 0;
  std::uint64_t different = 0;
  bool operator==(const Counts& other) const { return missing == other.missing && extra == other.extra && different == other.different; }
};
using CountsByTable = std::map<std::string, Counts>;

std::string to_string(const CountsByTable& counts) {
  std::string text;
  for (const auto& [table, c] : counts) text += table + ": " + std::to_string(c.missing) + " missing, " + std::to_string(c.extra) + " extra, " + std::to_string(c.different) + " different\n";
  return text;
}

std::string full_name(const std::string& table) { return quoted(kSchema) + "." + quoted(table); }

CountsByTable counts_of(const std::set<Difference>& differences) {
  CountsByTable counts;
  for (const auto& difference : differences) {
    Counts& own = counts[full_name(difference.table)];
    ++(difference.kind == "missing" ? own.missing : difference.kind == "extra" ? own.extra : own.different);
  }
  return counts;
}

CountsByTable counts_of(const json& report) {
  CountsByTable counts;
  for (const auto& table : report["tables"]) {
    const Counts own{table["missing"], table["extra"], table["different"]};
    if (!(own == Counts{})) counts[table["source"]] = own;
  }
  return counts;
}

Difference difference_of(const std::string& table, const json& detail, const std::string& kind) {
  Difference difference{table, kind, detail["key"], {}};
  if (kind != "different") return difference;
  for (const auto& value : detail["values"]) difference.columns.insert(value["column"]);
  return difference;
}

// All of them: the report shows at most 20 of a table.
std::set<Difference> recorded_differences(Client& target) {
  std::set<Difference> differences;
  for (const auto& row : target.query("SELECT t.source_table, d.kind, d.detail FROM _godwit.vdiff_difference d JOIN _godwit.vdiff_table t ON t.id = d.table_id "
                                      "WHERE d.state = 'confirmed' AND t.vdiff = (SELECT MAX(id) FROM _godwit.vdiff)")) {
    const json detail = json::parse(*row[2]);
    if (detail["key"] != "") differences.insert(difference_of(*row[0], detail, *row[1]));
  }
  return differences;
}

std::string list(const std::set<Difference>& some, const std::set<Difference>& others) {
  std::string text;
  for (const auto& difference : some) {
    if (others.count(difference) == 0) text += "  " + to_string(difference) + "\n";
  }
  return text;
}

Strings with(Strings options, const Strings& more) {
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

void require_identical(const Migration& migration, const Strings& options) {
  const Outcome outcome = migration.run("vdiff", options);
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  CHECK(outcome.out.find("identical at position") != std::string::npos);
}

void require_samples(const json& report, const std::set<Difference>& expected) {
  std::set<Difference> by_full_name;
  for (Difference difference : expected) {
    difference.table = full_name(difference.table);
    by_full_name.insert(std::move(difference));
  }
  for (const auto& table : report["tables"]) {
    if (table["manner"] == "multiset") continue;
    const std::size_t total = table["missing"].get<std::size_t>() + table["extra"].get<std::size_t>() + table["different"].get<std::size_t>();
    CHECK(table["samples"].size() == std::min<std::size_t>(total, 20));
    for (const auto& sample : table["samples"]) {
      INFO(sample.dump());
      CHECK(by_full_name.count(difference_of(table["source"], sample, sample["kind"])) == 1);
    }
  }
}

// Every difference that was planted is reported by its kind, key and columns, and nothing else is.
void require_found(const Migration& migration, Client& target, const std::set<Difference>& expected, const CountsByTable& keyless, const Strings& options) {
  const Outcome outcome = migration.run("vdiff", with({"--json", "--limit-differences", "100000"}, options));
  INFO(outcome.err);
  REQUIRE(outcome.status == 4);
  const json report = json::parse(outcome.out);
  CHECK(report["verdict"] == "different");
  const auto found = recorded_differences(target);
  INFO("not found:\n" << list(expected, found));
  INFO("found, though not planted:\n" << list(found, expected));
  const bool is_exact = found == expected;
  CHECK(is_exact);
  CountsByTable counts = counts_of(expected);
  counts.insert(keyless.begin(), keyless.end());
  INFO("planted\n" << to_string(counts) << "reported\n" << to_string(counts_of(report)));
  const bool are_counts_right = counts_of(report) == counts;
  CHECK(are_counts_right);
  require_samples(report, expected);
}

// --- where ranges begin and end ------------------------------------------------------------------------------------------

// Rows 10, 20 … 1000 of a table, by different kinds of key: in ranges of ten, 100, 200 … end one.
struct EdgeTable {
  std::string name;
  std::string columns;
  std::function<std::string(int)> values;  // of row n: the key, in SQL
  std::function<std::string(int)> where;
  std::function<std::string(int)> shown;
  std::string case_column;  // of the key, where it does not distinguish case
};

std::string padded(int n) { return std::string(5 - std::to_string(n).size(), '0') + std::to_string(n); }
std::string letter(int n) { return n % 20 == 0 ? "a" : "A"; }
std::string bytes(int n) {
  char text[16];
  std::snprintf(text, sizeof text, "X'%06XFF'", static_cast<unsigned>(n));
  return text;
}

std::vector<EdgeTable> edge_tables() {
  const auto text = [](int n) { return "'" + letter(n) + padded(n) + "'"; };
  const auto hundreds = [](int n) { return std::to_string(n / 100); };
  return {
      {"edge_plain", "id INT PRIMARY KEY", [](int n) { return std::to_string(n); }, [](int n) { return "id = " + std::to_string(n); }, [](int n) { return "id = " + std::to_string(n); }, ""},
      {"edge_text", "k VARCHAR(10) COLLATE utf8mb4_general_ci PRIMARY KEY", text, [=](int n) { return "k = " + text(n); }, [=](int n) { return "k = " + text(n); }, "k"},
      {"edge_binary", "k BINARY(4) PRIMARY KEY", bytes, [](int n) { return "k = " + bytes(n); }, [](int n) { return "k = " + bytes(n); }, ""},
      {"edge_composite", "a INT, k VARCHAR(10) COLLATE utf8mb4_general_ci, PRIMARY KEY (a, k)", [=](int n) { return hundreds(n) + ", " + text(n); },
       [=](int n) { return "a = " + hundreds(n) + " AND k = " + text(n); }, [=](int n) { return "a = " + hundreds(n) + ", k = " + text(n); }, "k"},
  };
}

// Where the fixture's keys keep multiply_rows() from it.
void add_rows(Client& source, const std::string& flavour) {
  source.execute("USE fidelity");
  source.execute("INSERT INTO children SELECT 10 * n + 1000, 1, 10 * n + 1000 FROM copies");
  source.execute("INSERT INTO key_unique_only SELECT 10 * n, CONCAT('n', n) FROM copies");
  if (flavour == "mysql-9.7") source.execute("INSERT INTO hidden_key (a) SELECT n FROM copies");
  if (flavour == "mariadb-10.11" || flavour == "mariadb-11.8") source.execute("INSERT INTO uuids SELECT CONCAT('123e4567-e89b-12d3-a456-4266554401', LPAD(n, 2, '0')), n FROM copies");
}

void create_edge_tables(Client& source) {
  for (const auto& table : edge_tables()) {
    source.execute("CREATE TABLE " + full_name(table.name) + " (" + table.columns + ", v VARCHAR(20))");
    std::string rows;
    for (int n = 10; n <= 1000; n += 10) rows += (rows.empty() ? "(" : ", (") + table.values(n) + ", 'v" + std::to_string(n) + "')";
    source.execute("INSERT INTO " + full_name(table.name) + " VALUES " + rows);
  }
  source.execute("CREATE TABLE fidelity.edge_keyless (a INT, b VARCHAR(20))");
  source.execute("INSERT INTO fidelity.edge_keyless VALUES (1,'x'), (1,'x'), (1,'x'), (2,'y'), (3,NULL), (3,NULL), (4,'A'), (5,''), (6,'z'), (6,'z')");
}

void plant_edges(Client& target, std::set<Difference>& planted) {
  for (const auto& table : edge_tables()) {
    const std::string name = full_name(table.name);
    const auto expect = [&](const char* kind, int n, const std::set<std::string>& columns) { planted.insert({table.name, kind, table.shown(n), columns}); };
    // The first and the last row; rows that end a range and rows that begin one.
    for (const int n : {10, 100, 210, 800, 1000}) {
      target.execute("DELETE FROM " + name + " WHERE " + table.where(n));
      expect("missing", n, {});
    }
    // Before the first, after the last, on either side of a bound, in place of one that is gone.
    for (const int n : {5, 299, 301, 801, 1005}) {
      target.execute("INSERT INTO " + name + " VALUES (" + table.values(n) + ", 'v800')");
      expect("extra", n, {});
    }
    for (const int n : {110, 200}) {
      target.execute("UPDATE " + name + " SET v = CONCAT(v, ' ') WHERE " + table.where(n));
      expect("different", n, {"v"});
    }
    // Two rows with their values swapped: in one range, and in two.
    for (const auto& [one, other] : {std::pair{510, 520}, std::pair{600, 610}}) {
      target.execute("UPDATE " + name + " SET v = 'v" + std::to_string(other) + "' WHERE " + table.where(one));
      target.execute("UPDATE " + name + " SET v = 'v" + std::to_string(one) + "' WHERE " + table.where(other));
      expect("different", one, {"v"});
      expect("different", other, {"v"});
    }
    if (table.case_column.empty()) continue;
    for (const int n : {700, 710}) {  // ends a range, begins one
      target.execute("UPDATE " + name + " SET k = IF(HEX(k) = HEX(LOWER(k)), UPPER(k), LOWER(k)) WHERE " + table.where(n));
      expect("different", n, {"k"});
    }
  }
}

// As multisets: a row that changes is one missing and one extra.
CountsByTable plant_keyless(Client& target) {
  target.execute("DELETE FROM fidelity.edge_keyless WHERE a = 1 LIMIT 1");
  target.execute("INSERT INTO fidelity.edge_keyless VALUES (2, 'y')");
  target.execute("DELETE FROM fidelity.edge_keyless WHERE a = 3");
  target.execute("UPDATE fidelity.edge_keyless SET b = 'a' WHERE a = 4");
  target.execute("UPDATE fidelity.edge_keyless SET b = NULL WHERE a = 5");
  target.execute("UPDATE fidelity.edge_keyless SET b = 'z ' WHERE a = 6 LIMIT 1");
  target.execute("DELETE FROM fidelity.key_none WHERE a = 9 LIMIT 1");
  target.execute("INSERT INTO fidelity.key_none VALUES (0, NULL), (0, NULL)");
  return {{full_name("edge_keyless"), {6, 4, 0}}, {full_name("key_none"), {1, 2, 0}}};
}

// --- every pair ----------------------------------------------------------------------------------------------------------

void load_and_copy(const Server& source, const Server& target, const Migration& migration) {
  migration.clean();
  Client from = source.client();
  load_fidelity(from, source.flavour());
  if (source.is_mariadb() != target.is_mariadb()) drop_what_the_other_flavour_lacks(from, source.flavour());
  if (source.flavour() == "mariadb-11.8" && target.is_mariadb()) from.execute("DROP TABLE fidelity.vectors");
  // A MariaDB of today stores 0 where -0 is written, by whatever statement: nothing can carry it there.
  if (target.is_mariadb()) from.execute("UPDATE fidelity.numbers SET f = 0, fd = 0 WHERE id = 8");
  multiply_rows(from, kSchema, kCopiesOfRows);
  add_rows(from, source.flavour());
  create_edge_tables(from);
  const Outcome outcome = migration.run("copy", {"--allow-no-key"});
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
}

Strings tables_to_plant(Client& target) {
  Strings tables = tables_of(target, kSchema);
  tables.erase(std::remove_if(tables.begin(), tables.end(), [](const std::string& name) { return name.rfind("edge_", 0) == 0; }), tables.end());
  return tables;
}

std::set<Difference> plant_types(const Server& source, const Server& target, unsigned each) {
  Planter planter(source, target, kSchema);
  Client to = target.client();
  planter.plant_everywhere(tables_to_plant(to), each);
  std::string unplanted;
  for (const auto& text : planter.unplanted()) unplanted += "  " + text + "\n";
  INFO("no row took these changes:\n" << unplanted);
  CHECK(unplanted.empty());
  CHECK(planter.changes() > 400 / each);
  return planter.planted();
}

void hold_pair(const std::string& source_name, const std::string& target_name) {
  const Server source(source_name);
  const Server target(target_name);
  INFO(source.flavour() << " -> " << target.flavour());
  const Migration migration(source, target, kSchema);
  load_and_copy(source, target, migration);
  require_identical(migration, {});
  require_identical(migration, {"--by-rows"});
  auto planted = plant_types(source, target, 1);
  Client to = target.client();
  plant_edges(to, planted);
  const CountsByTable keyless = plant_keyless(to);
  require_found(migration, to, planted, keyless, {});
  require_found(migration, to, planted, keyless, {"--by-rows"});
  require_found(migration, to, planted, keyless, {"--chunk-rows", "10"});
  migration.clean();
}

// --- a target whose columns are wider ------------------------------------------------------------------------------------

// One column here and there, and what is done to it on the target: finer than the source's type can hold.
struct WiderColumn {
  std::string name;
  std::string source;
  std::string target;
  std::string value;   // of row n
  std::string change;  // {c} is the column
};

std::vector<WiderColumn> wider_columns(bool is_json_there) {
  return {
      {"i", "INT", "BIGINT", "n - 20", "i + 4294967296"},
      {"iu", "INT UNSIGNED", "BIGINT", "n", "-iu"},
      {"d", "DECIMAL(10,2)", "DECIMAL(12,4)", "n - 20.5", "d + 0.0001"},
      {"dt", "DATETIME", "DATETIME(6)", "'2020-01-01' + INTERVAL n HOUR", "dt + INTERVAL 1 MICROSECOND"},
      {"ts", "TIMESTAMP NULL", "TIMESTAMP(3) NULL", "'2020-01-01' + INTERVAL n HOUR", "ts - INTERVAL 1 HOUR"},
      {"t", "TIME(1)", "TIME(6)", "SEC_TO_TIME(n - 20)", "ADDTIME(t, '00:00:00.000001')"},
      {"v", "VARCHAR(10)", "VARCHAR(100)", "CONCAT('Vä', n)", "CONCAT(v, ' ')"},
      {"c", "CHAR(10)", "VARCHAR(10)", "CONCAT('C', n)", "CONCAT(c, ' ')"},
      {"f", "FLOAT", "DOUBLE", "n / 3", "f * 1.0000000000000002e0"},
      {"b", "BINARY(3)", "BINARY(5)", "CONCAT(CHAR(n), CHAR(0), CHAR(n % 2))", "CONCAT(LEFT(b, 4), X'01')"},
      {"vb", "VARBINARY(5)", "VARBINARY(9)", "CONCAT(CHAR(n), CHAR(0))", "CONCAT(vb, CHAR(0))"},
      {"l", "VARCHAR(10) CHARACTER SET latin1", "VARCHAR(10) CHARACTER SET utf8mb4", "CONCAT('ÄÉ', n)", "CONCAT(l, '😀')"},
      {"o", "VARCHAR(10) COLLATE utf8mb4_general_ci", "VARCHAR(10) COLLATE utf8mb4_bin", "CONCAT('O', n)", "LOWER(o)"},
      {"m", "TEXT", "LONGTEXT", "CONCAT('m', n)", "CONCAT(m, 'm')"},
      {"j", "JSON", "JSON", "CONCAT('{\"b\":  ', n, '.50, \"a\": [1, 2.0, 1e3]}')", is_json_there ? "CAST(REPLACE(j, '.5', '.25') AS JSON)" : "REPLACE(j, '.5', '.25')"},
  };
}

// The same, as keys: of forty rows.
struct WiderKey {
  std::string table;
  std::string source;
  std::string target;
  std::string value;
  std::string change;  // of row 15: to a key that the source does not have
  std::string shown_before;
  std::string shown_after;
};

std::vector<WiderKey> wider_keys() {
  return {
      {"key_int", "INT", "BIGINT", "n", "4294967311", "k = 15", "k = 4294967311"},
      {"key_decimal", "DECIMAL(10,2)", "DECIMAL(12,4)", "n + 0.5", "15.5001", "k = 15.5", "k = 15.5001"},
      {"key_moment", "DATETIME", "DATETIME(6)", "'2020-01-01' + INTERVAL n MINUTE", "'2020-01-01 00:15:00.000001'", "k = '2020-01-01 00:15:00'", "k = '2020-01-01 00:15:00.000001'"},
      {"key_padded", "BINARY(3)", "BINARY(5)", "CONCAT(CHAR(n), CHAR(0), CHAR(0))", "X'0F00000001'", "k = X'0F'", "k = X'0F00000001'"},
      {"key_latin", "VARCHAR(10) CHARACTER SET latin1", "VARCHAR(10) CHARACTER SET utf8mb4", "CONCAT('É', LPAD(n, 3, '0'))", "'É015😀'", "k = 'É015'", "k = 'É015😀'"},
      {"key_exact", "VARCHAR(10) COLLATE utf8mb4_general_ci", "VARCHAR(10) COLLATE utf8mb4_bin", "CONCAT(IF(n % 2, 'a', 'B'), LPAD(n, 3, '0'))", "'A015'", "k = 'a015'", "k = 'A015'"},
  };
}

void create_wider(Client& source, Client& target) {
  const bool is_json_there = target.scalar("SELECT VERSION() LIKE '%MariaDB%'") == "0";
  for (Client* client : {&source, &target}) {
    const bool is_source = client == &source;
    client->execute("CREATE DATABASE fidelity CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
    client->execute("USE fidelity");
    std::string columns;
    for (const auto& column : wider_columns(is_json_there)) columns += ", " + column.name + " " + (is_source ? column.source : column.target);
    client->execute("CREATE TABLE wider (id INT PRIMARY KEY" + columns + ")");
    for (const auto& key : wider_keys()) client->execute("CREATE TABLE " + key.table + " (k " + (is_source ? key.source : key.target) + " PRIMARY KEY, v INT)");
  }
  std::string numbers = "(SELECT 1 AS n";
  for (int n = 2; n <= 40; ++n) numbers += " UNION SELECT " + std::to_string(n);
  numbers += ") numbers";
  std::string values;
  for (const auto& column : wider_columns(is_json_there)) values += ", " + column.value;
  source.execute("INSERT INTO wider SELECT n" + values + " FROM " + numbers);
  source.execute("INSERT INTO wider (id) VALUES (100)");
  for (const auto& key : wider_keys()) source.execute("INSERT INTO " + key.table + " SELECT " + key.value + ", n FROM " + numbers);
}

std::set<Difference> plant_wider(Client& target, bool is_json_there) {
  std::set<Difference> planted;
  target.execute("USE fidelity");
  int id = 1;
  for (const auto& column : wider_columns(is_json_there)) {
    const std::string is_row = " WHERE id = " + std::to_string(id);
    const std::string hex = "SELECT HEX(CAST(" + column.name + " AS CHAR)) FROM wider" + is_row;
    const std::string before = target.scalar(hex);
    target.execute("UPDATE wider SET " + column.name + " = " + column.change + is_row);
    INFO(column.name);
    CHECK((column.name == "f" || target.scalar(hex) != before));  // the last bit of a DOUBLE is not in every server's text
    planted.insert({"wider", "different", "id = " + std::to_string(id++), {column.name}});
  }
  for (const auto& key : wider_keys()) {
    target.execute("UPDATE " + key.table + " SET k = " + key.change + " WHERE v = 15");
    target.execute("UPDATE " + key.table + " SET v = -1 WHERE v = 20");
    planted.insert({key.table, "missing", key.shown_before, {}});
    planted.insert({key.table, "extra", key.shown_after, {}});
  }
  // Beside a row that is right, one whose key the source takes for the same.
  target.execute("INSERT INTO key_exact VALUES ('A001', 1)");
  planted.insert({"key_exact", "extra", "k = 'A001'", {}});
  const std::pair<const char*, const char*> changed[] = {{"key_int", "20"}, {"key_decimal", "20.5"}, {"key_moment", "'2020-01-01 00:20:00'"}, {"key_padded", "X'14'"}, {"key_latin", "'É020'"}, {"key_exact", "'B020'"}};
  for (const auto& [table, shown] : changed) planted.insert({table, "different", std::string("k = ") + shown, {"v"}});
  return planted;
}

void hold_wider(const std::string& source_name, const std::string& target_name) {
  const Server source(source_name);
  const Server target(target_name);
  INFO(source.flavour() << " -> " << target.flavour());
  const Migration migration(source, target, kSchema);
  migration.clean();
  Client from = source.client();
  Client to = target.client();
  create_wider(from, to);
  const Outcome outcome = migration.run("copy", {"--schema", "existing"});
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  const std::vector<Strings> manners{{}, {"--by-rows", "--chunk-rows", "10"}};
  for (const auto& manner : manners) require_identical(migration, manner);
  const auto planted = plant_wider(to, !target.is_mariadb());
  for (const auto& manner : manners) require_found(migration, to, planted, {}, manner);
  require_identical(migration, {"--repair"});
  require_identical(migration, {});
  migration.clean();
}

// --- repair --------------------------------------------------------------------------------------------------------------

void hold_repair(const std::string& source_name, const std::string& target_name) {
  const Server source(source_name);
  const Server target(target_name);
  const Migration migration(source, target, kSchema);
  load_and_copy(source, target, migration);
  auto planted = plant_types(source, target, 4);
  Client from = source.client();
  Client to = target.client();
  plant_edges(to, planted);
  REQUIRE(difference(from, kSchema, to, kSchema) != "");
  require_identical(migration, {"--repair", "--limit-differences", "100000"});
  CHECK(difference(from, kSchema, to, kSchema) == "");
  require_identical(migration, {});
  migration.clean();
}

}  // namespace

TEST_CASE("vdiff finds every change: MariaDB 10.11 to MariaDB 10.11", "[vdiff_types]") { hold_pair("a", "b"); }
TEST_CASE("vdiff finds every change: MySQL 9.7 to MySQL 9.7", "[vdiff_types]") { hold_pair("c", "d"); }
TEST_CASE("vdiff finds every change: MariaDB 10.11 to MySQL 9.7", "[vdiff_types]") { hold_pair("a", "c"); }
TEST_CASE("vdiff finds every change: MySQL 9.7 to MariaDB 10.11", "[vdiff_types]") { hold_pair("c", "a"); }
TEST_CASE("vdiff finds every change: MariaDB 11.8 to MariaDB 10.11", "[vdiff_types]") { hold_pair("e", "a"); }
TEST_CASE("vdiff finds every change: MariaDB 11.8 to MySQL 9.7", "[vdiff_types]") { hold_pair("e", "c"); }
TEST_CASE("vdiff finds every change: MariaDB 10.5 to MariaDB 10.11", "[vdiff_types]") { hold_pair("f", "a"); }
TEST_CASE("vdiff finds every change: MariaDB 10.5 to MySQL 9.7", "[vdiff_types]") { hold_pair("f", "c"); }

TEST_CASE("vdiff and wider columns: MariaDB 10.11 to MariaDB 10.11", "[vdiff_types]") { hold_wider("a", "b"); }
TEST_CASE("vdiff and wider columns: MySQL 9.7 to MySQL 9.7", "[vdiff_types]") { hold_wider("c", "d"); }
TEST_CASE("vdiff and wider columns: MariaDB 10.11 to MySQL 9.7", "[vdiff_types]") { hold_wider("a", "c"); }
TEST_CASE("vdiff and wider columns: MySQL 9.7 to MariaDB 10.11", "[vdiff_types]") { hold_wider("c", "a"); }

TEST_CASE("vdiff --repair puts every type right: MySQL 9.7 to MariaDB 10.11", "[vdiff_types]") { hold_repair("c", "a"); }
