// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7 e=mariadb-11.8 f=mariadb-10.5
// Random histories, written by several sessions while a copy runs, while its stream catches up, and while it replicates: in the end every
// table of both sides holds the same rows. A history is named by its seed: GODWIT_SEED repeats one, GODWIT_HISTORIES sets how many are
// run for a pair of servers, GODWIT_LONG makes them 200.
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "catch.h"
#include "live/support/compare.h"
#include "live/support/process.h"
#include "live/support/random_writers.h"
#include "live/support/seed.h"

using namespace godwit::test;
using namespace std::chrono_literals;

namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::stoull(text);
}

std::size_t histories(std::size_t by_default) {
  return number_from("GODWIT_HISTORIES", is_long_run() ? 200 : by_default);
}

struct Way {
  std::vector<std::string> apply;  // --workers, --no-squash
  std::vector<std::string> copy;
  bool is_interrupted = false;  // replicate is ended in the middle, and goes on
  bool is_killed = false;       // … by SIGKILL
};

Way way_of(std::uint64_t seed) {
  Dice dice(seed * 7919);
  Way way;
  if (dice.one_in(2)) way.apply.emplace_back("--no-squash");
  way.apply.insert(way.apply.end(), {"--workers", dice.one_in(2) ? "1" : "4"});
  // Older than that at once: each reader reads one chunk per cycle.
  const bool has_cycles = dice.one_in(2);
  way.copy = {"--allow-no-key", "--readers", "2", "--chunk-size", has_cycles ? "16KiB" : "1KiB"};
  if (has_cycles) way.copy.insert(way.copy.end(), {"--snapshot-age", "1ms"});
  if (dice.one_in(3)) way.copy.emplace_back("--no-load-data");
  way.is_interrupted = dice.one_in(2);
  way.is_killed = dice.one_in(2);
  return way;
}

std::vector<std::string> joined(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// By its name alone: the rest is recorded.
Process start_replicate(const Migration& migration, const std::vector<std::string>& more) {
  const std::vector<std::string> command{std::getenv("GODWIT_BIN"), "replicate", migration.name, "--state", migration.state};
  return Process(joined(command, more), {{"GODWIT_SOURCE_PASSWORD", "godwit"}, {"GODWIT_TARGET_PASSWORD", "godwit"}});
}

Outcome replicate(const Migration& migration, const std::vector<std::string>& more) {
  return start_replicate(migration, joined({"--until-current"}, more)).wait(120s);
}

void replicate_in_pieces(const Migration& migration, const Way& way, Dice& dice) {
  Process running = start_replicate(migration, way.apply);
  std::this_thread::sleep_for(std::chrono::milliseconds(200 + dice.below(400)));
  running.signal(way.is_killed ? SIGKILL : SIGTERM);
  const Outcome outcome = running.wait(60s);
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == (way.is_killed ? 128 + SIGKILL : 130));
}

void must_succeed(const Outcome& outcome) {
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
}

void run_history(const Server& source, const Server& target, std::uint64_t seed) {
  Dice dice(seed);
  const Way way = way_of(seed);
  const Migration migration(source, target, "exact");
  Client from = source.client();
  roll_back_prepared_xa(from);
  migration.clean();
  create_random_schema(from, "exact");
  RandomWriters writers(source, "exact", {.threads = 3, .seed = seed});
  std::this_thread::sleep_for(100ms);
  must_succeed(migration.run("copy", joined(way.copy, way.apply)));
  writers.allow_partial_key_changes();
  // A backlog first, so that windows are large.
  std::this_thread::sleep_for(std::chrono::milliseconds(dice.below(500)));
  if (way.is_interrupted) replicate_in_pieces(migration, way, dice);
  must_succeed(replicate(migration, way.apply));
  writers.stop();
  must_succeed(replicate(migration, way.apply));
  Client to = target.client();
  CHECK(difference(from, "exact", to, "exact") == "");
  migration.clean();
}

void run_histories(const std::string& source_name, const std::string& target_name, std::size_t by_default, std::uint64_t first_seed) {
  const Server source(source_name);
  const Server target(target_name);
  const std::uint64_t first = number_from("GODWIT_SEED", first_seed);
  const std::size_t count = std::getenv("GODWIT_SEED") != nullptr ? number_from("GODWIT_HISTORIES", 1) : histories(by_default);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    INFO(source.flavour() << " -> " << target.flavour() << ", GODWIT_SEED=" << seed);
    run_history(source, target, seed);
  }
  std::cout << source.flavour() << " -> " << target.flavour() << ": " << count << " histories from seed " << first << " on\n";
}

}  // namespace

