// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7
// alone: a switch has a limit of time
// What a switch refuses, each by its code, and that nothing is changed by it: no side is fenced that was not, no client is held. Dry runs and hooks.
#include <csignal>
#include <cstdlib>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "catch.h"
#include "live/support/switch_stage.h"
#include "live/support/traces.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

namespace {

const std::string kQuiet = "CREATE TABLE trade.quiet (id INT NOT NULL PRIMARY KEY, v INT NOT NULL) ENGINE=InnoDB";  // which no client writes to

std::string authority(const SwitchStage& stage) {
  Client client = stage.target.client();
  return text_of(client, "SELECT epoch, serving, is_switching FROM _godwit.route");
}

class Watch {
 public:
  explicit Watch(SwitchStage& stage) : stage_(stage), source_(picture(stage.source)), target_(picture(stage.target)) {}

  // Nobody is held, the source serves and is the one that is written to, and the clients have had no error. `is_untouched`: nothing else is changed either.
  void check(bool is_untouched) {
    for (unsigned i = 0; i < stage_.proxies(); ++i) CHECK_FALSE(stage_.proxy(i).is_closed());
    CHECK(stage_.serving() == "source");
    // Before the first switch is prepared nothing keeps a probe off the target, where it would be a row too many.
    if (!is_untouched) CHECK(stage_.writable() == "source");
    const auto before = stage_.ledger().acknowledged();
    CHECK(holds_within(seconds(5), [&] { return stage_.ledger().acknowledged() > before + 10; }));
    CHECK(stage_.ledger().complaints() == "");
    if (!is_untouched) return;
    CHECK(picture(stage_.source) == source_);
    CHECK(picture(stage_.target) == target_);
  }

 private:
  SwitchStage& stage_;
  std::string source_;
  std::string target_;
};

json error_of(const Outcome& outcome) {
  const auto document = json::parse(outcome.out, nullptr, false);
  return document.is_object() && document.contains("error") ? document["error"] : json::object();
}

void check_refused(SwitchStage& stage, const Strings& options, const std::string& code, const std::string& words, const std::string& failpoints = "") {
  Watch watch(stage);
  const Outcome outcome = stage.run("switch", options, failpoints);
  INFO(outcome.status << "\n" << outcome.out << outcome.err);
  CHECK(outcome.status == 3);
  const json error = error_of(outcome);
  CHECK(error.value("code", "") == code);
  CHECK_THAT(error.value("object", "") + " " + error.value("cause", ""), Catch::Contains(words));
  CHECK(error.value("remedy", "") != "");
  watch.check(true);
}

// One that lives is not forgotten, and it does not take long to see that it lives.
void check_unnamed_proxies(SwitchStage& stage) {
  const auto refused = [&](const Strings& options, const std::string& words) {
    Watch watch(stage);
    const auto began = std::chrono::steady_clock::now();
    const Outcome outcome = stage.migration.run("switch", options, stage.environment());
    INFO(outcome.status << "\n" << outcome.out << outcome.err);
    CHECK(outcome.status == 3);
    CHECK(error_of(outcome).value("code", "") == "GW1102");
    CHECK_THAT(outcome.out, Catch::Contains(words));
    CHECK(std::chrono::steady_clock::now() - began < seconds(6));
    watch.check(true);
  };
  const auto admin = stage.proxy().admin_login();
  refused({"--yes", "--json", "--admin-user", admin.user, "--proxy", "127.0.0.1:" + std::to_string(stage.proxy().port())}, std::to_string(stage.proxy(1).port()));
  refused({"--yes", "--json"}, "no proxy is named");
  refused({"--yes", "--json", "--no-proxy"}, "alive and not named");
}

// The side that is asked for serves already. From the target, and back to it.
void check_nothing_to_do(SwitchStage& stage) {
  const auto again = [&](const std::string& command, const std::string& side) {
    const std::string before = authority(stage);
    const Outcome outcome = stage.run(command);
    INFO(command << " " << outcome.status << "\n" << outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    CHECK(json::parse(outcome.out)["was_done"] == true);
    CHECK(json::parse(outcome.out)["serving"] == side);
    CHECK(authority(stage) == before);
  };
  again("switch", "target");
  REQUIRE(stage.run("reverse").status == 0);
  again("reverse", "source");
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  ::chmod(path.c_str(), 0700);
}

// A folder of hooks, gone at the end.
struct HookFolder {
  HookFolder() {
    std::string pattern = "/tmp/godwit-hooks-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path = pattern;
  }
  ~HookFolder() { std::filesystem::remove_all(path); }
  std::string path;
};

}  // namespace

// One stage for all that refuses before anything is changed: each is mended, the next one is tried, and in the end it goes through.
TEST_CASE("switch_refusals: proxies, the stream, a comparison at work, the way back, another coordinator", "[switch_refusals]") {
  SwitchStage stage({.clients = 4, .proxies = 2});
  check_refused(stage, {"--proxy", "127.0.0.1:" + std::to_string(free_port())}, "GW1105", "");
  const Outcome denied = stage.migration.run("switch", stage.named_proxies({"--yes", "--json"}), {{"GODWIT_ADMIN_PASSWORD", "wrong"}});
  CHECK(denied.status == 3);
  CHECK(error_of(denied).value("code", "") == "GW1105");
  check_unnamed_proxies(stage);
  {
    Process vdiff = stage.migration.start("vdiff", {}, armed("vdiff.paired=sleep:7000"));
    REQUIRE(has_logged(vdiff, "vdiff.paired"));
    check_refused(stage, {}, "GW1102", "is at work");
    CHECK(vdiff.wait().status == 0);
  }
  Client target = stage.target.client();
  target.execute("SET GLOBAL binlog_row_image = 'MINIMAL'");
  check_refused(stage, {}, "GW0303", "binlog_row_image");
  target.execute("SET GLOBAL binlog_row_image = 'FULL'");
  stage.start_replicate({}, "apply.window_taken=sleep:2500");
  std::this_thread::sleep_for(seconds(2));
  check_refused(stage, {"--lag-max", "500ms"}, "GW1102", "behind");
  stage.end_replicate();
  check_refused(stage, {}, "GW1102", "replicate");
  stage.start_replicate();
  CHECK(stage.fault() == "");
  Process first = stage.start("switch", {}, "switch.check.after=sleep:4000");
  REQUIRE(has_logged(first, "switch.check.after"));
  check_refused(stage, {}, "GW1102", "another coordinator");
  const Outcome outcome = first.wait();
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 0);
  CHECK(stage.fault() == "");
  check_nothing_to_do(stage);
}

