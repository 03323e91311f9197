// servers: a=mariadb-10.11 b=mariadb-10.11
// alone: a switch has a limit of time
// What an operator has to say in words: yes, that there is no fence, that there is no proxy; and what hooks are told.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "live/support/switch_stage.h"
#include "live/support/traces.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using nlohmann::json;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

namespace {

// A terminal that somebody types at.
class Terminal {
 public:
  Terminal() : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (master_ < 0 || ::grantpt(master_) != 0 || ::unlockpt(master_) != 0) throw std::runtime_error("no terminal");
  }
  ~Terminal() { ::close(master_); }
  std::string path() const { return ::ptsname(master_); }
  void type(const std::string& text) const {
    if (::write(master_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) throw std::runtime_error("the terminal takes nothing");
  }

 private:
  const int master_;
};

// A command whose standard input is that file.
Process reading(const std::string& file, const SwitchStage& stage, const std::string& command, const Strings& options) {
  Strings all{"/bin/sh", "-c", "exec \"$@\" <" + file, "sh"};
  for (const auto& word : stage.migration.arguments(command, options)) all.push_back(word);
  auto environment = stage.environment();
  environment["GODWIT_SOURCE_PASSWORD"] = environment["GODWIT_TARGET_PASSWORD"] = "godwit";
  return {all, environment};
}

std::string authority(const SwitchStage& stage) {
  Client client = stage.target.client();
  return text_of(client, "SELECT epoch, serving, is_switching FROM _godwit.route");
}

json error_of(const Outcome& outcome) { return json::parse(outcome.out).at("error"); }

Outcome typed(const SwitchStage& stage, const std::string& answer) {
  const Terminal terminal;
  Process process = reading(terminal.path(), stage, "switch", stage.named_proxies({"--json", "--pause-max", "10s"}));
  if (!has_logged(process, "[y/N]")) throw std::runtime_error("it does not ask: " + process.log());
  terminal.type(answer + "\n");
  return process.wait();
}

// As an ordinary account; what it writes is taken back.
unsigned error_of_write(const Server& server) {
  AppClient client({.port = server.port(), .user = kTeller, .password = kTeller, .schema = kTrade, .has_tls = true});
  client.run({"BEGIN"});
  const auto answer = client.ask("INSERT INTO bypass (writer, turn) VALUES (99, 1)");
  client.ask("ROLLBACK");
  return answer.error;
}

void write_hook(const std::string& path, const std::string& body) {
  std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
  ::chmod(path.c_str(), 0700);
}

}  // namespace

TEST_CASE("switch_words: without --yes it asks at a terminal, and elsewhere refuses; without a yes nothing is changed", "[switch_words]") {
  SwitchStage stage({.clients = 2});
  const std::string before = authority(stage);
  const std::string picture_before = picture(stage.source) + picture(stage.target);
  const auto is_untouched = [&] { return authority(stage) == before && picture(stage.source) + picture(stage.target) == picture_before && stage.proxy().stat("holds") == 0; };
  Process unattended = reading("/dev/null", stage, "switch", stage.named_proxies({"--json"}));
  const Outcome refused = unattended.wait();
  INFO(refused.out << refused.err);
  CHECK(refused.status == 2);
  CHECK(error_of(refused)["code"] == "GW0002");
  CHECK(error_of(refused)["remedy"] == "--yes");
  CHECK(is_untouched());
  for (const std::string answer : {"n", "", "no, wait"}) {
    const Outcome no = typed(stage, answer);
    INFO(answer << "\n" << no.out << no.err);
    CHECK(no.status == 130);
    CHECK(is_untouched());
  }
  const Outcome yes = typed(stage, "Yes");
  INFO(yes.out << yes.err);
  CHECK(yes.status == 0);
  CHECK(stage.serving() == "target");
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

TEST_CASE("switch_words: --fence none has to be said, and warns; then a bypass is not kept from writing", "[switch_words]") {
  SwitchStage stage({.clients = 2});
  const Outcome dry = stage.run("switch", {"--dry-run"});
  INFO(dry.out << dry.err);
  CHECK_THAT(json::parse(dry.out)["objects"].dump(), Catch::Contains("fence: ") && !Catch::Contains("fence: none"));
  const Outcome outcome = stage.run("switch", {"--fence", "none", "--pause-max", "10s"});
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  CHECK_THAT(json::parse(outcome.out)["warnings"].dump(), Catch::Contains("--fence none"));
  CHECK_THAT(outcome.err, Catch::Contains("--fence none"));
  CHECK(stage.target.client().scalar("SELECT fence FROM _godwit.route") == "none");
  CHECK(error_of_write(stage.source) == 0);
  CHECK(error_of_write(stage.target) == 0);
  const Outcome other = stage.run("reverse", {"--fence", "triggers"});
  CHECK(other.status == 3);
  CHECK_THAT(error_of(other).value("cause", ""), Catch::Contains("fenced by none"));
  CHECK(stage.fault() == "");
  REQUIRE(stage.run("reverse", {"--pause-max", "10s"}).status == 0);
  CHECK(stage.fault() == "");
  CHECK(stage.ledger().complaints() == "");
}

TEST_CASE("switch_words: --no-proxy switches without one, there and back: clients of the old side get errors", "[switch_words]") {
  SwitchStage stage({.clients = 2});
  stage.ledger().pause();
  stage.end_ledger();
  stage.kill_proxy(0);
  // Who was alive a moment ago may be so still.
  const auto run = [&](const std::string& command) { return stage.migration.run(command, {"--yes", "--json", "--no-proxy", "--pause-max", "10s"}, stage.environment()); };
  REQUIRE(holds_within(seconds(15), [&] { return stage.target.client().scalar("SELECT COUNT(*) FROM _godwit.proxy WHERE seen > UTC_TIMESTAMP(3) - INTERVAL 7 SECOND") == "0"; }));
  for (const auto& [command, serving, passive] : {std::tuple("switch", "target", "source"), std::tuple("reverse", "source", "target")}) {
    const Outcome outcome = run(command);
    INFO(command << "\n" << outcome.out << outcome.err);
    REQUIRE(outcome.status == 0);
    CHECK(json::parse(outcome.out)["serving"] == serving);
    CHECK(json::parse(outcome.out)["proxies"].empty());
    CHECK(error_of_write(stage.side(serving)) == 0);
    CHECK(error_of_write(stage.side(passive)) == 1290);
    stage.side(serving).client(kTrade).execute("INSERT INTO bypass (writer, turn) VALUES (1, 1)");
    CHECK(stage.difference_of_sides(30) == "");
  }
}

TEST_CASE("switch_words: hooks are told the epoch: none before one is begun, then that of the hold", "[switch_words]") {
  SwitchStage stage({.clients = 2});
  std::string folder = "/tmp/godwit-hooks-XXXXXX";
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  const std::string seen = folder + "/seen";
  for (const std::string hook : {"before-check", "before-begin", "before-commit", "after-old_side"}) write_hook(folder + "/" + hook, "echo \"$GODWIT_WHEN $GODWIT_STEP $GODWIT_EPOCH\" >> " + seen);
  const Outcome outcome = stage.run("switch", {"--hook-dir", folder, "--pause-max", "5s"});
  std::ifstream file(seen);
  const std::string told(std::istreambuf_iterator<char>(file), {});
  std::filesystem::remove_all(folder);
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  const std::string hold = std::to_string(json::parse(outcome.out)["epoch"].get<int>() - 1);
  CHECK(told == "before check 0\nbefore begin 0\nbefore commit " + hold + "\nafter old_side " + hold + "\n");
  CHECK(stage.fault() == "");
}
