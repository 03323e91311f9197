// servers: a=mariadb-10.11 b=mysql-9.7 c=mariadb-11.8 d=mariadb-10.5
// The fence on real servers, with an ordinary account that writes all along: once close() has returned nothing of it can be committed any more, and
// what it was told was committed is before the position read next. And each of the ways in which a fence follows the authority.
#include "godwit/fence/fence.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

#include "catch.h"
#include "godwit/fence/reconciler.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "live/support/sidecars.h"
#include "live/support/waiting.h"

using namespace godwit;
using namespace godwit::test;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr std::chrono::milliseconds kPatience{5000};
const char* const kServers[] = {"a", "b", "c", "d"};

// The words of the server that refuses it; "" when it passes.
std::string refusal(Client& client, const std::string& sql) {
  try {
    client.execute(sql);
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

bool is_refused(Client& client, const std::string& sql) {
  const std::string words = refusal(client, sql);
  INFO(sql << ": " << words);
  return words.find("read-only") != std::string::npos || words.find("GW1110") != std::string::npos;
}

Code code_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    INFO(error.what());
    return error.code();
  }
  return Code::internal_error;
}

std::string words_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing";
}

std::string position(const Server& server) { return server.client().scalar(server.is_mariadb() ? "SELECT @@GLOBAL.gtid_binlog_pos" : "SELECT @@GLOBAL.gtid_executed"); }

// A server with a table, an ordinary account, and a workflow whose source it is; the authority stands on it too.
struct Scene {
  Scene(const std::string& name, fence::Kind kind) : server(name), plan{.workflow = "shop", .side = db::Side::source, .kind = kind, .tables = {{"fenced", "t"}, {"fenced", "missing"}}} {
    clean();
    Client client = server.client();
    client.execute("CREATE DATABASE fenced");
    client.execute("CREATE TABLE fenced.t (id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT)");
    client.execute("CREATE TABLE fenced.log (id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT)");
    client.execute("CREATE TRIGGER fenced.own BEFORE INSERT ON fenced.t FOR EACH ROW INSERT INTO fenced.log (v) VALUES (NEW.v)");
    client.execute("INSERT INTO fenced.t VALUES (1, 1), (2, 2)");
    client.execute("CREATE USER fenced_app@'%' IDENTIFIED BY 'godwit'");
    client.execute("GRANT ALL PRIVILEGES ON fenced.* TO fenced_app@'%'");
    own.emplace(session_with(server, db::Side::source));
    keeper.emplace(session_with(server, db::Side::target));
    authority.emplace(*keeper, "shop");
    state::Sidecar(*keeper).create();
    authority->create();
    authority->set_fence(std::string(fence::to_string(kind)));
  }
  ~Scene() { clean(); }

  void clean() const {
    Client client = server.client();
    client.execute("SET GLOBAL read_only = 0");
    client.execute("SET GLOBAL event_scheduler = OFF");
    if (!server.is_mariadb()) client.execute("RESET PERSIST IF EXISTS read_only");
    client.execute("DROP DATABASE IF EXISTS fenced");
    client.execute("DROP DATABASE IF EXISTS _godwit");
    client.execute("DROP USER IF EXISTS fenced_app@'%'");
  }
  Client app() const { return server.client_of("fenced_app", "fenced"); }
  std::uint64_t begin() { return authority->begin(authority->read()->epoch, "test")->epoch; }
  void close(std::uint64_t hold, std::chrono::milliseconds patience = kPatience) { fence::close(*own, *authority, plan, hold, patience); }
  fence::Seen follow(std::chrono::milliseconds patience = kPatience) { return fence::follow(*own, *authority, plan, patience); }
  std::string read_only() const { return server.client().scalar("SELECT @@GLOBAL.read_only"); }
  std::uint64_t guards() const { return std::stoull(server.client().scalar("SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_NAME LIKE '\\_godwit\\_guard\\_%'")); }

  Server server;
  fence::Plan plan;
  std::optional<db::Connection> own;
  std::optional<db::Connection> keeper;
  std::optional<state::Authority> authority;
};

