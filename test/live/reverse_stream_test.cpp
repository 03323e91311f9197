// servers: a=mariadb-10.11 b=mariadb-10.11 c=mysql-9.7
// `godwit replicate` in both directions: it follows the authority from one to the other and back, whoever is killed in between, and every write of the side
// that serves is on the other exactly once. The switch itself is done by hand: its parts are what is tested. A writer keeps a ledger busy on whichever side
// serves; the ledgers are compared by the servers' own rendering.
#include <signal.h>

#include <functional>
#include <future>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "godwit/util/error.h"
#include "live/support/armed.h"
#include "live/support/ledger.h"
#include "live/support/two_way.h"
#include "live/support/waiting.h"

using namespace godwit;
using namespace godwit::test;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using workflow::Direction;

namespace {

// A copied ledger, with a row that counts what the test itself has written.
class Stage {
 public:
  Stage(const std::string& source_name, const std::string& target_name) : source(source_name), target(target_name), pair(source, target, kLedger) {
    Client client = source.client();
    create_ledger(client);
    client.script("CREATE TABLE ledger.counted (id INT NOT NULL PRIMARY KEY, n INT NOT NULL);\nINSERT INTO ledger.counted VALUES (1, 0);\n");
    pair.copy({"--allow-no-key"});
  }

  // For as long as the ledger's writer and the test's own statements keep the serving side busy.
  void be_busy() {
    writer = std::make_unique<LedgerWriter>(pair.serving_server(), LedgerOptions{});
    Client client = pair.serving_server().client(kLedger);
    for (int i = 0; i < 40; ++i) {
      client.execute("UPDATE counted SET n = n + 1 WHERE id = 1");
      client.execute("INSERT INTO counted VALUES (" + std::to_string(1000 + counted) + ", 0)");
      ++counted;
      std::this_thread::sleep_for(milliseconds(5));
    }
    writer.reset();
  }
  // With nobody writing: the passive side comes to hold what the serving side has, and neither has it twice.
  std::string fault(int limit_s = 90) {
    const std::string different = ledger_difference(source, target, limit_s);
    if (!different.empty()) return different;
    for (const Server* server : {&source, &target}) {
      const std::string n = server->client(kLedger).scalar("SELECT CONCAT((SELECT n FROM counted WHERE id = 1), ' ', (SELECT COUNT(*) FROM counted))");
      if (n != std::to_string(counted) + " " + std::to_string(counted + 1)) return "counted: " + n + ", written: " + std::to_string(counted);
    }
    return "";
  }

  Server source;
  Server target;
  TwoWay pair;
  std::unique_ptr<LedgerWriter> writer;
  int counted = 0;
};

Code code_of(const std::function<void()>& deed) {
  try {
    deed();
  } catch (const Error& error) {
    return error.code();
  }
  return Code::internal_error;
}

void end(Process& process) {
  process.signal(SIGTERM);
  const Outcome outcome = process.wait();
  INFO(outcome.err);
  CHECK(outcome.status == 130);
}

bool follows(Stage& stage, Direction direction) {
  return holds_within(seconds(90), [&] { return stage.pair.stream_state(direction) == "running" && stage.pair.streams()->is_followed(); });
}

}  // namespace

TEST_CASE("one replicate follows the authority to the other side and back, three times, and every write is on both sides once", "[reverse_stream]") {
  for (const auto& [from, to] : {std::pair("a", "b"), std::pair("a", "c"), std::pair("c", "a")}) {
    Stage stage(from, to);
    INFO(stage.source.flavour() << " to " << stage.target.flavour());
    Process process = stage.pair.replicate();
    for (int i = 0; i < 3; ++i) {
      for (const auto serving : {db::Side::source, db::Side::target}) {
        REQUIRE(stage.pair.serving() == serving);
        REQUIRE(follows(stage, stage.pair.running()));
        stage.be_busy();
        REQUIRE(stage.pair.switch_over() == "");
      }
    }
    stage.be_busy();
    INFO(process.log());
    CHECK(stage.fault() == "");
    CHECK(process.is_running());
    end(process);
  }
}

TEST_CASE("writes begin on the new side at once, while the way back is still being taken", "[reverse_stream]") {
  Stage stage("a", "c");
  Process process = stage.pair.replicate({"--no-heartbeat"});
  for (int i = 0; i < 4; ++i) {
    stage.be_busy();
    REQUIRE(stage.pair.switch_over() == "");
    stage.be_busy();  // without a wait for replicate
    INFO(process.log());
    CHECK(stage.fault() == "");
  }
  end(process);
}

