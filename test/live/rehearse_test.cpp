// servers: a=mariadb-10.11 b=mysql-9.7 c=mariadb-10.11
// alone: a switch has a limit of time
// A rehearsal beside an application that goes on: it says how long all takes, nobody but it sees anything of it, and afterwards both servers are what they were, whatever ended it.
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "catch.h"
#include "godwit/state/state_file.h"
#include "live/support/app_client.h"
#include "live/support/process.h"
#include "live/support/seed.h"
#include "live/support/traces.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

namespace {

const std::string kSchema = "rehearsed";
const std::string kThrowaway = "rehearsed_godwit_rehearsal";
const std::string kSwitched = "godwit_rehearsal_test";

const Strings kShards{"rehearsed_low", "rehearsed_high"};  // databases of one server
std::string throwaway_of(const std::string& database) { return database + "_godwit_rehearsal"; }

// Settings of a server that a rehearsal must leave as they are; figures of what it has done are left out.
std::string settings(const Server& server) {
  Client client = server.client();
  std::string text;
  for (const auto& row : client.query("SHOW GLOBAL VARIABLES")) {
    const std::string name = row[0].value_or("");
    if (name.find("gtid") == std::string::npos && name != "timestamp" && name.find("innodb_buffer_pool_load") == std::string::npos) text += name + "=" + row[1].value_or("NULL") + "\n";
  }
  return text;
}

std::string all_of(const Server& server) { return picture(server) + settings(server); }

// An application: an ordinary account, which no fence lets pass, that writes all along and keeps its longest wait.
class Application {
 public:
  explicit Application(const Server& server) : server_(server), thread_([this] { work(); }) {}
  ~Application() { end(); }
  void end() {
    is_ending_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::string error() const { return error_; }  // after end()
  std::uint64_t written() const { return written_; }

 private:
  void work() {
    try {
      AppClient client({.port = server_.port(), .user = "rehearsed_app", .password = "Rehearsed-1", .schema = kSchema, .has_tls = true});
      while (!is_ending_) {
        client.run({"INSERT INTO orders (customer, note) VALUES (1 + FLOOR(RAND() * 50), 'new')", "UPDATE customers SET orders = orders + 1 WHERE id = 7", "DELETE FROM orders WHERE note = 'new' ORDER BY id LIMIT 1"});
        ++written_;
        std::this_thread::sleep_for(milliseconds(5));
      }
    } catch (const std::exception& error) {
      error_ = error.what();
    }
  }

  const Server& server_;
  std::atomic<bool> is_ending_{false};
  std::atomic<std::uint64_t> written_{0};
  std::string error_;
  std::thread thread_;
};

class Stage {
 public:
  explicit Stage(const std::string& target_name) : source("a"), target(target_name), migration(source, target, kSchema) {
    for (const auto* server : {&source, &target}) drop_all(*server);
    Client client = source.client();
    client.execute("CREATE DATABASE " + kSchema + " CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci");
    client.execute("USE " + kSchema);
    client.execute("CREATE TABLE customers (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(60) NOT NULL COMMENT 'as (printed),', orders INT NOT NULL DEFAULT 0, UNIQUE KEY (name)) ENGINE=InnoDB");
    client.execute("CREATE TABLE orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, note VARCHAR(60), KEY by_customer (customer), CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers (id)) ENGINE=InnoDB");
    client.execute("CREATE TABLE seen (at BIGINT PRIMARY KEY, what VARCHAR(20)) ENGINE=InnoDB");
    client.execute("CREATE VIEW known AS SELECT name FROM customers");
    client.execute("CREATE TRIGGER count_seen AFTER DELETE ON seen FOR EACH ROW UPDATE customers SET orders = orders WHERE id = 1");
    client.execute("INSERT INTO customers (name) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 50) SELECT CONCAT('name ', i) FROM n");
    client.execute("INSERT INTO orders (customer, note) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT 1 + i MOD 50, CONCAT('note ', i) FROM n");
    client.execute("CREATE USER rehearsed_app@'%' IDENTIFIED BY 'Rehearsed-1'");
    client.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON " + kSchema + ".* TO rehearsed_app@'%'");
    remember();
  }
  ~Stage() {
    std::error_code ignored;
    std::filesystem::remove_all(folder(), ignored);
    for (const auto* server : {&source, &target}) drop_all(*server);
  }

