// servers: a=mariadb-10.11 c=mysql-9.7
// godwit inspect binlog shows what a server and its files hold, and says why when it cannot.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "godwit/binlog/stream.h"
#include "live/support/process.h"
#include "live/support/row_images.h"

using namespace godwit;
using namespace godwit::test;
using nlohmann::json;

namespace {

Outcome inspect(std::vector<std::string> arguments) {
  std::vector<std::string> all{std::getenv("GODWIT_BIN"), "inspect", "binlog"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return Process(all, {{"GODWIT_SOURCE_PASSWORD", "godwit"}}).wait();
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Fixture {
  explicit Fixture(const std::string& name) : server(name), client(server.client()) {
    client.execute("DROP DATABASE IF EXISTS shown");
    client.execute("CREATE DATABASE shown CHARACTER SET utf8mb4");
    start = position_of(server);
    client.execute("CREATE TABLE shown.t (id INT UNSIGNED PRIMARY KEY, v VARCHAR(20), b BLOB)");
    client.execute("INSERT INTO shown.t VALUES (4000000000, 'é', X'00FF')");
    middle = position_of(server);
    client.execute("UPDATE shown.t SET v = NULL, id = 3999999999");
  }
  ~Fixture() { client.execute("DROP DATABASE IF EXISTS shown"); }

  std::string file() {
    const std::string base = client.scalar("SELECT @@log_bin_basename");
    const std::string name = client.query("SHOW BINARY LOGS").back()[0].value();
    return base.substr(0, base.find_last_of('/') + 1) + name;
  }

  Server server;
  Client client;
  gtid::Position start;
  gtid::Position middle;
};

}  // namespace

TEST_CASE(
    "rows are shown with their columns' names from the server, and from a file as far as it tells",
    "[inspect_binlog]") {
  for (const char* name : {"a", "c"}) {
    Fixture it(name);
    INFO(it.server.flavour());
    const auto live = inspect({it.server.dsn(""), "--from", it.start.text});
    INFO(live.out << live.err);
    CHECK(live.status == 0);
    CHECK(has(live.out, "+ id=4000000000 v='é' b=X'00FF'\n"));
    CHECK(has(live.out, "- id=4000000000 v='é' b=X'00FF'\n  + id=3999999999 v=NULL b=X'00FF'\n"));
    CHECK(has(live.out, "CREATE TABLE shown.t"));

    const auto from_file = inspect({it.file(), "--from", it.middle.text, "--table", "shown.*"});
    INFO(from_file.out << from_file.err);
    CHECK(from_file.status == 0);
    CHECK(has(from_file.out, "@2='é' @3=X'00FF'"));
    CHECK_FALSE(has(from_file.out, "CREATE TABLE"));
    CHECK(has(from_file.err, "unsigned") == it.server.is_mariadb());  // MySQL logs it
    CHECK(inspect({it.file(), "--limit", "3"}).out.find("format_description") != std::string::npos);
  }
}

TEST_CASE("as JSON each line is a document", "[inspect_binlog]") {
  Fixture it("c");
  const auto outcome =
      inspect({it.server.dsn(""), "--from", it.middle.text, "--table", "t", "--json"});
  REQUIRE(outcome.status == 0);
  json rows;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    const json document = json::parse(line);
    CHECK(document["format"] == "godwit/1");
    CHECK(document["command"] == "inspect binlog");
    if (document["event"].contains("rows")) rows = document["event"]["rows"];
  }
  REQUIRE(rows.size() == 1);
  CHECK(rows[0]["before"] == json({{"id", "4000000000"}, {"v", "é"}, {"b", {{"hex", "00FF"}}}}));
  CHECK(rows[0]["after"] == json({{"id", "3999999999"}, {"v", nullptr}, {"b", {{"hex", "00FF"}}}}));
}

TEST_CASE("what cannot be read ends with the exit status of its kind", "[inspect_binlog]") {
  Fixture it("c");
  CHECK(inspect({"/etc/hostname"}).status == 3);
  CHECK(inspect({"/nowhere/binlog.000001"}).status == 3);
  CHECK(inspect({it.server.dsn(""), "--from", "0-1-1"}).status == 2);
  CHECK(inspect({}).status == 2);
}