TEST_CASE("replicate is killed before, in and after a switch: the next one goes on in the direction that the authority says", "[reverse_stream]") {
  for (const auto& [from, to] : {std::pair("a", "c"), std::pair("c", "a")}) {
    Stage stage(from, to);
    INFO(stage.source.flavour() << " to " << stage.target.flavour());
    for (int i = 0; i < 2; ++i) {
      auto process = std::unique_ptr<Process>(new Process(stage.pair.replicate()));
      stage.be_busy();
      process.reset();  // kill -9, with changes still to come
      process = std::unique_ptr<Process>(new Process(stage.pair.replicate()));
      const auto before = stage.pair.running();
      const std::uint64_t hold = stage.pair.begin();
      const auto by = stage.pair.streams();
      const bool is_reached = by->reaches(by->end_of_serving(), std::chrono::steady_clock::now() + seconds(90), Stop());
      INFO(process->log());
      REQUIRE(is_reached);
      by->freeze(hold);
      process.reset();
      // Started in the middle of a switch: it waits, and claims nothing.
      process = std::unique_ptr<Process>(new Process(stage.pair.replicate()));
      CHECK(has_logged(*process, "a switch has frozen", seconds(90)));
      CHECK(stage.pair.stream_state(before) == "frozen");
      by->prepare_return(hold);
      REQUIRE(stage.pair.commit(hold));
      CHECK(holds_within(seconds(90), [&] { return by->is_return_followed(); }));
      stage.be_busy();
      process.reset();
      stage.be_busy();  // with no replicate at all
      process = std::unique_ptr<Process>(new Process(stage.pair.replicate()));
      INFO(process->log());
      CHECK(stage.fault() == "");
      end(*process);
    }
  }
}

TEST_CASE("a stream that is frozen and let go goes on by the same replicate; each step of a killed switch can be repeated", "[reverse_stream]") {
  Stage stage("a", "c");
  Process process = stage.pair.replicate({"--no-heartbeat"});
  REQUIRE(follows(stage, Direction::forward));
  stage.be_busy();
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t hold = stage.pair.begin();
    const auto by = stage.pair.streams();
    REQUIRE(by->reaches(by->end_of_serving(), std::chrono::steady_clock::now() + seconds(90), Stop()));
    const auto first = by->freeze(hold);
    const auto second = by->freeze(hold);  // another coordinator does the same again
    CHECK(second > first);
    const auto begin = by->prepare_return(hold);
    CHECK(by->prepare_return(hold).text == begin.text);
    if (i > 0) std::this_thread::sleep_for(milliseconds(300));  // once it is over before anybody has noticed
    REQUIRE(stage.pair.abort(hold));
    CHECK(!stage.pair.commit(hold));
    CHECK(!by->unfreeze(first));
    by->unfreeze(second);  // if replicate has not let go of it yet
    CHECK(stage.pair.stream_state(Direction::forward) != "frozen");
    CHECK(!by->unfreeze(second));
    CHECK(!by->let_go());
    stage.be_busy();
    INFO(process.log());
    CHECK(stage.fault() == "");
    CHECK(stage.pair.stream_state(Direction::reverse) == "copied");
  }
  CHECK(process.is_running());
  end(process);
}

TEST_CASE("a coordinator that was asleep cannot let go of a stream that the next switch has frozen", "[reverse_stream]") {
  Stage stage("a", "c");
  Process process = stage.pair.replicate();
  const std::uint64_t hold = stage.pair.begin();
  const auto by = stage.pair.streams();
  const auto first = by->freeze(hold);
  const auto second = by->freeze(hold);
  CHECK(!by->unfreeze(first));
  CHECK(!by->let_go());  // a switch is under way
  CHECK(stage.pair.stream_state(Direction::forward) == "frozen");
  REQUIRE(stage.pair.abort(hold));
  const std::uint64_t next = stage.pair.begin();
  stage.pair.streams()->freeze(next);
  CHECK(!by->unfreeze(second));
  CHECK(!by->let_go());
  CHECK(stage.pair.stream_state(Direction::forward) == "frozen");
  REQUIRE(stage.pair.abort(next));
  CHECK(follows(stage, Direction::forward));  // replicate lets go of it
  end(process);
}

