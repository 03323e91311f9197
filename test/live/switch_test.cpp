// servers: a=mariadb-10.11:--max-connections=3000 b=mariadb-10.11:--max-connections=3000 c=mysql-9.7
// alone: it measures
// `godwit switch` and `godwit reverse` under load: clients of an ordinary account, through proxies, notice nothing but a short wait. Nothing that they were told is lost or
// doubled, nobody sees time go backwards, both sides are the same afterwards, and a writer that goes around the proxy is told so.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "catch.h"
#include "live/support/seed.h"
#include "live/support/switch_stage.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// As measured on a quiet machine; where others are at work on it, only that it is no second.
struct PauseLimits {
  double median_ms;
  double longest_ms;
};
PauseLimits limits() { return is_long_run() ? PauseLimits{50, 250} : PauseLimits{150, 1000}; }

// What clients and proxies have measured, over some switches.
struct Measured {
  std::vector<double> waits_ms;
  std::vector<double> pauses_ms;  // as the command says
  std::map<std::string, std::vector<double>> steps_ms;
};

void print(const std::string& what, const Measured& measured, const SwitchStage& stage, double usual_ms) {
  auto said = measured.pauses_ms;
  std::sort(said.begin(), said.end());
  const auto seen = pauses(measured.waits_ms, usual_ms);
  std::cout << "switch: " << stage.source.flavour() << " -> " << stage.target.flavour() << ", " << what << ": " << said.size() << " switches; usual answer " << usual_ms << " ms; pause that clients saw: median "
            << seen.median_ms << " ms, longest " << seen.longest_ms << " ms (of " << measured.waits_ms.size() << "); as the command says: median " << said[said.size() / 2] << " ms, longest " << said.back() << " ms\n  steps, median/longest:";
  for (auto [name, ms] : measured.steps_ms) {
    std::sort(ms.begin(), ms.end());
    std::cout << " " << name << " " << ms[ms.size() / 2] << "/" << ms.back();
  }
  std::cout << " ms\n";
}

// One command, and what it cost.
void switch_over(SwitchStage& stage, const std::string& command, Measured& measured, const std::vector<std::string>& options = {}) {
  stage.ledger().take_waits_ms();
  auto all = options;
  if (all.empty() && !is_long_run()) all = {"--pause-max", "3s"};
  const Outcome outcome = stage.run(command, all);
  INFO(command << ": " << outcome.status << "\n" << outcome.out << outcome.err << stage.ledger().complaints());
  REQUIRE(outcome.status == 0);
  std::this_thread::sleep_for(milliseconds(100));  // so that everybody has an answer
  for (const double wait : stage.ledger().take_waits_ms()) measured.waits_ms.push_back(wait);
  const json report = json::parse(outcome.out);
  const std::string side = command == "switch" ? "target" : "source";
  CHECK(report["serving"] == side);
  CHECK(report["was_done"] == false);
  CHECK(report["warnings"] == json::array({"no vdiff has passed: --require-vdiff would refuse"}));
  CHECK(stage.serving() == side);
  measured.pauses_ms.push_back(report["pause_ms"]);
  for (const auto& step : report["steps"]) measured.steps_ms[step["name"]].push_back(step["ms"]);
  CHECK(report["proxies"].size() == stage.proxies());
}

void switch_and_back(const std::string& source, const std::string& target) {
  const auto seed = seed_of_this_run();
  INFO("GODWIT_SEED=" << seed);
  SwitchStage stage({.source = source, .target = target, .clients = 64, .seed = seed});
  Measured measured;
  for (int i = 0; i < (is_long_run() ? 20 : 8); ++i) switch_over(stage, i % 2 == 0 ? "switch" : "reverse", measured);
  const double usual_ms = stage.ledger().usual_ms();
  print("64 clients, " + std::to_string(stage.ledger().statements()) + " statements, " + std::to_string(stage.ledger().acknowledged()) + " writes acknowledged", measured, stage, usual_ms);
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
  CHECK(stage.ledger().acknowledged() > 1000);
  CHECK(stage.writable() == "source");
  const auto seen = pauses(measured.waits_ms, usual_ms);
  CHECK(seen.median_ms < limits().median_ms);
  CHECK(seen.longest_ms < limits().longest_ms);
}

