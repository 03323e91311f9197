// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7
// The forms in which rows reach a MariaDB target, bulk insert, LOAD DATA and INSERT: all store the same, and all refuse the same.
#include <functional>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "live/support/compare.h"
#include "live/support/process.h"

using namespace godwit::test;
using nlohmann::json;

namespace {

struct Form {
  std::vector<std::string> options;
  std::string seen;  // by the target
};
// What is copied from a later snapshot goes over rows that the stream may have brought: by LOAD DATA REPLACE.
const std::vector<Form> kForms{{{}, "bulk "}, {{"--snapshot-age", "0s", "--readers", "1", "--chunk-size", "4KiB"}, "bulk load "}, {{"--no-load-data"}, "values "}};

// A global setting of the target, as long as it lives.
class Setting {
 public:
  Setting(const Server& server, std::string name, const std::string& value) : client_(server.client()), name_(std::move(name)), before_(client_.scalar("SELECT @@GLOBAL." + name_)) {
    client_.execute("SET GLOBAL " + name_ + " = " + value);
  }
  ~Setting() { client_.execute("SET GLOBAL " + name_ + " = " + before_); }

 private:
  Client client_;
  std::string name_;
  std::string before_;
};

long count_of(Client& client, const std::string& name) { return std::stol(client.query("SHOW GLOBAL STATUS LIKE '" + name + "'").at(0).at(1).value()); }

// Which form the target has seen since.
class Seen {
 public:
  explicit Seen(Client client) : client_(std::move(client)), loads_(count_of(client_, "Com_load")), prepared_(count_of(client_, "Com_stmt_prepare")) {}
  std::string forms() {
    std::string result;
    if (count_of(client_, "Com_stmt_prepare") > prepared_) result += "bulk ";
    if (count_of(client_, "Com_load") > loads_) result += "load ";
    return result.empty() ? "values " : result;
  }

 private:
  Client client_;
  long loads_;
  long prepared_;
};

void for_forms(const std::function<void(const Server&, const Server&, const Migration&, const Form&)>& work) {
  for (const Form& form : kForms) {
    const Server source("a");
    const Server target("b");
    INFO(form.seen);
    const Migration migration(source, target, "forms");
    migration.clean();
    source.client().execute("CREATE DATABASE forms");
    work(source, target, migration, form);
    migration.clean();
  }
}

std::vector<std::string> with(std::vector<std::string> options, const std::vector<std::string>& more) {
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

const char* const kMixed =
    "CREATE TABLE forms.mixed (id INT AUTO_INCREMENT PRIMARY KEY, b BIT(64), e ENUM('','one','two'), s SET('a','b','c'), u UUID, six INET6, "
    "w VARCHAR(300) CHARACTER SET utf8mb4, l VARCHAR(300) CHARACTER SET latin1, x VARBINARY(300), d DECIMAL(30,10), f FLOAT, t TIMESTAMP(6) NULL, g POINT, z LONGBLOB)";

}  // namespace

TEST_CASE("a row is stored as it is whatever stands before it: NULL, then short values, then long ones", "[copy_forms]") {
  for_forms([](const Server& source, const Server& target, const Migration& migration, const Form& form) {
    Client from = source.client();
    Client to = target.client();
    from.execute("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'");
    from.execute(kMixed);
    from.execute("INSERT INTO forms.mixed (id) VALUES (0)");
    from.execute("INSERT IGNORE INTO forms.mixed VALUES (1, 0, 0, '', '00000000-0000-0000-0000-000000000000', '::', '', '', '', 0, 0, '1970-01-01 00:00:01', POINT(0, 0), '')");
    from.execute("INSERT INTO forms.mixed VALUES (2, 18446744073709551615, 'two', 'a,b,c', UUID(), 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', REPEAT('ü😀', 150), REPEAT('é', 300), "
                 "REPEAT(X'00FF095C', 75), -12345678901234567890.0123456789, 1.5e-30, '2038-01-19 03:14:07.999999', POINT(-1e300, 1e-300), REPEAT(X'000A5C', 100000))");
    from.execute("INSERT INTO forms.mixed (id) VALUES (3)");
    from.execute("INSERT INTO forms.mixed SELECT 4, b, e, s, u, six, w, l, x, d, f, t, g, z FROM forms.mixed WHERE id = 2");
    // The target's charsets are the other way round, so that both texts are converted.
    to.execute("CREATE DATABASE forms");
    std::string other = kMixed;
    other.replace(other.find("CHARACTER SET latin1"), 20, "CHARACTER SET utf32");
    other.replace(other.find("CHARACTER SET utf8mb4"), 21, "CHARACTER SET utf16");
    to.execute(other);
    Seen seen(target.client());
    const Outcome outcome = migration.run("copy", with(form.options, {"--schema", "existing"}));
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.status == 0);
    CHECK(seen.forms() == form.seen);
    for (const char* column : {"w", "l"}) to.execute(std::string("ALTER TABLE forms.mixed MODIFY ") + column + " VARCHAR(300) CHARACTER SET " + (*column == 'w' ? "utf8mb4" : "latin1"));
    CHECK(difference(from, "forms", to, "forms") == "");
  });
}

