// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7
// alone: a switch has a limit of time
// Death at any point of `switch`, `reverse`, `complete` and `cancel`, under load: of the command itself, of a proxy, of `replicate`, of either server. Then the command is run once more, or
// nobody does anything. Whatever happens: exactly one side is written to, every acknowledged write is there once, and clients that were not connected to what was killed
// see no error. The points are godwit's own list, so that a new step is walked through without anybody adding it here. Each of them once, with a victim drawn by GODWIT_SEED,
// between two servers; every victim at each of them between three pairs with GODWIT_LONG=1. GODWIT_CASE=WORDS: those whose name has that in it.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
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

constexpr seconds kLeaseMax{15};  // the hold's lease, and what the proxies need to find out then

const std::string& opposite(const std::string& command) {
  static const std::string names[] = {"switch", "reverse"};
  return command == "switch" ? names[1] : names[0];
}
std::string side_of(const std::string& command) { return command == "switch" ? "target" : "source"; }

// Whether the commit point is behind this point, by godwit's own table of steps.
class Steps {
 public:
  explicit Steps(const Migration& migration) {
    const auto document = json::parse(migration.run_plain({"inspect", "steps", "--json"}).out);
    for (const auto& step : document["steps"]) {
      if (step["after_commit"]) after_.push_back(step["name"]);
    }
  }
  bool is_committed(const std::string& point) const {
    const auto step = point.substr(point.find('.') + 1, point.rfind('.') - point.find('.') - 1);
    return point == "switch.commit.after" || std::find(after_.begin(), after_.end(), step) != after_.end();
  }

 private:
  Strings after_;
};

std::string name_of(const std::string& point) { return point; }

// Those that GODWIT_CASE names, if it does.
template <typename T>
std::vector<T> chosen(std::vector<T> all, std::size_t count, std::mt19937_64& random) {
  const char* wanted = std::getenv("GODWIT_CASE");
  if (wanted == nullptr) return drawn(all, count, random);
  std::erase_if(all, [&](const T& it) { return name_of(it).find(wanted) == std::string::npos; });
  return all;
}

struct Seed {
  Seed() : value(seed_of_this_run()), random(value) { std::cout << "switch_crash: GODWIT_SEED=" << value << "\n"; }
  std::uint64_t value;
  std::mt19937_64 random;
};

// From wherever it is: over, and back to the source.
void check_goes_on(SwitchStage& stage) {
  if (stage.serving() == "source") CHECK(stage.run_until_done("switch") == "");
  CHECK(stage.run_until_done("reverse") == "");
  CHECK(stage.serving() == "source");
  CHECK(stage.fault() == "");
}

// --- the command is killed --------------------------------------------------------------------------------------------

struct Killing {
  std::string command;
  std::string point;
  bool is_run_again = false;
};

std::string name_of(const Killing& it) { return it.command + " killed at " + it.point + (it.is_run_again ? ", run again" : ", and nobody runs it again"); }

std::vector<Killing> killings(const Strings& points) {
  std::vector<Killing> all;
  for (const auto& point : points) {
    for (const std::string command : {"switch", "reverse"}) {
      for (const bool again : {true, false}) all.push_back({command, point, again});
    }
  }
  return all;
}

// On the side that serves, enabled, whoever has ended the switch; and nowhere else.
void check_event(SwitchStage& stage) {
  const auto status = [&](const std::string& side) { return stage.side(side).client().scalar("SELECT IFNULL(GROUP_CONCAT(EVENT_NAME, ' ', STATUS), '') FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'trade'"); };
  const std::string serving = stage.serving();
  CHECK(holds_within(seconds(20), [&] { return status(serving) == "tick ENABLED" && status(SwitchStage::other(serving)) == ""; }));
}

void check_killing(SwitchStage& stage, const Steps& steps, const Killing& it) {
  const auto errors_before = stage.ledger().errors().size();
  const Outcome killed = stage.run(it.command, {"--pause-max", "4s"}, it.point + "=kill");
  INFO("killed: " << killed.status << "\n" << killed.out << killed.err);
  REQUIRE(killed.status == 128 + SIGKILL);
  if (it.is_run_again) {
    CHECK(stage.run_until_done(it.command) == "");
    CHECK(stage.serving() == side_of(it.command));
  }
  CHECK(stage.await_one_side(kLeaseMax) == "");
  const bool has_switched = it.is_run_again || steps.is_committed(it.point);
  CHECK(stage.serving() == side_of(has_switched ? it.command : opposite(it.command)));
  CHECK(stage.works());
  if (stage.has_event()) check_event(stage);
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().errors().size() == errors_before);
}

