// servers: a=mariadb-10.11 b=mariadb-10.11
// alone: a switch has a limit of time
// A migration whose tables, notes or servers somebody else has changed meanwhile: each refusal by its words, and nothing is lost by it.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "live/support/process.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using nlohmann::json;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

namespace {

const std::string kSchema = "meddled";
const Strings kSwitch{"--yes", "--no-proxy", "--pause-max", "10s", "--lag-max", "5s"};

// Two tables, copied or not.
class Stage {
 public:
  Stage() : source("a"), target("b"), migration(source, target, kSchema) {
    migration.clean();
    source.client().execute("CREATE DATABASE " + kSchema);
    for (const char* statement : {"CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(20)) ENGINE=InnoDB", "CREATE TABLE kinds (id INT PRIMARY KEY, note VARCHAR(20)) ENGINE=InnoDB",
                                  "INSERT INTO orders (note) VALUES ('a'), ('b'), ('c')", "INSERT INTO kinds VALUES (1, 'a'), (2, 'b')"}) {
      on(source, statement);
    }
  }
  ~Stage() {
    replicate_.reset();
    target.client().execute("SET GLOBAL binlog_format = 'ROW'");
    for (const auto* server : {&source, &target}) server->client().execute("SET GLOBAL read_only = 0");
    migration.clean();
    for (const auto* server : {&source, &target}) server->client().execute("DROP DATABASE IF EXISTS _godwit");
  }

  void on(const Server& server, const std::string& statement) const { server.client(kSchema).execute(statement); }
  void on_notes(const std::string& statement) const { target.client("_godwit").execute(statement); }
  void copy() const { must("copy"); }
  void follow() {
    replicate_ = std::make_unique<Process>(migration.start("replicate"));
    REQUIRE(holds_within(seconds(30), [&] { return target.client().scalar("SELECT COUNT(*) FROM _godwit.stream WHERE state <> 'running'") == "0"; }));
  }
  void stop_following() { replicate_.reset(); }

