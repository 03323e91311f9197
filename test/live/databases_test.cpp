// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7
// Databases that nobody here wrote (the servers' help tables, the time zones of this machine, sysbench's), and keys of every
// kind cut into many chunks: no row is lost at a boundary, none comes twice. Compared by what each server renders.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "live/support/compare.h"
#include "live/support/process.h"

using namespace godwit::test;
using nlohmann::json;

namespace {

void run_command(const std::string& command) {
  INFO(command);
  REQUIRE(std::system(command.c_str()) == 0);
}

void copy_and_compare(const Server& source, const Server& target, const std::string& schema, std::vector<std::string> options) {
  const Migration migration(source, target, schema);
  target.client().script("DROP DATABASE IF EXISTS " + schema + ";\nDROP DATABASE IF EXISTS _godwit;\n");
  options.insert(options.end(), {"--json", "--allow-no-key"});
  const Outcome outcome = migration.run("copy", options);
  INFO(source.flavour() << " -> " << target.flavour() << "\n" << outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  Client from = source.client();
  Client to = target.client();
  const std::string found = difference(from, schema, to, schema);
  CHECK(found == "");
  const json document = json::parse(outcome.out);
  for (const auto& table : document["tables"]) {
    const std::string name = table["source"];
    CHECK(table["rows"].get<std::uint64_t>() == std::stoull(from.scalar("SELECT COUNT(*) FROM " + name)));
  }
  REQUIRE(migration.run("cancel").status == 0);
}

// The statements that mysql_tzinfo_to_sql prints, into tables of the server's own shape but InnoDB.
void load_time_zones(Client& client) {
  client.execute("DROP DATABASE IF EXISTS zones");
  client.execute("CREATE DATABASE zones CHARACTER SET utf8mb4");
  client.execute("USE zones");
  client.execute("CREATE TABLE time_zone (Time_zone_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, Use_leap_seconds ENUM('Y','N') NOT NULL DEFAULT 'N')");
  client.execute("CREATE TABLE time_zone_name (Name CHAR(64) NOT NULL PRIMARY KEY, Time_zone_id INT UNSIGNED NOT NULL)");
  client.execute("CREATE TABLE time_zone_transition (Time_zone_id INT UNSIGNED NOT NULL, Transition_time BIGINT NOT NULL, Transition_type_id INT UNSIGNED NOT NULL, PRIMARY KEY (Time_zone_id, Transition_time))");
  client.execute("CREATE TABLE time_zone_transition_type (Time_zone_id INT UNSIGNED NOT NULL, Transition_type_id INT UNSIGNED NOT NULL, `Offset` INT NOT NULL DEFAULT 0, Is_DST TINYINT UNSIGNED NOT NULL DEFAULT 0, Abbreviation CHAR(8) NOT NULL DEFAULT '', PRIMARY KEY (Time_zone_id, Transition_type_id))");
  client.execute("CREATE TABLE time_zone_leap_second (Transition_time BIGINT NOT NULL PRIMARY KEY, Correction INT NOT NULL)");
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen("mariadb-tzinfo-to-sql /usr/share/zoneinfo 2>/dev/null", "r"), ::pclose);
  REQUIRE(pipe != nullptr);
  std::string text;
  char buffer[65536];
  while (const auto size = std::fread(buffer, 1, sizeof buffer, pipe.get())) text.append(buffer, size);
  client.execute("SET SESSION autocommit = 0");
  std::size_t begin = 0;
  while (begin < text.size()) {
    const auto end = std::min(text.find(";\n", begin), text.size());
    const std::string statement = text.substr(begin, end - begin);
    begin = end + 2;
    if (statement.rfind("INSERT INTO", 0) == 0 || statement.rfind("SET @time_zone_id", 0) == 0) client.execute(statement);
  }
  client.execute("COMMIT");
}

void copy_foreign_databases(const std::string& source_name, const std::string& target_name) {
  const Server source(source_name);
  const Server target(target_name);
  Client client = source.client();
  load_time_zones(client);
  CHECK(std::stoull(client.scalar("SELECT COUNT(*) FROM zones.time_zone_transition")) > 50'000);
  client.execute("SET SESSION autocommit = 1");
  const std::map<std::string, std::string> help{{"help_topic", "help_topic_id"}, {"help_category", "help_category_id"}, {"help_relation", "help_keyword_id, help_topic_id"}, {"help_keyword", "help_keyword_id"}};
  for (const auto& [table, key] : help) {
    client.execute("CREATE TABLE zones." + table + " (PRIMARY KEY (" + key + ")) ENGINE = InnoDB SELECT * FROM mysql." + table);
  }
  copy_and_compare(source, target, "zones", {"--chunk-size", "256KiB"});
  client.execute("DROP DATABASE zones");
}

void copy_sysbench(const std::string& source_name, const std::string& target_name) {
  const Server source(source_name);
  const Server target(target_name);
  Client client = source.client();
  client.execute("DROP DATABASE IF EXISTS sbtest");
  client.execute("CREATE DATABASE sbtest");
  run_command("sysbench oltp_read_write --db-driver=mysql --mysql-host=127.0.0.1 --mysql-port=" + std::to_string(source.port()) +
              " --mysql-user=godwit --mysql-password=godwit --tables=3 --table-size=8000 prepare >/dev/null");
  copy_and_compare(source, target, "sbtest", {"--chunk-size", "128KiB"});
  client.execute("DROP DATABASE sbtest");
}

struct KeyCase {
  const char* name;
  const char* columns;  // with the key
  const char* values;   // of row number n, with x = n - 500
};

// With chunks of a few rows there are boundaries everywhere.
const std::vector<KeyCase>& key_cases() {
  static const std::vector<KeyCase> all{
      {"signed_gaps", "k BIGINT PRIMARY KEY, v INT", "x * x * x * 1000003, n"},
      {"signed_ends", "k BIGINT PRIMARY KEY, v INT", "CASE n WHEN 0 THEN -9223372036854775808 WHEN 1 THEN 9223372036854775807 ELSE x END, n"},
      {"small", "k MEDIUMINT PRIMARY KEY, v INT", "x * 16777, n"},
      {"beyond_2_63", "k BIGINT UNSIGNED PRIMARY KEY, v INT", "18446744073709551615 - n * n * 7, n"},
      {"skewed", "tenant INT, k BIGINT, v INT, PRIMARY KEY (tenant, k)", "IF(n = 7, -1, 1), x * 3, n"},
      {"triple", "a TINYINT, b VARCHAR(20), c DECIMAL(9,3), v INT, PRIMARY KEY (a, b, c)", "n % 3, CONCAT('b', n % 7), x / 8, n"},
      {"text_ci", "k VARCHAR(40) COLLATE utf8mb4_unicode_ci PRIMARY KEY, v INT", "CONCAT(IF(n % 2 = 0, 'Straße', 'strasse-É '), n), n"},
      {"text_padded", "k CHAR(20) CHARACTER SET latin1 PRIMARY KEY, v INT", "CONCAT(CHAR(65 + n % 26), ' ', n), n"},
      {"text_bin", "k VARCHAR(20) COLLATE utf8mb4_bin PRIMARY KEY, v INT", "CONCAT(IF(n % 2 = 0, 'a', 'A'), CHAR(1 + n % 120), '''\\\\', n), n"},
      {"enum_key", "e ENUM('z','y','x','w'), k INT, v INT, PRIMARY KEY (e, k)", "1 + n % 4, n, n"},
      {"binary_16", "k BINARY(16) PRIMARY KEY, v INT", "UNHEX(LEFT(SHA2(n, 256), 32)), n"},
      {"binary_zeros", "k VARBINARY(16) PRIMARY KEY, v INT", "CONCAT(UNHEX(LPAD(HEX(n % 10), 2, '0')), UNHEX('00'), UNHEX(LPAD(HEX(n), 6, '0')), UNHEX('0000')), n"},
      {"moments", "k DATETIME(6) PRIMARY KEY, v INT", "'2021-03-28 01:59:59.999990' + INTERVAL n MICROSECOND, n"},
      {"stamps", "k TIMESTAMP(3) NOT NULL, n INT, PRIMARY KEY (k, n)", "'2021-10-31 00:30:00' + INTERVAL (n DIV 3) * 7 SECOND, n"},
      {"downwards", "a INT, b INT, v INT, PRIMARY KEY (a DESC, b)", "n DIV 10, x, n"},
      {"nullable_unique", "a INT NULL, k INT NOT NULL, v INT, UNIQUE KEY a (a), UNIQUE KEY k (k)", "IF(n % 2 = 0, NULL, n), -n, n"},
      {"bits", "k BIT(20) PRIMARY KEY, v INT", "n * 1000, n"},
      {"none", "a INT, v VARCHAR(10)", "n % 5, IF(n % 3 = 0, NULL, 'x')"},
      {"wide_rows", "k INT PRIMARY KEY, v MEDIUMTEXT", "n * 2, REPEAT(CHAR(97 + n % 26), n % 50 * 40)"},
      {"one_row", "k INT PRIMARY KEY, v INT", "5, IF(n = 0, 1, 1 / 0)"},
  };
  return all;
}

void create_keys(Client& client, unsigned rows) {
  client.execute("DROP DATABASE IF EXISTS chunked");
  client.execute("CREATE DATABASE chunked CHARACTER SET utf8mb4");
  client.execute("USE chunked");
  client.execute("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'");
  client.execute("CREATE TABLE digits (i INT PRIMARY KEY)");
  client.execute("INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)");
  for (const auto& one : key_cases()) {
    client.execute(std::string("CREATE TABLE ") + one.name + " (" + one.columns + ")");
    const bool is_one = std::string(one.name) == "one_row";
    client.execute(std::string("INSERT INTO ") + one.name + " SELECT " + one.values +
                   " FROM (SELECT CAST(a.i * 100 + b.i * 10 + c.i AS SIGNED) AS n, CAST(a.i * 100 + b.i * 10 + c.i AS SIGNED) - 500 AS x FROM digits a, digits b, digits c) AS numbers LIMIT " + std::to_string(is_one ? 1 : rows));
    client.execute(std::string("ANALYZE TABLE ") + one.name);
    if (!is_one) REQUIRE(client.scalar(std::string("SELECT COUNT(*) FROM ") + one.name) == std::to_string(rows));
  }
  client.execute("CREATE TABLE empty_table (k INT PRIMARY KEY)");
}

void copy_keys(const std::string& source_name, const std::string& target_name) {
  const Server source(source_name);
  const Server target(target_name);
  Client client = source.client();
  create_keys(client, 40);
  copy_and_compare(source, target, "chunked", {"--chunk-size", "300"});  // a row or two
  create_keys(client, 1000);
  for (const char* size : {"3000", "24KiB"}) copy_and_compare(source, target, "chunked", {"--chunk-size", size});
  client.execute("DROP DATABASE chunked");
}

}  // namespace

TEST_CASE("time zones and help tables: MariaDB", "[databases]") { copy_foreign_databases("a", "b"); }
TEST_CASE("time zones and help tables: MySQL to MariaDB", "[databases]") { copy_foreign_databases("c", "b"); }
TEST_CASE("time zones and help tables: MariaDB to MySQL", "[databases]") { copy_foreign_databases("a", "d"); }
TEST_CASE("sysbench's tables: MariaDB", "[databases]") { copy_sysbench("a", "b"); }
TEST_CASE("sysbench's tables: MySQL", "[databases]") { copy_sysbench("c", "d"); }
TEST_CASE("keys of every kind in chunks of every size: MariaDB", "[databases]") { copy_keys("a", "b"); }
TEST_CASE("keys of every kind in chunks of every size: MySQL", "[databases]") { copy_keys("c", "d"); }
TEST_CASE("keys of every kind in chunks of every size: MariaDB to MySQL", "[databases]") { copy_keys("a", "d"); }
TEST_CASE("keys of every kind in chunks of every size: MySQL to MariaDB", "[databases]") { copy_keys("c", "b"); }