// Sessions of the ordinary account, each in transactions of two rows: how many the server said were committed, until it refuses.
class Writers {
 public:
  Writers(const Scene& scene, int count) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this, &scene] { write(scene.app()); });
  }
  ~Writers() { join(); }
  void join() {
    is_ended_ = true;
    for (auto& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  std::uint64_t committed() const { return committed_; }
  std::uint64_t refused() const { return refused_; }

 private:
  void write(Client client) {
    while (!is_ended_) {
      try {
        client.execute("START TRANSACTION");
        client.execute("INSERT INTO t (v) VALUES (7)");
        client.execute("INSERT INTO t (v) VALUES (7)");
        client.execute("COMMIT");
        ++committed_;
      } catch (const std::runtime_error&) {
        ++refused_;
        client.execute("ROLLBACK");
        std::this_thread::sleep_for(1ms);
      }
    }
  }

  std::atomic<bool> is_ended_{false};
  std::atomic<std::uint64_t> committed_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::vector<std::thread> threads_;
};

void for_each_scene(const std::function<void(Scene&)>& check) {
  for (const char* name : kServers) {
    for (const auto kind : {fence::Kind::read_only, fence::Kind::triggers}) {
      Scene scene(name, kind);
      INFO(scene.server.flavour() << " by " << fence::to_string(kind));
      check(scene);
    }
  }
}

}  // namespace

TEST_CASE("fence: after close() the position stands still, and what was acknowledged is before it", "[fence]") {
  for_each_scene([](Scene& scene) {
    fence::prepare(*scene.own, scene.plan, kPatience);
    Writers writers(scene, 6);
    REQUIRE(holds_within(20s, [&] { return writers.committed() > 50; }));
    const auto began = steady_clock::now();
    scene.close(scene.begin());
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - began);
    const std::string last = position(scene.server);
    const std::string rows = scene.server.client().scalar("SELECT COUNT(*) FROM fenced.t WHERE v = 7");
    const auto refused = writers.refused();
    CHECK(holds_within(20s, [&] { return writers.refused() > refused + 50; }));
    CHECK(position(scene.server) == last);
    writers.join();
    CHECK(scene.server.client().scalar("SELECT COUNT(*) FROM fenced.t WHERE v = 7") == rows);
    CHECK(rows == std::to_string(writers.committed() * 2));
    CHECK(fence::is_fenced(*scene.own, scene.plan));
    WARN(scene.server.flavour() << " by " << fence::to_string(scene.plan.kind) << ": closed in " << took.count() << " ms under 6 writers");
  });
}

TEST_CASE("fence: read_only: a transaction that wrote before cannot commit, and does not hold the fence up", "[fence]") {
  for (const char* name : kServers) {
    Scene scene(name, fence::Kind::read_only);
    INFO(scene.server.flavour());
    Client open = scene.app();
    open.execute("START TRANSACTION");
    open.execute("UPDATE t SET v = 100 WHERE id = 1");
    Client reader = scene.app();
    reader.execute("START TRANSACTION");
    reader.query("SELECT * FROM t");
    Client autocommit = scene.app();
    const auto began = steady_clock::now();
    scene.close(scene.begin());
    CHECK(steady_clock::now() - began < 3s);
    const std::string last = position(scene.server);
    CHECK(is_refused(autocommit, "UPDATE t SET v = 9 WHERE id = 2"));
    CHECK(is_refused(open, "UPDATE t SET v = 9 WHERE id = 2"));
    CHECK(is_refused(open, "COMMIT"));
    CHECK(is_refused(autocommit, "CREATE TABLE more (id INT)"));
    CHECK(is_refused(autocommit, "TRUNCATE t"));
    CHECK(position(scene.server) == last);
    CHECK(scene.server.client().scalar("SELECT v FROM fenced.t WHERE id = 1") == "1");
    CHECK(refusal(reader, "SELECT * FROM t").empty());
    scene.server.client().execute("UPDATE fenced.t SET v = 5 WHERE id = 2");  // godwit's own account passes
  }
}

TEST_CASE("fence: read_only: a statement that writes for long ends the attempt in time, and nothing stays closed", "[fence]") {
  for (const char* name : kServers) {
    Scene scene(name, fence::Kind::read_only);
    INFO(scene.server.flavour());
    std::thread slow([&] {
      Client client = scene.app();
      client.execute("UPDATE t SET v = v + SLEEP(3) WHERE id = 1");
    });
    REQUIRE(holds_within(10s, [&] { return scene.server.client().scalar("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'UPDATE t SET v = v + SLEEP%'") == "1"; }));
    const auto hold = scene.begin();
    const auto began = steady_clock::now();
    CHECK(code_of([&] { scene.close(hold, 400ms); }) == Code::lock_contention);
    CHECK(steady_clock::now() - began < 1500ms);
    REQUIRE(scene.authority->abort(hold));
    const auto seen = scene.follow();
    CHECK(!seen.is_fenced);
    Client other = scene.app();
    CHECK(refusal(other, "INSERT INTO t (v) VALUES (3)").empty());
    slow.join();
  }
}

