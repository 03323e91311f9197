// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7
// Whatever dies or falls silent while `godwit replicate` is at work, it comes back by itself, or when it is started again: nothing is lost and
// nothing is doubled. A writer keeps a ledger busy on the source all along; the ledgers are compared by the servers' own rendering.
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "catch.h"
#include "live/support/compare.h"
#include "live/support/ledger.h"
#include "live/support/process.h"
#include "live/support/relay.h"
#include "live/support/replica.h"
#include "live/support/seed.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// How often the stream was lost, and taken up again.
unsigned beginnings(const Process& process) {
  unsigned count = 0;
  const std::string log = process.log();
  for (auto at = log.find("the stream begins again"); at != std::string::npos; at = log.find("the stream begins again", at + 1)) ++count;
  return count;
}

milliseconds time_of(const std::function<void()>& deed) {
  const auto began = std::chrono::steady_clock::now();
  deed();
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - began);
}

// A copied ledger, and its writer, for as long as one test case.
class Stage {
 public:
  Stage(const std::string& source_name, const std::string& target_name, LedgerOptions options = {})
      : source(source_name), target(target_name), migration(source, target, kLedger) {
    migration.clean();
    Client client = source.client();
    client.execute("DROP DATABASE IF EXISTS _godwit");
    create_ledger(client);
    writer = std::make_unique<LedgerWriter>(source, options);
  }
  ~Stage() {
    writer.reset();
    migration.clean();
    source.client().execute("DROP DATABASE IF EXISTS _godwit");
  }

  void copy() const {
    const Outcome outcome = migration.run("copy", {"--allow-no-key"});
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.status == 0);
  }
  Process replicate(std::vector<std::string> more = {}, const std::string& failpoints = "") const {
    more.emplace_back("--json");
    return migration.start("replicate", more, armed(failpoints));
  }
  // With the writer at rest, another run brings the target to where the source is.
  std::string fault_after_resuming(const std::vector<std::string>& options = {}) {
    writer->pause();
    std::vector<std::string> all{"--until-current"};
    all.insert(all.end(), options.begin(), options.end());
    const Outcome outcome = replicate(all).wait();
    const std::string fault = outcome.status == 0 ? ledger_difference(source, target, 0) : "exit status " + std::to_string(outcome.status) + "\n" + outcome.err;
    writer->go_on();
    return fault;
  }
  // With the writer at rest, the run that goes on by itself does.
  std::string fault_by_itself(int limit_s = 30) {
    writer->pause();
    const std::string fault = ledger_difference(source, target, limit_s);
    writer->go_on();
    return fault;
  }
  bool is_moving() const { return changes_within(seconds(15), [&] { return position(); }); }
  std::string position() const { return target.client().scalar("SELECT position FROM _godwit.stream"); }
  std::string epoch() const { return target.client().scalar("SELECT epoch FROM _godwit.stream"); }

  Server source;
  Server target;
  Migration migration;
  std::unique_ptr<LedgerWriter> writer;
};

// SIGTERM ends it within two seconds, with the status of what can be resumed.
void check_clean_end(Process& process) {
  Outcome outcome;
  const auto took = time_of([&] {
    process.signal(SIGTERM);
    outcome = process.wait(seconds(20));
  });
  INFO("after " << took.count() << " ms: " << outcome.out << outcome.err);
  CHECK(outcome.status == 130);
  CHECK(took < seconds(2));
}

// One statement after the other, so that the point is hit twice.
void run_ddl(const Stage& stage, Process& process) {
  static int columns = 0;
  Client there = stage.target.client();
  for (int i = 0; i < 2 && process.is_running(); ++i) {
    const std::string column = "c" + std::to_string(++columns);
    stage.source.client(kLedger).execute("ALTER TABLE tag ADD COLUMN " + column + " INT NULL");
    const auto is_there = [&] { return !there.query("SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'ledger' AND COLUMN_NAME = '" + column + "'").empty(); };
    holds_within(seconds(10), [&] { return is_there() || !process.is_running(); });
    std::this_thread::sleep_for(milliseconds(300));
  }
}