void kill_around_the_event(const std::string& source, const std::string& target) {
  SwitchStage stage({.source = source, .target = target, .clients = 4, .has_trigger = true});
  const Steps steps(stage.migration);
  for (const std::string point : {"switch.objects.after", "switch.commit.after", "switch.old_side.before"}) {
    for (const bool again : {true, false}) {
      const Killing it{.command = again ? "reverse" : "switch", .point = point, .is_run_again = again};
      INFO(it.command << " killed at " << point << (again ? ", run again" : ", and nobody runs it again"));
      if (again) REQUIRE(stage.run_until_done("switch") == "");
      check_killing(stage, steps, it);
      if (!stage.ledger().complaints().empty()) return;
    }
  }
}

void kill_the_command(const std::string& source, const std::string& target, std::size_t count) {
  Seed seed;
  INFO("GODWIT_SEED=" << seed.value);
  SwitchStage stage({.source = source, .target = target, .clients = 8, .has_trigger = true, .seed = seed.value});
  const Steps steps(stage.migration);
  const auto points = stage.migration.failpoints("switch.");
  REQUIRE(points.size() >= 30);
  check_goes_on(stage);
  for (const auto& it : chosen(killings(points), count, seed.random)) {
    INFO(name_of(it));
    if (it.command == "reverse") REQUIRE(stage.run_until_done("switch") == "");
    check_killing(stage, steps, it);
    check_goes_on(stage);
    CHECK(stage.ledger().complaints() == "");
    if (!stage.ledger().complaints().empty()) return;  // the clients have ended
  }
}

// --- something else is killed while the command stands at a point -----------------------------------------------------

enum class Victim { proxy, replicate, source, target };
const char* name_of(Victim victim) {
  switch (victim) {
    case Victim::proxy: return "a proxy";
    case Victim::replicate: return "replicate";
    case Victim::source: return "the source";
    case Victim::target: return "the target";
  }
  return "";
}

struct Accident {
  std::string command;
  std::string point;
  Victim victim = Victim::proxy;
};

std::string name_of(const Accident& it) { return std::string(name_of(it.victim)) + " killed while " + it.command + " stands at " + it.point; }

std::vector<Accident> accidents(const Strings& points) {
  std::vector<Accident> all;
  for (const auto& point : points) {
    for (const auto victim : {Victim::proxy, Victim::replicate, Victim::source, Victim::target}) {
      // The long run takes each point and victim once, in one of the two directions.
      all.push_back({all.size() % 3 == 0 ? "reverse" : "switch", point, victim});
    }
  }
  return all;
}

// Killed, and back after a second.
void strike(SwitchStage& stage, Victim victim) {
  switch (victim) {
    case Victim::proxy:
      stage.kill_proxy(1);
      std::this_thread::sleep_for(seconds(1));
      stage.start_proxy(1);
      return;
    case Victim::replicate:
      stage.end_replicate();
      std::this_thread::sleep_for(seconds(1));
      stage.start_replicate();
      return;
    case Victim::source:
    case Victim::target: {
      const Server& server = victim == Victim::source ? stage.source : stage.target;
      server.kill_server();
      std::this_thread::sleep_for(seconds(1));
      server.restart();
      return;
    }
  }
}

// Errors of clients that had nothing to do with what was killed.
std::string undue_errors(const SwitchStage& stage, const std::vector<Complaint>& errors, const Accident& it, bool was_serving) {
  std::string text;
  for (const auto& error : errors) {
    const bool is_due = it.victim == Victim::proxy ? error.port == stage.port(1) : it.victim != Victim::replicate && was_serving;
    if (!is_due) text += "client " + std::to_string(error.client) + " at port " + std::to_string(error.port) + ": " + error.text + "\n";
  }
  return text;
}

