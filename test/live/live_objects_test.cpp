// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7
// What lives on the serving side only, triggers and events, and what a side must not hand out again, AUTO_INCREMENT values and sequences: brought there
// and back by the parts of a switch, also when they are killed in between.
#include "godwit/workflow/live_objects.h"

#include <algorithm>

#include "catch.h"
#include "godwit/util/error.h"
#include "godwit/workflow/counters.h"
#include "live/support/armed.h"
#include "live/support/two_way.h"
#include "live/support/waiting.h"

using namespace godwit;
using namespace godwit::test;
using db::Side;
using std::chrono::seconds;

namespace {

const std::vector<std::pair<const char*, const char*>> kPairs{{"a", "b"}, {"a", "c"}, {"c", "a"}, {"c", "c"}};

void create_shop(const Server& source) {
  Client client = source.client();
  client.script(
      "CREATE DATABASE shop;\n"
      "CREATE TABLE shop.orders (id INT PRIMARY KEY, what VARCHAR(20));\nCREATE TABLE shop.log (id INT AUTO_INCREMENT PRIMARY KEY, words VARCHAR(40));\n"
      "CREATE TRIGGER shop.second AFTER INSERT ON shop.orders FOR EACH ROW INSERT INTO log (words) VALUES (CONCAT('b', NEW.id));\n"
      "CREATE TRIGGER shop.first AFTER INSERT ON shop.orders FOR EACH ROW PRECEDES second INSERT INTO log (words) VALUES (CONCAT('a', NEW.id));\n"
      "CREATE TRIGGER shop.third AFTER INSERT ON shop.orders FOR EACH ROW INSERT INTO log (words) VALUES (CONCAT('c', NEW.id));\n"
      "CREATE EVENT shop.tick ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' ON COMPLETION PRESERVE DO DELETE FROM log WHERE id < 0;\n"
      "CREATE EVENT shop.rest ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE DO DELETE FROM log WHERE id < 0;\n");
  client.execute("SET sql_mode = 'ANSI_QUOTES', time_zone = '+05:00', NAMES utf8mb4");
  client.execute("CREATE TRIGGER shop.quoted BEFORE DELETE ON shop.orders FOR EACH ROW INSERT INTO \"log\" (words) VALUES ('Grüße')");
}

// Names, orders and states, as the server lists them.
std::string objects(const Server& server) {
  Client client = server.client();
  return client.scalar("SELECT CONCAT(IFNULL(GROUP_CONCAT(TRIGGER_NAME, ACTION_ORDER, SQL_MODE ORDER BY EVENT_MANIPULATION, ACTION_ORDER), '')) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop'") + " " +
         client.scalar("SELECT IFNULL(GROUP_CONCAT(EVENT_NAME, ' ', STATUS, ' ', STARTS ORDER BY EVENT_NAME), '') FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'shop'");
}

bool has_objects(const Server& server) { return objects(server) != " "; }

// A switch with what belongs to it here. Gives what was brought back.
std::vector<std::string> switch_with_objects(TwoWay& pair) {
  const Side to = workflow::other(pair.serving());
  const std::uint64_t hold = pair.begin();
  const auto by = pair.streams();
  REQUIRE(by->reaches(by->end_of_serving(), std::chrono::steady_clock::now() + seconds(90), Stop()));
  by->freeze(hold);
  const auto names = workflow::bring_back(pair.definition(), to, hold);
  by->prepare_return(hold);
  REQUIRE(pair.commit(hold));
  REQUIRE(holds_within(seconds(90), [&] { return by->is_return_followed(); }));
  REQUIRE(holds_within(seconds(90), [&] { return !has_objects(pair.passive_server()); }));
  CHECK(workflow::enable_events(pair.definition(), to).empty());  // replicate has done so
  return names;
}

std::string with_tick_disabled(std::string text) {
  const std::string word = "tick ENABLED";
  const auto at = text.find(word);
  return at == std::string::npos ? text + ": no " + word : text.replace(at, word.size(), "tick DISABLED");
}

std::string definer_of_tick(const Server& server) { return server.client().scalar("SELECT CONCAT(DEFINER, ' ', TIME_ZONE, ' ', SQL_MODE) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'shop' AND EVENT_NAME = 'tick'"); }

std::string log_words(const Server& server) { return server.client("shop").scalar("SELECT IFNULL(GROUP_CONCAT(words ORDER BY id), '') FROM log"); }

Code code_of(const std::function<void()>& deed) {
  try {
    deed();
  } catch (const Error& error) {
    return error.code();
  }
  return Code::internal_error;
}

}  // namespace