void walk(Stage& stage, const std::vector<std::string>& actions) {
  const std::vector<std::string> options{"--workers", "4", "--on-ddl", "exec"};
  const auto points = stage.migration.failpoints("apply.");
  REQUIRE(points.size() >= 8);
  for (const auto& point : points) {
    for (const auto& action : actions) {
      const std::string failpoint = point + "=" + action;
      Process process = stage.replicate(options, failpoint);
      if (point == "apply.statement_run") run_ddl(stage, process);
      const bool is_kill = action.rfind("kill", 0) == 0;
      const bool is_hit = is_kill ? holds_within(seconds(20), [&] { return !process.is_running(); }) : has_logged(process, point);
      if (!is_kill) {
        CHECK(stage.fault_by_itself() == "");
        check_clean_end(process);
      }
      const std::string so_far = process.is_running() ? process.log() : "";
      const Outcome stopped = process.is_running() ? Outcome{} : process.wait();
      INFO(failpoint << ": " << stopped.status << "\n" << so_far << stopped.err);
      REQUIRE(is_hit);
      if (is_kill) CHECK(stopped.status == 128 + SIGKILL);
      CHECK(stage.fault_after_resuming(options) == "");
    }
  }
}

void kill_at_random(Stage& stage, unsigned kills) {
  const std::uint64_t seed = seed_of_this_run();
  std::mt19937_64 random(seed);
  for (unsigned i = 1; i <= kills; ++i) {
    const auto life = milliseconds(100 + random() % 900);
    Process process = stage.replicate();
    std::this_thread::sleep_for(life);
    process.signal(SIGKILL);
    const Outcome outcome = process.wait();
    INFO("GODWIT_SEED=" << seed << ", kill " << i << " after " << life.count() << " ms\n" << outcome.err);
    REQUIRE(outcome.status == 128 + SIGKILL);
    if (i % 4 == 0 || i == kills) CHECK(stage.fault_after_resuming() == "");
  }
}

unsigned kills_of_this_run(unsigned by_default) { return is_long_run() ? 100 : by_default; }

}  // namespace

TEST_CASE("killed at each failpoint, replicate goes on and loses and doubles nothing: MariaDB to MySQL", "[stream_faults]") {
  Stage stage("a", "c", {.has_xa = true});
  stage.copy();
  walk(stage, {"kill", "kill@2"});
}

TEST_CASE("failing once at each failpoint, replicate goes on by itself: MySQL to MariaDB", "[stream_faults]") {
  Stage stage("c", "a", {.has_xa = true});
  stage.copy();
  walk(stage, {"error"});
}

TEST_CASE("killed at random instants under load, replicate goes on: MariaDB to MySQL", "[stream_faults]") {
  Stage stage("a", "c");
  stage.copy();
  kill_at_random(stage, kills_of_this_run(8));
}

TEST_CASE("killed at random instants under load, replicate goes on: MySQL to MariaDB", "[stream_faults]") {
  Stage stage("c", "a");
  stage.copy();
  kill_at_random(stage, kills_of_this_run(4));
}

TEST_CASE("asked to stop under load, replicate ends with 130 and says where it stands", "[stream_faults]") {
  Stage stage("a", "c");
  stage.copy();
  Process process = stage.replicate();
  REQUIRE(stage.is_moving());
  process.signal(SIGTERM);
  Outcome outcome;
  CHECK(time_of([&] { outcome = process.wait(); }) < seconds(2));
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 130);
  const json report = json::parse(outcome.out);
  CHECK(report["was_stopped"] == true);
  CHECK(report["position"] == stage.position());
  CHECK(stage.fault_after_resuming() == "");
}

TEST_CASE("servers restart on either side, and the running replicate comes back by itself", "[stream_faults]") {
  for (const auto& [from, to] : {std::pair("a", "c"), std::pair("c", "a")}) {
    Stage stage(from, to);
    stage.copy();
    stage.writer->tolerate_losses();
    Process process = stage.replicate();
    REQUIRE(stage.is_moving());
    for (const Server* server : {&stage.target, &stage.source}) {
      const unsigned begun = beginnings(process);
      server->kill_server();
      CHECK(holds_within(seconds(10), [&] { return beginnings(process) > begun; }));
      INFO(stage.source.flavour() << " to " << stage.target.flavour() << "\n" << process.log());
      server->restart();
      CHECK(stage.is_moving());
      CHECK(stage.fault_by_itself() == "");
    }
    CHECK(process.is_running());
    // While it waits to try again, it ends as quickly.
    stage.target.kill_server();
    std::this_thread::sleep_for(seconds(2));
    check_clean_end(process);
    stage.target.restart();
    CHECK(stage.fault_after_resuming() == "");
  }
}