TEST_CASE("fence: read_only: on MySQL an XA transaction could commit in spite of it, so that none may be open", "[fence]") {
  for (const char* name : kServers) {
    Scene scene(name, fence::Kind::read_only);
    INFO(scene.server.flavour());
    Client client = scene.app();
    for (const char* sql : {"XA START 'fence'", "UPDATE t SET v = 9 WHERE id = 1", "XA END 'fence'"}) client.execute(sql);
    if (!scene.server.is_mariadb()) CHECK(code_of([&] { scene.close(scene.begin(), 300ms); }) == Code::lock_contention);
    if (scene.authority->read()->is_switching) scene.authority->abort(scene.authority->read()->epoch);
    scene.follow();
    client.execute("XA PREPARE 'fence'");
    CHECK(code_of([&] { scene.close(scene.begin(), 300ms); }) == Code::lock_contention);
    scene.authority->abort(scene.authority->read()->epoch);
    scene.follow();
    client.execute("XA COMMIT 'fence'");
    scene.close(scene.begin());
    CHECK(scene.server.client().scalar("SELECT v FROM fenced.t WHERE id = 1") == "9");
  }
}

TEST_CASE("fence: read_only: an event of a privileged definer stands still while it is closed, and goes on when it is lifted", "[fence]") {
  for (const char* name : kServers) {
    Scene scene(name, fence::Kind::read_only);
    INFO(scene.server.flavour());
    Client root = scene.server.client();
    root.execute("CREATE EVENT fenced.tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO fenced.log (v) VALUES (1)");
    root.execute("SET GLOBAL event_scheduler = ON");
    const auto count = [&] { return root.scalar("SELECT COUNT(*) FROM fenced.log"); };
    REQUIRE(changes_within(10s, count));
    const auto hold = scene.begin();
    scene.close(hold);
    CHECK(root.scalar("SELECT @@GLOBAL.event_scheduler") == "OFF");
    std::this_thread::sleep_for(300ms);  // one that was running
    CHECK(!changes_within(3s, count));
    scene.authority->abort(hold);
    CHECK(!scene.follow().is_fenced);
    CHECK(root.scalar("SELECT @@GLOBAL.event_scheduler") == "ON");
    CHECK(changes_within(10s, count));
  }
}

TEST_CASE("fence: read_only: what is announced keeps nobody off, and is taken back when its hold is over", "[fence]") {
  for (const char* name : kServers) {
    Scene scene(name, fence::Kind::read_only);
    INFO(scene.server.flavour());
    const auto is_recorded = [&] { return scene.server.client().scalar("SELECT is_set FROM _godwit.fence WHERE side = 'source'"); };
    Client app = scene.app();
    const auto hold = scene.begin();
    fence::announce(*scene.own, *scene.authority, scene.plan, hold, kPatience);
    CHECK(is_recorded() == "1");
    CHECK(!fence::is_fenced(*scene.own, scene.plan));
    CHECK(!scene.follow().was_changed);  // the switch is under way
    CHECK(refusal(app, "UPDATE t SET v = 3 WHERE id = 1").empty());
    REQUIRE(scene.authority->abort(hold));
    CHECK(code_of([&] { fence::announce(*scene.own, *scene.authority, scene.plan, hold, kPatience); }) == Code::switch_fenced);
    CHECK(scene.follow().was_changed);
    CHECK(is_recorded() == "0");
    CHECK(refusal(app, "UPDATE t SET v = 4 WHERE id = 1").empty());
  }
}