TEST_CASE("triggers and events are on the serving side only, in their order, and run once for each row", "[live_objects]") {
  for (const auto& [from, to] : kPairs) {
    if (std::string(from) == to) continue;
    const Server source(from);
    const Server target(to);
    TwoWay pair(source, target, "shop");
    INFO(source.flavour() << " to " << target.flavour());
    create_shop(source);
    const std::string before = objects(source);
    pair.copy();
    Process process = pair.replicate();
    CHECK(!has_objects(target));
    CHECK(switch_with_objects(pair).size() == 6);
    target.client("shop").execute("INSERT INTO orders VALUES (1, 'x')");
    target.client("shop").execute("DELETE FROM orders WHERE id = 1");
    CHECK(log_words(target) == "a1,b1,c1,Grüße");
    INFO(process.log());
    CHECK(holds_within(seconds(90), [&] { return log_words(source) == "a1,b1,c1,Grüße"; }));
    // What is changed there meanwhile is what comes back there.
    target.client("shop").script("DROP TRIGGER third;\nALTER EVENT rest ENABLE;\n");
    CHECK(switch_with_objects(pair).size() == 6);
    CHECK(objects(source) == before);
    source.client("shop").execute("INSERT INTO orders VALUES (2, 'x')");
    CHECK(holds_within(seconds(90), [&] { return log_words(target) == "a1,b1,c1,Grüße,a2,b2,c2"; }));
    CHECK(switch_with_objects(pair).size() == 5);
    CHECK(objects(target).find("third") == std::string::npos);
    CHECK(objects(target).find("rest ENABLED") != std::string::npos);
    CHECK(process.is_running());
  }
}

TEST_CASE("setting aside and bringing back may be killed anywhere, and end the same", "[live_objects]") {
  for (const auto& [from, to] : kPairs) {
    if (std::string(from) == to) continue;
    const Server source(from);
    const Server target(to);
    TwoWay pair(source, target, "shop");
    INFO(source.flavour() << " to " << target.flavour());
    create_shop(source);
    const std::string before = objects(source);
    const std::string ticks_before = definer_of_tick(source);
    pair.copy();
    // No replicate goes on: what it would do is done by hand here.
    const std::uint64_t hold = pair.begin();
    const auto by = pair.streams();
    {
      Process process = pair.replicate();
      REQUIRE(by->reaches(by->end_of_serving(), std::chrono::steady_clock::now() + seconds(90), Stop()));
    }
    by->freeze(hold);
    for (int i = 0; i < 4; ++i) {  // each ends when one more is created
      const Armed armed("objects.created=error");
      CHECK(code_of([&] { workflow::bring_back(pair.definition(), Side::target, hold); }) == Code::failpoint_hit);
    }
    workflow::bring_back(pair.definition(), Side::target, hold);
    std::string there = objects(target);
    CHECK(there.find("tick DISABLED") != std::string::npos);
    CHECK(workflow::bring_back(pair.definition(), Side::target, hold).empty());
    CHECK(objects(target) == there);
    CHECK(workflow::set_aside(pair.definition(), Side::target).empty());  // a switch is under way
    CHECK(workflow::enable_events(pair.definition(), Side::target).empty());
    by->prepare_return(hold);
    REQUIRE(pair.commit(hold));
    CHECK(code_of([&] { workflow::bring_back(pair.definition(), Side::source, hold); }) == Code::switch_fenced);
    CHECK(workflow::set_aside(pair.definition(), Side::target).empty());  // it serves
    {
      const Armed armed("objects.enabled=error");
      CHECK(code_of([&] { workflow::enable_events(pair.definition(), Side::target); }) == Code::failpoint_hit);
    }
    CHECK(workflow::enable_events(pair.definition(), Side::target).size() == 1);
    CHECK(workflow::enable_events(pair.definition(), Side::target).empty());
    CHECK(with_tick_disabled(objects(target)) == there);
    there = objects(target);
    for (const char* point : {"objects.recorded=error", "objects.dropped=error", "objects.dropped=error@2"}) {
      const Armed armed(point);
      CHECK(code_of([&] { workflow::set_aside(pair.definition(), Side::source); }) == Code::failpoint_hit);
    }
    CHECK(has_objects(source));
    // In the middle of it the next switch comes: what is there and what is not, all of it is as it was.
    const std::uint64_t back = pair.begin();
    const auto by_back = pair.streams();
    const auto frozen = by_back->freeze(back);
    workflow::bring_back(pair.definition(), Side::source, back);
    CHECK(objects(source) == with_tick_disabled(before));
    REQUIRE(pair.abort(back));
    CHECK(workflow::enable_events(pair.definition(), Side::source).empty());  // it does not serve
    CHECK(by_back->unfreeze(frozen));
    CHECK(workflow::set_aside(pair.definition(), Side::source).size() == 6);
    CHECK(!has_objects(source));
    CHECK(objects(target) == there);
    // Undone is not forgotten: what was enabled is so again.
    const std::uint64_t again = pair.begin();
    const auto by_again = pair.streams();
    by_again->freeze(again);
    workflow::bring_back(pair.definition(), Side::source, again);
    by_again->prepare_return(again);
    REQUIRE(pair.commit(again));
    workflow::enable_events(pair.definition(), Side::source);
    CHECK(objects(source) == before);
    CHECK(definer_of_tick(source) == ticks_before);
  }
}