TEST_CASE("switch_refusals: a vdiff that is missing, too old, or has found something", "[switch_refusals]") {
  SwitchStage stage({.clients = 4, .source_sql = {kQuiet, "INSERT INTO trade.quiet VALUES (1, 1), (2, 2)"}});
  check_refused(stage, {"--require-vdiff", "1h"}, "GW1102", "there is none");
  Client target = stage.target.client();
  target.execute("SET SESSION sql_log_bin = 0");
  target.execute("UPDATE trade.quiet SET v = 7 WHERE id = 2");
  CHECK(stage.migration.run("vdiff").status == 4);
  check_refused(stage, {"--require-vdiff", "1h"}, "GW1102", "found differences");
  check_refused(stage, {}, "GW1102", "found differences");
  CHECK(stage.migration.run("vdiff", {"--repair"}).status == 0);
  CHECK(stage.migration.run("vdiff", {"--restart"}).status == 0);
  std::this_thread::sleep_for(seconds(3));
  check_refused(stage, {"--require-vdiff", "1s"}, "GW1102", "s ago");
  const Outcome outcome = stage.run("switch", {"--require-vdiff", "1h"});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 0);
  CHECK(stage.fault() == "");
}

TEST_CASE("switch_refusals: a definer that the other side does not have", "[switch_refusals]") {
  const Server source("a");
  source.client().execute("CREATE USER IF NOT EXISTS ghost@localhost");
  {
    SwitchStage stage({.clients = 4, .source_sql = {kQuiet, "CREATE DEFINER = ghost@localhost TRIGGER trade.haunted BEFORE INSERT ON trade.quiet FOR EACH ROW SET NEW.v = NEW.v + 1"}});
    check_refused(stage, {}, "GW1102", "ghost");
    stage.target.client().execute("CREATE USER ghost@localhost");
    const Outcome outcome = stage.run("switch");
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    CHECK(stage.fault() == "");
    stage.target.client().execute("DROP USER ghost@localhost");
  }
  source.client().execute("DROP USER ghost@localhost");
}

