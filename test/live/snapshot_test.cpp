// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7 e=mariadb-11.8 f=mariadb-10.5
// alone: it measures how long writes are held, and needs instants without a commit
// The two positions of a snapshot group, against writers that know the GTID of each of their transactions: what is in `low` is
// visible in every reader, and what is visible in any reader is in `high`. Without a lock; with semi-sync, which keeps
// transactions between the binlog and the engine for longer; and of tables for which low is the instant itself, without the lock and with it.
#include "godwit/db/snapshot.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <iostream>
#include <memory>
#include <random>
#include <thread>

#include "catch.h"
#include "godwit/util/error.h"
#include "live/support/compare.h"
#include "live/support/history.h"
#include "live/support/replica.h"

using namespace godwit::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr unsigned kKeys = 48;
const char* const kTable = "`snap`.`counters`";

enum class Kind { plain, xa };

// Writers as fast as they can, each transaction one row's new stamp.
class Load {
 public:
  Load(const Server& server, History& history, unsigned threads, std::chrono::microseconds pause = 0us, Kind kind = Kind::plain) : history_(history), kind_(kind) {
    Client client = server.client();
    client.execute("DROP DATABASE IF EXISTS snap");
    client.execute("CREATE DATABASE snap");
    // MariaDB before 11.4 finds a position's GTIDs by reading the file from its beginning: let it be short.
    client.execute("FLUSH BINARY LOGS");
    client.execute("CREATE TABLE snap.counters (id INT PRIMARY KEY, stamp BIGINT NOT NULL)");
    for (unsigned id = 0; id < kKeys; ++id) {
      client.execute("INSERT INTO snap.counters VALUES (" + std::to_string(id) + ", 0)");
      history_.load("counters", std::to_string(id));
    }
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this, &server, i, pause] { work(server, i, pause); });
  }
  ~Load() { stop(); }

  void stop() {
    is_stopped_ = true;
    for (auto& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  std::chrono::microseconds longest() const { return std::chrono::microseconds(longest_us_.load()); }
  std::uint64_t transactions() const { return transactions_; }

 private:
  void work(const Server& server, unsigned number, std::chrono::microseconds pause) {
    Client client = server.client();
    if (!server.is_mariadb()) client.execute("SET SESSION session_track_gtids = OWN_GTID");
    std::mt19937 random(number);
    while (!is_stopped_) {
      const std::string id = std::to_string(random() % kKeys);
      const std::string stamp = std::to_string(next_stamp_++);
      const auto began = steady_clock::now();
      history_.commit(commit(client, "UPDATE snap.counters SET stamp = " + stamp + " WHERE id = " + id, stamp), {{"counters", id, stamp}});
      const auto took = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - began).count();
      longest_us_ = std::max<std::int64_t>(longest_us_, took);
      ++transactions_;
      if (pause.count() > 0) std::this_thread::sleep_for(pause);
    }
  }

  // Its GTID.
  std::string commit(Client& client, const std::string& update, const std::string& name) const {
    if (kind_ == Kind::plain) {
      client.execute("START TRANSACTION");
      client.execute(update);
      return client.commit();
    }
    const std::string id = "'snap-" + name + "'";
    client.execute("XA START " + id);
    client.execute(update);
    for (const char* step : {"XA END ", "XA PREPARE ", "XA COMMIT "}) client.execute(step + id);
    return client.scalar("SELECT @@last_gtid");
  }

  History& history_;
  const Kind kind_;
  std::atomic<bool> is_stopped_{false};
  std::atomic<std::uint64_t> next_stamp_{1};
  std::atomic<std::uint64_t> transactions_{0};
  std::atomic<std::int64_t> longest_us_{0};
  std::vector<std::thread> threads_;
};

struct Seen {
  std::vector<Rows> readers;
  std::string low;
  std::string high;
};

godwit::db::Endpoint endpoint_of(const Server& server) {
  auto dsn = godwit::db::parse_dsn("mysql://godwit:godwit@127.0.0.1:" + std::to_string(server.port()) + "/?ssl-mode=disabled", "--source");
  return {.side = godwit::db::Side::source, .dsn = dsn};
}