  Outcome run(const std::string& command, const Strings& options = {}) const {
    Strings all{"--json"};
    all.insert(all.end(), options.begin(), options.end());
    return migration.run(command, all);
  }
  void must(const std::string& command, const Strings& options = {}) const {
    const Outcome outcome = run(command, options);
    INFO(command << " " << outcome.out << outcome.err);
    REQUIRE(outcome.status == 0);
  }
  // The words stand in the error's object, cause or remedy.
  void refuses(const std::string& command, const Strings& options, const std::string& code, const Strings& words) const {
    const Outcome outcome = run(command, options);
    INFO(command << " ends with " << outcome.status << "\n" << outcome.out << outcome.err);
    const auto document = json::parse(outcome.out, nullptr, false);
    REQUIRE(document.is_object());
    const json error = document.value("error", json::object());
    CHECK(error.value("code", "") == code);
    for (const auto& word : words) CHECK_THAT(error.value("object", "") + ": " + error.value("cause", "") + " => " + error.value("remedy", ""), Catch::Contains(word));
    CHECK(outcome.status != 0);
  }
  std::string shard(const Server& server, const std::string& range, const std::string& schema) const { return range + "=mysql://godwit@127.0.0.1:" + std::to_string(server.port()) + "/" + schema; }
  Strings switching(const Strings& more = {}) const {
    Strings all = kSwitch;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  const Server source;
  const Server target;
  Migration migration;

 private:
  std::unique_ptr<Process> replicate_;
};

}  // namespace

TEST_CASE("meddled: a table that is on the target already is not written to", "[meddled]") {
  const Stage stage;
  stage.target.client().execute("CREATE DATABASE " + kSchema);
  stage.on(stage.target, "CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(20))");
  const Strings unlooked{"--skip", "target_empty"};
  stage.refuses("copy", unlooked, "GW0501", {"the table is on the target already, empty", "--schema existing to copy into it"});
  stage.on(stage.target, "INSERT INTO orders VALUES (7, 'mine')");
  stage.refuses("copy", unlooked, "GW0501", {"holds rows that this workflow did not copy", "--map it to another name"});
  CHECK(stage.target.client(kSchema).scalar("SELECT note FROM orders") == "mine");
  stage.refuses("copy", {"--collation-map", "utf8mb4_bin"}, "GW0002", {"it is not old=new", "utf8mb4_0900_ai_ci=utf8mb4_general_ci"});
}

TEST_CASE("meddled: without the state file cancel asks whether the tables were there before", "[meddled]") {
  const Stage stage;
  stage.copy();
  const std::string kept = stage.migration.state + ".kept";
  std::filesystem::rename(stage.migration.state, kept);
  stage.refuses("cancel", {}, "GW0002", {"the state file does not know test", "--schema create where copy has created them"});
  CHECK(stage.target.client(kSchema).scalar("SELECT COUNT(*) FROM orders") == "3");
  std::filesystem::rename(kept, stage.migration.state);
}

TEST_CASE("meddled: a table that the source has no more, or that is another, stops stream and comparison by its name", "[meddled]") {
  const Stage stage;
  stage.copy();
  stage.on(stage.source, "ALTER TABLE kinds ADD COLUMN more INT");
  stage.refuses("vdiff", {}, "GW0206", {"`meddled`.`kinds`"});
  stage.on(stage.source, "DROP TABLE kinds");
  stage.refuses("vdiff", {}, "GW0201", {"it belongs to the migration, and the source has it no more", "leave it out: --tables"});
}

TEST_CASE("meddled: what is written down of a switch that is under way keeps others from the tables", "[meddled]") {
  Stage stage;
  stage.copy();
  stage.follow();
  stage.must("switch", stage.switching());
  stage.must("reverse", stage.switching());
  stage.stop_following();
  stage.on_notes("UPDATE route SET is_switching = 1");
  stage.refuses("complete", {"--yes"}, "GW1108", {"a switch is under way", "it is finished or undone"});
  stage.refuses("copy", {}, "GW1102", {"a switch is under way, or was killed", "it finishes or undoes what it began"});
  stage.refuses("cancel", {}, "GW1107", {"a switch is under way"});
  stage.on_notes("UPDATE route SET is_switching = 0");
}

TEST_CASE("meddled: what a switch looks at", "[meddled]") {
  Stage stage;
  stage.copy();
  stage.follow();
  const auto refuses = [&](const std::string& code, const Strings& words, const Strings& more = {}) { stage.refuses("switch", stage.switching(more), code, words); };
  refuses("GW0002", {"it is no folder", "before-STEP and after-STEP"}, {"--hook-dir", "/nowhere"});
  stage.must("vdiff");
  stage.on_notes("UPDATE vdiff SET state = 'running'");
  refuses("GW1102", {" is running"}, {"--require-vdiff", "1h"});
  stage.on_notes("DELETE FROM vdiff");
  stage.target.client().execute("SET GLOBAL binlog_format = 'MIXED'");
  refuses("GW0303", {"binlog_format is mixed", "let its sessions begin anew"});
  stage.target.client().execute("SET GLOBAL binlog_format = 'ROW'");
  stage.on(stage.target, "DELETE FROM orders WHERE id = 3");
  refuses("GW1103", {"a row among its newest is missing on the target", "--repair mends it"});
  stage.on(stage.target, "INSERT INTO orders VALUES (3, 'c')");

  const std::string hooks = stage.migration.state + ".hooks";
  std::filesystem::create_directory(hooks);
  std::ofstream(hooks + "/before-gate") << "#!/bin/sh\n";
  ::chmod((hooks + "/before-gate").c_str(), 0600);
  refuses("GW1106", {"make it executable, or take it away"}, {"--hook-dir", hooks});
  std::filesystem::remove_all(hooks);

  stage.must("switch", stage.switching());
  stage.stop_following();
  stage.refuses("replicate", {"--source-moved"}, "GW0002", {"nothing is read from the source", "or switch back first"});
}

TEST_CASE("meddled: numbers that are handed out have to be had on both sides", "[meddled]") {
  Stage stage;
  stage.on(stage.source, "CREATE TABLE few (id TINYINT UNSIGNED AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB");
  stage.on(stage.source, "INSERT INTO few VALUES (254)");
  stage.copy();
  stage.follow();
  stage.on(stage.source, "INSERT INTO few VALUES (255)");
  stage.refuses("switch", stage.switching(), "GW1102", {"holds no value beyond", "a wider type, on both sides"});
}

TEST_CASE("meddled: a throwaway schema has a name that is not too long", "[meddled]") {
  const Stage stage;
  const std::string longest(50, 's');
  const Migration migration(stage.source, stage.target, kSchema, longest);
  const Outcome outcome = migration.run("rehearse", {"--no-switch", "--json"});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 2);
  CHECK_THAT(outcome.out, Catch::Contains("its name would have more than 64 characters") && Catch::Contains("with a shorter one, for the rehearsal"));
}