TEST_CASE("a chunk that holds as many rows as it may, the last of them at its bound, is not cut", "[exactness]") {
  const Server source("a");
  const Server target("b");
  const Migration migration(source, target, "exact");
  migration.clean();
  Client from = source.client();
  from.execute("CREATE DATABASE exact");
  from.execute("CREATE TABLE exact.t (id INT PRIMARY KEY)");
  // Five rows, a chunk each: bounds are a sixth of the way apart, and the first has the four rows that make it be cut.
  from.execute("INSERT INTO exact.t VALUES (0), (1), (2), (100), (600)");
  from.execute("ANALYZE TABLE exact.t");
  must_succeed(migration.run("copy", {"--chunk-size", "1KiB"}));
  Client to = target.client();
  CHECK(difference(from, "exact", to, "exact") == "");
  migration.clean();
}

// Its rows are in the binlog long before, and in a snapshot only after it is decided.
void decide_xa_while_copying(const std::string& source_name, const std::string& target_name) {
  const Server source(source_name);
  const Server target(target_name);
  const Migration migration(source, target, "exact");
  migration.clean();
  Client from = source.client();
  from.execute("CREATE DATABASE exact");
  from.execute("CREATE TABLE exact.t (id INT PRIMARY KEY, v INT)");
  from.execute("INSERT INTO exact.t VALUES (1, 1), (2, 1), (3, 1)");
  const std::vector<std::string> branches{"committed", "gone"};
  for (std::size_t i = 0; i < branches.size(); ++i) {
    Client branch = source.client("exact");
    branch.execute("XA START '" + branches[i] + "'");
    branch.execute("UPDATE t SET v = 2 WHERE id = " + std::to_string(i + 1));
    branch.execute("INSERT INTO t VALUES (" + std::to_string(i + 10) + ", 2)");
    branch.execute("XA END '" + branches[i] + "'");
    branch.execute("XA PREPARE '" + branches[i] + "'");
  }
  Process copy = migration.start("copy");
  std::this_thread::sleep_for(2s);
  CHECK(copy.is_running());
  from.execute("XA COMMIT 'committed'");
  from.execute("XA ROLLBACK 'gone'");
  must_succeed(copy.wait());
  must_succeed(replicate(migration, {}));
  Client to = target.client();
  CHECK(to.scalar("SELECT GROUP_CONCAT(id, ':', v ORDER BY id) FROM exact.t") == "1:2,2:1,3:1,10:2");
  CHECK(difference(from, "exact", to, "exact") == "");
  migration.clean();
}

TEST_CASE("an XA transaction prepared when the copy begins is waited for: MariaDB", "[exactness]") { decide_xa_while_copying("a", "b"); }
TEST_CASE("an XA transaction prepared when the copy begins is waited for: MySQL", "[exactness]") { decide_xa_while_copying("c", "d"); }

TEST_CASE("random histories end equal: MariaDB 10.11 to 10.11", "[exactness]") { run_histories("a", "b", 2, 1); }
TEST_CASE("random histories end equal: MySQL 9.7 to 9.7", "[exactness]") { run_histories("c", "d", 2, 1001); }
TEST_CASE("random histories end equal: MariaDB 10.11 to MySQL 9.7", "[exactness]") { run_histories("a", "c", 2, 2001); }
TEST_CASE("random histories end equal: MySQL 9.7 to MariaDB 10.11", "[exactness]") { run_histories("c", "a", 2, 3001); }
TEST_CASE("random histories end equal: MariaDB 11.8 to MySQL 9.7", "[exactness]") { run_histories("e", "c", 1, 4001); }
TEST_CASE("random histories end equal: MariaDB 11.8 to 10.11", "[exactness]") { run_histories("e", "a", 1, 5001); }
TEST_CASE("random histories end equal: MariaDB 10.5 to 10.11", "[exactness]") { run_histories("f", "a", 1, 6001); }
TEST_CASE("random histories end equal: MariaDB 10.5 to MySQL 9.7", "[exactness]") { run_histories("f", "c", 1, 7001); }
