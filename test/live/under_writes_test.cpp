// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7
// Copies under inserts, updates, deletes and changed keys. Two proofs that use nothing of godwit: each row is as the writers'
// history had it at the position where the copy ends; and from that position on a replica that the servers' own replication feeds,
// strictly, ends up equal to the source, byte by byte.
#include <atomic>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "catch.h"
#include "live/support/compare.h"
#include "live/support/history.h"
#include "live/support/process.h"
#include "live/support/replica.h"

using namespace godwit::test;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

json copied(const Migration& migration, std::vector<std::string> more) {
  std::vector<std::string> options{"--json", "--allow-no-key"};
  options.insert(options.end(), more.begin(), more.end());
  const Outcome outcome = migration.run("copy", options);
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  return json::parse(outcome.out);
}

struct Case {
  std::string source;
  std::string target;
  std::vector<std::string> options;
  bool has_cycles = false;
};

// The copy alone, against the history.
void judge_copy(const Case& it) {
  const Server source(it.source);
  const Server target(it.target);
  const Migration migration(source, target, "moving");
  migration.clean();
  Client from = source.client();
  Client to = target.client();
  History history;
  create_stamped(from, "moving", history);
  Writers writers(source, "moving", history, {.threads = 3, .seed = 7, .pause = 300us});
  const json report = copied(migration, it.options);
  INFO(report.dump());
  writers.stop();
  if (it.has_cycles) CHECK(report["cycles"] > 2);
  std::cout << source.flavour() << " -> " << target.flavour() << ": " << history.transactions() << " transactions, " << history.between(report["low"], report["high"])
            << " between low and high, " << report["cycles"] << " cycles\n";
  for (const auto& table : stamped_tables()) {
    CHECK(history.judge(table, read_stamped(to, "moving", table), report["position"], report["position"]) == "");
    CHECK(torn_rows(to, "moving", table) == 0);
  }
  CHECK(definitions(from, "moving") == definitions(to, "moving"));
  migration.clean();
}

// Strictly: the server's own replica ends at a row that it does not find, or finds too much.
void replicate_from_position(const Case& it) {
  const Server source(it.source);
  const Server target(it.target);
  const Migration migration(source, target, "moving");
  migration.clean();
  Client from = source.client();
  Client to = target.client();
  History history;
  create_stamped(from, "moving", history);
  Writers writers(source, "moving", history, {.threads = 3, .seed = 11, .pause = 300us});
  const json report = copied(migration, it.options);
  if (it.has_cycles) CHECK(report["cycles"] > 2);
  {
    Replica replica(source, target, {.from = report["position"], .schema = "moving", .is_idempotent = false});
    std::this_thread::sleep_for(500ms);
    const WritersAtRest rest(writers);
    replica.catch_up();
    CHECK(history.between(report["low"], from.scalar(source.is_mariadb() ? "SELECT @@GLOBAL.gtid_binlog_pos" : "SELECT @@GLOBAL.gtid_executed")) > 100);
    CHECK(difference(from, "moving", to, "moving") == "");
  }
  writers.stop();
  migration.clean();
}

const std::vector<std::string> kOneCycle{"--chunk-size", "4KiB", "--max-rate", "200KiB"};
// Older than that at once: each of the two lanes reads one chunk per cycle.
const std::vector<std::string> kCycles{"--chunk-size", "24KiB", "--snapshot-age", "1ms", "--readers", "2"};

// Each transaction gives all rows one value, so a snapshot can show one value only.
void copy_one_value(const std::string& source_name, const std::string& target_name, unsigned readers) {
  const Server source(source_name);
  const Server target(target_name);
  const Migration migration(source, target, "equal");
  migration.clean();
  Client client = source.client();
  client.execute("CREATE DATABASE equal");
  client.execute("CREATE TABLE equal.rows_ (id INT PRIMARY KEY, v BIGINT NOT NULL, pad CHAR(200) NOT NULL DEFAULT 'x', KEY v (v))");
  for (int id = 0; id < 200; ++id) client.execute("INSERT INTO equal.rows_ (id, v) VALUES (" + std::to_string(id) + ", 0)");
  client.execute("ANALYZE TABLE equal.rows_");
  std::atomic<bool> is_over{false};
  std::uint64_t last = 0;
  std::thread writer([&] {
    Client own = source.client();
    while (!is_over) own.execute("UPDATE equal.rows_ SET v = " + std::to_string(++last));
  });
  const Outcome outcome = migration.run("copy", {"--json", "--chunk-size", "2KiB", "--max-rate", "60KiB", "--readers", std::to_string(readers)});
  is_over = true;
  writer.join();
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  Client to = target.client();
  CHECK(to.scalar("SELECT COUNT(*) FROM equal.rows_") == "200");
  const auto values = to.query("SELECT v, COUNT(*) FROM equal.rows_ GROUP BY v");
  CHECK(values.size() == 1);
  CHECK(values[0][0] != "0");
  CHECK(last > 20);
  migration.clean();
}

}  // namespace

TEST_CASE("every row is as it was at the position where the copy ends: MariaDB", "[under_writes]") { judge_copy({.source = "a", .target = "b", .options = kOneCycle}); }
TEST_CASE("every row is as it was at the position where the copy ends: MySQL", "[under_writes]") { judge_copy({.source = "c", .target = "d", .options = kOneCycle}); }
TEST_CASE("every row is as it was at the position where the copy ends: MariaDB to MySQL", "[under_writes]") { judge_copy({.source = "a", .target = "d", .options = {"--no-load-data", "--chunk-size", "4KiB"}}); }
TEST_CASE("every row is as it was at the position where the copy ends: MySQL to MariaDB", "[under_writes]") { judge_copy({.source = "c", .target = "b", .options = kOneCycle}); }
TEST_CASE("over several cycles too, each too old at once: MariaDB", "[under_writes]") { judge_copy({.source = "a", .target = "b", .options = kCycles, .has_cycles = true}); }
TEST_CASE("over several cycles too: MySQL", "[under_writes]") { judge_copy({.source = "c", .target = "d", .options = kCycles, .has_cycles = true}); }

TEST_CASE("from that position on the server's own replication goes on strictly: MariaDB", "[under_writes]") { replicate_from_position({.source = "a", .target = "b", .options = kOneCycle}); }
TEST_CASE("from that position on the server's own replication goes on strictly: MySQL", "[under_writes]") { replicate_from_position({.source = "c", .target = "d", .options = kOneCycle}); }
TEST_CASE("from that position on, after several cycles too: MariaDB", "[under_writes]") { replicate_from_position({.source = "a", .target = "b", .options = kCycles, .has_cycles = true}); }
TEST_CASE("from that position on, after several cycles too: MySQL", "[under_writes]") { replicate_from_position({.source = "c", .target = "d", .options = kCycles, .has_cycles = true}); }

TEST_CASE("caught up, the rows are of one instant, one reader: MariaDB", "[under_writes]") { copy_one_value("a", "b", 1); }
TEST_CASE("caught up, the rows are of one instant, one reader: MySQL", "[under_writes]") { copy_one_value("c", "d", 1); }
TEST_CASE("caught up, the rows are of one instant, four readers: MariaDB", "[under_writes]") { copy_one_value("a", "b", 4); }
TEST_CASE("caught up, the rows are of one instant, four readers: MySQL", "[under_writes]") { copy_one_value("c", "d", 4); }
