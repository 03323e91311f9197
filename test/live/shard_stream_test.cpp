// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7
// `godwit replicate` with shards: one binlog read feeds them all, each with its own position, and each leads back by a stream of its own. Whatever is
// written, whichever of the processes and servers is killed, the shards together are the source, each row on its shard.
#include <signal.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "catch.h"
#include "live/support/seed.h"
#include "live/support/sharded.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

class Die {
 public:
  explicit Die(std::uint64_t seed) : engine_(seed) {}
  int below(int sides) { return static_cast<int>(engine_() % static_cast<unsigned>(sides)); }

 private:
  std::mt19937_64 engine_;
};

std::string text(int number) { return std::to_string(number); }

// One statement of an application that knows of no shards: rows come, go, and change their customer, one by one and many at once.
std::string statement(Die& die) {
  const std::string id = text(die.below(300));
  const std::string customer = text(die.below(40));
  const std::string n = text(die.below(1000));
  switch (die.below(14)) {
    case 0:
    case 1:
      return "REPLACE INTO orders VALUES (" + id + ", " + customer + ", 'it''s " + n + "', " + n + ")";
    case 2:
      return "UPDATE orders SET n = n + 1, note = CONCAT('n', n) WHERE id = " + id;
    case 3:
      return "UPDATE orders SET customer = " + customer + " WHERE id = " + id;
    case 4:
      return "UPDATE orders SET customer = (customer + 7) % 40 WHERE id BETWEEN " + id + " AND " + id + " + 20";
    case 5:
      return "DELETE FROM orders WHERE id BETWEEN " + id + " AND " + id + " + 3";
    case 6:
      return "INSERT INTO items VALUES (" + customer + ", " + id + ", " + n + ") ON DUPLICATE KEY UPDATE n = n + 1";
    case 7:
      return "UPDATE IGNORE items SET customer = (customer + 1) % 40 WHERE item = " + id;
    case 8:
      return "DELETE FROM items WHERE item = " + id;
    case 9:
      return "INSERT INTO visits VALUES (" + customer + ", " + n + ")";
    case 10:
      return "UPDATE visits SET customer = " + customer + " WHERE at = " + n;
    case 11:
      return "REPLACE INTO mails VALUES (" + id + ", " + customer + ", 'm" + text(die.below(300)) + "')";
    case 12:
      return "REPLACE INTO countries VALUES ('" + std::string(1, static_cast<char>('a' + die.below(26))) + "x', " + n + ")";
    default:
      return "REPLACE INTO settings VALUES ('s" + text(die.below(9)) + "', " + n + ")";
  }
}

// Writes to the source until it is destroyed.
class Writer {
 public:
  Writer(const Sharded& stage, std::uint64_t seed, milliseconds pause = milliseconds(2)) : thread_([this, &stage, seed, pause] { run(stage, seed, pause); }) {}
  ~Writer() {
    is_ending_ = true;
    thread_.join();
  }

 private:
  void run(const Sharded& stage, std::uint64_t seed, milliseconds pause) {
    Client client = stage.source_client();
    Die die(seed);
    while (!is_ending_) {
      try {
        client.execute("START TRANSACTION");
        for (int i = die.below(4); i >= 0; --i) client.execute(statement(die));
        client.execute(die.below(10) == 0 ? "ROLLBACK" : "COMMIT");
      } catch (const std::runtime_error&) {  // a deadlock with the other writer
        client.execute("ROLLBACK");
      }
      std::this_thread::sleep_for(pause);
    }
  }

  std::atomic<bool> is_ending_{false};
  std::thread thread_;
};

void write_some(const Sharded& stage, std::uint64_t seed, int transactions) {
  Client client = stage.source_client();
  Die die(seed);
  for (int i = 0; i < transactions; ++i) {
    client.execute("START TRANSACTION");
    for (int k = die.below(4); k >= 0; --k) client.execute(statement(die));
    client.execute("COMMIT");
  }
}

