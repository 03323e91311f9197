// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7 d=mysql-9.7
// `godwit copy` dies or fails at every failpoint it has, and at random moments, while writers keep writing; the same command
// then goes on. Judged by the writers' own history: every row is as it was at the position that the copy ends at, each
// key is there. The list of failpoints is godwit's own, so that a new one is walked through without anybody adding it here.
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "catch.h"
#include "live/support/compare.h"
#include "live/support/history.h"
#include "live/support/process.h"
#include "live/support/seed.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using nlohmann::json;

namespace {

const std::vector<std::string> kOptions{"--json", "--allow-no-key", "--chunk-size", "4KiB", "--readers", "3"};

// A pair of servers with writers on the source, for as long as one test case.
class Stage {
 public:
  Stage(const std::string& source_name, const std::string& target_name)
      : source_(source_name), target_(target_name), migration_(source_, target_, "crash"), from_(source_.client()), to_(target_.client()) {
    migration_.clean();
    create_stamped(from_, "crash", history_);
    writers_ = std::make_unique<Writers>(source_, "crash", history_, WriterOptions{});
  }
  ~Stage() {
    writers_.reset();
    migration_.clean();
  }

  const Migration& migration() const { return migration_; }

  void forget_target() {
    to_.execute("DROP DATABASE IF EXISTS crash");
    to_.execute("DROP DATABASE IF EXISTS _godwit");
    for (const char* suffix : {"", "-wal", "-shm"}) std::remove((migration_.state + suffix).c_str());
  }

  Outcome copy(const std::string& failpoints = "") {
    return migration_.run("copy", kOptions, armed(failpoints));
  }

  // "" when the copy that ended with this outcome is right in every respect.
  std::string fault(const Outcome& outcome) {
    if (outcome.status != 0) return "exit status " + std::to_string(outcome.status);
    const WritersAtRest rest(*writers_);
    return fault_of(json::parse(outcome.out));
  }

  // "" when cancel leaves nothing of the workflow.
  std::string fault_of_cancel() {
    const Outcome outcome = migration_.run("cancel");
    if (outcome.status != 0) return "cancel: exit status " + std::to_string(outcome.status) + ": " + outcome.err;
    const auto left = to_.query(
        "SELECT CONCAT('schema ', SCHEMA_NAME) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ('crash', '_godwit') UNION "
        "SELECT CONCAT('table ', TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ('crash', '_godwit') UNION "
        "SELECT CONCAT('routine ', ROUTINE_NAME) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'crash'");
    std::string text;
    for (const auto& row : left) text += "left behind: " + row[0].value() + "\n";
    const Outcome status = migration_.run_plain({"status", "--json", "--state", migration_.state});
    if (!json::parse(status.out)["workflows"].empty()) text += "the state file still knows the workflow";
    return text;
  }

 private:
  std::string fault_of(const json& report) {
    if (!report["pending"].empty()) return "statements wait: " + report["pending"].dump();
    for (const auto& table : stamped_tables()) {
      const Rows rows = read_stamped(to_, "crash", table);
      const std::string judgement = history_.judge(table, rows, report["position"], report["position"]);
      if (!judgement.empty()) return judgement;
      if (const auto torn = torn_rows(to_, "crash", table); torn != 0) return table + ": " + std::to_string(torn) + " rows are torn";
    }
    if (definitions(from_, "crash") != definitions(to_, "crash")) return "keys or objects differ:\n" + definitions(from_, "crash") + "against\n" + definitions(to_, "crash");
    const std::string open = to_.scalar("SELECT COUNT(*) FROM _godwit.copy_chunk WHERE state <> 'done' OR lower_bound <> '' OR upper_bound <> ''");
    if (open != "0") return open + " chunks are not merged into the proof of their table";
    const std::string unfinished = to_.scalar("SELECT GROUP_CONCAT(source_table, ' ', state) FROM _godwit.copy_table WHERE state <> 'finished'");
    return unfinished.empty() ? "" : "not finished: " + unfinished;
  }