TEST_CASE("switch_refusals: an XA transaction that is prepared, and nobody ends, is named", "[switch_refusals]") {
  for (const std::string source : {"a", "c"}) {
    SwitchStage stage({.source = source, .target = "b", .clients = 4, .source_sql = {kQuiet}});
    INFO(stage.source.flavour());
    Client left = stage.source.client(kTrade);
    for (const char* sql : {"XA START 'left','behind',7", "INSERT INTO quiet VALUES (9, 9)", "XA END 'left','behind',7", "XA PREPARE 'left','behind',7"}) left.execute(sql);
    const Outcome dry = stage.run("switch", {"--dry-run"});
    CHECK(dry.status == 3);
    // It was a question, and has its answer: no switch has failed.
    const auto events = [&] { return stage.migration.run_plain({"status", stage.migration.name, "--history", "--json", "--state", stage.migration.state}).out; };
    CHECK_THAT(events(), !Catch::Contains("switch_failed"));
    const Outcome outcome = stage.run("switch");
    INFO(outcome.status << "\n" << outcome.out << outcome.err);
    CHECK(outcome.status == 3);
    CHECK(error_of(outcome).value("code", "") == "GW1102");
    CHECK_THAT(error_of(outcome).value("cause", ""), Catch::Contains("'left','behind',7"));
    CHECK_THAT(events(), Catch::Contains("switch_failed"));
    left.execute("XA COMMIT 'left','behind',7");
    const Outcome done = stage.run("switch");
    INFO(done.out << done.err);
    CHECK(done.status == 0);
    CHECK(stage.fault() == "");
    CHECK(stage.target.client(kTrade).scalar("SELECT v FROM quiet WHERE id = 9") == "9");
  }
}

