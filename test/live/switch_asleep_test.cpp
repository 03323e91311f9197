// servers: a=mariadb-10.11 c=mysql-9.7
// alone: a switch has a limit of time
// A coordinator that sleeps (SIGSTOP) and wakes when its hold is over: the proxies have gone on by themselves, or another switch has gone through meanwhile. It ends
// with GW1101, changes nothing, and not one write is lost or there twice.
#include <signal.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "catch.h"
#include "live/support/switch_stage.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr seconds kLeaseMax{15};

std::string code_of(const Outcome& outcome) {
  const auto document = json::parse(outcome.out, nullptr, false);
  return document.is_object() && document.contains("error") ? document["error"].value("code", "") : "";
}

// Stopped in the middle of that point.
Process asleep(SwitchStage& stage, const std::string& command, const std::string& point) {
  Process process = stage.start(command, {"--pause-max", "3s"}, point + "=sleep:200");
  REQUIRE(has_logged(process, "failpoint " + point));
  process.signal(SIGSTOP);
  return process;
}

void check_wakes(SwitchStage& stage, Process& process, const std::string& serving) {
  process.signal(SIGCONT);
  const Outcome outcome = process.wait();
  INFO(outcome.status << "\n" << outcome.out << outcome.err);
  CHECK(outcome.status == 3);
  CHECK(code_of(outcome) == "GW1101");
  CHECK(stage.await_one_side(kLeaseMax) == "");
  CHECK(stage.serving() == serving);
  CHECK(stage.works());
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

// As by a server that takes its client for gone, or that was restarted.
void end_lock_session(SwitchStage& stage) {
  Client client = stage.target.client();
  const std::string holder = client.scalar("SELECT IS_USED_LOCK('godwit_switch_test')");
  REQUIRE(!holder.empty());
  client.execute("KILL " + holder);
}

// The stream may stand behind the sleeper's row lock, until the server has ended its session.
Outcome run_until_done(SwitchStage& stage, const std::string& command) {
  Outcome outcome;
  for (int attempt = 1; attempt <= 20; ++attempt) {
    outcome = stage.run(command);
    if (outcome.status == 0) break;
    std::this_thread::sleep_for(seconds(1));
  }
  return outcome;
}

}  // namespace

TEST_CASE("switch_asleep: a coordinator wakes when the proxies' lease is over: the source serves, and it has changed nothing", "[switch_asleep]") {
  SwitchStage stage({.source = "a", .target = "c", .clients = 4});
  for (const std::string point : {"switch.freeze.before", "switch.return_position.before", "switch.commit.before"}) {
    INFO(point);
    Process process = asleep(stage, "switch", point);
    CHECK(stage.await_one_side(kLeaseMax) == "");
    CHECK(stage.serving() == "source");
    CHECK(stage.works());
    check_wakes(stage, process, "source");
  }
}

TEST_CASE("switch_asleep: it wakes when its lock was lost, and another switch has gone through: that one's sides and positions stay", "[switch_asleep]") {
  SwitchStage stage({.source = "a", .target = "c", .clients = 4});
  for (const std::string point : {"switch.freeze.before", "switch.return_position.before", "stream.row_locked", "switch.commit.before"}) {
    INFO(point);
    Process process = asleep(stage, "switch", point);
    end_lock_session(stage);
    const Outcome other = run_until_done(stage, "switch");
    INFO(other.status << "\n" << other.out << other.err);
    REQUIRE(other.status == 0);
    CHECK(stage.works());
    check_wakes(stage, process, "target");
    REQUIRE(run_until_done(stage, "reverse").status == 0);
  }
}

TEST_CASE("switch_asleep: it wakes in its own hold, but its lock was lost: it undoes what it did", "[switch_asleep]") {
  SwitchStage stage({.source = "a", .target = "c", .clients = 4});
  for (const std::string point : {"switch.freeze.before", "switch.return_position.before", "switch.commit.before"}) {
    INFO(point);
    Process process = asleep(stage, "switch", point);
    end_lock_session(stage);
    check_wakes(stage, process, "source");
  }
}
