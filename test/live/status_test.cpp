// servers: a=mariadb-10.11 b=mysql-9.7 c=mariadb-10.11
// alone: it asks for seconds
// `godwit status` answers what an operator asks, from the state file and the servers, or from the target alone. It says which side serves, as the target's authority has it, and of the stream that runs from there; a target that is away costs it seconds.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <sstream>
#include <thread>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "godwit/state/state_file.h"
#include "live/support/switch_stage.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using nlohmann::json;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

namespace {

Outcome status_of(const std::string& state, const Strings& options = {}, const std::string& password = "godwit") {
  Strings all{std::getenv("GODWIT_BIN"), "status", "--state", state};
  all.insert(all.end(), options.begin(), options.end());
  return Process(all, {{"GODWIT_TARGET_PASSWORD", password}}).wait(seconds(30));
}

std::string text_of_status(const SwitchStage& stage) { return status_of(stage.migration.state).out; }
json document_of(const std::string& state) { return json::parse(status_of(state, {"--json"}).out)["workflows"][0]; }
bool says(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

constexpr const char* kNoState = "/tmp/godwit-no-state-here.db";

// From a host that has no state file, as an account that may read the sidecar and nothing else.
Outcome seen_from(const Server& target, const Strings& options = {}) {
  Strings all{std::getenv("GODWIT_BIN"), "status", "--state", kNoState, "--target", "mysql://watcher@127.0.0.1:" + std::to_string(target.port())};
  all.insert(all.end(), options.begin(), options.end());
  const Outcome outcome = Process(all, {{"GODWIT_TARGET_PASSWORD", "godwit"}, {"GODWIT_SOURCE_PASSWORD", "godwit"}}).wait(seconds(30));
  CHECK(::access(kNoState, F_OK) != 0);
  return outcome;
}
json seen_document(const Server& target, Strings options = {}) {
  options.emplace_back("--json");
  const Outcome outcome = seen_from(target, options);
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  const json document = json::parse(outcome.out);
  REQUIRE(document["workflows"].size() == 1);
  return document["workflows"][0];
}
void create_watcher(const Server& server) {
  Client client = server.client();
  client.execute("DROP USER IF EXISTS watcher@'%'");
  client.execute("CREATE USER watcher@'%' IDENTIFIED BY 'godwit'");
  client.execute("GRANT SELECT ON _godwit.* TO watcher@'%'");
}
bool needs(const json& document, const std::string& what, const std::string& remedy) {
  for (const auto& need : document["needs"]) {
    if (says(need["what"].get<std::string>(), what) && need["remedy"] == remedy) return true;
  }
  return false;
}

// A copied table, for a test of its own.
class Small {
 public:
  Small(const std::string& from, const std::string& to) : source(from), target(to), migration(source, target, "seen") {
    clean();
    Client client = source.client();
    client.script("CREATE DATABASE seen;\nCREATE TABLE seen.t (id INT PRIMARY KEY, v VARCHAR(20));\nINSERT INTO seen.t VALUES (1,'a'),(2,'b'),(3,'c');\n");
    create_watcher(target);
  }
  ~Small() { clean(); }
  Small(const Small&) = delete;
  Small& operator=(const Small&) = delete;
  Strings to_source() const { return {"--source", source.dsn("")}; }

  const Server source;
  const Server target;
  const Migration migration;

 private:
  void clean() const {
    migration.clean();
    for (const auto* server : {&source, &target}) {
      server->client().execute("DROP DATABASE IF EXISTS _godwit");
      server->client().execute("DROP USER IF EXISTS watcher@'%'");
    }
  }
};

// The kernel takes connections in its name, and nobody answers them.
class Mute {
 public:
  Mute() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(socket_, 8) == 0);
    REQUIRE(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~Mute() { ::close(socket_); }
  Mute(const Mute&) = delete;
  Mute& operator=(const Mute&) = delete;
  int port() const { return port_; }

 private:
  int socket_;
  int port_ = 0;
};

// A recorded workflow with another target.
class Elsewhere {
 public:
  Elsewhere(const SwitchStage& stage, int port) : path_(stage.migration.state + "-elsewhere") {
    auto definition = godwit::state::StateFile(stage.migration.state).find_workflow(stage.migration.name).value().definition;
    definition["target"] = "mysql://godwit@127.0.0.1:" + std::to_string(port) + "/trade";
    godwit::state::StateFile state(path_);
    state.record_workflow("elsewhere", definition);
    state.set_phase("elsewhere", "replicating");
  }
  ~Elsewhere() {
    for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((path_ + suffix).c_str());
  }
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("status says which side serves, and how the stream that leads away from it does", "[status]") {
  SwitchStage stage({.clients = 2});
  CHECK(says(text_of_status(stage), "  serving source"));
  CHECK(holds_within(seconds(10), [&] { return says(text_of_status(stage), "  stream  lag "); }));
  CHECK(document_of(stage.migration.state)["serving"] == "source");

  const Outcome switched = stage.run("switch");
  INFO(switched.out << switched.err);
  REQUIRE(switched.status == 0);
  const auto epoch = json::parse(switched.out)["epoch"];
  const json document = document_of(stage.migration.state);
  INFO(document.dump());
  CHECK(document["serving"] == "target");
  CHECK(document["epoch"] == epoch);
  CHECK(document["is_switching"] == false);
  CHECK(document["stream_direction"] == "reverse");
  CHECK(says(text_of_status(stage), "  serving target, epoch " + epoch.dump() + "\n"));
  CHECK(holds_within(seconds(10), [&] { return says(text_of_status(stage), "  stream  reverse, lag "); }));
  // A turn of the stream makes the phase `replicating`; before it, and after a switch that proxies have finished, it is another.
  for (const char* phase : {"switched", "reversed"}) {
    godwit::state::StateFile(stage.migration.state).set_phase(stage.migration.name, phase);
    CHECK(says(text_of_status(stage), "  serving target"));
    CHECK(says(text_of_status(stage), "  stream  reverse, lag "));
  }

  Process reversing = stage.start("reverse", {"--pause-max", "20s"}, "switch.begin.after=sleep:4000");
  CHECK(holds_within(seconds(20), [&] { return says(text_of_status(stage), "  serving target, epoch ") && says(text_of_status(stage), ", a switch is under way\n"); }));
  CHECK(document_of(stage.migration.state)["is_switching"] == true);
  const Outcome reversed = reversing.wait();
  INFO(reversed.out << reversed.err);
  CHECK(reversed.status == 0);
  CHECK(document_of(stage.migration.state)["serving"] == "source");
}

TEST_CASE("status: a target that is away, silent, or refuses the account is said to be, within seconds", "[status]") {
  SwitchStage stage({.clients = 2});
  const Mute mute;
  for (const int port : {1, mute.port()}) {
    const Elsewhere away(stage, port);
    const auto began = std::chrono::steady_clock::now();
    const Outcome text = status_of(away.path());
    CHECK(std::chrono::steady_clock::now() - began < seconds(10));
    INFO(text.out << text.err);
    CHECK(text.status == 0);
    CHECK(says(text.out, "  serving unknown: the target is unreachable: "));
    CHECK(says(text.out, "elsewhere  replicating"));
    const json document = document_of(away.path());
    CHECK(document["serving"].is_null());
    CHECK(document["epoch"].is_null());
    CHECK(says(document["serving_unknown"].get<std::string>(), "unreachable"));
  }
  const Outcome refused = status_of(stage.migration.state, {}, "wrong");
  CHECK(refused.status == 0);
  CHECK(says(refused.out, "  serving unknown: the target does not say it: "));
}

TEST_CASE("status, by the target alone and an account that may only read the sidecar, answers at every stage", "[status]") {
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("b", "a")}) {
    INFO(from << " to " << to);
    const Small small(from, to);
    const Server& target = small.target;
    const Migration& migration = small.migration;

    CHECK(seen_from(target).status == 0);
    const Outcome unknown = seen_from(target, {"test", "--json"});
    CHECK(unknown.status == 2);
    CHECK(json::parse(unknown.out)["error"]["code"] == "GW0404");
    CHECK(migration.run("copy", {}, {{"GODWIT_FAILPOINTS", "copy.snapshot_opened=fatal"}}).status != 0);
    CHECK(needs(document_of(migration.state), "the copy has stopped: ", "godwit copy test"));
    {
      Process copy = migration.start("copy", {}, {{"GODWIT_FAILPOINTS", "copy.cycle_ended=sleep:5000"}});
      REQUIRE(has_logged(copy, "failpoint copy.cycle_ended: sleeps"));
      const json document = seen_document(target, {"test"});
      INFO(document.dump());
      CHECK(document["from"] == "target");
      CHECK(document["phase"] == "copying");
      CHECK(document["serving"] == "source");
      CHECK(document["streams"][0]["tables"][0]["source"] == "seen.t");
      CHECK(document["streams"][0]["rows"] == 3);
      CHECK(document["may_switch"]["is_allowed"] == false);
      CHECK(says(document["may_switch"]["why"].get<std::string>(), "copy is not finished"));
      CHECK(document["needs"].empty());
      CHECK(says(seen_from(target).out, "  copy    1 of 1 tables, "));
      CHECK(copy.wait().status == 0);
    }
    CHECK(needs(seen_document(target), "no godwit replicate is at work", "godwit replicate test"));
    {
      Process stream = migration.start("replicate");
      CHECK(holds_within(seconds(30), [&] { return seen_document(target, small.to_source())["may_switch"]["is_allowed"] == true; }));
      CHECK(needs(seen_document(target), "no vdiff", "godwit vdiff test"));
      CHECK(migration.run("vdiff").status == 0);
      CHECK(holds_within(seconds(10), [&] { return seen_document(target, small.to_source())["needs"].empty(); }));
      const json alone = seen_document(target);
      INFO(alone.dump());
      CHECK(alone["phase"] == "replicating");
      CHECK(alone["comparison"]["state"] == "equal");
      CHECK(alone["may_switch"]["is_allowed"].is_null());
  CHECK(alone["needs"].empty());  // a proxy that has not noted itself since is none that was left behind
      CHECK(says(alone["may_switch"]["why"].get<std::string>(), "--source"));
      CHECK(alone["unknown"].size() == 2);
      const json away = seen_document(target, {"--source", "mysql://godwit@127.0.0.1:1"});
      CHECK(says(away["lag"]["unknown"].get<std::string>(), "the source is unreachable"));
      CHECK(away["may_switch"]["is_allowed"].is_null());
      const std::string screen = seen_from(target, small.to_source()).out;
      INFO(screen);
      CHECK(says(screen, "  stream  running, less than 1 s behind; "));
      CHECK(says(screen, "  vdiff   equal, ended "));
      CHECK(says(screen, "  switch  yes: "));
      CHECK(says(screen, "  needs you: nothing\n"));
      // With the state file, of this host.
      CHECK(holds_within(seconds(10), [&] { return says(status_of(migration.state).out, "  switch  yes: "); }));
      target.client().execute("UPDATE seen.t SET v = 'other' WHERE id = 1");
      CHECK(migration.run("vdiff").status == 4);
      const json differs = seen_document(target, small.to_source());
      INFO(differs.dump());
      CHECK(differs["may_switch"]["is_allowed"] == false);
      CHECK(says(differs["may_switch"]["why"].get<std::string>(), "found differences"));
      CHECK(needs(differs, "found differences", "godwit vdiff test --repair"));
      CHECK(migration.run("vdiff", {"--repair"}).status == 0);
      stream.signal(SIGTERM);
      stream.wait();
    }
    const json stopped = seen_document(target, small.to_source());
    CHECK(stopped["may_switch"]["is_allowed"] == false);
    CHECK(says(stopped["may_switch"]["why"].get<std::string>(), "no godwit replicate is at work"));
    CHECK(says(status_of(migration.state).out, "  stream  stopped; "));

    small.source.client().execute("ALTER TABLE seen.t ADD COLUMN more INT");
    CHECK(migration.run("replicate", {"--until-current"}).status == 3);
    const json failed = seen_document(target);
    INFO(failed.dump());
    CHECK(says(failed["streams"][0]["last_error"].get<std::string>(), "GW0804"));
    CHECK(needs(failed, "GW0804", "godwit replicate test"));
    CHECK(failed["may_switch"]["is_allowed"] == false);
  }
}

TEST_CASE("status, by the target alone, once it serves, and while a switch that nobody ends is under way", "[status]") {
  SwitchStage stage({.clients = 2});
  create_watcher(stage.target);
  const Strings to_source{"--source", stage.source.dsn("")};
  REQUIRE(stage.run("switch").status == 0);
  const json alone = seen_document(stage.target);
  INFO(alone.dump());
  CHECK(alone["phase"] == "switched");
  CHECK(alone["serving"] == "target");
  CHECK(alone["epoch"].get<int>() > 1);
  CHECK(alone["may_switch"]["to"] == "source");
  CHECK(alone["may_switch"]["is_allowed"].is_null());
  CHECK(holds_within(seconds(20), [&] {
    const json document = seen_document(stage.target, to_source);
    return document["may_switch"]["is_allowed"] == true && document["streams"][0]["direction"] == "reverse";
  }));
  // It notes itself every two seconds.
  CHECK(holds_within(seconds(20), [&] {
    const json document = seen_document(stage.target, to_source);
    return document["proxies"].size() == 1 && document["proxies"][0]["serving"] == "target";
  }));

  // Whoever keeps it closed closes it again, so that it may have to be opened more than once.
  CHECK(holds_within(seconds(20), [&] {
    stage.source.client().execute("SET GLOBAL read_only = 0");
    return needs(seen_document(stage.target, to_source), "the fence of the source is open", "godwit replicate " + stage.migration.name + " closes it again");
  }));

  // Killed behind its begin, and its proxies let go of: somebody has to run it again.
  stage.start("reverse", {}, "switch.begin.after=kill").wait();
  const json half = seen_document(stage.target, to_source);
  INFO(half.dump());
  CHECK((half["is_switching"] == false || half["may_switch"]["is_allowed"] == false));
  if (half["is_switching"] == true) CHECK(needs(half, "has begun, and nobody is at it any more", "godwit reverse " + stage.migration.name));
  CHECK(stage.run_until_done("reverse").empty());
  CHECK(seen_document(stage.target)["serving"] == "source");
  stage.kill_proxy(0);
  CHECK(holds_within(seconds(20), [&] { return needs(seen_document(stage.target), "has not been heard of for", "start it again, unless it was ended for good"); }));
  stage.target.client().execute("DROP USER watcher@'%'");
}

TEST_CASE("status of shards: each has its stream, and who asks one of them is not told that all are ready", "[status]") {
  const Server source("a");
  const Server first("b");
  const Server second("c");
  Migration migration(source, first, "seen");
  migration.target_options = {"--shard=-80=" + first.dsn("seen"), "--shard=80-=" + second.dsn("seen"), "--vindex=t.id=hash"};
  const auto clean = [&] {
    migration.clean();
    for (const auto* server : {&source, &first, &second}) server->client().script("DROP DATABASE IF EXISTS seen;\nDROP DATABASE IF EXISTS _godwit;\n");
  };
  clean();
  source.client().script("CREATE DATABASE seen;\nCREATE TABLE seen.t (id INT PRIMARY KEY, v VARCHAR(20));\nINSERT INTO seen.t VALUES (1,'a'),(2,'b'),(3,'c');\n");
  for (const auto* server : {&first, &second}) create_watcher(*server);
  const Outcome copied = migration.run("copy");
  INFO(copied.out << copied.err);
  REQUIRE(copied.status == 0);
  {
    const Process stream = migration.start("replicate");
    const Strings to_source{"--source", source.dsn("")};
    const Strings to_both{"--source", source.dsn(""), "--target", "mysql://watcher@127.0.0.1:" + std::to_string(second.port())};
    CHECK(holds_within(seconds(30), [&] { return seen_document(first, to_both)["may_switch"]["is_allowed"] == true; }));
    CHECK(seen_document(first, to_both)["streams"].size() == 2);
    const json one = seen_document(first, to_source);
    INFO(one.dump());
    CHECK(one["streams"].size() == 1);
    CHECK(one["may_switch"]["is_allowed"].is_null());
    CHECK(says(one["may_switch"]["why"].get<std::string>(), "not every shard was asked"));
    CHECK(holds_within(seconds(10), [&] { return document_of(migration.state)["streams"].size() == 2; }));
  }
  const json stopped = document_of(migration.state);
  CHECK(needs(stopped, "no godwit replicate is at work on shard 80-", "godwit replicate test"));
  CHECK(stopped["may_switch"]["is_allowed"] == false);
  clean();
  for (const auto* server : {&first, &second}) server->client().execute("DROP USER watcher@'%'");
}

TEST_CASE("status --watch repeats itself until it is told to end, which is no failure", "[status]") {
  const Small small("a", "b");
  REQUIRE(small.migration.run("copy").status == 0);
  const auto watch = [&](const Strings& options) {
    Strings all{std::getenv("GODWIT_BIN"), "status", "test", "--state", small.migration.state, "--watch", "--interval", "100ms"};
    all.insert(all.end(), options.begin(), options.end());
    Process process(all, {{"GODWIT_TARGET_PASSWORD", "godwit"}});
    std::this_thread::sleep_for(std::chrono::seconds(2));
    process.signal(SIGINT);
    return process.wait(seconds(20));
  };
  const Outcome lines = watch({"--json"});
  CHECK(lines.status == 0);
  std::istringstream text(lines.out);
  std::size_t documents = 0;
  for (std::string line; std::getline(text, line); ++documents) CHECK(json::parse(line)["workflows"][0]["workflow"] == "test");
  CHECK(documents > 1);
  const Outcome screens = watch({});
  CHECK(screens.status == 0);
  CHECK(says(screens.out, "\n\ntest  copied  since "));
  CHECK(screens.out.find('\033') == std::string::npos);
  const Outcome refused = status_of(small.migration.state, {"--watch", "--interval", "1ms", "--json"});
  CHECK(refused.status == 2);
  CHECK(json::parse(refused.out)["error"]["object"] == "--interval 1ms");
}