TEST_CASE("meddled: shards may be databases of one server, by names of their own; to be switched to they need one name, and a head for triggers", "[meddled]") {
  Stage stage;
  stage.on(stage.source, "INSERT INTO orders (note) VALUES ('d'), ('e'), ('f'), ('g'), ('h'), ('i')");
  const auto shards = [&](const std::string& first, const std::string& second) -> Strings { return {"--shard", first, "--shard", second, "--vindex", "orders.id=hash", "--reference", "kinds"}; };
  stage.migration.target_options = shards(stage.shard(stage.target, "-80", "meddled_a"), stage.shard(stage.target, "80-", "meddled_b"));
  stage.copy();
  stage.must("vdiff");
  const std::string moved = stage.target.client("meddled_b").scalar("SELECT MIN(id) FROM orders");
  REQUIRE(moved != "");
  stage.target.client().execute("DELETE FROM meddled_b.orders WHERE id = " + moved);
  const Outcome found = stage.run("vdiff");
  INFO(found.out << found.err);
  CHECK(found.status == 4);
  CHECK_THAT(found.out, Catch::Contains("\"shard\":\"80-\""));
  stage.must("vdiff", {"--repair"});
  CHECK(stage.target.client("meddled_b").scalar("SELECT COUNT(*) FROM orders WHERE id = " + moved) == "1");
  stage.follow();
  stage.refuses("switch", stage.switching(), "GW1102", {"its schema has another name than that of the first shard, meddled_a", "one name on all shards"});
  stage.stop_following();
  stage.must("cancel");

  stage.on(stage.source, "CREATE TRIGGER seen BEFORE INSERT ON orders FOR EACH ROW SET NEW.note = UPPER(NEW.note)");
  stage.migration.target_options = shards(stage.shard(stage.target, "-80", "meddled_c"), stage.shard(stage.source, "80-", "meddled_c"));
  stage.copy();
  stage.follow();
  stage.refuses("switch", stage.switching(), "GW1102", {"`meddled`.`seen`", "nothing over them that could have triggers and events", "--serve with a Spider head"});
  stage.stop_following();
  stage.must("cancel");
  stage.migration.target_options = {"--shard", stage.shard(stage.target, "-", "meddled_d"), "--partition", "orders=HASH(id)", "--reference", "kinds"};
  stage.copy();
  const std::string binary = stage.migration.arguments("copy").front();
  Process ddl({binary, "shard", "ddl", "test", "--state", stage.migration.state, "--engine", "spider", "--apply", "--serve", "mysql://godwit@127.0.0.1:" + std::to_string(stage.source.port()) + "/meddled_d"},
              {{"GODWIT_SOURCE_PASSWORD", "godwit"}, {"GODWIT_TARGET_PASSWORD", "godwit"}});
  const Outcome headless = ddl.wait();
  INFO(headless.err);
  CHECK(headless.status == 3);
  CHECK_THAT(headless.err, Catch::Contains("it has no storage engine SPIDER => install mariadb-plugin-spider"));
  stage.must("cancel");
  stage.migration.target_options.clear();
}