TEST_CASE("an event that is always due runs on the side that serves, and never on the other, not for a moment", "[live_objects]") {
  for (const auto& [from, to] : {std::pair("a", "c"), std::pair("c", "a")}) {
    const Server source(from);
    const Server target(to);
    TwoWay pair(source, target, "shop");
    INFO(source.flavour() << " to " << target.flavour());
    for (const Server* server : {&source, &target}) server->client().execute("SET GLOBAL event_scheduler = ON");
    create_shop(source);
    source.client().execute("CREATE EVENT shop.due ON SCHEDULE EVERY 1 SECOND DO INSERT INTO log (words) VALUES (@@GLOBAL.port)");
    pair.copy();
    Process process = pair.replicate();
    const std::uint64_t hold = pair.begin();
    const auto by = pair.streams();
    REQUIRE(by->reaches(by->end_of_serving(), std::chrono::steady_clock::now() + seconds(90), Stop()));
    const auto frozen = by->freeze(hold);
    workflow::bring_back(pair.definition(), Side::target, hold);
    std::this_thread::sleep_for(seconds(3));
    const std::string of_target = "SELECT COUNT(*) FROM log WHERE words = @@GLOBAL.port";
    CHECK(target.client("shop").scalar(of_target) == "0");
    REQUIRE(pair.abort(hold));
    workflow::set_aside(pair.definition(), Side::target);
    by->unfreeze(frozen);
    REQUIRE(holds_within(seconds(90), [&] { return by->is_followed(); }));
    source.client().execute("ALTER EVENT shop.due DISABLE");  // so that both sides can be compared with nobody fenced
    source.client().execute("ALTER EVENT shop.due ENABLE");
    source.client().execute("SET GLOBAL event_scheduler = OFF");
    switch_with_objects(pair);
    CHECK(holds_within(seconds(30), [&] { return target.client("shop").scalar(of_target) != "0"; }));
    target.client().execute("SET GLOBAL event_scheduler = OFF");
    INFO(process.log());
    CHECK(holds_within(seconds(90), [&] { return log_words(source) == log_words(target); }));
  }
}