TEST_CASE("a coordinator that was asleep changes no stream's row once its hold is over", "[reverse_stream]") {
  for (const auto& [from, to] : {std::pair("a", "c"), std::pair("c", "a")}) {
    Stage stage(from, to);
    INFO(stage.source.flavour() << " to " << stage.target.flavour());
    Process process = stage.pair.replicate({"--no-heartbeat"});
    REQUIRE(follows(stage, Direction::forward));
    const std::uint64_t hold = stage.pair.begin();
    const auto asleep = stage.pair.streams();
    REQUIRE(asleep->reaches(asleep->end_of_serving(), std::chrono::steady_clock::now() + seconds(90), Stop()));
    asleep->freeze(hold);
    const auto early = asleep->prepare_return(hold);
    REQUIRE(stage.pair.abort(hold));
    CHECK(code_of([&] { asleep->freeze(hold); }) == Code::switch_fenced);
    CHECK(code_of([&] { asleep->prepare_return(hold); }) == Code::switch_fenced);
    REQUIRE(follows(stage, Direction::forward));
    stage.be_busy();

    const std::uint64_t next = stage.pair.begin();
    const auto by = stage.pair.streams();
    CHECK(code_of([&] { asleep->freeze(hold); }) == Code::switch_fenced);
    CHECK(stage.pair.stream_state(Direction::forward) == "running");
    REQUIRE(by->reaches(by->end_of_serving(), std::chrono::steady_clock::now() + seconds(90), Stop()));
    by->freeze(next);
    const auto late = by->prepare_return(next);
    CHECK(late.text != early.text);
    CHECK(code_of([&] { asleep->prepare_return(hold); }) == Code::switch_fenced);
    REQUIRE(stage.pair.commit(next));
    CHECK(code_of([&] { asleep->prepare_return(hold); }) == Code::switch_fenced);
    stage.be_busy();
    CHECK(code_of([&] { asleep->prepare_return(hold); }) == Code::switch_fenced);
    CHECK(code_of([&] { asleep->freeze(hold); }) == Code::switch_fenced);
    INFO(process.log());
    CHECK(stage.fault() == "");
    CHECK(process.is_running());
    end(process);
  }
}

TEST_CASE("a coordinator falls asleep with the row's lock, its authority read; the next switch waits for the lock, and its position is the one that stays", "[reverse_stream]") {
  Stage stage("a", "c");
  Process process = stage.pair.replicate({"--no-heartbeat"});
  REQUIRE(follows(stage, Direction::forward));
  const std::uint64_t hold = stage.pair.begin();
  const auto asleep = stage.pair.streams();
  REQUIRE(asleep->reaches(asleep->end_of_serving(), std::chrono::steady_clock::now() + seconds(90), Stop()));
  asleep->freeze(hold);
  std::future<gtid::Position> early;
  {
    const Armed armed("stream.row_locked=sleep:5000");
    early = std::async(std::launch::async, [&] { return asleep->prepare_return(hold); });
    std::this_thread::sleep_for(milliseconds(300));
  }
  REQUIRE(stage.pair.abort(hold));
  const std::uint64_t next = stage.pair.begin();
  const auto by = stage.pair.streams();
  by->freeze(next);  // the end of this side's binlog is another now
  CHECK(early.wait_for(milliseconds(0)) == std::future_status::timeout);
  const auto late = by->prepare_return(next);
  CHECK(early.wait_for(milliseconds(200)) == std::future_status::ready);
  CHECK(early.get().text != late.text);
  REQUIRE(stage.pair.commit(next));
  const bool is_followed = holds_within(seconds(90), [&] { return by->is_return_followed(); });
  INFO(process.log());
  REQUIRE(is_followed);
  stage.be_busy();
  CHECK(stage.fault() == "");
  end(process);
}

TEST_CASE("a stop ends a replicate that waits for a switch, and one that another took the reverse stream from says so", "[reverse_stream]") {
  Stage stage("a", "c");
  Process first = stage.pair.replicate();
  REQUIRE(follows(stage, Direction::forward));
  const std::uint64_t hold = stage.pair.begin();
  const auto by = stage.pair.streams();
  REQUIRE(by->reaches(by->end_of_serving(), std::chrono::steady_clock::now() + seconds(90), Stop()));
  by->freeze(hold);
  Process waiting = stage.pair.replicate();
  CHECK(has_logged(waiting, "a switch has frozen", seconds(90)));
  CHECK(has_logged(first, "a switch has frozen", seconds(90)));
  end(waiting);
  by->prepare_return(hold);
  REQUIRE(stage.pair.commit(hold));
  REQUIRE(holds_within(seconds(90), [&] { return by->is_return_followed(); }));
  Process second = stage.pair.replicate();
  const Outcome ended = first.wait(seconds(30));
  INFO(ended.err);
  CHECK(ended.status == 3);
  CHECK(ended.err.find("GW0406") != std::string::npos);
  stage.be_busy();
  CHECK(stage.fault() == "");
  end(second);
  // To where the side that serves is now: the target's binlog.
  stage.be_busy();
  const Outcome current = stage.pair.replicate({"--until-current"}).wait();
  INFO(current.err);
  CHECK(current.status == 0);
  CHECK(stage.fault(0) == "");
}

