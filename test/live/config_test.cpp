// servers: a=mariadb-10.11
// --config FILE: the command's options in JSON. The command line wins, and what cannot be taken is named.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "live/support/process.h"

using namespace godwit::test;
using nlohmann::json;

namespace {

class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) : path("/tmp/godwit-config-" + std::to_string(::getpid()) + ".json") { std::ofstream(path) << text; }
  ~ConfigFile() { std::filesystem::remove(path); }
  const std::string path;
};

Outcome run_godwit(const std::vector<std::string>& arguments) {
  std::vector<std::string> all{std::getenv("GODWIT_BIN")};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return Process(all, {{"GODWIT_SOURCE_PASSWORD", "godwit"}, {"GODWIT_TARGET_PASSWORD", "godwit"}}).wait();
}

json shop(const Server& server, const std::string& state) {
  return {{"name", "shop"},
          {"source", server.dsn("config_from")},
          {"target", server.dsn("config_to")},
          {"state", state},
          {"tables", {"orders", "items"}},
          {"exclude-tables", "items"},
          {"readers", 2},
          {"engine", "spider"},  // of a command two words deep
          {"json", true},
          {"allow-no-key", true},
          {"skip-target-binlog", false}};
}

}  // namespace

TEST_CASE("one file holds a whole migration, and serves every command", "[config]") {
  const Server server("a");
  Client client = server.client();
  client.script("DROP DATABASE IF EXISTS config_from;\nDROP DATABASE IF EXISTS config_to;\nCREATE DATABASE config_from;\n"
                "CREATE TABLE config_from.orders (id INT);\nINSERT INTO config_from.orders VALUES (1),(2);\n"
                "CREATE TABLE config_from.items (id INT PRIMARY KEY);\nCREATE TABLE config_from.other (id INT PRIMARY KEY);\n");
  const std::string state = "/tmp/godwit-config-state-" + std::to_string(::getpid());
  const ConfigFile file(shop(server, state).dump());
  REQUIRE(run_godwit({"check", "--config", file.path}).status == 0);
  const Outcome copied = run_godwit({"copy", "--config", file.path});
  INFO(copied.err);
  REQUIRE(copied.status == 0);
  CHECK(json::parse(copied.out)["tables"].size() == 1);
  CHECK(client.scalar("SELECT COUNT(*) FROM config_to.orders") == "2");
  const Outcome status = run_godwit({"status", "--config", file.path});
  CHECK(json::parse(status.out)["workflows"][0]["definition"]["tables"] == "orders,items");

  const Outcome other = run_godwit({"copy", "--config", file.path, "--tables", "other"});
  CHECK(other.status == 2);
  CHECK(json::parse(other.out)["error"]["cause"] == "--tables was orders,items, is other");

  CHECK(run_godwit({"cancel", "--config", file.path}).status == 0);
  CHECK(client.scalar("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'config_to'") == "0");
  client.execute("DROP DATABASE config_from");
  client.execute("DROP DATABASE IF EXISTS config_to");
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(state + suffix);
}

TEST_CASE("what a configuration file cannot mean is refused by name", "[config]") {
  struct Case {
    const char* text;
    const char* object;
    const char* cause;
  };
  for (const Case& it : {Case{R"({"sourc": "x"})", "\"sourc\" in ", "no command has such an option"},
                         Case{R"({"schema": "maybe"})", "\"schema\" in ", "maybe not in"},
                         Case{R"({"readers": 300})", "\"readers\" in ", "300 not in range"},
                         Case{R"({"readers": [1, 2]})", "\"readers\" in ", "one value only"},
                         Case{R"({"dry-run": "yes"})", "\"dry-run\" in ", "a flag is true or false"},
                         Case{R"({"source": null})", "\"source\" in ", "neither text nor number"},
                         Case{R"({"config": "other.json"})", "\"config\" in ", "no command has such an option"},
                         Case{"[]", "--config ", "holds no object"},
                         Case{"{", "--config ", "not JSON"}}) {
    const ConfigFile file(it.text);
    const Outcome outcome = run_godwit({"copy", "shop", "--json", "--config", file.path});
    INFO(it.text << "\n" << outcome.out << outcome.err);
    CHECK(outcome.status == 2);
    const json error = json::parse(outcome.out)["error"];
    CHECK(error["code"] == "GW0002");
    CHECK(error["object"].get<std::string>().find(it.object) == 0);
    CHECK(error["cause"].get<std::string>().find(it.cause) != std::string::npos);
    CHECK(error["remedy"] != "");
  }
  CHECK(run_godwit({"copy", "shop", "--config", "/nowhere.json"}).status == 2);
}

TEST_CASE("a command line that cannot be taken has a code too", "[config]") {
  for (const auto& words : std::vector<std::vector<std::string>>{{"copy", "shop", "--bogus", "--json"}, {"copy", "--json"}, {"check", "shop", "--source", "nonsense", "--target", "x", "--json"}}) {
    const Outcome outcome = run_godwit(words);
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 2);
    CHECK(json::parse(outcome.out)["error"]["code"] == "GW0002");
    CHECK(outcome.err.find("GW0002 bad_usage") != std::string::npos);
  }
  CHECK(run_godwit({"--help"}).status == 0);
  CHECK(run_godwit({"copy", "--help"}).out.find("--config") != std::string::npos);
}
