// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7
// alone: a switch has a limit of time
// How a migration ends: `godwit complete` once the target serves, `godwit cancel` before it ever did. Neither leaves anything of godwit behind, neither is noticed
// by a client, and both can be run again.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "catch.h"
#include "live/support/seed.h"
#include "live/support/switch_stage.h"
#include "live/support/traces.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

namespace {

std::string code_of(const Outcome& outcome) {
  const auto document = json::parse(outcome.out, nullptr, false);
  return document.is_object() && document.contains("error") ? document["error"].value("code", "") : "";
}

Outcome must(SwitchStage& stage, const std::string& command, const Strings& options = {}) {
  Outcome outcome = stage.run(command, options);
  INFO(command << " " << outcome.status << "\n" << outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  return outcome;
}

// `complete` and `cancel` know nothing of proxies.
Outcome end(const SwitchStage& stage, const std::string& command, Strings options = {}) {
  options.insert(options.end(), {"--json"});
  if (command == "complete") options.emplace_back("--yes");
  return stage.migration.run(command, options);
}

void check_works_on(SwitchStage& stage) {
  const auto before = stage.ledger().acknowledged();
  CHECK(holds_within(seconds(10), [&] { return stage.ledger().acknowledged() > before + 50; }));
  CHECK(stage.ledger().complaints() == "");
}

// What the books say is on that side; the other one does not follow any more.
std::string fault_on(SwitchStage& stage, const std::string& side) {
  stage.ledger().pause();
  Client client = stage.side(side).client();
  const std::string text = judge({.ledger = &stage.ledger()}, client);
  stage.ledger().go_on();
  return text;
}

bool can_write(const Server& server, const std::string& table = "trade.bypass") {
  AppClient client({.port = server.port(), .user = kTeller, .password = kTeller, .schema = kTrade, .has_tls = true});
  client.run({"BEGIN"});
  const bool is_ok = client.ask("INSERT INTO " + table + " (writer, turn) VALUES (99, 1)").is_ok();
  client.ask("ROLLBACK");
  return is_ok;
}

// What `complete` says lifts what it has left; how many statements that is.
std::size_t run_statements(const Server& server, const json& left) {
  Client client = server.client();
  std::size_t count = 0;
  for (const auto& one : left) {
    for (const auto& statement : one["statements"]) {
      client.execute(statement.get<std::string>());
      ++count;
    }
  }
  return count;
}

// Which side a proxy sends to that is started now.
std::string side_of_new_proxy(const SwitchStage& stage, const Proxy::Setup& setup) {
  Proxy proxy(stage.source, stage.target, setup);
  AppClient client({.port = proxy.port(), .user = kTeller, .password = kTeller, .schema = kTrade});
  const auto port = client.scalar("SELECT @@port");
  const std::string asked = port == std::to_string(stage.target.port()) ? "target" : port == std::to_string(stage.source.port()) ? "source" : "port " + port;
  return proxy.serving() == asked ? asked : proxy.serving() + ", asks the " + asked;
}

}  // namespace

TEST_CASE("switch_end: complete leaves nothing of godwit behind, and the old side as was asked", "[switch_end]") {
  struct Case {
    std::string source;
    std::string target;
    std::string old_side;
  };
  for (const auto& it : {Case{"a", "b", ""}, Case{"a", "c", "writable"}, Case{"c", "a", "rename"}, Case{"c", "a", "read-only"}}) {
    SwitchStage stage({.source = it.source, .target = it.target, .clients = 8, .proxy_options = {"--delegate-auth"}});
    INFO(stage.source.flavour() << " -> " << stage.target.flavour() << " " << it.old_side);
    const Outcome early = end(stage, "complete");
    CHECK(early.status == 3);
    CHECK(code_of(early) == "GW1108");
    for (const char* command : {"switch", "reverse"}) must(stage, command);
    CHECK(code_of(end(stage, "complete")) == "GW1108");
    must(stage, "switch");
    REQUIRE(stage.fault() == "");
    const Outcome completed = end(stage, "complete", it.old_side.empty() ? Strings{} : Strings{"--old-side", it.old_side});
    INFO(completed.out << completed.err);
    REQUIRE(completed.status == 0);
    check_works_on(stage);
    CHECK(stage.serving() == "target");
    // The authority is gone: one that starts now must not take the old server for the one that serves.
    CHECK(side_of_new_proxy(stage, {.schema = kTrade, .state = stage.migration.state}) == "target");
    CHECK(side_of_new_proxy(stage, {.schema = kTrade, .state = stage.proxy_state()}) == "target");  // where one has run that saw the switch
    CHECK(side_of_new_proxy(stage, {.options = {"--serving", "target"}, .schema = kTrade}) == "target");
    CHECK(json::parse(completed.out)["hints"].dump().find("--serving target") != std::string::npos);
    CHECK(traces(stage.target) == "");
    if (it.old_side == "writable") {
      CHECK(picture(stage.source) == stage.before(stage.source));
      CHECK(can_write(stage.source));
    } else if (it.old_side == "rename") {
      Client client = stage.source.client();
      CHECK(client.scalar("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'trade' AND TABLE_NAME NOT LIKE '%\\_godwit\\_old'") == "0");
      CHECK(std::stoul(client.scalar("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'trade'")) >= 7);
      CHECK(std::stoul(client.scalar("SELECT COUNT(*) FROM trade.orders_godwit_old")) > 0);
    } else {
      CHECK_FALSE(can_write(stage.source));
    }
    if (it.old_side != "rename") CHECK(stage.source.client().scalar("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE '\\_godwit%'") == "0");
    CHECK(can_write(stage.target));
    // What is left is said, and what is said lifts it.
    const json stays = json::parse(completed.out)["left"];
    if (it.old_side == "writable") CHECK(stays.dump() == "[]");
    // Again: nothing to do. And there is no way back any more.
    const Outcome again = end(stage, "complete", it.old_side.empty() ? Strings{} : Strings{"--old-side", it.old_side});
    INFO(again.out << again.err);
    CHECK(again.status == 0);
    CHECK(json::parse(again.out)["was_done"] == true);
    CHECK(json::parse(again.out)["left"] == stays);
    const Outcome otherwise = end(stage, "complete", {"--old-side", it.old_side == "writable" ? "read-only" : "writable"});
    INFO(otherwise.out << otherwise.err);
    CHECK(otherwise.status == 3);
    CHECK(code_of(otherwise) == "GW1108");
    if (it.old_side != "writable") {
      CHECK(json::parse(otherwise.out)["error"]["remedy"].get<std::string>().find(stays[0]["statements"][0].get<std::string>()) != std::string::npos);
      CHECK(run_statements(stage.source, stays) > 0);
      CHECK(can_write(stage.source, it.old_side == "rename" ? "trade.bypass_godwit_old" : "trade.bypass"));
      CHECK(stage.source.client().scalar("SELECT @@GLOBAL.event_scheduler") == "ON");
      if (it.old_side != "rename") CHECK(picture(stage.source) == stage.before(stage.source));
    }
    for (const char* command : {"switch", "reverse"}) {
      const Outcome refused = stage.run(command);
      INFO(command << " " << refused.out << refused.err);
      CHECK((refused.status == 3 || refused.status == 2));
    }
    check_works_on(stage);
    CHECK(fault_on(stage, "target") == "");
  }
}

// Only in the long run: taking a trigger away may meet clients' transactions (docs/runbook.md), and then one of them is told 1213.
TEST_CASE("switch_end: complete takes guard triggers away", "[switch_end]") {
  if (!is_long_run()) return;
  const Server elsewhere("a");
  elsewhere.client().script("DROP DATABASE IF EXISTS elsewhere;\nCREATE DATABASE elsewhere;\nCREATE TABLE elsewhere.t (id INT NOT NULL PRIMARY KEY);\n");
  for (const std::string old_side : {"writable", "read-only"}) {
    INFO(old_side);
    SwitchStage stage({.clients = 8});
    must(stage, "switch");
    CHECK(traces(stage.source).find("trigger") != std::string::npos);
    const Outcome completed = end(stage, "complete", {"--old-side", old_side});
    INFO(completed.out << completed.err);
    REQUIRE(completed.status == 0);
    CHECK(traces(stage.target) == "");
    CHECK(can_write(stage.source) == (old_side == "writable"));
    const json left = json::parse(completed.out)["left"];
    INFO(left.dump());
    CHECK((run_statements(stage.source, left) == 0) == (old_side == "writable"));
    CHECK(can_write(stage.source));
    CHECK(traces(stage.source) == "");
    check_works_on(stage);
  }
  elsewhere.client().execute("DROP DATABASE elsewhere");
}

TEST_CASE("switch_end: cancel before the first switch leaves both sides as they were", "[switch_end]") {
  for (const auto& [source, target] : {std::pair("a", "b"), std::pair("a", "c"), std::pair("c", "a")}) {
    SwitchStage stage({.source = source, .target = target, .clients = 8, .has_trigger = true, .proxy_options = {"--delegate-auth"}});
    INFO(stage.source.flavour() << " -> " << stage.target.flavour());
    // A switch that was undone has touched both sides.
    CHECK(stage.run("switch", {}, "switch.commit.before=error").status != 0);
    CHECK(stage.fault() == "");
    const Outcome outcome = end(stage, "cancel");
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.status == 0);
    CHECK(holds_within(seconds(10), [&] { return !stage.replicates(); }));
    check_works_on(stage);
    CHECK(picture(stage.source) == stage.before(stage.source));
    CHECK(picture(stage.target) == stage.before(stage.target));
    CHECK(traces(stage.source) + traces(stage.target) == "");
    CHECK(fault_on(stage, "source") == "");
    const Outcome again = end(stage, "cancel");
    INFO(again.out << again.err);
    CHECK(again.status == 0);
  }
}

