// servers: a=mariadb-10.11 b=mariadb-10.11
// alone: it measures
// Many busy clients of `godwit proxy` that are moved back and forth.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <memory>
#include <mutex>
#include <thread>

#include "catch.h"
#include "live/support/gate_stage.h"

using namespace godwit::test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;
using Stage = GateStage;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kClients = 64;
constexpr int kStatements = 5;
constexpr int kMoves = 20;

struct Tally {
  std::mutex mutex;
  Strings errors;
  std::vector<double> gaps_ms;
  std::uint64_t statements = 0;
};

// Both sides give the same answers, and each row that is written is this client's own.
class BusyClient {
 public:
  BusyClient(const AppClient::Options& options, int number, Tally& tally, const std::atomic<bool>& is_ending)
      : number_(number), tally_(tally), is_ending_(is_ending), thread_([this, options] { run(options); }) {}
  ~BusyClient() { thread_.join(); }

 private:
  void run(const AppClient::Options& options) {
    try {
      AppClient client(options);
      client.run({"SET @me = " + std::to_string(number_), "SET SESSION sql_select_limit = 500"});
      const Strings texts{"SELECT v FROM t WHERE id = ?", "SELECT word FROM words WHERE id = ?", "SELECT t.v + CHAR_LENGTH(w.word) FROM t JOIN words w USING (id) WHERE id = ?",
                          "INSERT INTO log (client, n) VALUES (?, ?)", "SELECT COUNT(*) FROM log WHERE client = ? AND n = ?"};
      std::vector<std::unique_ptr<AppStatement>> statements;
      for (const auto& text : texts) statements.push_back(std::make_unique<AppStatement>(client, text));
      last_ = Clock::now();
      for (int turn = 0; !is_ending_; ++turn) work(client, statements, turn);
    } catch (const std::exception& error) {
      note(error.what());
    }
    const std::lock_guard lock(tally_.mutex);
    tally_.gaps_ms.push_back(longest_gap_ms_);
    tally_.statements += answered_;
  }

  void work(AppClient& client, std::vector<std::unique_ptr<AppStatement>>& statements, int turn) {
    const int id = (number_ * 131 + turn * 17) % 1000 + 1;
    const std::string key = std::to_string(id);
    const std::string word = "word " + key;
    wants(statements[0]->execute({key}), std::to_string(id * 3));
    wants(statements[1]->execute({key}), word);
    if (turn % 3 == 0) transact(client, statements, turn);
    wants(statements[2]->execute({key}), std::to_string(id * 3 + static_cast<int>(word.size())));
    wants(client.rows("SELECT CONCAT(@me, ' ', @@sql_select_limit)"), std::to_string(number_) + " 500");
    if (turn % 16 == number_ % 16) std::this_thread::sleep_for(milliseconds(turn % 7));
  }

  void transact(AppClient& client, std::vector<std::unique_ptr<AppStatement>>& statements, int turn) {
    const std::string me = std::to_string(number_);
    const std::string n = std::to_string(turn);
    client.run({"BEGIN"});
    statements[3]->execute({me, n});
    answered();
    const auto id = client.scalar("SELECT LAST_INSERT_ID()");
    wants(client.rows("SELECT CONCAT(client, ' ', n) FROM log WHERE id = " + id), me + " " + n);
    wants(statements[4]->execute({me, n}), "1");
    client.run({turn % 6 == 0 ? "ROLLBACK" : "COMMIT"});
    answered();
  }

  void wants(const std::vector<Cells>& rows, const std::string& value) {
    answered();
    if (rows.size() != 1 || rows[0][0] != value) note("wanted " + value + ", got " + to_string(rows));
  }

  void answered() {
    const auto now = Clock::now();
    longest_gap_ms_ = std::max(longest_gap_ms_, std::chrono::duration<double, std::milli>(now - last_).count());
    last_ = now;
    ++answered_;
  }

  void note(const std::string& error) {
    const std::lock_guard lock(tally_.mutex);
    if (tally_.errors.size() < 20) tally_.errors.push_back("client " + std::to_string(number_) + ": " + error);
  }

  int number_;
  Tally& tally_;
  const std::atomic<bool>& is_ending_;
  Clock::time_point last_;
  double longest_gap_ms_ = 0;
  std::uint64_t answered_ = 0;
  std::thread thread_;
};

}  // namespace

TEST_CASE("proxy_busy: 64 busy clients are moved back and forth 20 times, and get no error and no wrong answer", "[proxy_busy]") {
  Stage stage({"--drain-timeout", "20s"});
  Tally tally;
  std::atomic<bool> is_ending{false};
  std::vector<double> holds_ms;
  {
    std::vector<std::unique_ptr<BusyClient>> clients;
    for (int i = 0; i < kClients; ++i) clients.push_back(std::make_unique<BusyClient>(stage.proxy->app(Stage::kSchema), i, tally, is_ending));
    CHECK(holds_within(seconds(30), [&] { return stage.proxy->stat("sessions") == kClients; }));
    for (int i = 0; i < kMoves; ++i) {
      std::this_thread::sleep_for(milliseconds(150));
      const std::string side = i % 2 == 0 ? "target" : "source";
      CHECK(stage.proxy->command("WARM TO " + side).is_ok());
      CHECK_NOTHROW(stage.proxy->switch_to(side));
      holds_ms.push_back(static_cast<double>(stage.proxy->stat("hold_us_last")) / 1000);
    }
    std::this_thread::sleep_for(milliseconds(150));
    is_ending = true;
  }
  for (const auto& error : tally.errors) FAIL_CHECK(error);
  REQUIRE(tally.gaps_ms.size() == kClients);
  std::sort(tally.gaps_ms.begin(), tally.gaps_ms.end());
  std::sort(holds_ms.begin(), holds_ms.end());
  std::cout << "proxy_busy: " << kClients << " clients × " << kStatements << " prepared statements, " << kMoves << " moves, " << tally.statements << " statements answered; longest gap of a client: median "
            << tally.gaps_ms[kClients / 2] << " ms, most " << tally.gaps_ms.back() << " ms; gate closed: median " << holds_ms[kMoves / 2] << " ms, most " << holds_ms.back() << " ms\n";
  CHECK(tally.statements > 2000);
  // Each insert that was committed is on exactly one side, and none that was rolled back on any.
  std::uint64_t rows = 0;
  for (const Server* server : {&stage.source, &stage.target}) {
    Client there = server->client(Stage::kSchema);
    rows += std::stoull(there.scalar("SELECT COUNT(*) FROM log"));
    CHECK(there.scalar("SELECT COUNT(*) FROM log WHERE n % 6 = 0") == "0");
    CHECK(there.scalar("SELECT COUNT(*) FROM (SELECT client, n FROM log GROUP BY client, n HAVING COUNT(*) > 1) twice") == "0");
  }
  CHECK(rows > 100);
}