std::string names(Client& client, const std::string& sql) {
  std::string text;
  for (const auto& row : client.query(sql)) text += (text.empty() ? "" : " ") + row[0].value();
  return text;
}

std::string live_objects(const Server& server) {
  Client client = server.client();
  return names(client, "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'trade' AND TRIGGER_NAME = 'order_audit' UNION SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'trade' AND STATUS = 'ENABLED'");
}

}  // namespace

TEST_CASE("switch: there and back, again and again, under 64 clients, MariaDB to MariaDB", "[switch]") { switch_and_back("a", "b"); }
TEST_CASE("switch: there and back, again and again, under 64 clients, MariaDB to MySQL", "[switch]") { switch_and_back("a", "c"); }
TEST_CASE("switch: there and back, again and again, under 64 clients, MySQL to MariaDB", "[switch]") { switch_and_back("c", "a"); }

TEST_CASE("switch: two proxies go over in one gate", "[switch]") {
  SwitchStage stage({.clients = 32, .proxies = 2});
  Measured measured;
  for (int i = 0; i < 4; ++i) {
    switch_over(stage, i % 2 == 0 ? "switch" : "reverse", measured);
    for (unsigned proxy = 0; proxy < 2; ++proxy) CHECK(stage.proxy(proxy).serving() == (i % 2 == 0 ? "target" : "source"));
  }
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

TEST_CASE("switch: 1,000 clients with five prepared statements each wait less than a second", "[switch]") {
  SwitchStage stage({.clients = 1000, .think_max = seconds(5)});
  Measured measured;
  for (const char* command : {"switch", "reverse"}) switch_over(stage, command, measured, {"--pause-max", "3s"});
  const double usual_ms = stage.ledger().usual_ms();
  print("1,000 clients", measured, stage, usual_ms);
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
  CHECK(pauses(measured.waits_ms, usual_ms).longest_ms < (is_long_run() ? 1000 : 3000));
}

TEST_CASE("switch: a writer that goes around the proxy gets an error from the fence on, and what it was told before is there", "[switch]") {
  for (const auto& [source, target] : {std::pair("a", "b"), std::pair("c", "a")}) {
    SwitchStage stage({.source = source, .target = target, .clients = 8});
    INFO(stage.source.flavour() << " -> " << stage.target.flavour());
    Bypass at_source(stage.source, 1);
    REQUIRE(holds_within(seconds(10), [&] { return at_source.acknowledged() > 100; }));
    Measured measured;
    switch_over(stage, "switch", measured);
    CHECK(at_source.is_refused());
    CHECK_THAT(at_source.first_refusal(), Catch::Contains("read-only") || Catch::Contains("read_only"));
    const auto told = at_source.acknowledged();
    Bypass at_target(stage.target, 2);
    for (const char* command : {"reverse", "switch", "reverse"}) {
      REQUIRE(holds_within(seconds(10), [&] { return !(command[0] == 'r' ? at_target : at_source).is_refused(); }));
      std::this_thread::sleep_for(milliseconds(300));
      switch_over(stage, command, measured);
      CHECK((command[0] == 'r' ? at_target : at_source).is_refused());
    }
    CHECK(holds_within(seconds(10), [&] { return at_source.acknowledged() > told + 50; }));
    CHECK(at_target.acknowledged() > 50);
    CHECK(at_target.refused() > 10);
    at_source.stop();
    at_target.stop();
    CHECK(stage.fault({.bypasses = {&at_source, &at_target}}) == "");
    CHECK(stage.ledger().complaints() == "");
  }
}

TEST_CASE("switch: triggers and events live on the side that serves, and fire once", "[switch]") {
  for (const auto& [source, target] : {std::pair("a", "b"), std::pair("a", "c"), std::pair("c", "a")}) {
    SwitchStage stage({.source = source, .target = target, .clients = 8, .has_trigger = true});
    INFO(stage.source.flavour() << " -> " << stage.target.flavour());
    Measured measured;
    for (const char* command : {"switch", "reverse", "switch"}) {
      INFO(command);
      switch_over(stage, command, measured);
      const std::string serving = command[0] == 's' ? "target" : "source";
      CHECK(live_objects(stage.side(serving)) == "order_audit tick");
      CHECK(live_objects(stage.side(SwitchStage::other(serving))) == "");
      Client server = stage.side(serving).client();
      const auto ticks = [&](const Server& at) { return std::stoull(server.scalar("SELECT COUNT(*) FROM trade.ticks WHERE at_port = " + std::to_string(at.port()))); };
      const auto passive_before = ticks(stage.side(SwitchStage::other(serving)));
      const auto serving_before = ticks(stage.side(serving));
      CHECK(holds_within(seconds(5), [&] { return ticks(stage.side(serving)) >= serving_before + 2; }));
      CHECK(ticks(stage.side(SwitchStage::other(serving))) == passive_before);
    }
    // Orders fire it on the side that served then, and their rows say so: it was not one side for all.
    Client client = stage.target.client();
    CHECK(client.scalar("SELECT COUNT(DISTINCT at_port) FROM trade.audit") == "2");
    CHECK(stage.fault() == "");
    CHECK(stage.ledger().complaints() == "");
  }
}

TEST_CASE("switch: a sequence of MariaDB gives no number twice, on whichever side", "[switch]") {
  SwitchStage stage({.clients = 4, .source_sql = {"CREATE SEQUENCE trade.numbers START WITH 1 INCREMENT BY 1 CACHE 50"}});
  stage.target.client().execute("CREATE SEQUENCE trade.numbers START WITH 1 INCREMENT BY 1 CACHE 50");  // copy leaves them to the operator, and says so
  AppClient client({.port = stage.proxy().port(), .user = kTeller, .password = kTeller, .schema = kTrade, .has_tls = true});
  std::set<std::string> given;
  unsigned asked = 0;
  Measured measured;
  for (const char* command : {"", "switch", "reverse", "switch", "reverse"}) {
    INFO("after " << command);
    if (command[0] != '\0') switch_over(stage, command, measured);
    for (int i = 0; i < 70; ++i, ++asked) given.insert(client.scalar("SELECT NEXT VALUE FOR numbers"));
  }
  CHECK(given.size() == asked);
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

TEST_CASE("switch: where only some tables move, triggers guard them, and the others stay as they were", "[switch]") {
  for (const auto& [source, target] : {std::pair("a", "b"), std::pair("c", "a")}) {
    const Server elsewhere(source);
    elsewhere.client().script("DROP DATABASE IF EXISTS elsewhere;\nCREATE DATABASE elsewhere;\nCREATE TABLE elsewhere.t (id INT NOT NULL PRIMARY KEY);\n");
    SwitchStage stage({.source = source, .target = target, .clients = 8, .source_sql = {"GRANT ALL ON elsewhere.* TO teller@'%'"}});
    INFO(stage.source.flavour() << " -> " << stage.target.flavour());
    Bypass at_source(stage.source, 1);
    Measured measured;
    AppClient local({.port = stage.source.port(), .user = kTeller, .password = kTeller, .schema = "elsewhere", .has_tls = true});
    const auto guards = [&](const Server& server) { return std::stoul(server.client().scalar("SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'trade'")); };
    int row = 0;
    for (const char* command : {"switch", "reverse", "switch"}) {
      INFO(command);
      switch_over(stage, command, measured);
      const bool is_switched = command[0] == 's';
      CHECK(stage.target.client().scalar("SELECT fence FROM _godwit.route") == "triggers");
      CHECK(at_source.is_refused() == is_switched);
      CHECK(local.ask("INSERT INTO t VALUES (" + std::to_string(++row) + ")").is_ok());
      CHECK(stage.writable() == (is_switched ? "target" : "source"));
      CHECK(guards(stage.source) > 0);  // from the first switch on they are on both sides, and ask their row
      CHECK(guards(stage.target) > 0);
    }
    at_source.stop();
    CHECK(stage.fault({.bypasses = {&at_source}}) == "");
    CHECK(stage.ledger().complaints() == "");
    elsewhere.client().execute("DROP DATABASE elsewhere");
  }
}