TEST_CASE("fence: open() lets writers in where the side serves, and follow() does what it has left", "[fence]") {
  for_each_scene([](Scene& scene) {
    scene.server.client().execute("SET GLOBAL event_scheduler = ON");
    const auto hold = scene.begin();
    fence::announce(*scene.own, *scene.authority, scene.plan, hold, kPatience);
    scene.close(hold);
    Client app = scene.app();
    REQUIRE(scene.authority->commit(hold));
    CHECK(fence::open(*scene.own, *scene.authority, scene.plan, kPatience).is_fenced);  // the other side serves
    CHECK(is_refused(app, "UPDATE t SET v = 3 WHERE id = 1"));
    const auto back = scene.begin();
    CHECK(fence::open(*scene.own, *scene.authority, scene.plan, kPatience).is_fenced);  // not yet
    REQUIRE(scene.authority->commit(back));
    const auto seen = fence::open(*scene.own, *scene.authority, scene.plan, kPatience);
    CHECK(!seen.is_fenced);
    CHECK(seen.route.epoch == back + 1);
    CHECK(refusal(app, "UPDATE t SET v = 4 WHERE id = 1").empty());
    scene.follow();
    CHECK(scene.server.client().scalar("SELECT is_set FROM _godwit.fence WHERE side = 'source'") == "0");
    CHECK(scene.server.client().scalar("SELECT @@GLOBAL.event_scheduler") == "ON");
    CHECK(!scene.follow().was_changed);
  });
}

TEST_CASE("fence: read_only: an account that could not write any more itself does not close the door", "[fence]") {
  for (const char* name : kServers) {
    Scene scene(name, fence::Kind::read_only);
    INFO(scene.server.flavour());
    scene.server.client().execute("GRANT ALL PRIVILEGES ON _godwit.* TO fenced_app@'%'");
    db::Connection poor = session_with(scene.server, db::Side::source, "fenced_app");
    CHECK(code_of([&] { fence::close(poor, *scene.authority, scene.plan, scene.begin(), kPatience); }) == Code::fence_failed);
    CHECK(scene.read_only() == "0");
  }
}

TEST_CASE("fence: triggers: writers are waited for, readers are not", "[fence]") {
  for (const char* name : kServers) {
    Scene scene(name, fence::Kind::triggers);
    INFO(scene.server.flavour());
    fence::prepare(*scene.own, scene.plan, kPatience);
    CHECK(scene.guards() == 3);
    Client reader = scene.app();
    reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT");
    reader.query("SELECT * FROM t");
    Client writer = scene.app();
    writer.execute("START TRANSACTION");
    writer.execute("UPDATE t SET v = 100 WHERE id = 1");
    const auto hold = scene.begin();
    const auto began = steady_clock::now();
    CHECK(code_of([&] { scene.close(hold, 300ms); }) == Code::lock_contention);
    CHECK(steady_clock::now() - began < 1500ms);
    CHECK(refusal(writer, "COMMIT").empty());
    scene.close(hold);
    for (const char* sql : {"INSERT INTO t (v) VALUES (1)", "UPDATE t SET v = 1", "DELETE FROM t WHERE id = 1", "REPLACE INTO t VALUES (1, 1)", "UPDATE t SET v = 3 WHERE id = 1"}) CHECK(is_refused(writer, sql));
    CHECK(!refusal(reader, "UPDATE t SET v = 1 WHERE id = 2").empty());  // its snapshot is older than the fence
    CHECK(refusal(writer, "INSERT INTO log (v) VALUES (1)").empty());      // a table that is not fenced
    Client own = scene.server.client("fenced");
    CHECK(is_refused(own, "UPDATE t SET v = 3 WHERE id = 1"));
    own.execute(fence::pass_statement());
    own.execute("UPDATE t SET v = 3 WHERE id = 1");
    CHECK(own.scalar("SELECT v FROM t WHERE id = 1") == "3");
    CHECK(own.scalar("SELECT COUNT(*) FROM log WHERE v = 1") == "2");  // the refused INSERT was undone with what the table's own trigger did
  }
}

TEST_CASE("fence: triggers: guards are told from the application's triggers, and are in no binlog", "[fence]") {
  for (const char* name : kServers) {
    Scene scene(name, fence::Kind::triggers);
    INFO(scene.server.flavour());
    fence::prepare(*scene.own, scene.plan, kPatience);
    for (const auto& row : scene.server.client().query("SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'fenced'")) {
      CHECK(fence::is_guard(*row[0]) == (*row[0] != "own"));
    }
    const std::string before = position(scene.server);
    scene.server.client().execute("CREATE TABLE fenced.missing (id INT PRIMARY KEY)");
    const std::string created = position(scene.server);
    CHECK(created != before);
    fence::prepare(*scene.own, scene.plan, kPatience);
    CHECK(scene.guards() == 6);
    CHECK(position(scene.server) == created);
    fence::remove(*scene.own, scene.plan);
    CHECK(scene.guards() == 0);
    CHECK(scene.server.client().scalar("SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'fenced'") == "1");
    Client app = scene.app();
    CHECK(refusal(app, "UPDATE t SET v = 4 WHERE id = 1").empty());
  }
}