Seen look(const godwit::db::Endpoint& endpoint, const godwit::db::SnapshotOptions& options, std::chrono::microseconds* held = nullptr) {
  const godwit::Stop stop;
  auto snapshot = godwit::db::open_snapshot(endpoint, options, stop);
  Seen seen{.readers = {}, .low = snapshot.low.text, .high = snapshot.high.text};
  for (auto& reader : snapshot.readers) {
    const auto rows = reader.query("SELECT id, stamp FROM snap.counters");
    Rows& now = seen.readers.emplace_back();
    for (std::size_t i = 0; i < rows.size(); ++i) now.stamps[rows.text(i, "id")] = rows.text(i, "stamp");
  }
  if (held != nullptr) *held = snapshot.writes_held;
  return seen;
}

std::vector<Seen> look_for(std::chrono::seconds duration, const godwit::db::Endpoint& endpoint, const godwit::db::SnapshotOptions& options) {
  std::vector<Seen> all;
  for (const auto end = steady_clock::now() + duration; steady_clock::now() < end;) all.push_back(look(endpoint, options));
  return all;
}

// The first fault of all; and the positions of a snapshot are not simply far apart.
void judge(History& history, const std::vector<Seen>& all, const std::string& name) {
  std::size_t moving = 0;
  std::size_t between = 0;
  for (const auto& seen : all) {
    for (const auto& rows : seen.readers) REQUIRE(history.judge("counters", rows, seen.low, seen.high) == "");
    const std::size_t count = history.between(seen.low, seen.high);
    between += count;
    moving += count != 0 ? 1U : 0U;
  }
  std::cout << name << ": " << all.size() << " groups of 6 snapshots, " << history.transactions() << " transactions; " << moving << " with changes between low and high, "
            << between / std::max<std::size_t>(all.size(), 1) << " on average\n";
  CHECK(all.size() >= 30);
}

void prove(const std::string& name, Kind kind = Kind::plain, std::chrono::seconds duration = 4s) {
  const Server server(name);
  History history;
  std::vector<Seen> all;
  {
    Load load(server, history, 4, 100us, kind);
    all = look_for(duration, endpoint_of(server), {.readers = 6});
  }
  judge(history, all, server.flavour());
}

std::string status_of(Client& client, const std::string& name) {
  const auto rows = client.query("SHOW GLOBAL STATUS LIKE " + literal(name));
  return rows.empty() ? "" : rows[0][1].value_or("");
}

// Semi-sync with the wait between binlog and engine (AFTER_SYNC), for as long as this lives.
class SemiSync {
 public:
  SemiSync(const Server& source, const Server& replica) : is_mariadb_(source.is_mariadb()), source_(source.client()), replica_(replica.client()) {
    if (is_mariadb_) {
      source_.execute("SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC, rpl_semi_sync_master_timeout = 10000, rpl_semi_sync_master_enabled = 1");
      replica_.execute("SET GLOBAL rpl_semi_sync_slave_enabled = 1");
    } else {
      install(source_, "source");
      install(replica_, "replica");
      replica_.execute("SET GLOBAL rpl_semi_sync_replica_enabled = 1");
      source_.execute("SET GLOBAL rpl_semi_sync_source_wait_point = AFTER_SYNC, rpl_semi_sync_source_timeout = 10000, rpl_semi_sync_source_enabled = 1");
    }
    const std::string position = source_.scalar(is_mariadb_ ? "SELECT @@GLOBAL.gtid_binlog_pos" : "SELECT @@GLOBAL.gtid_executed");
    attached_ = std::make_unique<Replica>(source, replica, ReplicaOptions{.from = position, .schema = "snap", .is_idempotent = true});
    for (unsigned i = 0; i < 200 && status_of(source_, clients()) != "1"; ++i) std::this_thread::sleep_for(50ms);
    REQUIRE(status_of(source_, clients()) == "1");
  }
  ~SemiSync() {
    source_.execute(is_mariadb_ ? "SET GLOBAL rpl_semi_sync_master_enabled = 0" : "SET GLOBAL rpl_semi_sync_source_enabled = 0");
    attached_.reset();
    replica_.execute(is_mariadb_ ? "SET GLOBAL rpl_semi_sync_slave_enabled = 0" : "SET GLOBAL rpl_semi_sync_replica_enabled = 0");
  }
  // How many commits waited for the replica's word, and whether any went without.
  std::uint64_t acknowledged() { return std::stoull("0" + status_of(source_, is_mariadb_ ? "Rpl_semi_sync_master_yes_tx" : "Rpl_semi_sync_source_yes_tx")); }
  bool is_on() { return status_of(source_, is_mariadb_ ? "Rpl_semi_sync_master_status" : "Rpl_semi_sync_source_status") == "ON"; }