TEST_CASE("switch_refusals: a transaction that does not end: the switch gives up, or ends it", "[switch_refusals]") {
  SwitchStage stage({.clients = 8});
  AppClient straggler({.port = stage.proxy().port(), .user = kTeller, .password = kTeller, .schema = kTrade, .has_tls = true});
  straggler.run({"BEGIN", "INSERT INTO bypass (writer, turn) VALUES (77, 1)"});
  const auto id = std::to_string(straggler.id());
  {
    Watch watch(stage);
    stage.ledger().take_waits_ms();
    const Outcome outcome = stage.run("switch", {"--drain-timeout", "2s"});
    INFO(outcome.status << "\n" << outcome.out << outcome.err);
    CHECK(outcome.status == 5);
    CHECK(error_of(outcome).value("code", "") == "GW1103");
    CHECK_THAT(outcome.out, Catch::Contains(id) && Catch::Contains("transaction"));
    watch.check(false);
    // Nobody waited for the whole of that time: moments are tried, none of them long.
    for (const double wait : stage.ledger().take_waits_ms()) CHECK(wait < 1000);
    CHECK(straggler.ask("DELETE FROM bypass WHERE writer = 77").is_ok());
    CHECK(straggler.ask("COMMIT").is_ok());
  }
  straggler.run({"BEGIN", "INSERT INTO bypass (writer, turn) VALUES (78, 1)"});
  {
    const Outcome outcome = stage.run("switch", {"--drain-timeout", "1s", "--on-straggler", "kill"});
    INFO(outcome.status << "\n" << outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    CHECK(straggler.ask("COMMIT").error != 0);
    CHECK(stage.serving() == "target");
  }
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

TEST_CASE("switch_refusals: a session that only the other side refuses is named before anybody is held, or ended", "[switch_refusals]") {
  SwitchStage stage({.target = "c", .clients = 4});
  AppClient client({.port = stage.proxy().port(), .user = kTeller, .password = kTeller, .schema = kTrade, .has_tls = true});
  client.run({"SET sql_mode = CONCAT(@@sql_mode, ',EMPTY_STRING_IS_NULL')"});  // which MySQL does not have
  const auto id = std::to_string(client.id());
  for (const Strings& options : {Strings{"--dry-run"}, Strings{}}) {
    check_refused(stage, options, "GW1102", "sql_mode EMPTY_STRING_IS_NULL");
    const Outcome outcome = stage.run("switch", options);
    const json error = error_of(outcome);
    CHECK(error.value("object", "") == "session " + id);
    CHECK_THAT(error.value("cause", ""), Catch::Contains("session " + id + " of " + kTeller + "@%"));
    CHECK_THAT(error.value("remedy", ""), Catch::Contains("KILL " + id) && Catch::Contains("--on-straggler kill"));
  }
  CHECK(stage.proxy().stat("holds") == 0);
  CHECK(stage.proxy().session(client.id())["refused_by"] == "target");
  CHECK(client.ask("SELECT 1").is_ok());
  const Outcome dry = stage.run("switch", {"--dry-run", "--on-straggler", "kill"});
  INFO(dry.out << dry.err);
  CHECK(dry.status == 0);
  CHECK(client.ask("SELECT 1").is_ok());
  const Outcome outcome = stage.run("switch", {"--on-straggler", "kill", "--pause-max", "10s"});
  INFO(outcome.status << "\n" << outcome.out << outcome.err);
  CHECK(outcome.status == 0);
  CHECK_THAT(json::parse(outcome.out)["warnings"].dump(), Catch::Contains("session " + id));
  CHECK(client.ask("SELECT 1").error != 0);
  CHECK(stage.serving() == "target");
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

TEST_CASE("switch_refusals: what would take longer than --pause-max is undone, and clients only wait", "[switch_refusals]") {
  SwitchStage stage({.clients = 8});
  for (const std::string step : {"move", "catch_up", "objects", "commit"}) {
    INFO(step);
    Watch watch(stage);
    const Outcome outcome = stage.run("switch", {"--pause-max", "400ms"}, "switch." + step + ".before=sleep:700");
    INFO(outcome.status << "\n" << outcome.out << outcome.err);
    CHECK(outcome.status == 5);
    CHECK(error_of(outcome).value("code", "") == "GW1103");
    watch.check(false);
  }
  const Outcome outcome = stage.run("switch");
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 0);
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

TEST_CASE("switch_refusals: a step that fails is undone, at each step before the commit; after it, it is done all the same", "[switch_refusals]") {
  SwitchStage stage({.clients = 8});
  for (const char* command : {"switch", "reverse"}) REQUIRE(stage.run(command, {"--pause-max", "10s"}).status == 0);  // from then on the side that does not serve is fenced
  std::string wanted = "target";
  for (const auto& point : stage.migration.failpoints("switch.")) {
    if (point.rfind("switch.check.", 0) == 0) continue;
    INFO(point);
    const bool is_on_source = wanted == "target";
    const Outcome outcome = stage.run(is_on_source ? "switch" : "reverse", {"--pause-max", "5s"}, point + "=error");
    INFO(outcome.status << "\n" << outcome.out << outcome.err);
    CHECK(outcome.err.find(point) != std::string::npos);
    if (outcome.status == 0) wanted = SwitchStage::other(wanted);
    CHECK(stage.await_one_side(seconds(5)) == "");
    CHECK(stage.serving() == SwitchStage::other(wanted));
    const auto before = stage.ledger().acknowledged();
    CHECK(holds_within(seconds(5), [&] { return stage.ledger().acknowledged() > before + 10; }));
  }
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

// Between a step's deed and its end somebody changes by hand what it relies on: it is seen, and undone.
TEST_CASE("switch_refusals: what a step has done is looked at again before it counts as done", "[switch_refusals]") {
  struct Meddling {
    std::string point;
    std::string sql;
    bool is_at_source;
  };
  const Meddling all[] = {
      {"switch.fence.after", "SET GLOBAL read_only = OFF", true},
      {"switch.freeze.after", "UPDATE _godwit.stream SET epoch = epoch + 1 WHERE direction = 'forward'", false},
      {"switch.return_position.after", "UPDATE _godwit.stream SET position = '0-1-1' WHERE direction = 'reverse'", true},
  };
  SwitchStage stage({.clients = 4});
  for (const auto& it : all) {
    INFO(it.point);
    Process process = stage.start("switch", {"--pause-max", "10s"}, it.point + "=sleep:600");
    REQUIRE(has_logged(process, "failpoint " + it.point));
    (it.is_at_source ? stage.source : stage.target).client().execute(it.sql);
    const Outcome outcome = process.wait();
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 5);
    CHECK(error_of(outcome).value("code", "") == "GW1103");
    CHECK_THAT(error_of(outcome).value("cause", ""), Catch::Contains("a moment ago"));
    CHECK(stage.await_one_side(seconds(15)) == "");
    CHECK(stage.serving() == "source");
  }
  CHECK(stage.run("switch", {"--pause-max", "10s"}).status == 0);
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

TEST_CASE("switch_refusals: a dry run prints the steps, and changes nothing", "[switch_refusals]") {
  for (const auto& [source, target] : {std::pair("a", "b"), std::pair("a", "c")}) {
    SwitchStage stage({.source = source, .target = target, .clients = 4, .has_trigger = true});
    AppClient immovable({.port = stage.proxy().port(), .user = kTeller, .password = kTeller, .schema = kTrade, .has_tls = true});
    immovable.run({"CREATE TEMPORARY TABLE mine (id INT)"});
    Watch watch(stage);
    const std::string before = authority(stage);
    const Outcome outcome = stage.run("switch", {"--dry-run"});
    INFO(outcome.status << "\n" << outcome.out << outcome.err);
    REQUIRE(outcome.status == 0);
    const json report = json::parse(outcome.out);
    const json steps = json::parse(stage.migration.run_plain({"inspect", "steps", "--json"}).out)["steps"];
    REQUIRE(report["steps"].size() == steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
      CHECK(report["steps"][i]["name"] == steps[i]["name"]);
      CHECK(report["steps"][i]["state"] == "planned");
    }
    CHECK(report["expected_pause_ms"].get<double>() > 0);
    const std::string objects = report["objects"].dump();
    CHECK_THAT(objects, Catch::Contains("`trade`.`order_audit` is created on the target") && Catch::Contains("`trade`.`tick` is created on the target"));
    CHECK_THAT(objects, Catch::Contains("`trade`.`order_audit` is set aside on the source") && Catch::Contains("`trade`.`tick` is set aside on the source"));
    CHECK_THAT(objects, Catch::Contains("AUTO_INCREMENT of `trade`.`orders` is raised on the target"));
    CHECK_THAT(report["immovable"].dump(), Catch::Contains(std::to_string(immovable.id())));
    CHECK(authority(stage) == before);
    watch.check(true);
    immovable.run({"DROP TEMPORARY TABLE mine"});
    CHECK(stage.fault() == "");
  }
}

// The schema of an earlier version, which lacks a table.
TEST_CASE("switch_refusals: a dry run brings no sidecar up to date, and says that a switch would", "[switch_refusals]") {
  SwitchStage stage({.clients = 4, .has_trigger = true});
  Client target = stage.target.client();
  for (const char* sql : {"DROP TABLE _godwit.live_object", "UPDATE _godwit.meta SET version = 2"}) target.execute(sql);
  const auto tables = [&] { return text_of(target, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '_godwit' ORDER BY 1"); };
  const std::string before = tables();
  const Outcome dry = stage.run("switch", {"--dry-run"});
  INFO(dry.status << "\n" << dry.out << dry.err);
  REQUIRE(dry.status == 0);
  CHECK_THAT(json::parse(dry.out)["objects"].dump(), Catch::Contains("`_godwit` on the target") && Catch::Contains("order_audit"));
  CHECK(tables() == before);
  CHECK(target.scalar("SELECT version FROM _godwit.meta") == "2");
  const Outcome outcome = stage.run("switch", {"--pause-max", "10s"});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 0);
  CHECK(target.scalar("SELECT version FROM _godwit.meta") == "4");
  CHECK(stage.fault() == "");
}

TEST_CASE("switch_refusals: a dry run after a switch that was killed says what would be undone, or completed, first", "[switch_refusals]") {
  SwitchStage stage({.clients = 4});
  const auto killed = [&](const std::string& command, const std::string& point) {
    const Outcome outcome = stage.run(command, {"--pause-max", "15s"}, point + "=kill");
    INFO(outcome.status << "\n" << outcome.out << outcome.err);
    REQUIRE(outcome.status == 128 + SIGKILL);
  };
  const auto dry = [&](const std::string& command, bool was_done, const std::string& words) {
    const std::string before = authority(stage);
    const Outcome outcome = stage.run(command, {"--dry-run"});
    INFO(command << " " << outcome.status << "\n" << outcome.out << outcome.err);
    REQUIRE(outcome.status == 0);
    const json report = json::parse(outcome.out);
    CHECK(report["was_done"] == was_done);
    CHECK_THAT(report["finished"].dump(), Catch::Contains("hold " + std::to_string(report["epoch"].get<int>() - (was_done ? 1 : 0))) && Catch::Contains(words));
    CHECK(authority(stage) == before);
  };
  killed("switch", "switch.freeze.after");
  dry("switch", false, "would be undone first");
  CHECK(stage.proxy().is_closed());
  REQUIRE(stage.run("switch", {"--pause-max", "15s"}).status == 0);
  killed("reverse", "switch.commit.after");
  dry("reverse", true, "would be completed");
  CHECK(stage.proxy().is_closed());
  REQUIRE(stage.run("reverse", {"--pause-max", "10s"}).status == 0);
  CHECK(json::parse(stage.run("reverse", {"--dry-run"}).out)["finished"].empty());
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

TEST_CASE("switch_refusals: hooks run at each step, know where they are, and see no password; one that fails before a step ends the switch", "[switch_refusals]") {
  SwitchStage stage({.clients = 8});
  HookFolder folder;
  const std::string seen = folder.path + "/seen";
  const json steps = json::parse(stage.migration.run_plain({"inspect", "steps", "--json"}).out)["steps"];
  std::string expected;
  for (const auto& step : steps) {
    for (const std::string when : {"before", "after"}) {
      const std::string name = step["name"];
      write_file(folder.path + "/" + when + "-" + name, "#!/bin/sh\necho \"$GODWIT_WHEN $GODWIT_STEP $GODWIT_WORKFLOW $GODWIT_COMMAND $GODWIT_FROM $GODWIT_TO$GODWIT_ADMIN_PASSWORD$GODWIT_SOURCE_PASSWORD\" >> " + seen + "\n");
      expected += when + " " + name + " test switch source target\n";
    }
  }
  const auto read = [&] {
    std::ifstream file(seen);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  {
    const Outcome outcome = stage.run("switch", {"--hook-dir", folder.path, "--pause-max", "5s"});
    INFO(outcome.status << "\n" << outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    CHECK(read() == expected);
    REQUIRE(stage.run("reverse").status == 0);
  }
  {  // one before a step fails, or hangs
    for (const std::string body : {"exit 7", "sleep 30"}) {
      for (const std::string step : {"check", "gate", "fence", "commit"}) {
        INFO(step << ": " << body);
        const std::string path = folder.path + "/before-" + step;
        std::ifstream file(path);
        const std::string kept(std::istreambuf_iterator<char>(file), {});
        if (body == "sleep 30" && step != "commit") continue;
        write_file(path, "#!/bin/sh\n" + body + "\n");
        Watch watch(stage);
        const Outcome outcome = stage.run("switch", {"--hook-dir", folder.path, "--pause-max", "2s"});
        INFO(outcome.status << "\n" << outcome.out << outcome.err);
        CHECK(outcome.status == 3);
        CHECK(error_of(outcome).value("code", "") == "GW1106");
        watch.check(false);
        write_file(path, kept);
      }
    }
  }
  {  // one after a step, or after the commit, fails: a warning
    for (const std::string name : {"after-gate", "after-commit", "before-unfence"}) write_file(folder.path + "/" + name, "#!/bin/sh\nexit 7\n");
    const Outcome outcome = stage.run("switch", {"--hook-dir", folder.path, "--pause-max", "5s"});
    INFO(outcome.status << "\n" << outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    CHECK_THAT(json::parse(outcome.out)["warnings"].dump(), Catch::Contains("after-gate") && Catch::Contains("after-commit") && Catch::Contains("before-unfence"));
  }
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}