// More than one transaction of a shard takes: rows that come, and rows that go to another shard.
void write_many(const Sharded& stage, int first_id) {
  Client client = stage.source_client();
  std::string sql = "REPLACE INTO orders VALUES ";
  for (int i = 0; i < 1500; ++i) sql += std::string(i == 0 ? "" : ", ") + "(" + text(first_id + i) + ", " + text(i % 40) + ", 'many', 0)";
  client.execute(sql);
  client.execute("UPDATE orders SET customer = (customer + 3) % 40, n = n + 1 WHERE id >= " + text(first_id));
}

bool comes_to(const Sharded& stage, std::string& different, seconds limit = seconds(60)) {
  return holds_within(limit, [&] {
    different = stage.difference();
    return different.empty();
  });
}

void end(Process& process) {
  process.signal(SIGTERM);
  const Outcome outcome = process.wait();
  INFO(outcome.err);
  CHECK(outcome.status == 130);
}

}  // namespace

TEST_CASE("two and four shards are the source under random writes that move rows between them", "[shard_stream]") {
  const Server a("a"), b("b"), c("c");
  const std::uint64_t seed = seed_of_this_run();
  INFO("GODWIT_SEED=" << seed);
  for (const auto& [source, shards] : {std::pair(&a, std::vector<const Server*>{&b, &c}), std::pair(&c, std::vector<const Server*>{&a, &b, &a, &b})}) {
    Sharded stage(*source, shards);
    write_some(stage, seed, 300);
    Process process = stage.replicate();
    {
      const Writer one(stage, seed + 1), two(stage, seed + 2);
      std::this_thread::sleep_for(seconds(4));
    }
    std::string different;
    const bool is_same = comes_to(stage, different);
    INFO(process.log());
    CHECK(different == "");
    REQUIRE(is_same);
    end(process);
  }
}

TEST_CASE("a shard without anything to do keeps its position, and few transactions do it", "[shard_stream]") {
  const Server a("a"), b("b"), c("c");
  Sharded stage(a, {&b, &b});
  Process process = stage.replicate({"--no-heartbeat"});
  Client source = stage.source_client();
  int customer = 0;
  while (stage.home(customer) != 0) ++customer;
  const auto commits = [&] { return std::stoull(b.client().query("SHOW GLOBAL STATUS LIKE 'Com_commit'")[0][1].value()); };
  REQUIRE(holds_within(seconds(30), [&] { return b.client().scalar("SELECT COUNT(*) FROM _godwit.stream WHERE state = 'running'") == "2"; }));
  const auto before = commits();
  for (int i = 0; i < 400; ++i) source.execute("INSERT INTO orders VALUES (" + text(i) + ", " + text(customer) + ", '', 0)");
  std::string different;
  CHECK(comes_to(stage, different));
  CHECK(different == "");
  const std::string end_of_source = source.scalar("SELECT @@gtid_binlog_pos");
  CHECK(holds_within(seconds(10), [&] { return stage.positions("forward") == end_of_source + "; " + end_of_source + "; "; }));
  const auto done = commits() - before;
  INFO(done << " commits");
  CHECK(done < 700);  // up to 400 of the busy shard, and of the idle one up to 50 a second
  end(process);
}

TEST_CASE("a shard's server is restarted and killed while it catches up: the others go on, and it comes to the same", "[shard_stream]") {
  const Server a("a"), b("b"), c("c");
  const std::uint64_t seed = seed_of_this_run();
  INFO("GODWIT_SEED=" << seed);
  Sharded stage(a, {&b, &c});
  write_some(stage, seed, 500);
  Process process = stage.replicate();
  {
    const Writer writer(stage, seed + 1);
    REQUIRE(changes_within(seconds(60), [&] { return c.client().scalar("SELECT position FROM _godwit.stream"); }));
    c.kill_server();
    Client other = stage.shard_client(0);
    const auto position = [&] { return other.scalar("SELECT position FROM _godwit.stream WHERE shard = '-80'"); };
    // What it had taken with the other at the latest, and what it goes on with without it.
    const bool goes_on = changes_within(seconds(20), position) && changes_within(seconds(20), position);
    INFO(process.log());
    CHECK(goes_on);
    c.restart();
    std::this_thread::sleep_for(seconds(1));
    c.restart();
    std::this_thread::sleep_for(seconds(1));
  }
  std::string different;
  const bool is_same = comes_to(stage, different, seconds(90));
  INFO(process.log());
  CHECK(different == "");
  REQUIRE(is_same);
  end(process);
}