  void remember() {
    source_before = all_of(source);
    target_before = all_of(target);
  }
  // "" when both servers are what they were.
  std::string changes() const {
    std::string text;
    if (all_of(source) != source_before) text += "the source: " + difference(source_before, all_of(source));
    if (all_of(target) != target_before) text += "the target: " + difference(target_before, all_of(target));
    return text + traces(source) + traces(target) + (std::filesystem::exists(folder()) ? folder() + " is there" : "");
  }
  std::string folder() const { return migration.state + ".rehearsal-test"; }
  // The steps of a rehearsal that was killed write there until they have ended, too.
  void lose_folder() const {
    std::error_code error;
    for (int i = 0; i < 1000; ++i) {
      std::filesystem::remove_all(folder(), error);
      if (!error) return;
      std::this_thread::sleep_for(milliseconds(10));
    }
    throw std::runtime_error(folder() + ": " + error.message());
  }

  Process start(const Strings& more = {}) const { return migration.start("rehearse", with_defaults(more)); }
  Outcome run(const Strings& more = {}) const {
    Process process = start(more);
    return process.wait(seconds(400));
  }
  static Strings with_defaults(const Strings& more) {
    Strings all{"--json", "--watch", "1s", "--rounds", "1", "--clients", "4", "--pause-max", "10s"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  const Server source;
  const Server target;
  Migration migration;
  std::string source_before;
  std::string target_before;

 private:
  static void drop_all(const Server& server) {
    Client client = server.client();
    const Strings all{kSchema, kThrowaway, kSwitched, "_godwit", kShards[0], kShards[1], throwaway_of(kShards[0]), throwaway_of(kShards[1])};
    for (const auto& schema : all) client.execute("DROP DATABASE IF EXISTS " + schema);
    client.execute("DROP USER IF EXISTS rehearsed_app@'%'");
    for (const auto& row : client.query("SELECT User FROM mysql.user WHERE User LIKE 'godwit\\_rehearsal\\_%'")) client.execute("DROP USER '" + row[0].value_or("") + "'@'%'");
  }
  static std::string difference(const std::string& before, const std::string& after) {
    std::istringstream lines(after);
    std::string text;
    for (std::string line; std::getline(lines, line);) {
      if (before.find(line + "\n") == std::string::npos) text += "+ " + line + "\n";
    }
    std::istringstream old(before);
    for (std::string line; std::getline(old, line);) {
      if (after.find(line + "\n") == std::string::npos) text += "- " + line + "\n";
    }
    return text;
  }
};

json document_of(const Outcome& outcome) {
  const json document = json::parse(outcome.out, nullptr, false);
  return document.is_object() ? document : json::object();
}

Strings phases_of(const json& document) {
  Strings names;
  for (const auto& phase : document.value("phases", json::array())) names.push_back(phase["name"]);
  return names;
}

void check_ready(const Outcome& outcome) {
  const json document = document_of(outcome);
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  CHECK(document["ready"] == true);
  CHECK(document["why"].empty());
  CHECK(document["left"].empty());
  CHECK(phases_of(document) == Strings{"check", "names", "prepare", "copy", "catch up", "follow", "vdiff", "stage", "proxy", "switch", "reverse", "books", "clean"});
  CHECK(document["data"]["tables"] == 3);
  CHECK(document["data"]["rows"] >= 940);
  CHECK(document["data"]["verdict"] == "identical");
  CHECK(document["data"]["lag_ms_max"].is_number());
  CHECK(document["moves"].size() == 2);
  for (const auto& move : document["moves"]) {
    CHECK(move["held_ms"] > 0);
    CHECK(move["client_ms_max"] >= move["client_ms_p50"]);
    CHECK(move["client_ms_max"] < 20'000);
  }
  CHECK(document["client"]["acknowledged"] > 100);
  CHECK(document["client"]["lost"] == 0);
  CHECK(document["client"]["errors"] == 0);
  CHECK(document["estimate"]["pause_ms"] > 0);
}

// Killed between the schema and its mark, and the folder lost: nobody can say whose the empty schema is, so it stays for the operator.
void drop_unmarked(const Server& source) {
  Client client = source.client();
  if (client.scalar("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '" + kSwitched + "'") == "0") client.execute("DROP DATABASE IF EXISTS " + kSwitched);
}

// The process is at work on that phase, by its log.
void await_phase(Process& process, const std::string& phase) {
  if (!has_logged(process, "rehearse test: " + phase, seconds(300))) throw std::runtime_error("it does not come to " + phase + ": " + process.log());
}

}  // namespace

TEST_CASE("rehearse: the whole migration is gone through beside a busy application, which sees nothing of it; both servers are what they were", "[rehearse]") {
  const std::string target = GENERATE(as<std::string>(), "b", "c");
  INFO(target);
  Stage stage(target);
  {
    godwit::state::StateFile state(stage.migration.state);
    state.record_workflow("another", {{"source", "mysql://a"}, {"target", "mysql://b"}});
  }
  Application application(stage.source);
  const Outcome outcome = stage.run();
  application.end();
  CHECK(application.error() == "");
  CHECK(application.written() > 100);
  check_ready(outcome);
  CHECK(stage.changes() == "");
  godwit::state::StateFile state(stage.migration.state);
  REQUIRE(state.workflows().size() == 1);
  CHECK(state.workflows().front().name == "another");
}

TEST_CASE("rehearse: stopped in any phase it cleans up, and ends with 130", "[rehearse]") {
  Stage stage("b");
  Application application(stage.source);
  struct Moment {
    std::string phase;
    milliseconds later;
  };
  for (const auto& moment : drawn(std::vector<Moment>{{"check", milliseconds(20)}, {"copy", milliseconds(300)}, {"copy", milliseconds(900)}, {"catch up", milliseconds(300)}, {"follow", milliseconds(300)}, {"vdiff", milliseconds(300)},
                                                {"prepare", milliseconds(20)}, {"stage", milliseconds(1500)}, {"proxy", milliseconds(500)}, {"switch", milliseconds(500)}, {"switch", milliseconds(3500)}, {"reverse", milliseconds(800)}, {"books", milliseconds(20)}}, 5)) {
    Process process = stage.start();
    await_phase(process, moment.phase);
    std::this_thread::sleep_for(moment.later);
    process.signal(SIGTERM);
    const Outcome outcome = process.wait(seconds(300));
    INFO(moment.phase << " + " << moment.later.count() << " ms\n" << outcome.out << outcome.err);
    const bool was_over = moment.phase == "books" && outcome.status == 0;  // the last one, and short
    CHECK((outcome.status == 130 || was_over));
    CHECK(document_of(outcome).value("ready", !was_over) == was_over);
    CHECK(stage.changes() == "");
  }
  application.end();
  CHECK(application.error() == "");
}

TEST_CASE("rehearse: what one that was killed has left is taken back by --clean, by the name alone, or from the servers alone", "[rehearse]") {
  Stage stage("b");
  Application application(stage.source);
  struct Moment {
    std::string phase;
    milliseconds later;
    bool is_folder_lost;
  };
  for (const auto& moment : drawn(std::vector<Moment>{{"copy", milliseconds(700), false}, {"follow", milliseconds(300), true}, {"prepare", milliseconds(20), true}, {"stage", milliseconds(1200), false}, {"switch", milliseconds(700), true}, {"switch", milliseconds(3200), false}, {"reverse", milliseconds(200), true}, {"reverse", milliseconds(200), false}}, 3)) {
    Process process = stage.start();
    await_phase(process, moment.phase);
    std::this_thread::sleep_for(moment.later);
    process.signal(SIGKILL);
    process.wait();
    if (moment.is_folder_lost) stage.lose_folder();
    const Outcome outcome = stage.run({"--clean"});
    INFO(moment.phase << " + " << moment.later.count() << " ms" << (moment.is_folder_lost ? ", folder lost\n" : "\n") << outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    if (moment.phase == "prepare") drop_unmarked(stage.source);
    CHECK(stage.changes() == "");
  }
  application.end();
  CHECK(application.error() == "");
}

TEST_CASE("rehearse: the next one takes back what a killed one has left, and goes through", "[rehearse]") {
  Stage stage("c");
  Process process = stage.start();
  await_phase(process, "reverse");
  process.signal(SIGKILL);
  process.wait();
  CHECK(stage.changes() != "");
  const Outcome outcome = stage.run();
  check_ready(outcome);
  CHECK(stage.changes() == "");
}

TEST_CASE("rehearse: a blocker that check finds ends it before anything is created", "[rehearse]") {
  Stage stage("b");
  stage.source.client(kSchema).execute("CREATE TABLE visits (page VARCHAR(100))");
  stage.remember();
  const Outcome outcome = stage.run();
  const json document = document_of(outcome);
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 3);
  CHECK(document["ready"] == false);
  CHECK_THAT(document["why"].dump(), Catch::Contains("GW0502") && Catch::Contains("visits"));
  CHECK(phases_of(document) == Strings{"check", "clean"});
  CHECK(stage.changes() == "");
  const Outcome allowed = stage.run({"--allow-no-key", "--no-switch"});
  INFO(allowed.out << allowed.err);
  CHECK(allowed.status == 0);
  CHECK(document_of(allowed)["data"]["tables"] == 4);
  CHECK(document_of(allowed)["estimate"]["pause_ms"].is_null());
  CHECK(stage.changes() == "");
}

TEST_CASE("rehearse: what has a name that it needs is refused, and stays", "[rehearse]") {
  Stage stage("b");
  const bool is_on_source = GENERATE(false, true);
  const Server& server = is_on_source ? stage.source : stage.target;
  const std::string schema = is_on_source ? kSwitched : kThrowaway;
  server.client().execute("CREATE DATABASE " + schema);
  stage.remember();
  const Outcome outcome = stage.run();
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 3);
  CHECK_THAT(document_of(outcome)["why"].dump(), Catch::Contains("GW1301") && Catch::Contains(schema));
  CHECK(server.client().scalar("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '" + schema + "'") == "1");
  const Outcome cleaned = stage.run({"--clean"});
  INFO(cleaned.err);
  CHECK(cleaned.status == 0);
  CHECK((cleaned.err.find("schema `" + kSwitched + "` on the source stays") != std::string::npos) == is_on_source);
  CHECK(server.client().scalar("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '" + schema + "'") == "1");
  server.client().execute("DROP DATABASE " + schema);
}

TEST_CASE("rehearse: one at a time; --keep leaves all for --clean; --dry-run names what would be created", "[rehearse]") {
  Stage stage("b");
  const Outcome dry = stage.run({"--dry-run"});
  INFO(dry.out << dry.err);
  CHECK(dry.status == 0);
  CHECK_THAT(document_of(dry)["created"].dump(), Catch::Contains(kThrowaway) && Catch::Contains(kSwitched));
  CHECK(stage.changes() == "");

  Process first = stage.start({"--keep"});
  await_phase(first, "follow");
  const Outcome second = stage.run();
  CHECK(second.status == 3);
  CHECK(document_of(second)["error"]["code"] == "GW1302");
  const Outcome kept = first.wait(seconds(400));
  INFO(kept.out << kept.err);
  CHECK(kept.status == 0);
  CHECK(stage.target.client().scalar("SELECT COUNT(*) FROM " + kThrowaway + ".customers") == "50");
  CHECK_THAT(document_of(kept)["left"].dump(), Catch::Contains(kThrowaway) && Catch::Contains(kSwitched));
  const std::string binary = stage.migration.arguments("rehearse").front();
  Process by_name({binary, "rehearse", "test", "--clean", "--json", "--state", stage.migration.state}, {{"GODWIT_SOURCE_PASSWORD", "godwit"}, {"GODWIT_TARGET_PASSWORD", "godwit"}});
  const Outcome cleaned = by_name.wait();
  INFO(cleaned.out << cleaned.err);
  CHECK(cleaned.status == 0);
  CHECK(stage.changes() == "");
}

TEST_CASE("rehearse: an error that the synthetic client sees is told, and it is not ready; what cannot be dropped stays for --clean, and is told too", "[rehearse]") {
  Stage stage("b");
  const Outcome unknown = stage.run({"--client-user", "rehearsed_nobody"});
  INFO(unknown.out << unknown.err);
  CHECK(unknown.status == 3);
  CHECK_THAT(document_of(unknown)["why"].dump(), Catch::Contains("GW1303") && Catch::Contains("rehearsed_nobody"));
  CHECK(document_of(unknown)["phases"].back()["name"] == "clean");
  CHECK(stage.changes() == "");

  Process process = stage.migration.start("rehearse", Stage::with_defaults({"--no-switch"}), armed("cancel.claim.before=error"));
  const Outcome stuck = process.wait(seconds(400));
  INFO(stuck.out << stuck.err);
  CHECK(stuck.status == 5);
  CHECK_FALSE(document_of(stuck)["left"].empty());
  CHECK_THAT(document_of(stuck)["why"].dump(), Catch::Contains("--clean"));
  Process cleaning = stage.migration.start("rehearse", {"--clean", "--json"}, armed("cancel.claim.before=error"));
  const Outcome refused = cleaning.wait(seconds(400));
  INFO(refused.out << refused.err);
  CHECK(refused.status == 5);
  CHECK(document_of(refused)["error"]["code"] == "GW1304");
  CHECK(stage.run({"--clean"}).status == 0);
  CHECK(stage.changes() == "");
}

TEST_CASE("rehearse: an account that may make no other one is refused with what it can do instead", "[rehearse]") {
  Stage stage("c");
  for (const auto* server : {&stage.source, &stage.target}) server->client().execute("CREATE USER rehearsed_app2@'%' IDENTIFIED BY 'godwit'");
  for (const auto* server : {&stage.source, &stage.target}) server->client().execute("GRANT ALL ON *.* TO rehearsed_app2@'%'");
  for (const auto* server : {&stage.source, &stage.target}) server->client().execute("REVOKE CREATE USER ON *.* FROM rehearsed_app2@'%'");
  stage.remember();
  const auto as_that = [](std::string dsn) { return dsn.replace(dsn.find("godwit@"), 7, "rehearsed_app2@"); };
  stage.migration.source_dsn = as_that(stage.migration.source_dsn);
  stage.migration.target_dsn = as_that(stage.migration.target_dsn);
  const Outcome outcome = stage.run();
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 3);
  CHECK_THAT(document_of(outcome)["why"].dump(), Catch::Contains("--client-user"));
  CHECK(stage.changes() == "");
  for (const auto* server : {&stage.source, &stage.target}) server->client().execute("DROP USER rehearsed_app2@'%'");
}

TEST_CASE("rehearse: of shards the data part is gone through, each in a database named after its own; what has the name is refused, and --clean takes all back", "[rehearse]") {
  Stage stage("c");
  stage.migration.target_options = {"--shard", "-80=" + stage.target.dsn(kShards[0]), "--shard", "80-=" + stage.target.dsn(kShards[1]), "--vindex", "customers.id=hash", "--vindex", "orders.customer=hash", "--reference", "seen"};
  const auto rows_of = [&](const std::string& shard, const std::string& table) { return stage.target.client().scalar("SELECT COUNT(*) FROM " + throwaway_of(shard) + "." + table); };

  stage.target.client().execute("CREATE DATABASE " + throwaway_of(kShards[1]));
  stage.remember();
  const Outcome refused = stage.run();
  INFO(refused.out << refused.err);
  CHECK(refused.status == 3);
  CHECK_THAT(document_of(refused)["why"].dump(), Catch::Contains("GW1301") && Catch::Contains(throwaway_of(kShards[1])));
  CHECK(all_of(stage.source) == stage.source_before);
  CHECK(all_of(stage.target) == stage.target_before);
  stage.target.client().execute("DROP DATABASE " + throwaway_of(kShards[1]));
  stage.remember();

  const Outcome outcome = stage.run({"--keep"});
  const json document = document_of(outcome);
  INFO(outcome.out << outcome.err);
  REQUIRE(outcome.status == 0);
  CHECK(document["ready"] == true);
  CHECK(phases_of(document) == Strings{"check", "names", "copy", "catch up", "follow", "vdiff", "switch"});
  CHECK(document["phases"].back()["state"] == "left out");
  CHECK(document["data"]["tables"] == 3);
  CHECK(document["data"]["rows"] == 950);
  CHECK(document["data"]["verdict"] == "identical");
  CHECK_THAT(document["left"].dump(), Catch::Contains(throwaway_of(kShards[0]) + " on shard -80") && Catch::Contains(throwaway_of(kShards[1]) + " on shard 80-"));
  CHECK(std::stoi(rows_of(kShards[0], "orders")) + std::stoi(rows_of(kShards[1], "orders")) == 900);
  CHECK(rows_of(kShards[1], "orders") != "0");
  Process by_name({stage.migration.arguments("rehearse").front(), "rehearse", "test", "--clean", "--json", "--state", stage.migration.state}, {{"GODWIT_SOURCE_PASSWORD", "godwit"}, {"GODWIT_TARGET_PASSWORD", "godwit"}});
  const Outcome cleaned = by_name.wait();
  INFO(cleaned.out << cleaned.err);
  CHECK(cleaned.status == 0);
  CHECK(stage.changes() == "");
}

TEST_CASE("rehearse: a migration of the same source that is under way goes on beside it, and keeps all that is its", "[rehearse]") {
  Stage stage("b");
  stage.target.client().execute("DROP DATABASE IF EXISTS rehearsed_really");
  Migration real(stage.source, stage.target, kSchema, "rehearsed_really");
  real.name = "real";
  Application application(stage.source);
  const Outcome copied = real.run("copy", {"--json"});
  INFO(copied.out << copied.err);
  REQUIRE(copied.status == 0);
  Process stream = real.start("replicate", {"--json"});
  REQUIRE(holds_within(seconds(30), [&] { return godwit::state::StateFile(real.state).progress("real", "replicate").has_value(); }));
  const Outcome outcome = stage.run();
  check_ready(outcome);
  CHECK(stream.is_running());
  application.end();
  CHECK(application.error() == "");
  stream.signal(SIGTERM);
  INFO(stream.log());
  CHECK(stream.wait().status == 130);
  CHECK(real.run("replicate", {"--until-current", "--json"}).status == 0);
  const Outcome compared = real.run("vdiff", {"--json"});
  INFO(compared.out << compared.err);
  CHECK(document_of(compared)["verdict"] == "identical");
  // The name alone: its recorded target is another schema, which is not empty any more.
  Process by_name({real.arguments("rehearse").front(), "rehearse", "real", "--dry-run", "--json", "--skip", "target_empty", "--state", real.state}, {{"GODWIT_SOURCE_PASSWORD", "godwit"}, {"GODWIT_TARGET_PASSWORD", "godwit"}});
  const Outcome recorded = by_name.wait();
  INFO(recorded.out << recorded.err);
  CHECK_THAT(document_of(recorded)["created"].dump(), Catch::Contains("rehearsed_really_godwit_rehearsal"));
  CHECK(real.run("cancel").status == 0);
  CHECK(stage.changes() == "");
}