// Clients are held for each of them.
TEST_CASE("fence: triggers: many tables are guarded in moments, each no longer than was said", "[fence]") {
  constexpr int kTables = 120;
  constexpr std::chrono::milliseconds kMoment{40};
  for (const char* name : kServers) {
    Scene scene(name, fence::Kind::triggers);
    INFO(scene.server.flavour());
    Client client = scene.server.client();
    for (int i = 0; i < kTables; ++i) {
      const std::string table = "many" + std::to_string(i);
      client.execute("CREATE TABLE fenced." + table + " (id INT PRIMARY KEY)");
      scene.plan.tables.push_back({"fenced", table});
    }
    int moments = 0;
    std::chrono::milliseconds longest{0};
    const auto one = [&] {
      const auto began = steady_clock::now();
      const Code code = code_of([&] { fence::prepare(*scene.own, scene.plan, kMoment); });
      longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - began));
      CHECK((code == Code::lock_contention || code == Code::internal_error));  // the latter: none
    };
    while (!fence::is_prepared(*scene.own, scene.plan) && moments < 3 * kTables) {
      one();
      ++moments;
    }
    CHECK(fence::is_prepared(*scene.own, scene.plan));
    CHECK(moments > 1);
    CHECK(longest < kMoment * 10);  // one statement more, and the look before
  }
}

TEST_CASE("fence: it follows the authority, and leaves it alone while a switch is under way", "[fence]") {
  for_each_scene([](Scene& scene) {
    Client app = scene.app();
    CHECK(!scene.follow().was_changed);
    const auto hold = scene.begin();
    CHECK(!scene.follow().was_changed);
    scene.close(hold);
    auto seen = scene.follow();
    CHECK(seen.is_fenced);
    CHECK(!seen.was_changed);
    REQUIRE(scene.authority->abort(hold));
    CHECK(is_refused(app, "UPDATE t SET v = 9 WHERE id = 2"));
    seen = scene.follow();
    CHECK(!seen.is_fenced);
    CHECK(seen.was_changed);
    CHECK(seen.route.epoch == hold + 1);
    CHECK(refusal(app, "UPDATE t SET v = 9 WHERE id = 2").empty());
    // Committed without having been closed: whoever looks next fences it.
    const auto next = scene.begin();
    REQUIRE(scene.authority->commit(next));
    seen = scene.follow();
    CHECK(seen.is_fenced);
    CHECK(seen.was_changed);
    CHECK(is_refused(app, "UPDATE t SET v = 8 WHERE id = 2"));
    CHECK(!scene.follow().was_changed);
    fence::remove(*scene.own, scene.plan);
    CHECK(refusal(app, "UPDATE t SET v = 8 WHERE id = 2").empty());
  });
}

TEST_CASE("fence: without a route, or before its kind is decided, nothing is touched", "[fence]") {
  Scene scene("a", fence::Kind::read_only);
  scene.authority->set_fence("");
  REQUIRE(scene.authority->commit(scene.begin()));
  CHECK(!scene.follow().was_changed);
  scene.authority->forget();
  CHECK(!scene.follow().was_changed);
  CHECK(scene.read_only() == "0");
}

TEST_CASE("fence: a hold that is over closes nothing", "[fence]") {
  for_each_scene([](Scene& scene) {
    const auto hold = scene.begin();
    REQUIRE(scene.authority->abort(hold));
    CHECK(code_of([&] { scene.close(hold); }) == Code::switch_fenced);
    const auto next = scene.begin();
    CHECK(code_of([&] { scene.close(hold); }) == Code::switch_fenced);
    Client app = scene.app();
    CHECK(refusal(app, "UPDATE t SET v = 9 WHERE id = 2").empty());
    scene.plan.side = db::Side::target;
    CHECK(code_of([&] { scene.close(next); }) == Code::switch_fenced);  // the side that does not serve is no switch's to close
  });
}

