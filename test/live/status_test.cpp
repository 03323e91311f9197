// servers: a=mariadb-10.11 b=mysql-9.7
// alone: it asks for seconds
// `godwit status` says which side serves, as the target's authority has it, and of the stream that runs from there; a target that is away costs it seconds.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
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