TEST_CASE("what was changed on the source after the copy is what the target gets when it first serves", "[live_objects]") {
  for (const auto& [from, to] : kPairs) {
    if (std::string(from) == to) continue;
    const Server source(from);
    const Server target(to);
    TwoWay pair(source, target, "shop");
    INFO(source.flavour() << " to " << target.flavour());
    create_shop(source);
    pair.copy();
    Process process = pair.replicate();
    const auto change = [&](const std::string& letter) {
      source.client("shop").script("DROP TRIGGER second;\nCREATE TRIGGER second AFTER INSERT ON orders FOR EACH ROW INSERT INTO log (words) VALUES (CONCAT('" + letter + "', NEW.id));\n");
    };
    change("x");
    source.client("shop").script("DROP TRIGGER third;\nDROP EVENT rest;\nCREATE TRIGGER added AFTER DELETE ON log FOR EACH ROW SET @added = 1;\n");
    auto names = workflow::to_bring_back(pair.definition(), Side::target);
    std::sort(names.begin(), names.end());
    CHECK(names == std::vector<std::string>{"event `shop`.`tick`", "trigger `shop`.`added`", "trigger `shop`.`first`", "trigger `shop`.`quoted`", "trigger `shop`.`second`"});
    CHECK(!has_objects(target));
    // Once more after a switch that was undone.
    const std::uint64_t hold = pair.begin();
    const auto by = pair.streams();
    REQUIRE(by->reaches(by->end_of_serving(), std::chrono::steady_clock::now() + seconds(90), Stop()));
    const auto frozen = by->freeze(hold);
    CHECK(workflow::bring_back(pair.definition(), Side::target, hold).size() == 5);
    REQUIRE(pair.abort(hold));
    CHECK(workflow::set_aside(pair.definition(), Side::target).size() == 5);
    by->unfreeze(frozen);
    REQUIRE(holds_within(seconds(90), [&] { return by->is_followed(); }));
    change("y");
    switch_with_objects(pair);
    CHECK(objects(target).find("tick ENABLED 2030-01-01 00:00:00") != std::string::npos);
    target.client("shop").execute("INSERT INTO orders VALUES (1, 'x')");
    CHECK(log_words(target) == "a1,y1");
    // From now on each side has its own.
    target.client("shop").execute("DROP TRIGGER added");
    switch_with_objects(pair);
    CHECK(objects(source).find("added") != std::string::npos);
    change("z");
    switch_with_objects(pair);
    target.client("shop").execute("INSERT INTO orders VALUES (2, 'x')");
    CHECK(log_words(target) == "a1,y1,a2,y2");
    CHECK(objects(target).find("added") == std::string::npos);
  }
}

TEST_CASE("a definer that the other side lacks is named before anything is changed", "[live_objects]") {
  for (const auto& [from, to] : {std::pair("a", "c"), std::pair("c", "a")}) {
    const Server source(from);
    const Server target(to);
    TwoWay pair(source, target, "shop");
    create_shop(source);
    Client client = source.client();
    client.execute("DROP USER IF EXISTS 'only here'@'10.%'");
    client.execute("CREATE USER 'only here'@'10.%' IDENTIFIED BY 'godwit'");
    client.execute("CREATE DEFINER = 'only here'@'10.%' TRIGGER shop.defined BEFORE UPDATE ON shop.orders FOR EACH ROW SET NEW.what = 'x'");
    pair.copy();
    const auto missing = workflow::missing_definers(pair.definition(), Side::target);
    REQUIRE(missing.size() == 1);
    CHECK(missing[0].account == "`only here`@`10.%`");
    CHECK(missing[0].object == "trigger `shop`.`defined`");
    CHECK(!has_objects(target));
    client.execute("DROP USER 'only here'@'10.%'");
  }
}