 private:
  static void install(Client& client, const std::string& role) {
    const std::string plugin = "rpl_semi_sync_" + role;
    if (!client.query("SELECT 1 FROM information_schema.PLUGINS WHERE PLUGIN_NAME = " + literal(plugin)).empty()) return;
    client.execute("INSTALL PLUGIN " + plugin + " SONAME 'semisync_" + role + ".so'");
  }
  std::string clients() const { return is_mariadb_ ? "Rpl_semi_sync_master_clients" : "Rpl_semi_sync_source_clients"; }

  bool is_mariadb_;
  Client source_;
  Client replica_;
  std::unique_ptr<Replica> attached_;
};

// How often the obvious position would have been wrong: without any, the load is too tame to prove something.
std::size_t naive_faults(History& history, const std::vector<Seen>& naive) {
  return static_cast<std::size_t>(std::count_if(naive.begin(), naive.end(), [&](const Seen& seen) { return !history.judge("counters", seen.readers[0], seen.low, seen.high).empty(); }));
}

Seen look_naively(Client& client) {
  Seen seen;
  seen.low = client.scalar("SELECT @@GLOBAL.gtid_binlog_pos");
  client.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT");
  Rows& rows = seen.readers.emplace_back();
  for (const auto& row : client.query("SELECT id, stamp FROM snap.counters")) rows.stamps[row[0].value()] = row[1].value();
  client.execute("COMMIT");
  std::this_thread::sleep_for(20ms);
  seen.high = client.scalar("SELECT @@GLOBAL.gtid_binlog_pos");
  return seen;
}

void prove_with_semi_sync(const std::string& source_name, const std::string& replica_name) {
  const Server server(source_name);
  const Server replica(replica_name);
  History history;
  std::vector<Seen> all;
  std::vector<Seen> naive;
  std::uint64_t acknowledged = 0;
  {
    { const Load tables(server, history, 0); }
    replica.client().script("DROP DATABASE IF EXISTS snap;\nCREATE DATABASE snap;\nCREATE TABLE snap.counters (id INT PRIMARY KEY, stamp BIGINT NOT NULL);\n");
    SemiSync semi_sync(server, replica);
    {
      Load load(server, history, 4, 100us);
      all = look_for(4s, endpoint_of(server), {.readers = 6});
      Client client = server.client();
      for (unsigned i = 0; i < 100 && server.is_mariadb(); ++i) naive.push_back(look_naively(client));
    }
    CHECK(semi_sync.is_on());
    acknowledged = semi_sync.acknowledged();
  }
  std::cout << server.flavour() << " with semi-sync: " << acknowledged << " commits acknowledged by the replica\n";
  CHECK(acknowledged >= history.transactions() / 2);
  judge(history, all, server.flavour() + " with semi-sync");
  if (server.is_mariadb()) {
    const std::size_t faults = naive_faults(history, naive);
    std::cout << "@@gtid_binlog_pos would have been wrong in " << faults << " of " << naive.size() << "\n";
    CHECK(faults > 0);
  }
}

struct Exact {
  std::vector<Seen> seen;
  std::vector<std::chrono::microseconds> held;
};

// No XA COMMIT may begin while the views are opened: where they come all the time, only a lock helps, or nothing.
void prove_exact_with_xa(const std::string& name) {
  const Server server(name);
  History history;
  std::vector<Seen> all;
  std::chrono::microseconds held_max{0};
  std::size_t refused = 0;
  {
    Client orphan = server.client();
    Load load(server, history, 4, 1ms, Kind::xa);
    for (const char* step : {"XA START 'orphan'", "INSERT INTO snap.counters VALUES (1000, 0)", "XA END 'orphan'", "XA PREPARE 'orphan'"}) orphan.execute(step);
    for (unsigned i = 0; i < 100; ++i) {
      try {
        all.push_back(look(endpoint_of(server), {.readers = 1, .must_be_exact = true, .exact_tables = {}, .quiet_max = 200ms}));
        all.push_back(look(endpoint_of(server), {.readers = 1, .must_be_exact = true, .exact_tables = {}, .quiet_max = 0ms}));
      } catch (const godwit::Error& error) {
        REQUIRE(error.code() == godwit::Code::lock_contention);
        ++refused;
      }
    }
    orphan.execute("XA ROLLBACK 'orphan'");  // its metadata lock would keep the table's
    for (unsigned i = 0; i < 60; ++i) {
      std::chrono::microseconds held{0};
      all.push_back(look(endpoint_of(server), {.readers = 3, .must_be_exact = true, .exact_tables = {kTable}, .quiet_max = 0ms}, &held));
      held_max = std::max(held_max, held);
    }
  }
  std::cout << server.flavour() << " with XA: " << all.size() << " exact views, " << refused << " looks without one, writes held at most " << held_max.count() << " us\n";
  CHECK(all.size() > 60);
  CHECK(refused > 0);
  for (const auto& seen : all) {
    for (const auto& rows : seen.readers) REQUIRE(history.judge("counters", rows, seen.low, seen.low) == "");
  }
}