TEST_CASE("replicate is killed at each point of applying, with rows on their way from shard to shard", "[shard_stream]") {
  const Server a("a"), b("b"), c("c");
  const std::uint64_t seed = seed_of_this_run();
  INFO("GODWIT_SEED=" << seed);
  Sharded stage(a, {&b, &c, &b});
  std::uint64_t round = 0;
  for (const char* point : {"apply.window_taken", "apply.end_recorded", "apply.job_written", "apply.job_committed", "apply.jobs_done", "apply.position_moved"}) {
    for (const std::string hit : {"@1", "@4"}) {
      // A window of several jobs is no certainty: what has come by when it is taken decides.
      bool is_hit = false;
      for (int attempt = 0; attempt < 5 && !is_hit; ++attempt) {
        write_some(stage, seed + ++round, 100);
        write_many(stage, 10000);
        Process process = stage.replicate({"--until-current", "--no-heartbeat"}, point + ("=kill" + hit));
        const Outcome outcome = process.wait();
        INFO(point << hit << ": " << outcome.status << " " << outcome.err);
        CHECK((outcome.status == 128 + SIGKILL || outcome.status == 0));
        is_hit = outcome.status == 128 + SIGKILL || hit != "@1";
      }
      INFO(point << hit);
      CHECK(is_hit);
    }
    stage.catch_up();
    INFO(point);
    REQUIRE(stage.difference() == "");
  }
}

namespace {

// The application through a head: a row leaves one shard and comes to the other, each by its own transaction there.
void move(const Sharded& stage, int id, int from, int to) {
  Client there = stage.shard_client(stage.home(from));
  there.execute("DELETE FROM orders WHERE id = " + text(id));
  Client here = stage.shard_client(stage.home(to));
  here.execute("INSERT INTO orders VALUES (" + text(id) + ", " + text(to) + ", 'moved', " + text(to) + ")");
}

int customer_of(const Sharded& stage, std::size_t shard, int from = 0) {
  while (stage.home(from) != shard) ++from;
  return from;
}

// Random changes on the shards, as a head would make them; no row is on two of them at once.
void write_on_shards(const Sharded& stage, Die& die, int changes) {
  std::vector<Client> clients;
  for (std::size_t i = 0; i < stage.count(); ++i) clients.push_back(stage.shard_client(i));
  std::map<int, int> customer_of_order;
  for (auto& client : clients) {
    for (const auto& row : client.query("SELECT id, customer FROM orders")) customer_of_order[std::stoi(row[0].value())] = std::stoi(row[1].value());
  }
  const auto at = [&](int customer) -> Client& { return clients[stage.home(customer)]; };
  for (int i = 0; i < changes; ++i) {
    const int id = die.below(25);
    const int customer = die.below(40);
    const auto known = customer_of_order.find(id);
    const std::string row = "(" + text(id) + ", " + text(customer) + ", 'x', " + text(i) + ")";
    if (known == customer_of_order.end()) {
      at(customer).execute("INSERT INTO orders VALUES " + row);
      customer_of_order[id] = customer;
    } else if (die.below(5) == 0) {
      at(known->second).execute("DELETE FROM orders WHERE id = " + text(id));
      customer_of_order.erase(known);
    } else if (stage.home(customer) == stage.home(known->second)) {
      at(customer).execute("UPDATE orders SET customer = " + text(customer) + ", n = " + text(i) + " WHERE id = " + text(id));
      known->second = customer;
    } else {
      at(known->second).execute("DELETE FROM orders WHERE id = " + text(id));
      at(customer).execute("INSERT INTO orders VALUES " + row);
      known->second = customer;
    }
    if (die.below(10) == 0) {
      for (auto& client : clients) client.execute("REPLACE INTO countries VALUES ('zz', " + text(i) + ")");
    }
    if (die.below(10) == 0) clients[0].execute("REPLACE INTO settings VALUES ('s', " + text(i) + ")");
  }
}

}  // namespace