  Server source_;
  Server target_;
  Migration migration_;
  Client from_;
  Client to_;
  History history_;
  std::unique_ptr<Writers> writers_;
};

bool was_hit(const Outcome& outcome, const std::string& point, const std::string& action) {
  if (action == "kill") return outcome.status == 128 + SIGKILL;
  return outcome.err.find(point) != std::string::npos;  // its error, logged: the run may have gone on
}

struct Walk {
  std::vector<std::string> actions;
  std::vector<unsigned> hits;
};

// Those that a copy passes more than once.
const std::set<std::string> kHitAgain{"copy.table_created", "copy.chunks_planned",  "copy.chunk_read",   "copy.chunk_loaded",   "copy.chunk_recorded",
                                      "copy.chunk_committed", "copy.table_copied", "copy.table_proved", "copy.keys_building", "copy.keys_built"};

void walk(Stage& stage, const Walk& plan) {
  const auto points = stage.migration().failpoints("copy.");
  REQUIRE(points.size() >= 20);
  std::set<std::string> hit_again;
  for (const auto& point : points) {
    for (const auto& action : plan.actions) {
      for (const unsigned hit : plan.hits) {
        if (hit > 1 && kHitAgain.count(point) == 0) continue;
        const std::string failpoint = point + "=" + action + "@" + std::to_string(hit);
        stage.forget_target();
        const Outcome stopped = stage.copy(failpoint);
        INFO(failpoint << ": " << stopped.status << "\n" << stopped.out << stopped.err);
        const bool is_hit = was_hit(stopped, point, action);
        if (hit == 1) REQUIRE(is_hit);
        if (hit == 1 || is_hit) CHECK(stopped.status != 2);
        if (hit > 1 && is_hit) hit_again.insert(point);
        const Outcome resumed = stage.copy();
        INFO("then " << resumed.status << "\n" << resumed.out << resumed.err);
        CHECK(stage.fault(resumed) == "");
      }
    }
  }
  if (plan.hits.size() > 1) CHECK(hit_again == kHitAgain);
}

// Stops the copy again and again at random moments until it ends by itself.
void interrupt_at_random(Stage& stage, int signal_number, unsigned copies) {
  const std::uint64_t seed = seed_of_this_run();
  INFO("GODWIT_SEED=" << seed);
  std::mt19937_64 random(seed);
  unsigned interrupted = 0;
  for (unsigned i = 0; i < copies; ++i) {
    stage.forget_target();
    std::string story;
    Outcome outcome;
    for (unsigned run = 0; run < 30; ++run) {
      // The more runs, the longer they live, so that each copy ends.
      const auto life = std::chrono::milliseconds(random() % (300 + 300 * run));
      Process process = stage.migration().start("copy", kOptions);
      const auto end = std::chrono::steady_clock::now() + life;
      while (process.is_running() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      process.signal(signal_number);
      outcome = process.wait(std::chrono::seconds(20));
      story += std::to_string(life.count()) + " ms: " + std::to_string(outcome.status) + "\n";
      if (outcome.status == 0) break;
      ++interrupted;
      INFO(story << outcome.out << outcome.err);
      // A signal before main() is ready for it ends the process in the ordinary way.
      const bool is_expected = signal_number == SIGKILL ? outcome.status == 128 + SIGKILL : (outcome.status == 130 || outcome.status == 128 + SIGTERM);
      REQUIRE(is_expected);
    }
    INFO(story << outcome.out << outcome.err);
    CHECK(stage.fault(outcome) == "");
  }
  CHECK(interrupted >= copies);
}

}  // namespace

TEST_CASE("killed at each failpoint, copy goes on and loses nothing: MariaDB", "[crash]") {
  Stage stage("a", "b");
  walk(stage, {.actions = {"kill"}, .hits = {1, 3}});
}

TEST_CASE("failing once at each failpoint, copy goes on: MariaDB", "[crash]") {
  Stage stage("a", "b");
  walk(stage, {.actions = {"error"}, .hits = {1}});
}

TEST_CASE("failing for good at each failpoint, copy goes on: MariaDB", "[crash]") {
  Stage stage("a", "b");
  walk(stage, {.actions = {"fatal"}, .hits = {2}});
}

TEST_CASE("killed at each failpoint, copy goes on and loses nothing: MySQL", "[crash]") {
  Stage stage("c", "d");
  walk(stage, {.actions = {"kill"}, .hits = {1}});
}

TEST_CASE("killed at each failpoint, cancel leaves nothing behind", "[crash]") {
  Stage stage("a", "b");
  for (const auto& point : stage.migration().failpoints("copy.")) {
    // Keys are built in one place, objects too: the ninth time it is a view or a routine.
    const bool is_repeated = point.rfind("copy.keys_", 0) == 0;
    for (const unsigned hit : is_repeated ? std::vector<unsigned>{1, 7, 9} : std::vector<unsigned>{1}) {
      stage.forget_target();
      const Outcome stopped = stage.copy(point + "=kill@" + std::to_string(hit));
      INFO(point << "@" << hit << "\n" << stopped.err);
      if (hit == 1) REQUIRE(stopped.status == 128 + SIGKILL);
      CHECK(stage.fault_of_cancel() == "");
    }
  }
}

TEST_CASE("a view that somebody else made on the target is neither taken for a copied one nor dropped by cancel", "[crash]") {
  Stage stage("a", "b");
  Client to = Server("b").client();
  to.execute("CREATE DATABASE crash");
  to.execute("CREATE VIEW crash.upon AS SELECT 42 AS mine");
  const json report = json::parse(stage.copy().out);
  INFO(report.dump());
  REQUIRE(report["pending"].size() == 2);  // and the view upon it
  REQUIRE(stage.migration().run("cancel").status == 0);
  CHECK(to.scalar("SELECT mine FROM crash.upon") == "42");
  CHECK(to.scalar("SELECT GROUP_CONCAT(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'crash'") == "upon");
}

TEST_CASE("killed at random moments, copy goes on and loses nothing: MariaDB", "[crash]") {
  Stage stage("a", "b");
  interrupt_at_random(stage, SIGKILL, 6);
}

TEST_CASE("asked to stop at random moments, copy ends with 130 and goes on: MariaDB", "[crash]") {
  Stage stage("a", "b");
  interrupt_at_random(stage, SIGTERM, 6);
}

TEST_CASE("asked to stop while a server does not end a statement, copy ends with 130 and goes on", "[crash]") {
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("c", "d")}) {
    Stage stage(from, to);
    stage.forget_target();
    REQUIRE(stage.copy("copy.keys_building=kill@1").status == 128 + SIGKILL);
    Client holder = Server(to).client("crash");
    holder.execute("START TRANSACTION");
    for (const auto& row : holder.query("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'")) holder.execute("SELECT COUNT(*) FROM `" + row[0].value() + "`");
    Process process = stage.migration().start("copy", kOptions);
    const auto is_waiting = [&] {
      const std::string id = holder.scalar("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'ALTER TABLE%' AND STATE LIKE 'Waiting for table metadata lock%'");
      return id != "0";
    };
    for (unsigned i = 0; i < 200 && !is_waiting(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    REQUIRE(is_waiting());
    process.signal(SIGTERM);
    const Outcome stopped = process.wait(std::chrono::seconds(30));
    INFO(stopped.out << stopped.err);
    CHECK(stopped.status == 130);
    CHECK(stopped.err.find("a stop was requested, and a statement on a server has not ended") != std::string::npos);
    holder.execute("COMMIT");
    const Outcome resumed = stage.copy();
    INFO(resumed.out << resumed.err);
    CHECK(stage.fault(resumed) == "");
  }
}

// The server goes on with the CREATE of a client that is gone: the next copy finds nothing there, and comes second with its own.
TEST_CASE("killed while the target creates an object, copy takes what it has created", "[crash]") {
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("c", "d")}) {
    Stage stage(from, to);
    stage.forget_target();
    REQUIRE(stage.copy("copy.objects_creating=kill@1").status == 128 + SIGKILL);
    Client holder = Server(to).client();
    const bool is_mysql = Server(to).flavour().rfind("mysql", 0) == 0;
    const auto creating = [&] { return holder.scalar("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'CREATE%' AND STATE LIKE 'Waiting for%backup%'"); };
    holder.script(is_mysql ? "LOCK INSTANCE FOR BACKUP;\n" : "BACKUP STAGE START;\nBACKUP STAGE FLUSH;\nBACKUP STAGE BLOCK_DDL;\n");
    Process killed = stage.migration().start("copy", kOptions);
    REQUIRE(holds_within(std::chrono::seconds(20), [&] { return creating() == "1"; }));
    killed.signal(SIGKILL);
    killed.wait();
    Process resumed = stage.migration().start("copy", kOptions);
    REQUIRE(holds_within(std::chrono::seconds(20), [&] { return creating() == "2"; }));
    holder.execute(is_mysql ? "UNLOCK INSTANCE" : "BACKUP STAGE END");
    const Outcome outcome = resumed.wait();
    INFO(outcome.out << outcome.err);
    CHECK(stage.fault(outcome) == "");
  }
}

TEST_CASE("killed at random moments, copy goes on and loses nothing: MySQL", "[crash]") {
  Stage stage("c", "d");
  interrupt_at_random(stage, SIGKILL, 4);
}