TEST_CASE("connections are cut again and again, and the running replicate comes back by itself", "[stream_faults]") {
  const Server source("a");
  const Server target("c");
  Relay to_source(source.port());
  Relay to_target(target.port());
  Stage stage("a", "c");
  stage.migration.source_dsn = to_source.dsn(kLedger);
  stage.migration.target_dsn = to_target.dsn(kLedger);
  stage.copy();
  Process process = stage.replicate();
  REQUIRE(stage.is_moving());
  std::mt19937_64 random(seed_of_this_run());
  for (int i = 0; i < 10; ++i) {
    (i % 3 == 0 ? to_source : to_target).cut();
    std::this_thread::sleep_for(milliseconds(50 + random() % 400));
  }
  CHECK(stage.fault_by_itself() == "");
  CHECK(process.is_running());
  CHECK(beginnings(process) >= 3);
  check_clean_end(process);
}

TEST_CASE("a server falls silent without closing: the stream notices within its deadline, and late packets do no harm", "[stream_faults]") {
  using Silence = Relay::Silence;
  const Server source("a");
  const Server target("c");
  Relay to_source(source.port());
  Relay to_target(target.port());
  Stage stage("a", "c");
  stage.migration.source_dsn = to_source.dsn(kLedger);
  stage.migration.target_dsn = to_target.dsn(kLedger);
  stage.copy();
  Process process = stage.replicate({"--stream-deadline", "3s"});
  REQUIRE(stage.is_moving());
  struct Case {
    Relay* relay;
    Silence silence;
    const char* what;
  };
  std::vector<Case> cases{{&to_source, Silence::both, "the source, both ways"},
                          {&to_target, Silence::to_client, "the target's answers"},
                          {&to_target, Silence::to_server, "what is written to the target"}};
  if (is_long_run()) {
    cases.push_back({&to_source, Silence::to_client, "what the source sends"});
    cases.push_back({&to_source, Silence::to_server, "what is asked of the source"});
    cases.push_back({&to_target, Silence::both, "the target, both ways"});
  }
  for (const auto& it : cases) {
    INFO(it.what << "\n" << process.log());
    const unsigned begun = beginnings(process);
    it.relay->fall_silent(it.silence);
    CHECK(holds_within(seconds(8), [&] { return beginnings(process) > begun; }));
    it.relay->fall_silent(Silence::none);
    CHECK(stage.is_moving());
    CHECK(stage.fault_by_itself() == "");
  }
  CHECK(process.is_running());
  check_clean_end(process);
  for (Relay* relay : {&to_source, &to_target}) {
    Process hanging = stage.replicate();
    REQUIRE(stage.is_moving());
    relay->fall_silent(Silence::both);
    std::this_thread::sleep_for(milliseconds(300));
    check_clean_end(hanging);
    relay->fall_silent(Silence::none);
  }
  CHECK(stage.fault_after_resuming() == "");
}

TEST_CASE("a session whose client is gone without a word holds the stream's row, and the next process ends it", "[stream_faults]") {
  const Server source("c");
  const Server target("a");
  Relay to_target(target.port());
  Stage stage("c", "a");
  stage.migration.target_dsn = to_target.dsn(kLedger);
  stage.copy();
  // Its machine dies while it waits for an answer: what it has written stays locked, since nobody tells the server.
  Process dead = stage.replicate({"--workers", "2"}, "apply.job_written=sleep:60000@2");
  Client to = target.client();
  // MariaDB shows the same picture again to whoever looks within 100 ms of the last look.
  const auto is_locked = [&] {
    std::this_thread::sleep_for(milliseconds(150));
    return to.scalar("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_rows_modified > 0") != "0";
  };
  REQUIRE(holds_within(seconds(15), is_locked));
  std::this_thread::sleep_for(milliseconds(300));
  to_target.fall_silent(Relay::Silence::both);
  dead.signal(SIGKILL);
  dead.wait();
  REQUIRE(is_locked());
  stage.migration.target_dsn = target.dsn(kLedger);
  Migration direct(stage.source, stage.target, kLedger);
  Outcome outcome;
  stage.writer->pause();
  const auto took = time_of([&] { outcome = direct.run("replicate", {"--until-current"}); });
  INFO(took.count() << " ms: " << outcome.err);
  CHECK(outcome.status == 0);
  CHECK(took < seconds(15));
  CHECK(ledger_difference(stage.source, stage.target, 0) == "");
}

