// servers: a=mariadb-10.11 b=mariadb-10.11 c=mariadb-10.11 d=mysql-9.7
// One database becomes several while it is written to: every row on its shard, once, and as it was at the position at which the copy ends. Judged by the
// writers' own history. Killed at each failpoint, and with a shard's server killed, the same command goes on.
#include <signal.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "catch.h"
#include "live/support/shard_stage.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using nlohmann::json;

namespace {

const std::vector<std::string> kOptions{"--json", "--allow-no-key", "--chunk-size", "4KiB", "--readers", "2"};
const std::vector<std::string> kCycles{"--json", "--allow-no-key", "--chunk-size", "64KiB", "--readers", "2", "--snapshot-age", "0s"};  // a chunk per lane, and another snapshot
const std::vector<std::string> kTwo{"-80", "80-"};
const std::vector<std::string> kFour{"-40", "40-80", "80-c0", "c0-"};
const std::vector<std::string> kSeven{"-24", "24-49", "49-6d", "6d-92", "92-b6", "b6-db", "db-"};

// Hit once, however many shards there are.
const std::set<std::string> kOfTheCopy{"copy.recorded", "copy.schema_created", "copy.snapshot_opened", "copy.position_stored", "copy.cycle_ended"};

std::vector<std::string> with(std::vector<std::string> more) {
  std::vector<std::string> all = kOptions;
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// The codes of the findings, with the shard that each is of.
std::string findings(const Outcome& outcome, const std::string& check) {
  const json document = json::parse(outcome.out);
  std::string text;
  for (const auto& finding : document["findings"]) {
    if (finding["check"] != check) continue;
    text += finding["verdict"].get<std::string>() + " " + finding.value("code", "") + " " + finding.value("shard", "") + "; ";
  }
  return text;
}

}  // namespace

TEST_CASE("a database becomes two, four and seven under writes", "[shard_copy]") {
  struct Plan {
    std::vector<std::string> ranges;
    std::vector<std::string> options;
  };
  // Of several cycles rows move from shard to shard between them, and what is there is written over.
  for (const auto& plan : {Plan{kTwo, {}}, Plan{kFour, {}}, Plan{kSeven, kCycles}}) {
    ShardStage stage("a", {"b", "c"}, plan.ranges);
    INFO(plan.ranges.size());
    stage.begin_writing();
    const Outcome outcome = stage.run("copy", plan.options.empty() ? kOptions : plan.options);
    CHECK(stage.fault(outcome) == "");
    if (!plan.options.empty()) CHECK(json::parse(outcome.out)["cycles"] > 1);
  }
}

TEST_CASE("a database of MySQL becomes two of MySQL, and by plain INSERT", "[shard_copy]") {
  for (const auto& options : {kCycles, with({"--no-load-data"})}) {
    ShardStage stage("d", {"d"}, kTwo);
    stage.begin_writing();
    CHECK(stage.fault(stage.run("copy", options)) == "");
  }
}

TEST_CASE("one shard of everything is a target like another", "[shard_copy]") {
  ShardStage stage("a", {"b"}, {"-"});
  CHECK(stage.fault(stage.run("copy", kOptions)) == "");
}

TEST_CASE("killed at each failpoint, a copy to shards goes on and loses nothing", "[shard_copy]") {
  const std::vector<std::string> options{"--json", "--allow-no-key", "--chunk-size", "16KiB", "--readers", "2"};
  ShardStage stage("a", {"b", "c"}, {"-60", "60-"});
  stage.begin_writing();
  for (const auto& point : stage.failpoints("copy.")) {
    if (point == "copy.object_created") continue;  // no shard has one
    stage.forget();
    // Between two shards, or two chunks, where it is not of the whole copy.
    const std::string failpoint = point + (kOfTheCopy.count(point) != 0 ? "=kill" : "=kill@2");
    const Outcome stopped = stage.run("copy", options, failpoint);
    const Outcome again = stage.run("copy", options);
    INFO(failpoint << ": " << stopped.status << "\n" << again.err);
    CHECK(stopped.status == 128 + SIGKILL);
    CHECK(stage.fault(again) == "");
  }
}

TEST_CASE("a shard's server is killed while rows are copied: the others keep what they have, and it goes on", "[shard_copy]") {
  ShardStage stage("a", {"b", "c"}, kFour);
  stage.begin_writing();
  Process copy = stage.start("copy", kOptions, "copy.chunk_loaded=sleep:20");
  Client first = stage.client_of(0);
  REQUIRE(holds_within(std::chrono::seconds(60), [&] {
    const bool is_there = first.scalar("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '_godwit' AND TABLE_NAME = 'copy_chunk'") == "1";
    return is_there && first.scalar("SELECT COUNT(*) > 10 FROM _godwit.copy_chunk WHERE state = 'done'") == "1";
  }));
  const Server victim("c");
  victim.kill_server();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  REQUIRE(copy.is_running());
  victim.restart();
  const Outcome outcome = copy.wait(std::chrono::seconds(120));
  CHECK(outcome.err.find("read again") != std::string::npos);
  CHECK(stage.fault(outcome) == "");
}

TEST_CASE("a row that belongs nowhere stops the copy by name, and is on no shard", "[shard_copy]") {
  ShardStage stage("a", {"b", "c"}, kTwo);
  stage.placements["--partition visits=HASH(id)"] = "--partition visits=RANGE(id) 1000, 2500";  // up to 2700 there are
  const Outcome outcome = stage.run("copy", kOptions);
  CHECK(outcome.status == 3);
  CHECK(outcome.out.find("GW1207") != std::string::npos);
  CHECK(outcome.out.find("`shop`.`visits`") != std::string::npos);
  for (std::size_t shard = 0; shard < 2; ++shard) CHECK(stage.client_of(shard).scalar("SELECT COUNT(*) FROM " + stage.schema_of(shard) + ".visits WHERE id >= 2500") == "0");
  // What is mended on the source goes on.
  stage.from().execute("DELETE FROM shop.visits WHERE id >= 2500");
  const Outcome again = stage.run("copy", kOptions);
  INFO(again.err);
  CHECK(again.status == 0);
}

TEST_CASE("a sequence on the source is carried nowhere: the copy is refused, until somebody answers for it", "[shard_copy]") {
  ShardStage stage("a", {"b", "c"}, kTwo);
  stage.from().execute("CREATE SEQUENCE shop.numbers");
  const Outcome refused = stage.run("copy", kOptions);
  CHECK(refused.status == 3);
  CHECK(refused.out.find("sequence `shop`.`numbers`") != std::string::npos);
  const Outcome copied = stage.run("copy", with({"--skip", "shard_sequences"}));
  INFO(copied.err);
  CHECK(copied.status == 0);
}

TEST_CASE("copy --follow goes on to every shard", "[shard_copy]") {
  ShardStage stage("a", {"b", "c"}, kTwo);
  Process copy = stage.start("copy", with({"--follow"}));
  const auto has_page = [&](std::size_t shard, const std::string& page) {
    Client client = stage.client_of(shard);
    return client.scalar("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '" + stage.schema_of(shard) + "' AND TABLE_NAME = 'visits'") == "1" &&
           client.scalar("SELECT COUNT(*) FROM " + stage.schema_of(shard) + ".visits WHERE page = '" + page + "'") == "1";
  };
  Client first = stage.client_of(0);
  const auto is_followed = [&] {
    const bool is_there = first.scalar("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '_godwit' AND TABLE_NAME = 'stream'") == "1";
    return is_there && first.scalar("SELECT COUNT(*) FROM _godwit.stream WHERE state = 'running'") == "1";
  };
  REQUIRE(holds_within(std::chrono::seconds(60), is_followed));
  stage.from().execute("INSERT INTO shop.visits VALUES (70000, 'even'), (70001, 'odd')");
  CHECK(holds_within(std::chrono::seconds(30), [&] { return has_page(0, "even") && has_page(1, "odd"); }));
  // Its rows would be followed to no shard.
  stage.from().execute("CREATE TABLE shop.later (id INT PRIMARY KEY)");
  const Outcome outcome = copy.wait(std::chrono::seconds(30));
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 3);
  CHECK((outcome.out + outcome.err).find("GW0804") != std::string::npos);
}