TEST_CASE("fence: who has the server's lock is alone with it", "[fence]") {
  for_each_scene([](Scene& scene) {
    Client holder = scene.server.client();
    REQUIRE(holder.scalar("SELECT GET_LOCK('godwit_fence', 0)") == "1");
    const auto hold = scene.begin();
    const auto began = steady_clock::now();
    CHECK(code_of([&] { scene.close(hold, 200ms); }) == Code::lock_contention);
    CHECK(code_of([&] { scene.follow(200ms); }) == Code::lock_contention);
    CHECK(steady_clock::now() - began < 2s);
    holder.scalar("SELECT RELEASE_LOCK('godwit_fence')");
    scene.close(hold);
    CHECK(holder.scalar("SELECT GET_LOCK('godwit_fence', 0)") == "1");
  });
}

TEST_CASE("fence: read_only: remove restores what was before, and leaves a side open that was opened", "[fence]") {
  for (const char* name : kServers) {
    for (const bool was_read_only : {false, true}) {
      Scene scene(name, fence::Kind::read_only);
      INFO(scene.server.flavour() << " read-only before: " << was_read_only);
      const bool is_mysql = !scene.server.is_mariadb();
      if (was_read_only) scene.server.client().execute(is_mysql ? "SET PERSIST read_only = ON" : "SET GLOBAL read_only = 1");
      const auto persisted = [&] { return is_mysql ? scene.server.client().scalar("SELECT VARIABLE_VALUE FROM performance_schema.persisted_variables WHERE VARIABLE_NAME = 'read_only'") : ""; };
      const std::string persisted_before = persisted();
      REQUIRE(scene.authority->commit(scene.begin()));
      CHECK(scene.follow().is_fenced);
      if (is_mysql) CHECK(persisted() == "ON");
      fence::remove(*scene.own, scene.plan);
      CHECK(scene.read_only() == (was_read_only ? "1" : "0"));
      CHECK(persisted() == persisted_before);
      CHECK(scene.server.client().scalar("SELECT COUNT(*) FROM _godwit.fence") == "0");
      // The same, and lifted in between.
      scene.follow();
      REQUIRE(scene.authority->commit(scene.begin()));
      CHECK(!scene.follow().is_fenced);
      CHECK(persisted().empty());
      fence::remove(*scene.own, scene.plan);
      CHECK(scene.read_only() == "0");
      CHECK(persisted().empty());
    }
  }
}

TEST_CASE("fence: read_only: a server that another workflow keeps closed is not opened", "[fence]") {
  for (const char* name : kServers) {
    Scene scene(name, fence::Kind::read_only);
    INFO(scene.server.flavour());
    state::Authority other(*scene.keeper, "other");
    other.create();
    other.set_fence("read_only");
    REQUIRE(other.commit(other.begin(1, "test")->epoch));
    fence::Plan theirs = scene.plan;
    theirs.workflow = "other";
    REQUIRE(fence::follow(*scene.own, other, theirs, kPatience).is_fenced);
    scene.close(scene.begin());
    scene.authority->abort(scene.authority->read()->epoch);
    CHECK(code_of([&] { scene.follow(); }) == Code::fence_failed);
    CHECK(scene.read_only() == "1");
    fence::remove(*scene.own, theirs);
    CHECK(scene.read_only() == "1");
    CHECK(!scene.follow().is_fenced);
    CHECK(scene.read_only() == "0");
  }
}

