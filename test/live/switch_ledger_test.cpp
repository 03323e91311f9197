// servers: a=mariadb-10.11 b=mysql-9.7
// alone: it measures
// The instrument that the tests of a switch read: clients that keep books, and what is compared with them. Both sides of the proxy are one server here, so that
// every move is right; then things are broken by hand, one by one, and each must be named.
#include <functional>
#include <iostream>
#include <thread>

#include "catch.h"
#include "live/support/ledger_judge.h"
#include "live/support/proxy.h"
#include "live/support/switch_stage.h"
#include "live/support/waiting.h"

using namespace godwit::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// A trade on one server, its clients behind a proxy that calls the server source and target.
struct Room {
  Server server;
  std::unique_ptr<Proxy> proxy;
  std::unique_ptr<SwitchLedger> ledger;

  explicit Room(const std::string& name, unsigned clients = 64) : server(name) {
    reset_server(server);
    Client client = server.client();
    create_trade(client, clients);
    proxy = std::make_unique<Proxy>(server, server, Proxy::Setup{.schema = kTrade});
    ledger = std::make_unique<SwitchLedger>(SwitchLedger::Options{.ports = {proxy->port()}, .clients = clients});
    ledger->await_busy();
  }
  std::string verdict(const std::vector<const Bypass*>& bypasses = {}) const {
    Client client = server.client();
    return judge({.ledger = ledger.get(), .bypasses = bypasses}, client);
  }
};

}  // namespace

TEST_CASE("switch_ledger: 64 clients are moved 20 times, and their books are right", "[switch_ledger]") {
  for (const char* name : {"a", "b"}) {
    Room room(name);
    Bypass bypass(room.server, 1);
    room.ledger->take_waits_ms();
    std::vector<double> waits;
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(milliseconds(100));
      const std::string side = i % 2 == 0 ? "target" : "source";
      CHECK(room.proxy->command("WARM TO " + side).is_ok());
      CHECK_NOTHROW(room.proxy->switch_to(side));
      std::this_thread::sleep_for(milliseconds(100));
      for (const double wait : room.ledger->take_waits_ms()) waits.push_back(wait);
    }
    room.ledger->pause();
    bypass.stop();
    CHECK(room.ledger->complaints() == "");
    CHECK(room.verdict({&bypass}) == "");
    const auto seen = pauses(waits, room.ledger->usual_ms());
    std::cout << "switch_ledger: " << room.server.flavour() << ", " << room.ledger->statements() << " statements, " << room.ledger->acknowledged() << " writes acknowledged; usual answer " << room.ledger->usual_ms()
              << " ms; pause, of " << waits.size() << ": median " << seen.median_ms << " ms, longest " << seen.longest_ms << " ms\n";
    CHECK(room.ledger->acknowledged() > 500);
    CHECK(bypass.acknowledged() > 100);
    CHECK(waits.size() > 500);
  }
}

TEST_CASE("switch_ledger: whatever is lost, doubled, torn or made up is named", "[switch_ledger]") {
  Room room("a", 8);
  Bypass bypass(room.server, 1);
  CHECK(holds_within(seconds(20), [&] { return room.ledger->acknowledged() > 400; }));
  room.ledger->pause();
  bypass.stop();
  REQUIRE(room.verdict({&bypass}) == "");
  struct Damage {
    std::string words;
    std::vector<std::string> sql;
  };
  const std::vector<Damage> damages{
      {"acknowledged order of client", {"SET foreign_key_checks = 0", "DELETE FROM trade.orders LIMIT 1"}},
      {"acknowledged order of client", {"INSERT INTO trade.orders (client, turn, words) SELECT client, turn, words FROM trade.orders LIMIT 1"}},
      {"which nobody sent", {"INSERT INTO trade.orders (client, turn, words) VALUES (1, 999999, 'never')"}},
      {"does not have its lines", {"DELETE FROM trade.order_lines LIMIT 1"}},
      {"does not have its lines", {"UPDATE trade.order_lines SET amount = amount + 1 LIMIT 1"}},
      {"half a transaction", {"DELETE FROM trade.transfers LIMIT 1"}},
      {"must have", {"UPDATE trade.accounts SET balance = balance + 1 WHERE id = 3"}},
      {"the clock of client 2", {"UPDATE trade.clocks SET n = n - 1 WHERE client = 2"}},
      {"acknowledged note of client", {"DELETE FROM trade.notes ORDER BY id DESC LIMIT 1"}},
      {"was told", {"UPDATE trade.notes SET id = id + 1000000 ORDER BY id DESC LIMIT 1"}},
      {"acknowledged direct write", {"DELETE FROM trade.bypass LIMIT 1"}},
      {"direct write", {"INSERT INTO trade.bypass (writer, turn) VALUES (1, 999999)"}},
  };
  for (const auto& damage : damages) {
    INFO(damage.sql.back());
    // In a transaction of its own, which the judge reads in and which is then forgotten.
    Client client = room.server.client();
    client.execute("BEGIN");
    for (const auto& sql : damage.sql) client.execute(sql);
    CHECK_THAT(judge({.ledger = room.ledger.get(), .bypasses = {&bypass}}, client), Catch::Contains(damage.words));
    client.execute("ROLLBACK");
  }
  CHECK(room.verdict({&bypass}) == "");
}

TEST_CASE("switch_ledger: a key that is handed out twice, an answer from the past and an error are written down", "[switch_ledger]") {
  Room room("a", 8);
  CHECK(holds_within(seconds(20), [&] { return room.ledger->acknowledged() > 200; }));
  Client client = room.server.client(kTrade);
  SECTION("keys") {
    room.ledger->pause();
    // The rolled-back orders' keys come again, as on a side whose counter was not raised.
    client.script("SET foreign_key_checks = 0;\nDELETE FROM orders;\nALTER TABLE orders AUTO_INCREMENT = 1;\n");
    room.ledger->go_on();
    const auto before = room.ledger->acknowledged();
    CHECK(holds_within(seconds(20), [&] { return room.ledger->acknowledged() > before + 100; }));
    room.ledger->pause();
    CHECK_THAT(room.verdict(), Catch::Contains("orders: the key ") && Catch::Contains(" was handed out twice"));
  }
  SECTION("time") {
    // To the beginning: who looks rarely may not have seen its neighbour's last tick.
    client.execute("UPDATE clocks SET n = 0");
    const auto is_noticed = [&](const char* words) { return room.ledger->complaints().find(words) != std::string::npos; };
    CHECK(holds_within(seconds(20), [&] { return is_noticed("its clock says") && is_noticed("its neighbour's clock went back"); }));
  }
  SECTION("errors") {
    client.execute("SET GLOBAL read_only = ON");
    CHECK(holds_within(seconds(20), [&] { return room.ledger->errors().size() == 8; }));
    client.execute("SET GLOBAL read_only = OFF");
    CHECK_THAT(room.ledger->complaints(), Catch::Contains("read-only") && Catch::Contains("of client 3"));
    room.ledger->pause();
    CHECK(room.verdict() == "");
  }
}