// From wherever it is to wherever it is left.
void check_accident(SwitchStage& stage, const Steps& steps, const Accident& it) {
  const auto errors_before = stage.ledger().errors().size();
  const auto faults_before = stage.ledger().faults().size();
  Process process = stage.start(it.command, {"--pause-max", "5s"}, it.point + "=sleep:800");
  REQUIRE(has_logged(process, "failpoint " + it.point));
  const std::string serving = side_of(steps.is_committed(it.point) ? it.command : opposite(it.command));
  strike(stage, it.victim);
  const bool is_server = it.victim == Victim::source || it.victim == Victim::target;
  if (is_server) stage.server_died();
  const Outcome outcome = process.wait();
  INFO(outcome.status << "\n" << outcome.out << outcome.err << stage.replicate_log());
  CHECK((outcome.status == 0 || outcome.status == 3 || outcome.status == 5));
  // A server of MariaDB that comes back is writable until it is fenced again: within a second or two.
  if (is_server) std::this_thread::sleep_for(seconds(3));
  CHECK(stage.await_one_side(kLeaseMax) == "");
  CHECK(stage.works());
  CHECK(stage.fault() == "");
  auto errors = stage.ledger().errors();
  errors.erase(errors.begin(), errors.begin() + static_cast<std::ptrdiff_t>(errors_before));
  INFO(stage.proxy_logs());
  CHECK(undue_errors(stage, errors, it, is_server && serving == (it.victim == Victim::source ? "source" : "target")) == "");
  auto faults = stage.ledger().faults();
  faults.erase(faults.begin(), faults.begin() + static_cast<std::ptrdiff_t>(faults_before));
  for (const auto& fault : faults) FAIL_CHECK("client " << fault.client << " at port " << fault.port << ": " << fault.text);
}

StageOptions with_two_proxies(const std::string& source, const std::string& target, const Seed& seed) {
  return {.source = source, .target = target, .clients = 8, .proxies = 2, .reconnects = true, .proxy_options = {"--delegate-auth", "--verbose"}, .seed = seed.value};
}

// Each point once, to and fro: the next one begins where the one before has left the migration, so that every accident is one that must be got over.
void kill_at_each_point(const std::string& source, const std::string& target) {
  Seed seed;
  INFO("GODWIT_SEED=" << seed.value);
  SwitchStage stage(with_two_proxies(source, target, seed));
  const Steps steps(stage.migration);
  const auto points = stage.migration.failpoints("switch.");
  REQUIRE(points.size() >= 30);
  check_goes_on(stage);  // from the first switch on the side that does not serve is fenced
  for (const auto& point : points) {
    const std::string command = stage.serving() == "source" ? "switch" : "reverse";
    const auto draw = seed.random() % 6;
    if (draw < 2) {
      const Killing it{command, point, draw == 0};
      INFO(name_of(it));
      check_killing(stage, steps, it);
    } else {
      const Accident it{command, point, static_cast<Victim>(draw - 2)};
      INFO(name_of(it));
      check_accident(stage, steps, it);
    }
  }
}

void kill_something_else(const std::string& source, const std::string& target, std::size_t count) {
  Seed seed;
  INFO("GODWIT_SEED=" << seed.value);
  auto stage = std::make_unique<SwitchStage>(with_two_proxies(source, target, seed));
  const Steps steps(stage->migration);
  check_goes_on(*stage);
  for (const auto& it : chosen(accidents(stage->migration.failpoints("switch.")), count, seed.random)) {
    INFO(name_of(it));
    std::cout << "switch_crash: " << name_of(it) << "\n" << std::flush;
    if (it.command == "reverse") REQUIRE(stage->run_until_done("switch") == "");
    check_accident(*stage, steps, it);
    check_goes_on(*stage);
  }
}

// --- complete and cancel ----------------------------------------------------------------------------------------------

Outcome end(const SwitchStage& stage, const std::string& command, const std::string& failpoints = "") {
  return stage.migration.run(command, command == "complete" ? Strings{"--yes", "--json"} : Strings{"--json"}, armed(failpoints));
}