TEST_CASE("switch_end: cancel is refused while a switch is at work, and once the target serves", "[switch_end]") {
  SwitchStage stage({.clients = 4});
  Process at_work = stage.start("switch", {}, "switch.check.after=sleep:5000");
  REQUIRE(has_logged(at_work, "switch.check.after"));
  const Outcome beside = end(stage, "cancel");
  INFO(beside.out << beside.err);
  CHECK(beside.status == 3);
  CHECK(code_of(beside) == "GW1102");
  const Outcome switched = at_work.wait();
  INFO(switched.out << switched.err);
  REQUIRE(switched.status == 0);
  const Outcome refused = end(stage, "cancel");
  INFO(refused.out << refused.err);
  CHECK(refused.status == 3);
  CHECK(code_of(refused) == "GW1107");
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

// --- a target that is gone for good -------------------------------------------------------------------------------------

namespace {

constexpr const char* kNobodyThere = "mysql://godwit@127.0.0.1:1/trade";

Outcome cancel_with_target(const SwitchStage& stage, const std::string& target, const Strings& options) {
  Strings all{std::getenv("GODWIT_BIN"), "cancel", stage.migration.name, "--source", stage.migration.source_dsn, "--target", target, "--state", stage.migration.state, "--json"};
  all.insert(all.end(), options.begin(), options.end());
  return Process(all, {{"GODWIT_SOURCE_PASSWORD", "godwit"}, {"GODWIT_TARGET_PASSWORD", "godwit"}}).wait();
}

}  // namespace

TEST_CASE("switch_end: cancel without the target leaves the source as it was, and is refused while the target answers", "[switch_end]") {
  for (const auto& [source, target] : {std::pair("a", "b"), std::pair("c", "a")}) {
    SwitchStage stage({.source = source, .target = target, .clients = 4, .has_trigger = true});
    INFO(stage.source.flavour() << " -> " << stage.target.flavour());
    must(stage, "switch");
    stage.end_ledger();
    stage.end_replicate();
    stage.kill_proxy(0);
    CHECK_FALSE(can_write(stage.source));
    const Outcome refused = cancel_with_target(stage, stage.migration.target_dsn, {"--without-target", "--yes"});
    INFO(refused.out << refused.err);
    CHECK(refused.status == 3);
    CHECK(code_of(refused) == "GW1112");
    const Outcome hinted = cancel_with_target(stage, kNobodyThere, {});
    CHECK(hinted.status == 5);
    CHECK(json::parse(hinted.out)["error"]["remedy"].get<std::string>().find("--without-target") != std::string::npos);
    CHECK(cancel_with_target(stage, kNobodyThere, {"--without-target"}).status == 2);  // nobody can be asked here
    CHECK_FALSE(can_write(stage.source));

    const Outcome cancelled = cancel_with_target(stage, kNobodyThere, {"--without-target", "--yes"});
    INFO(cancelled.out << cancelled.err);
    REQUIRE(cancelled.status == 0);
    CHECK(json::parse(cancelled.out)["warnings"].dump().find("may have served") != std::string::npos);
    CHECK(can_write(stage.source));
    CHECK(picture(stage.source) == stage.before(stage.source));
    CHECK(traces(stage.source) == "");
    CHECK(stage.source.client().scalar("SELECT @@GLOBAL.event_scheduler") == "ON");
    CHECK(traces(stage.target) != "");
    CHECK(json::parse(stage.migration.run_plain({"status", "--json", "--state", stage.migration.state}).out)["workflows"].empty());
  }
}