TEST_CASE("fence: a server that restarts is fenced: MySQL keeps it, and on MariaDB it is set again and the window is told", "[fence]") {
  for (const char* name : {"a", "b"}) {
    for (const auto kind : {fence::Kind::read_only, fence::Kind::triggers}) {
      Scene scene(name, kind);
      INFO(scene.server.flavour() << " by " << fence::to_string(kind));
      // The authority is on another server, as the target is.
      const Server elsewhere("c");
      const FreshSidecar fresh(elsewhere);
      db::Connection keeper = session_with(elsewhere, db::Side::target);
      state::Sidecar(keeper).create();
      state::Authority authority(keeper, "shop");
      authority.create();
      std::mutex mutex;
      std::vector<fence::Window> windows;
      {
        fence::Reconciler reconciler({.workflow = "shop",
                                      .source = endpoint_of(scene.server, db::Side::source),
                                      .target = endpoint_of(elsewhere, db::Side::target),
                                      .source_tables = scene.plan.tables,
                                      .interval = 200ms,
                                      .on_window = [&](const fence::Window& window) {
                                        const std::lock_guard lock(mutex);
                                        windows.push_back(window);
                                      }});
        authority.set_fence(std::string(fence::to_string(kind)));
        const auto hold = authority.begin(1, "test")->epoch;
        REQUIRE(authority.commit(hold));
        reconciler.look_now();
        REQUIRE(holds_within(10s, [&] { return fence::is_fenced(*scene.own, scene.plan); }));
        scene.server.restart();
        const auto is_closed = [&] {
          try {
            Client app = scene.app();
            return is_refused(app, "UPDATE t SET v = 9 WHERE id = 2");
          } catch (const std::runtime_error&) {
            return false;
          }
        };
        CHECK(holds_within(20s, is_closed));
        const bool forgets = scene.server.is_mariadb() && kind == fence::Kind::read_only;
        if (forgets) CHECK(holds_within(10s, [&] { const std::lock_guard lock(mutex); return !windows.empty() && windows.back().is_closed; }));
        const std::lock_guard lock(mutex);
        CHECK(windows.empty() == !forgets);
        if (forgets) CHECK(windows.back().side == db::Side::source);
      }
      scene.own.emplace(session_with(scene.server, db::Side::source));
      scene.keeper.emplace(session_with(scene.server, db::Side::target));
      fence::remove(*scene.own, scene.plan);
    }
  }
}

TEST_CASE("fence: the reconciler of two processes brings both sides back after a coordinator that died", "[fence]") {
  const Server source("a");
  const Server target("b");
  Scene scene("a", fence::Kind::read_only);
  const FreshSidecar fresh(target);
  db::Connection keeper = session_with(target, db::Side::target);
  state::Sidecar(keeper).create();
  state::Authority authority(keeper, "shop");
  authority.create();
  authority.set_fence("read_only");
  db::Connection on_target = session_with(target, db::Side::target);
  fence::Plan target_plan = scene.plan;
  target_plan.side = db::Side::target;
  const fence::ReconcilerOptions options{.workflow = "shop", .source = endpoint_of(source, db::Side::source), .target = endpoint_of(target, db::Side::target), .interval = 100ms};
  const auto are = [&](bool is_source_fenced, bool is_target_fenced) {
    return holds_within(10s, [&] { return fence::is_fenced(*scene.own, scene.plan) == is_source_fenced && fence::is_fenced(on_target, target_plan) == is_target_fenced; });
  };
  {
    fence::Reconciler one(options);
    fence::Reconciler two(options);
    CHECK(are(false, true));
    const auto hold = authority.begin(1, "test")->epoch;
    fence::close(*scene.own, authority, scene.plan, hold, kPatience);
    CHECK(are(true, true));
    authority.abort(hold);
    CHECK(are(false, true));
    const auto next = authority.begin(hold + 1, "test")->epoch;
    fence::close(*scene.own, authority, scene.plan, next, kPatience);
    authority.commit(next);
    CHECK(are(true, false));
  }
  fence::remove(on_target, target_plan);
  fence::remove(*scene.own, scene.plan);
}

TEST_CASE("fence: an account that may not fence, and a fence of another kind that is closed, are refused with what helps", "[fence]") {
  const auto [name, kind, other] = GENERATE(table<const char*, fence::Kind, fence::Kind>({{"a", fence::Kind::read_only, fence::Kind::triggers}, {"b", fence::Kind::triggers, fence::Kind::read_only}}));
  Scene scene(name, kind);
  auto app = session_with(scene.server, db::Side::source, "fenced_app");
  const std::string is_other(fence::to_string(other));
  CHECK_THAT(words_of([&, &plan = scene.plan] { fence::prepare(app, plan, kPatience); }),
             Catch::Contains("GW1109") && Catch::Contains("denied") && Catch::Contains("=> godwit check shop prints the GRANT that is missing; --fence " + is_other + " needs others"));
  fence::prepare(*scene.own, scene.plan, kPatience);
  scene.close(scene.begin());
  auto changed = scene.plan;
  changed.kind = other;
  const std::string is(fence::to_string(kind));
  CHECK_THAT(words_of([&] { fence::prepare(*scene.own, changed, kPatience); }), Catch::Contains("GW1109") && Catch::Contains("it is fenced by " + is + ", and is to be by " + is_other + " => go on with --fence " + is));
}