TEST_CASE("every session asks a silent peer whether it is still there", "[stream_faults]") {
  Stage stage("a", "c");
  stage.copy();
  Process process = stage.replicate();
  REQUIRE(stage.is_moving());
  // The kernel's table of sockets: timer 2 is keepalive, due within its 15 s (in hundredths); two hours would be the system's own.
  const std::string port = [&] {
    char text[8];
    std::snprintf(text, sizeof text, ":%04X", stage.target.port());
    return std::string(text);
  }();
  unsigned watched = 0;
  std::ifstream sockets("/proc/net/tcp");
  for (std::string line; std::getline(sockets, line);) {
    std::istringstream words(line);
    std::string slot, local, remote, state, queues, timer;
    words >> slot >> local >> remote >> state >> queues >> timer;
    if (state != "01" || remote.size() < 5 || remote.substr(remote.size() - 5) != port || timer.rfind("02:", 0) != 0) continue;
    if (std::stoul(timer.substr(3), nullptr, 16) <= 1500) ++watched;
  }
  CHECK(watched >= 1);
  check_clean_end(process);
}

TEST_CASE("lock waits and deadlocks on the target: the stream waits, tries again, and goes on", "[stream_faults]") {
  for (const auto& [from, to_name] : {std::pair("a", "c"), std::pair("c", "a")}) {
    Stage stage(from, to_name);
    stage.copy();
    Process process = stage.replicate({"--stream-deadline", "3s", "--workers", "4"});
    REQUIRE(stage.is_moving());
    Client to = stage.target.client(kLedger);
    const auto seen = [&](const char* metric) { return std::stoul("0" + to.scalar(std::string("SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = '") + metric + "'")); };
    if (stage.target.is_mariadb()) to.execute("SET GLOBAL innodb_monitor_enable = 'module_lock'");
    const auto timeouts = seen("lock_timeouts");
    const auto deadlocks = seen("lock_deadlocks");
    to.execute("BEGIN");
    to.query("SELECT * FROM account FOR UPDATE");
    std::this_thread::sleep_for(seconds(3));
    to.execute("ROLLBACK");
    CHECK(seen("lock_timeouts") > timeouts);
    std::atomic<bool> is_ending{false};
    std::thread rival([&] {
      Client other = stage.target.client(kLedger);
      for (unsigned i = 0; !is_ending; ++i) {
        try {
          other.execute("BEGIN");
          // Against the order in which the stream takes them.
          other.query("SELECT * FROM tag FOR UPDATE");
          for (int id = 400; id > 0; id -= 20) other.query("SELECT * FROM account WHERE id = " + std::to_string(id) + " FOR UPDATE");
          other.query("SELECT * FROM entry FOR UPDATE");
          other.execute("ROLLBACK");
        } catch (const std::exception&) {
          // It may be the deadlock's victim.
        }
      }
    });
    const bool had_deadlock = holds_within(seconds(15), [&] { return seen("lock_deadlocks") > deadlocks; });
    is_ending = true;
    rival.join();
    INFO(process.log());
    CHECK(had_deadlock);
    CHECK(stage.fault_by_itself() == "");
    CHECK(process.is_running());
    check_clean_end(process);
  }
}