void kill_the_end(const std::string& command, const std::string& source, const std::string& target, std::size_t count, const std::string& ending = "") {
  Seed seed;
  INFO("GODWIT_SEED=" << seed.value);
  const bool is_complete = command == "complete";
  Strings points;
  {
    const Server a(source);
    const Server b(target);
    points = Migration(a, b, kTrade).failpoints(command + ".");
  }
  REQUIRE(points.size() >= 6);
  std::erase_if(points, [&](const std::string& point) { return !point.ends_with(ending); });
  REQUIRE(!points.empty());
  for (const auto& point : chosen(points, count, seed.random)) {
    INFO("killed at " << point);
    SwitchStage stage({.source = source, .target = target, .clients = 8, .proxy_options = {"--delegate-auth"}, .seed = seed.value});
    const std::string side = is_complete ? "target" : "source";
    if (is_complete) REQUIRE(stage.run_until_done("switch") == "");
    CHECK(stage.fault() == "");
    const Outcome killed = end(stage, command, point + "=kill");
    INFO("killed: " << killed.status << "\n" << killed.out << killed.err);
    REQUIRE(killed.status == 128 + SIGKILL);
    // Nobody runs it again for a while: clients go on, where they were, and nowhere else.
    std::this_thread::sleep_for(seconds(2));
    CHECK(stage.works());
    CHECK(stage.serving() == side);
    if (is_complete) CHECK(stage.await_one_side(seconds(5)) == "");
    const Outcome again = end(stage, command);
    INFO("again: " << again.status << "\n" << again.out << again.err);
    CHECK(again.status == 0);
    std::this_thread::sleep_for(seconds(2));  // the proxies and `replicate` make nothing anew
    CHECK(stage.works());
    CHECK(stage.ledger().complaints() == "");
    CHECK(traces(stage.target) == "");
    if (!is_complete) {
      CHECK(picture(stage.source) == stage.before(stage.source));
      CHECK(picture(stage.target) == stage.before(stage.target));
    } else {
      CHECK(stage.writable() == "target");
    }
    stage.ledger().pause();
    Client client = stage.side(side).client();
    CHECK(judge({.ledger = &stage.ledger()}, client) == "");
    stage.ledger().go_on();
  }
}

// Something else is killed while complete, or cancel, stands at a point. Whatever it says then, it is run again until it is done.
struct EndAccident {
  std::string command;
  std::string point;
  Victim victim = Victim::proxy;
};

std::string name_of(const EndAccident& it) { return std::string(name_of(it.victim)) + " killed while " + it.command + " stands at " + it.point; }

std::string end_until_done(const SwitchStage& stage, const std::string& command) {
  std::string story;
  for (int attempt = 1; attempt <= 6; ++attempt) {
    const Outcome outcome = end(stage, command);
    story += command + ", attempt " + std::to_string(attempt) + ": " + std::to_string(outcome.status) + "\n" + outcome.out + outcome.err;
    if (outcome.status == 0) return "";
    std::this_thread::sleep_for(seconds(1));
  }
  return story;
}

void check_end_accident(const EndAccident& it, const std::string& source, const std::string& target, const Seed& seed) {
  SwitchStage stage(with_two_proxies(source, target, seed));
  const std::string side = it.command == "complete" ? "target" : "source";
  if (it.command == "complete") REQUIRE(stage.run_until_done("switch") == "");
  CHECK(stage.fault() == "");
  Process process = stage.migration.start(it.command, it.command == "complete" ? Strings{"--yes", "--json"} : Strings{"--json"}, armed(it.point + "=sleep:800"));
  REQUIRE(has_logged(process, "failpoint " + it.point));
  const bool is_server = it.victim == Victim::source || it.victim == Victim::target;
  strike(stage, it.victim);
  if (is_server) stage.server_died();
  const Outcome outcome = process.wait();
  INFO(outcome.status << "\n" << outcome.out << outcome.err);
  CHECK(outcome.status <= 5);
  CHECK(stage.works());
  CHECK(stage.serving() == side);
  CHECK(end_until_done(stage, it.command) == "");
  std::this_thread::sleep_for(seconds(2));  // the proxies and `replicate` make nothing anew
  CHECK(stage.works());
  CHECK(stage.serving() == side);
  INFO(stage.proxy_logs());
  const Accident as_seen{.command = it.command, .point = it.point, .victim = it.victim};
  CHECK(undue_errors(stage, stage.ledger().errors(), as_seen, is_server && side == (it.victim == Victim::source ? "source" : "target")) == "");
  for (const auto& fault : stage.ledger().faults()) FAIL_CHECK("client " << fault.client << " at port " << fault.port << ": " << fault.text);
  CHECK(traces(stage.target) == "");
  // What MariaDB forgets when it is restarted after the end, nobody tells it again; complete says so.
  const bool was_ended_before = it.point == "complete.sidecar.after" && it.victim == Victim::source && stage.source.is_mariadb();
  if (it.command == "complete" && !was_ended_before) CHECK(stage.writable() == "target");
  stage.ledger().pause();
  Client client = stage.side(side).client();
  CHECK(judge({.ledger = &stage.ledger(), .has_server_died = is_server}, client) == "");
  stage.ledger().go_on();
}