TEST_CASE("the way back: a row's insert comes before its delete, and its delete before its insert", "[shard_stream]") {
  const Server a("a"), b("b"), c("c");
  for (const std::size_t late : {std::size_t{0}, std::size_t{1}}) {
    Sharded stage(a, {&b, &c});
    const int on_first = customer_of(stage, 0);
    const int on_second = customer_of(stage, 1);
    write_some(stage, 5, 20);
    stage.source_client().script("DELETE FROM orders;\nINSERT INTO orders VALUES (1, " + text(on_first) + ", '', 1), (2, " + text(on_second) + ", '', 2), (3, " + text(on_first) + ", '', 3);\n");
    stage.catch_up();
    REQUIRE(stage.difference() == "");
    stage.switch_to_shards();
    {
      // What one shard has is held up by a lock on the source that its stream alone needs; the other's arrives.
      Client lock = stage.source_client();
      Process process = stage.replicate({"--no-heartbeat"});
      REQUIRE(holds_within(seconds(30), [&] { return stage.source_client().scalar("SELECT COUNT(*) FROM _godwit.stream WHERE direction = 'reverse' AND state = 'running'") == "2"; }));
      lock.execute("START TRANSACTION");
      lock.execute("SELECT * FROM _godwit.stream WHERE workflow = 'sharded' AND direction = 'reverse' AND shard = '" + std::string(late == 0 ? "-80" : "80-") + "' FOR UPDATE");
      move(stage, 1, on_first, on_second);   // to the second, which is late or early
      move(stage, 2, on_second, on_first);
      move(stage, 3, on_first, on_second);   // there and back
      move(stage, 3, on_second, on_first);
      CHECK(holds_within(seconds(20), [&] { return stage.parked() > 0; }));
      lock.execute("ROLLBACK");
      std::string different;
      const bool is_same = comes_to(stage, different);
      INFO(process.log());
      CHECK(different == "");
      REQUIRE(is_same);
      CHECK(stage.parked() == 0);
      end(process);
    }
  }
}

TEST_CASE("the way back: random moves between shards, with kills, and streams that are far apart", "[shard_stream]") {
  const Server a("a"), b("b"), c("c");
  const std::uint64_t seed = seed_of_this_run();
  INFO("GODWIT_SEED=" << seed);
  Die die(seed);
  Sharded stage(c, {&a, &b, &a});
  write_some(stage, seed, 60);
  stage.catch_up();
  REQUIRE(stage.difference() == "");
  stage.switch_to_shards();
  for (int round = 0; round < 6; ++round) {
    write_on_shards(stage, die, 120);
    const char* points[] = {"apply.job_written", "apply.job_committed", "apply.position_moved", "apply.end_recorded"};
    Process process = stage.replicate({"--no-heartbeat"}, std::string(points[die.below(4)]) + "=kill@" + text(1 + die.below(6)));
    std::this_thread::sleep_for(milliseconds(500));
    write_on_shards(stage, die, 60);
    std::this_thread::sleep_for(milliseconds(300));
  }
  Process process = stage.replicate({"--no-heartbeat"});
  write_on_shards(stage, die, 200);
  std::string different;
  const bool is_same = comes_to(stage, different);
  INFO(process.log());
  CHECK(different == "");
  REQUIRE(is_same);
  CHECK(stage.parked() == 0);
  end(process);
}