TEST_CASE("the source fails over to a replica: named with --source-moved, the stream goes on there, and is refused where it would lose", "[stream_faults]") {
  for (const auto& [from, promoted_name, to] : {std::tuple("a", "b", "c"), std::tuple("c", "d", "a")}) {
    Stage stage(from, to);
    const Server promoted(promoted_name);
    for (const char* schema : {"ledger", "_godwit"}) promoted.client().execute(std::string("DROP DATABASE IF EXISTS ") + schema);
    INFO(stage.source.flavour());
    stage.writer->pause();
    const std::string start = stage.source.is_mariadb() ? stage.source.client().scalar("SELECT @@gtid_binlog_pos") : stage.source.client().scalar("SELECT @@gtid_executed");
    promoted.client().execute(promoted.is_mariadb() ? "RESET MASTER" : "RESET BINARY LOGS AND GTIDS");
    Replica replica(stage.source, promoted, {.from = start, .schema = "", .is_idempotent = false});
    Client source = stage.source.client();
    create_ledger(source);
    replica.catch_up();
    stage.writer->go_on();
    stage.copy();
    replica.catch_up();
    Client there = promoted.client();
    there.execute(promoted.is_mariadb() ? "STOP SLAVE" : "STOP REPLICA");
    std::this_thread::sleep_for(milliseconds(300));
    CHECK(stage.fault_after_resuming() == "");
    const std::string position = stage.position();
    stage.writer->pause();
    stage.migration.source_dsn = promoted.dsn(kLedger);
    const auto check_refused = [&](const std::vector<std::string>& more, const std::string& code, const std::string& cause) {
      const Outcome outcome = stage.replicate(more).wait();
      INFO(outcome.out << outcome.err);
      CHECK(outcome.status == 3);
      const json error = json::parse(outcome.out)["error"];
      CHECK(error["code"] == code);
      CHECK(error["cause"].get<std::string>().find(cause) != std::string::npos);
      CHECK(stage.position() == position);
    };
    check_refused({}, "GW0410", "this one is");
    check_refused({"--source-moved"}, "GW0807", "the stream has applied");
    there.execute(promoted.is_mariadb() ? "START SLAVE" : "START REPLICA");
    replica.catch_up();
    there.execute(promoted.is_mariadb() ? "STOP SLAVE" : "STOP REPLICA");
    Process process = stage.replicate({"--source-moved"});
    {
      LedgerWriter writer(promoted, {});
      CHECK(stage.is_moving());
      std::this_thread::sleep_for(milliseconds(500));
      writer.pause();
    }
    INFO(process.log());
    CHECK(ledger_difference(promoted, stage.target) == "");
    CHECK(ledger_difference(stage.source, stage.target, 0) != "");
    check_clean_end(process);
    promoted.client().execute("DROP DATABASE IF EXISTS _godwit");
    promoted.client().execute("DROP DATABASE IF EXISTS ledger");
  }
}

TEST_CASE("a second replicate of the same workflow fences the first one out, at work or idle", "[stream_faults]") {
  Stage stage("a", "c");
  stage.copy();
  for (const bool is_idle : {false, true}) {
    std::vector<std::string> options;
    if (is_idle) options.emplace_back("--no-heartbeat");
    Process first = stage.replicate(options);
    REQUIRE(stage.is_moving());
    if (is_idle) stage.writer->pause();
    Process second = stage.replicate(options);
    Outcome outcome;
    CHECK(time_of([&] { outcome = first.wait(); }) < seconds(6));
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 3);
    CHECK(json::parse(outcome.out)["error"]["code"] == "GW0406");
    CHECK(second.is_running());
    stage.writer->go_on();
    CHECK(stage.is_moving());
    CHECK(stage.fault_by_itself() == "");
    check_clean_end(second);
  }
}

TEST_CASE("copy, run again while the stream replicates, says that it is done and leaves the stream alone", "[stream_faults]") {
  Stage stage("a", "c");
  stage.copy();
  Process process = stage.replicate();
  REQUIRE(stage.is_moving());
  const std::string epoch = stage.epoch();
  const Outcome again = stage.migration.run("copy", {"--allow-no-key", "--json"});
  INFO(again.out << again.err << process.log());
  CHECK(again.status == 0);
  CHECK(json::parse(again.out)["was_done_before"] == true);
  CHECK(json::parse(again.out)["tables"].size() == 5);
  CHECK(stage.epoch() == epoch);
  CHECK(stage.is_moving());
  CHECK(process.is_running());
  check_clean_end(process);
  // Also when no replicate is running: the stream is past its copy.
  CHECK(stage.migration.run("copy", {"--allow-no-key"}).status == 0);
  CHECK(stage.epoch() == epoch);
  CHECK(stage.fault_after_resuming() == "");
}

TEST_CASE("a target that refuses writes stops the stream with its code, and the same command goes on later", "[stream_faults]") {
  Stage stage("a", "c");
  stage.copy();
  Client to = stage.target.client();
  to.execute("SET GLOBAL super_read_only = ON");
  const Outcome stopped = stage.replicate().wait();
  to.execute("SET GLOBAL super_read_only = OFF, GLOBAL read_only = OFF");
  INFO(stopped.out << stopped.err);
  CHECK(stopped.status == 3);
  const json error = json::parse(stopped.out)["error"];
  CHECK(error["code"] == "GW0110");
  CHECK(error["remedy"].get<std::string>().find("read_only = OFF") != std::string::npos);
  CHECK(stage.fault_after_resuming() == "");
}