TEST_CASE("cancel leaves nothing on any shard, wherever the copy was stopped, or cancel itself", "[shard_copy]") {
  ShardStage stage("a", {"b", "c"}, kFour);
  REQUIRE(stage.run("copy", kOptions).status == 0);
  CHECK(stage.run("cancel").status == 0);
  CHECK(stage.left() == "");
  for (const auto& point : stage.failpoints("cancel.")) {
    const bool is_of_source = point.rfind("cancel.source", 0) == 0;
    REQUIRE(stage.run("copy", kOptions, "copy.table_created=kill@12").status == 128 + SIGKILL);
    const Outcome stopped = stage.run("cancel", {}, point + (is_of_source ? "=kill" : "=kill@2"));
    const Outcome again = stage.run("cancel");
    INFO(point << ": " << stopped.status << "\n" << again.err);
    CHECK(stopped.status == 128 + SIGKILL);
    CHECK(again.status == 0);
    CHECK(stage.left() == "");
  }
}

TEST_CASE("check says of every shard what stands in the way, and refuses what has no place", "[shard_copy]") {
  ShardStage stage("a", {"b", "c"}, kTwo);
  const std::vector<std::string> options{"--json", "--allow-no-key"};
  Outcome outcome = stage.run("check", options);
  CHECK(outcome.status == 0);
  CHECK(findings(outcome, "target_writable") == "ok  -80; ok  80-; ");
  CHECK(findings(outcome, "source_binlog") == "ok  ; ");
  CHECK(findings(outcome, "shard_placements") == "ok  ; ");
  CHECK(findings(outcome, "shard_foreign_keys") == "warning GW0205 ; ");
  CHECK(findings(outcome, "shard_objects") == "warning GW0205 ; ");
  CHECK(findings(outcome, "shard_versions") == "ok  ; ");
  CHECK(findings(outcome, "shard_unique_keys").find("GW1206") != std::string::npos);

  // What a rule does MariaDB does not log, and the other shards know nothing of a parent that is on the first.
  stage.from().execute("ALTER TABLE shop.visits ADD setting VARCHAR(20), ADD CONSTRAINT by_setting FOREIGN KEY (setting) REFERENCES shop.settings (name) ON DELETE CASCADE");
  outcome = stage.run("check", options);
  CHECK(outcome.status == 0);
  CHECK(findings(outcome, "shard_foreign_keys") == "warning GW0205 ; warning GW0312 ; warning GW0205 ; ");
  for (const char* words : {"foreign key by_setting: `shop`.`settings` is unsharded, so that other shards would not see what it changes on them, and the binlog lacks it: the stream stops at such a change",
                            "drop the rule (ON UPDATE, ON DELETE) on the source, or see that it never acts"}) {
    CHECK(outcome.out.find(words) != std::string::npos);
  }
  stage.from().execute("ALTER TABLE shop.visits DROP FOREIGN KEY by_setting, DROP COLUMN setting");

  stage.client_of(1).execute("CREATE DATABASE " + stage.schema_of(1));
  stage.client_of(1).execute("CREATE TABLE " + stage.schema_of(1) + ".visits (id INT)");
  stage.placements["--unsharded settings"] = "none";
  stage.from().execute("ALTER TABLE shop.visits ADD rating DOUBLE");
  stage.placements["--partition visits=HASH(id)"] = "--vindex visits.rating=xxhash";
  stage.placements["--reference countries"] = "--reference counties";
  outcome = stage.run("check", options);
  CHECK(outcome.status == 3);
  CHECK(findings(outcome, "target_empty") == "ok  -80; blocker GW0501 80-; ");
  CHECK(findings(outcome, "shard_placements") == "blocker GW1205 ; blocker GW1205 ; blocker GW1206 ; blocker GW1204 ; ");
  CHECK(stage.run("copy", kOptions).status == 3);
  CHECK(stage.client_of(0).scalar("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '_godwit'") == "0");
}

TEST_CASE("a dry run shows every shard's statements, and changes nothing", "[shard_copy]") {
  ShardStage stage("a", {"b", "c"}, kTwo);
  const Outcome outcome = stage.run("copy", {"--json", "--allow-no-key", "--dry-run"});
  REQUIRE(outcome.status == 0);
  const json plan = json::parse(outcome.out);
  REQUIRE(plan["shards"].size() == 2);
  CHECK(plan["shards"][0]["statements"].dump().find("`shop_0`.`settings`") != std::string::npos);
  CHECK(plan["shards"][1]["statements"].dump().find("`settings`") == std::string::npos);
  CHECK(plan["shards"][1]["statements"].dump().find("FOREIGN KEY") == std::string::npos);
  CHECK(stage.left() == "");
}