// 60 looks under `pause` between two transactions of each of four writers, of which each must be exact.
Exact look_exactly(const Server& server, std::chrono::microseconds pause, const godwit::db::SnapshotOptions& options) {
  History history;
  Exact exact;
  {
    Load load(server, history, 4, pause);
    for (unsigned i = 0; i < 60; ++i) exact.seen.push_back(look(endpoint_of(server), options, &exact.held.emplace_back()));
  }
  for (const auto& seen : exact.seen) {
    REQUIRE(!seen.readers.empty());
    for (const auto& rows : seen.readers) REQUIRE(history.judge("counters", rows, seen.low, seen.low) == "");
  }
  std::sort(exact.held.begin(), exact.held.end());
  return exact;
}

std::size_t readers_of(const Exact& exact) {
  std::size_t readers = 0;
  for (const auto& seen : exact.seen) readers += seen.readers.size();
  return readers;
}

void prove_exact_without_lock(const std::string& name, std::chrono::microseconds pause) {
  const Server server(name);
  const auto exact = look_exactly(server, pause, {.readers = 3, .must_be_exact = true, .exact_tables = {kTable}});
  CHECK(exact.held.back() == 0us);
  CHECK(readers_of(exact) == 180);
}

// No instant is looked for: MariaDB's readers are those that have one all the same.
void prove_exact_by_fewer(const std::string& name) {
  const Server server(name);
  const auto exact = look_exactly(server, 100us, {.readers = 6, .must_be_exact = true, .exact_tables = {kTable}, .quiet_max = 0ms});
  std::cout << server.flavour() << ": " << readers_of(exact) << " of 360 readers had begun in one instant\n";
  CHECK(exact.held.back() == 0us);
  CHECK(readers_of(exact) < 360);
}

void prove_exact_under_lock(const std::string& name) {
  const Server server(name);
  const auto held = look_exactly(server, 300us, {.readers = 3, .must_be_exact = true, .exact_tables = {kTable}, .quiet_max = 0ms}).held;
  std::cout << server.flavour() << ": writes held p50 " << held[held.size() / 2].count() << " us, p100 " << held.back().count() << " us, of " << held.size() << "\n";
  CHECK(held.front() > 0us);
  CHECK(held.back() < 50ms);
}

void wait_behind_a_transaction(const std::string& name) {
  const Server server(name);
  History history;
  Load load(server, history, 2, 1ms);
  Client blocker = server.client();
  blocker.execute("START TRANSACTION");
  blocker.execute("INSERT INTO snap.counters VALUES (1000, 0)");
  const std::string id = blocker.scalar("SELECT CONNECTION_ID()");
  const auto before = load.transactions();
  std::string message;
  try {
    look(endpoint_of(server), {.readers = 1, .must_be_exact = true, .exact_tables = {kTable}, .quiet_max = 0ms, .lock_total_max = std::chrono::seconds(2)});
  } catch (const godwit::Error& error) {
    CHECK(error.code() == godwit::Code::lock_unavailable);
    message = error.what();
  }
  INFO(message);
  CHECK(message.find("connection " + id) != std::string::npos);
  CHECK(load.transactions() - before > 200);  // traffic flowed between the attempts
  CHECK(load.longest() < 500ms);
  // It gives the lock up for good: and gets it once the transaction has ended.
  auto later = std::async(std::launch::async, [&] { return look(endpoint_of(server), {.readers = 1, .must_be_exact = true, .exact_tables = {kTable}, .quiet_max = 0ms}); });
  std::this_thread::sleep_for(300ms);
  blocker.execute("ROLLBACK");
  const Seen seen = later.get();
  load.stop();
  CHECK(history.judge("counters", seen.readers[0], seen.low, seen.low) == "");
}