TEST_CASE("a value that does not fit fails its chunk by the table's name, and nothing of the chunk stays", "[copy_forms]") {
  const std::vector<std::pair<std::string, std::string>> kNarrower{{"v VARCHAR(5)", "1265 Data truncated for column 'v'"}, {"v INT", "1366 Incorrect integer value"}};
  for_forms([&](const Server& source, const Server& target, const Migration& migration, const Form& form) {
    Client from = source.client();
    Client to = target.client();
    from.execute("CREATE TABLE forms.t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20))");
    from.execute("INSERT INTO forms.t (v) SELECT seq FROM forms.seq_1_to_1000");
    from.execute("UPDATE forms.t SET v = 'too long' WHERE id IN (900, 990)");
    from.execute("ANALYZE TABLE forms.t");
    for (const auto& [definition, cause] : kNarrower) {
      INFO(definition);
      to.execute("DROP DATABASE IF EXISTS forms");
      to.execute("CREATE DATABASE forms");
      to.execute("CREATE TABLE forms.t (id INT AUTO_INCREMENT PRIMARY KEY, " + definition + ")");
      Seen seen(target.client());
      const Outcome outcome = migration.run("copy", with(form.options, {"--schema", "existing", "--json"}));
      INFO(outcome.out << outcome.err);
      CHECK(outcome.status != 0);
      CHECK(seen.forms() == form.seen);
      const json error = json::parse(outcome.out)["error"];
      CHECK(error["code"] == "GW0503");
      CHECK(error["object"] == "`forms`.`t`");
      CHECK(error["cause"].get<std::string>().find(cause) != std::string::npos);
      CHECK(to.scalar("SELECT COUNT(*) FROM forms.t WHERE id IN (900, 990)") == "0");
      CHECK(to.scalar("SELECT COUNT(*) FROM forms.t") == to.scalar("SELECT COALESCE(SUM(`rows`), 0) FROM _godwit.copy_chunk WHERE state = 'done'"));
      migration.run("cancel");
    }
  });
}

TEST_CASE("a target that allows no LOAD DATA takes every row: MariaDB by bulk insert, MySQL by INSERT", "[copy_forms]") {
  for (const auto& [name, form] : {std::pair("b", "bulk "), std::pair("c", "values ")}) {
    const Server source("a");
    const Server target(name);
    const Migration migration(source, target, "forms");
    migration.clean();
    Client from = source.client();
    from.execute("CREATE DATABASE forms");
    from.execute("CREATE TABLE forms.t (id INT PRIMARY KEY, v LONGBLOB)");
    from.execute("INSERT INTO forms.t VALUES (1, 'short'), (2, REPEAT(X'00FF', 10 * 1024 * 1024)), (3, NULL)");
    const Setting setting(target, "local_infile", "OFF");
    Seen seen(target.client());
    const Outcome outcome = migration.run("copy");
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    CHECK(seen.forms() == form);
    Client to = target.client();
    CHECK(difference(from, "forms", to, "forms") == "");
    migration.clean();
  }
}

TEST_CASE("rows longer than the target's packet are stored, among rows that are not", "[copy_forms]") {
  const Server source("a");
  const Server target("b");
  const Migration migration(source, target, "forms");
  migration.clean();
  Client from = source.client();
  from.execute("CREATE DATABASE forms");
  from.execute("CREATE TABLE forms.t (id INT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB, w LONGBLOB, e ENUM('x'))");
  for (int id = 1; id <= 40; ++id) {
    const std::string kib = id % 10 == 7 ? "3000" : std::to_string(id * id);
    from.execute("INSERT IGNORE INTO forms.t VALUES (" + std::to_string(id) + ", REPEAT('v\\\\\\n\\t', 256 * " + kib + "), REPEAT('w', 1024 * " + kib + "), 0)");
  }
  Client to = target.client();
  for (const char* packet : {"1048576", "16777216"}) {
    const Setting setting(target, "max_allowed_packet", packet);
    Seen seen(target.client());
    const Outcome outcome = migration.run("copy");
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    CHECK(seen.forms() == "bulk load ");
    CHECK(difference(from, "forms", to, "forms") == "");
    migration.run("cancel");
    to.execute("DROP DATABASE IF EXISTS forms");
  }
  migration.clean();
}
