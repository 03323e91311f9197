// servers: a=mariadb-10.11 b=mariadb-10.11
// alone: it measures
// The memory of a copy is bounded by named limits: it does not grow with the table, nor with the width of its rows.
#include <cstdlib>
#include <functional>
#include <iostream>

#include "catch.h"
#include "live/support/process.h"
#include "live/support/seed.h"

using namespace godwit::test;

namespace {

constexpr long kRssKibMax = 256 * 1024;

Outcome copy(const Migration& migration, const std::vector<std::string>& options = {}) {
  const Outcome outcome = migration.run("copy", options);
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  return outcome;
}

// Rows of 2 KiB, doubled until the table has so many MiB.
long rss_of_copying(unsigned mib) {
  const Server source("a");
  const Server target("b");
  const Migration migration(source, target, "bulk");
  migration.clean();
  Client client = source.client();
  client.execute("CREATE DATABASE bulk");
  client.execute("USE bulk");
  client.execute("CREATE TABLE bulk.rows_ (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(4000))");
  client.execute("INSERT INTO bulk.rows_ (v) SELECT REPEAT(CHAR(97 + seq % 26), 2000) FROM seq_1_to_500");
  client.execute("SET SESSION sql_log_bin = 0");
  for (unsigned have = 1; have < mib; ++have) client.execute("INSERT INTO bulk.rows_ (v) SELECT v FROM bulk.rows_ LIMIT 500");
  client.execute("ANALYZE TABLE bulk.rows_");
  const Outcome outcome = copy(migration);
  CHECK(client.scalar("SELECT COUNT(*) FROM bulk.rows_") == target.client().scalar("SELECT COUNT(*) FROM bulk.rows_"));
  std::cout << mib << " MiB: " << outcome.rss_kib_max / 1024 << " MiB resident\n";
  migration.clean();
  return outcome.rss_kib_max;
}

// So many rows of one column, four bytes `repeats` times; LOAD DATA doubles each of them by escaping.
void check_copying_blobs(const std::string& what, int rows, const std::function<std::string(int)>& repeats) {
  const Server source("a");
  const Server target("b");
  const Migration migration(source, target, "bulk");
  migration.clean();
  Client client = source.client();
  client.execute("CREATE DATABASE bulk");
  client.execute("CREATE TABLE bulk.blobs (id INT PRIMARY KEY, v LONGBLOB)");
  for (int id = 0; id < rows; ++id) client.execute("INSERT INTO bulk.blobs VALUES (" + std::to_string(id) + ", REPEAT(UNHEX('00095C0A'), " + repeats(id) + "))");
  const Outcome outcome = copy(migration);
  std::cout << what << ": " << outcome.rss_kib_max / 1024 << " MiB resident\n";
  CHECK(outcome.rss_kib_max < kRssKibMax);
  const std::string sum = "SELECT SHA2(GROUP_CONCAT(SHA2(v, 256) ORDER BY id), 256) FROM bulk.blobs";
  CHECK(client.scalar(sum) == target.client().scalar(sum));
  migration.clean();
}

}  // namespace

TEST_CASE("a table thirty times larger takes no more memory", "[memory]") {
  const bool is_long = is_long_run();
  const long small = rss_of_copying(10);
  const long large = rss_of_copying(is_long ? 1024 : 200);
  CHECK(large < kRssKibMax);
  CHECK(large - small < 64 * 1024);
}

// The longest that are sent whole, between others that go in slices.
TEST_CASE("rows of 4 and 16 MiB in turn are copied within the bound", "[memory]") {
  check_copying_blobs("rows of 4 and 16 MiB", 40, [](int id) { return std::string("1024 * 1024 * ") + (id % 5 == 4 ? "4" : "1") + " - 10"; });
}

TEST_CASE("rows of 16 MiB are copied within the bound", "[memory]") {
  check_copying_blobs("8 rows of 16 MiB", 8, [](int id) { return "4 * 1024 * 1024 - " + std::to_string(id); });
}