void kill_beside_the_end(const std::string& command, const std::string& source, const std::string& target, std::size_t count) {
  Seed seed;
  INFO("GODWIT_SEED=" << seed.value);
  Strings points;
  {
    const Server a(source);
    const Server b(target);
    points = Migration(a, b, kTrade).failpoints(command + ".");
  }
  std::vector<EndAccident> all;
  for (const auto& point : points) {
    for (const auto victim : {Victim::proxy, Victim::replicate, Victim::source, Victim::target}) all.push_back({command, point, victim});
  }
  for (const auto& it : chosen(all, count, seed.random)) {
    INFO(name_of(it));
    std::cout << "switch_crash: " << name_of(it) << "\n" << std::flush;
    check_end_accident(it, source, target, seed);
  }
}

using Crash = void (*)(const std::string& source, const std::string& target, std::size_t count);
void in_the_long_run(Crash crash, const char* source, const char* target) {
  if (is_long_run()) crash(source, target, 0);
}

}  // namespace

TEST_CASE("switch_crash: at each point something is killed: MariaDB to MariaDB", "[switch_crash]") { kill_at_each_point("a", "b"); }

// With GODWIT_LONG alone: hours.
TEST_CASE("switch_crash: switch and reverse are killed at each point: MariaDB to MariaDB", "[switch_crash]") { in_the_long_run(kill_the_command, "a", "b"); }
TEST_CASE("switch_crash: switch and reverse are killed at each point: MariaDB to MySQL", "[switch_crash]") { in_the_long_run(kill_the_command, "a", "c"); }
TEST_CASE("switch_crash: switch and reverse are killed at each point: MySQL to MariaDB", "[switch_crash]") { in_the_long_run(kill_the_command, "c", "a"); }
TEST_CASE("switch_crash: a proxy, replicate or a server is killed at each point: MariaDB to MariaDB", "[switch_crash]") { in_the_long_run(kill_something_else, "a", "b"); }
TEST_CASE("switch_crash: a proxy, replicate or a server is killed at each point: MariaDB to MySQL", "[switch_crash]") { in_the_long_run(kill_something_else, "a", "c"); }
TEST_CASE("switch_crash: a proxy, replicate or a server is killed at each point: MySQL to MariaDB", "[switch_crash]") { in_the_long_run(kill_something_else, "c", "a"); }

TEST_CASE("switch_crash: a switch is killed when an event is made, and not enabled yet", "[switch_crash]") {
  kill_around_the_event("a", "c");
  if (is_long_run()) kill_around_the_event("c", "a");
}

TEST_CASE("switch_crash: complete is killed at each point", "[switch_crash]") {
  kill_the_end("complete", "a", "b", 1);
  kill_the_end("complete", "a", "c", 1, "sidecar.after");
  if (is_long_run()) kill_the_end("complete", "a", "c", 1);
}
TEST_CASE("switch_crash: a proxy, replicate or a server is killed while complete, or cancel, stands at each point", "[switch_crash]") {
  kill_beside_the_end("complete", "a", "c", 1);
  kill_beside_the_end("cancel", "a", "b", 1);
}
TEST_CASE("switch_crash: cancel is killed at each point", "[switch_crash]") {
  kill_the_end("cancel", "a", "b", 1);
  if (is_long_run()) kill_the_end("cancel", "c", "a", 1);
}