// Transactions that write to two tables, against the order in which a lock would take them.
std::string complaints_of_clients(const Server& server, std::chrono::microseconds pause) {
  Client client = server.client();
  client.script("DROP DATABASE IF EXISTS snap;\nCREATE DATABASE snap;\nCREATE TABLE snap.counters (id INT AUTO_INCREMENT PRIMARY KEY);\nCREATE TABLE snap.later (id INT AUTO_INCREMENT PRIMARY KEY);\n");
  std::atomic<bool> is_over{false};
  std::vector<std::future<std::string>> clients;
  for (unsigned i = 0; i < 4; ++i) {
    clients.push_back(std::async(std::launch::async, [&]() -> std::string {
      try {
        Client one = server.client();
        while (!is_over) {
          for (const char* sql : {"START TRANSACTION", "INSERT INTO snap.later VALUES ()", "INSERT INTO snap.counters VALUES ()", "COMMIT"}) one.execute(sql);
          std::this_thread::sleep_for(pause);
        }
        return "";
      } catch (const std::exception& error) {
        return error.what();
      }
    }));
  }
  std::string all;
  try {
    for (unsigned i = 0; i < 200; ++i) godwit::db::open_snapshot(endpoint_of(server), {.readers = 3, .must_be_exact = true, .exact_tables = {kTable, "`snap`.`later`"}}, godwit::Stop());
  } catch (const std::exception& error) {
    all = error.what();
  }
  is_over = true;
  for (auto& one : clients) all += one.get();
  return all;
}

}  // namespace

TEST_CASE("what is in low is visible, what is visible is in high: MariaDB 10.11", "[snapshot]") { prove("a"); }
TEST_CASE("what is in low is visible, what is visible is in high: MySQL 9.7", "[snapshot]") { prove("c"); }
TEST_CASE("what is in low is visible, what is visible is in high: MariaDB 11.8", "[snapshot]") { prove("e"); }
TEST_CASE("what is in low is visible, what is visible is in high: MariaDB 10.5", "[snapshot]") { prove("f"); }
TEST_CASE("with semi-sync too: MariaDB 10.11", "[snapshot]") { prove_with_semi_sync("a", "b"); }
TEST_CASE("with semi-sync too: MySQL 9.7", "[snapshot]") { prove_with_semi_sync("c", "d"); }
TEST_CASE("low is the instant of all readers, and no write waits: MariaDB 10.11", "[snapshot]") { prove_exact_without_lock("a", 300us); }
TEST_CASE("low is the instant of all readers, and no write waits: MariaDB 11.8", "[snapshot]") { prove_exact_without_lock("e", 300us); }
TEST_CASE("low is the instant of all readers, and no write waits: MySQL 9.7", "[snapshot]") { prove_exact_without_lock("c", 20ms); }
TEST_CASE("no client is told of a deadlock: MariaDB 10.11", "[snapshot]") { CHECK(complaints_of_clients(Server("a"), 300us) == ""); }
TEST_CASE("no client is told of a deadlock: MySQL 9.7", "[snapshot]") { CHECK(complaints_of_clients(Server("c"), 20ms) == ""); }
TEST_CASE("where MariaDB commits too often for all, low is the instant of those that read", "[snapshot]") { prove_exact_by_fewer("a"); }
TEST_CASE("under the lock low is the instant, writes wait milliseconds: MySQL 9.7", "[snapshot]") { prove_exact_under_lock("c"); }
TEST_CASE("the lock waits for a transaction, names it, and traffic flows: MySQL 9.7", "[snapshot]") { wait_behind_a_transaction("c"); }

// Last: what a server with XA needs beyond others, it needs from the first XA COMMIT on.
TEST_CASE("XA transactions too, which are in the binlog before they are seen: MariaDB 10.11", "[snapshot]") { prove("a", Kind::xa, 8s); }
TEST_CASE("XA transactions too, which are in the binlog before they are seen: MariaDB 11.8", "[snapshot]") { prove("e", Kind::xa, 8s); }
TEST_CASE("XA transactions too, where low is the instant: MariaDB 10.11", "[snapshot]") { prove_exact_with_xa("a"); }
TEST_CASE("XA transactions too, where low is the instant: MariaDB 11.8", "[snapshot]") { prove_exact_with_xa("e"); }