TEST_CASE("no value is handed out again: not one that was rolled back, deleted, or that a client has not used", "[live_objects]") {
  for (const auto& [from, to] : kPairs) {
    if (std::string(from) == to) continue;
    const Server source(from);
    const Server target(to);
    TwoWay pair(source, target, "shop");
    INFO(source.flavour() << " to " << target.flavour());
    source.client().script(
        "CREATE DATABASE shop;\nCREATE TABLE shop.plain (id INT AUTO_INCREMENT PRIMARY KEY, v INT);\nCREATE TABLE shop.tiny (id TINYINT AUTO_INCREMENT PRIMARY KEY);\n"
        "CREATE TABLE shop.none (id INT PRIMARY KEY);\nINSERT INTO shop.plain (v) VALUES (1), (2);\nINSERT INTO shop.tiny VALUES (100);\n");
    pair.copy();
    REQUIRE(pair.migration.run("replicate", {"--until-current"}).status == 0);
    Client client = source.client("shop");
    client.execute("BEGIN");
    client.execute("INSERT INTO plain (v) VALUES (3), (4), (5)");
    client.execute("ROLLBACK");
    client.execute("INSERT INTO plain (v) VALUES (6)");
    client.execute("DELETE FROM plain WHERE v = 6");
    client.execute("BEGIN");
    client.execute("INSERT INTO plain (v) VALUES (7)");
    const auto seen = std::stoull(client.scalar("SELECT LAST_INSERT_ID()"));
    client.execute("ROLLBACK");
    CHECK(seen == 7);
    REQUIRE(pair.migration.run("replicate", {"--until-current"}).status == 0);

    CHECK(workflow::raise_auto_increment(pair.definition(), Side::target, 0).tables == 1);  // tiny's row came by itself
    CHECK(workflow::raise_auto_increment(pair.definition(), Side::target, 0).tables == 0);
    target.client("shop").execute("INSERT INTO plain (v) VALUES (8)");
    CHECK(target.client("shop").scalar("SELECT id FROM plain WHERE v = 8") == std::to_string(seen + 1));

    const auto ahead = workflow::raise_auto_increment(pair.definition(), Side::target, 1000);
    CHECK(ahead.tables == 1);  // tiny has too little left for a margin
    CHECK(workflow::raise_auto_increment(pair.definition(), Side::target, 1000).tables == 0);
    for (int i = 0; i < 400; ++i) client.execute("INSERT INTO plain (v) VALUES (9)");
    CHECK(workflow::raise_auto_increment(pair.definition(), Side::target, 0).tables == 0);
    target.client("shop").execute("INSERT INTO plain (v) VALUES (10)");
    CHECK(std::stoull(target.client("shop").scalar("SELECT id FROM plain WHERE v = 10")) >= seen + 1000);
    target.client("shop").execute("INSERT INTO tiny VALUES ()");
    CHECK(target.client("shop").scalar("SELECT MAX(id) FROM tiny") == "101");
  }
}

TEST_CASE("a table that somebody has open is not waited for longer than a moment", "[live_objects]") {
  const Server source("a");
  const Server target("c");
  TwoWay pair(source, target, "shop");
  source.client().script("CREATE DATABASE shop;\nCREATE TABLE shop.plain (id INT AUTO_INCREMENT PRIMARY KEY, v INT);\nINSERT INTO shop.plain (v) VALUES (1);\n");
  pair.copy();
  Client holder = target.client("shop");
  holder.execute("BEGIN");
  holder.query("SELECT * FROM plain");
  CHECK(code_of([&] { workflow::raise_auto_increment(pair.definition(), Side::target, 100); }) == Code::lock_contention);
  holder.execute("ROLLBACK");
  CHECK(workflow::raise_auto_increment(pair.definition(), Side::target, 100).tables == 1);
}

TEST_CASE("sequences go on beyond what was cached, whichever way they count", "[live_objects]") {
  const Server source("a");
  const Server target("b");
  TwoWay pair(source, target, "shop");
  const std::string sequences = "CREATE SEQUENCE shop.up CACHE 10;\nCREATE SEQUENCE shop.down START WITH -1 INCREMENT BY -2 MINVALUE -1000 MAXVALUE -1 CACHE 5;\n";
  source.client().script("CREATE DATABASE shop;\nCREATE TABLE shop.t (id INT PRIMARY KEY);\n" + sequences + "CREATE SEQUENCE shop.alone;\n");
  pair.copy();
  target.client().script(sequences);
  Client client = source.client("shop");
  for (int i = 0; i < 13; ++i) client.query("SELECT NEXTVAL(up), NEXTVAL(down)");
  const auto raised = workflow::raise_auto_increment(pair.definition(), Side::target, 0);
  CHECK(raised.sequences == 2);
  CHECK(raised.missing == std::vector<std::string>{"`shop`.`alone`"});
  CHECK(workflow::raise_auto_increment(pair.definition(), Side::target, 0).sequences == 0);
  Client there = target.client("shop");
  CHECK(std::stol(there.scalar("SELECT NEXTVAL(up)")) > std::stol(client.scalar("SELECT LASTVAL(up)")));
  CHECK(std::stol(there.scalar("SELECT NEXTVAL(down)")) < std::stol(client.scalar("SELECT LASTVAL(down)")));
  CHECK(workflow::raise_auto_increment(pair.definition(), Side::target, 1000).sequences == 2);
  CHECK(std::stol(there.scalar("SELECT NEXTVAL(up)")) >= 1021);
}