TEST_CASE("while the target serves: vdiff compares with it and repairs the source, status says the direction, a copy is refused", "[reverse_stream]") {
  for (const auto& [from, to] : {std::pair("a", "c"), std::pair("c", "a")}) {
    Stage stage(from, to);
    INFO(stage.source.flavour() << " to " << stage.target.flavour());
    Process process = stage.pair.replicate();
    REQUIRE(stage.pair.switch_over() == "");
    stage.be_busy();
    REQUIRE(follows(stage, Direction::reverse));
    stage.writer = std::make_unique<LedgerWriter>(stage.pair.serving_server(), LedgerOptions{});
    const Outcome equal = stage.pair.migration.run("vdiff", {"--json"});
    INFO(equal.out << equal.err);
    CHECK(equal.status == 0);
    stage.writer.reset();
    REQUIRE(stage.fault() == "");

    stage.source.client(kLedger).execute("DELETE FROM counted WHERE id = 1003");
    stage.source.client(kLedger).execute("UPDATE counted SET n = 77 WHERE id = 1004");
    const Outcome different = stage.pair.migration.run("vdiff", {"--json", "--tables", "counted"});
    INFO(different.out << different.err);
    CHECK(different.status == 4);
    const json table = json::parse(different.out)["tables"][0];
    CHECK(table["source"] == "`ledger`.`counted`");
    CHECK(table["extra"] == 1);  // on the target, which serves
    CHECK(table["different"] == 1);
    CHECK(table["missing"] == 0);
    const Outcome repaired = stage.pair.migration.run("vdiff", {"--repair", "--restart", "--tables", "counted"});
    INFO(repaired.out << repaired.err);
    CHECK(repaired.status == 0);
    CHECK(stage.fault() == "");

    CHECK(holds_within(seconds(5), [&] {
      const json status = json::parse(stage.pair.migration.run_plain({"status", "--json", "--state", stage.pair.migration.state}).out);
      return status["workflows"][0]["replicate"].value("direction", "") == "reverse";
    }));
    const Outcome copied = stage.pair.migration.run("copy", {"--allow-no-key"});
    INFO(copied.err);
    CHECK(copied.status == 3);
    CHECK(copied.err.find("GW1102") != std::string::npos);
    end(process);
  }
}

TEST_CASE("names that were mapped are mapped back, and rows that foreign keys change are changed once", "[reverse_stream]") {
  for (const auto& [from, to] : {std::pair("a", "c"), std::pair("c", "a"), std::pair("a", "b")}) {
    const Server source(from);
    const Server target(to);
    TwoWay pair(source, target, "shop", "store");
    INFO(source.flavour() << " to " << target.flavour());
    pair.map = {"shop.orders=store.purchases"};
    source.client().script(
        "CREATE DATABASE shop;\nCREATE TABLE shop.orders (id INT PRIMARY KEY, what VARCHAR(20));\n"
        "CREATE TABLE shop.line (id INT PRIMARY KEY, orders INT NOT NULL, n INT NOT NULL, FOREIGN KEY (orders) REFERENCES orders (id) ON DELETE CASCADE ON UPDATE CASCADE);\n"
        "INSERT INTO shop.orders VALUES (1, 'a'), (2, 'b'), (3, 'c');\nINSERT INTO shop.line VALUES (1, 1, 1), (2, 1, 2), (3, 2, 3), (4, 3, 4);\n");
    pair.copy();
    target.client().execute("CREATE TABLE store.of_somebody_else (id INT PRIMARY KEY)");
    Process process = pair.replicate();
    REQUIRE(pair.switch_over() == "");
    target.client("store").script("DELETE FROM purchases WHERE id = 1;\nUPDATE purchases SET id = 20 WHERE id = 2;\nINSERT INTO purchases VALUES (5, 'e');\nINSERT INTO of_somebody_else VALUES (1);\n");
    const auto lines = [](const Server& server, const std::string& schema, const std::string& orders) {
      return server.client(schema).scalar("SELECT GROUP_CONCAT(id, ':', orders, ':', n ORDER BY id) FROM line") + " " + server.client(schema).scalar("SELECT GROUP_CONCAT(id ORDER BY id) FROM " + orders);
    };
    INFO(process.log());
    CHECK(holds_within(seconds(90), [&] { return lines(source, "shop", "orders") == "3:20:3,4:3:4 3,5,20"; }));
    REQUIRE(pair.switch_over() == "");
    source.client("shop").execute("DELETE FROM orders WHERE id = 20");
    CHECK(holds_within(seconds(90), [&] { return lines(target, "store", "purchases") == "4:3:4 3,5"; }));
    end(process);
  }
}
