// servers: a=mariadb-10.11 b=mysql-9.7
// The authority on real servers: of two who act on one reading, one changes something. And the sidecar on a source, which has the heartbeat already.
#include "godwit/state/authority.h"

#include <atomic>
#include <functional>
#include <latch>
#include <thread>

#include "catch.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "live/support/sidecars.h"

using namespace godwit;
using namespace godwit::test;

namespace {

// What two sessions get that do the same at once, a hundred times: how often both succeeded, and how often none.
struct Races {
  int both = 0;
  int none = 0;
};

Races race(const Server& server, const std::function<std::uint64_t(state::Authority&)>& prepare, const std::function<bool(state::Authority&, std::uint64_t)>& act) {
  db::Connection own = session_with(server, db::Side::target);
  db::Connection theirs = session_with(server, db::Side::target);
  state::Authority authority(own, "shop");
  Races races;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t number = prepare(authority);
    std::latch start(2);
    std::atomic<int> done{0};
    const auto contend = [&](db::Connection& connection) {
      state::Authority mine(connection, "shop");
      start.arrive_and_wait();
      if (act(mine, number)) ++done;
    };
    std::thread other([&] { contend(theirs); });
    contend(own);
    other.join();
    if (done == 2) ++races.both;
    if (done == 0) ++races.none;
  }
  return races;
}

std::uint64_t begun(state::Authority& authority) { return authority.begin(authority.read()->epoch, "test")->epoch; }

}  // namespace

TEST_CASE("authority: a row that was never made is no row, and a new one says that the source serves", "[authority]") {
  for (const char* name : {"a", "b"}) {
    const Server server(name);
    const FreshSidecar fresh(server);
    db::Connection connection = session_with(server, db::Side::target);
    state::Authority authority(connection, "shop");
    CHECK(!authority.read());
    state::Sidecar(connection).create();
    CHECK(!authority.read());
    const auto route = authority.create();
    CHECK(route.epoch == 1);
    CHECK(route.serving == db::Side::source);
    CHECK(!route.is_switching);
    CHECK(route.fence.empty());
    authority.set_fence("triggers");
    CHECK(authority.create().fence == "triggers");
    CHECK(authority.read()->epoch == 1);
    authority.forget();
    CHECK(!authority.read());
  }
}

TEST_CASE("authority: begin, commit and abort each raise the epoch, and nothing else is possible in between", "[authority]") {
  for (const char* name : {"a", "b"}) {
    const Server server(name);
    const FreshSidecar fresh(server);
    db::Connection connection = session_with(server, db::Side::target);
    state::Sidecar(connection).create();
    state::Authority authority(connection, "shop");
    authority.create();
    CHECK(!authority.begin(7, "early"));
    CHECK(!authority.commit(1));
    CHECK(!authority.abort(1));
    const auto held = authority.begin(1, "one");
    REQUIRE(held);
    CHECK(held->epoch == 2);
    CHECK(held->is_switching);
    CHECK(held->coordinator == "one");
    CHECK(!authority.begin(2, "two"));
    CHECK(!authority.begin(1, "two"));
    CHECK(!authority.commit(1));
    CHECK(authority.commit(2));
    CHECK(authority.read()->serving == db::Side::target);
    CHECK(authority.read()->epoch == 3);
    CHECK(!authority.read()->is_switching);
    CHECK(!authority.commit(2));
    CHECK(!authority.abort(2));
    REQUIRE(authority.begin(3, "back"));
    CHECK(authority.abort(4));
    CHECK(authority.read()->serving == db::Side::target);
    CHECK(authority.read()->epoch == 5);
    CHECK(!authority.commit(4));
    REQUIRE(authority.begin(5, "back"));
    CHECK(authority.commit(6));
    CHECK(authority.read()->serving == db::Side::source);
  }
}

TEST_CASE("authority: of two who begin, commit or abort in one epoch exactly one does", "[authority]") {
  for (const char* name : {"a", "b"}) {
    const Server server(name);
    const FreshSidecar fresh(server);
    db::Connection connection = session_with(server, db::Side::target);
    state::Sidecar(connection).create();
    state::Authority(connection, "shop").create();
    const auto settle = [](state::Authority& authority) {
      const auto route = *authority.read();
      if (route.is_switching) authority.abort(route.epoch);
      return authority.read()->epoch;
    };
    const Races begins = race(server, settle, [](state::Authority& mine, std::uint64_t epoch) { return mine.begin(epoch, "racer").has_value(); });
    CHECK(begins.both == 0);
    CHECK(begins.none == 0);
    state::Authority authority(connection, "shop");
    settle(authority);
    const Races commits = race(server, begun, [](state::Authority& mine, std::uint64_t hold) { return mine.commit(hold); });
    CHECK(commits.both == 0);
    CHECK(commits.none == 0);
    std::atomic<int> turn{0};
    const Races mixed = race(server, begun, [&](state::Authority& mine, std::uint64_t hold) { return ++turn % 2 == 0 ? mine.commit(hold) : mine.abort(hold); });
    CHECK(mixed.both == 0);
    CHECK(mixed.none == 0);
  }
}

TEST_CASE("sidecar: on a source it is made beside the heartbeat, and goes when the workflow leaves", "[authority]") {
  for (const char* name : {"a", "b"}) {
    const Server server(name);
    const FreshSidecar fresh(server);
    db::Connection source = session_with(server, db::Side::source);
    state::Sidecar::create_heartbeat(source);
    CHECK(!state::Sidecar::exists(source));
    state::Sidecar(source).create();
    state::Sidecar(source).claim({.workflow = "shop", .direction = "reverse"}, "mysql", "someone", "9.7");
    state::Sidecar(source).claim({.workflow = "other", .direction = "reverse"}, "mysql", "someone", "9.7");
    CHECK(!state::Sidecar::leave_source(source, "shop"));
    CHECK(state::Sidecar(source).streams().size() == 1);
    CHECK(state::Sidecar::leave_source(source, "other"));
    CHECK(server.client().query("SHOW DATABASES LIKE '\\_godwit'").empty());
    state::Sidecar::create_heartbeat(source);
    CHECK(state::Sidecar::leave_source(source, "shop"));
    CHECK(server.client().query("SHOW DATABASES LIKE '\\_godwit'").empty());
    CHECK(!state::Sidecar::leave_source(source, "shop"));
  }
}

TEST_CASE("sidecar: one of version 2 is brought up to date with its rows", "[authority]") {
  for (const char* name : {"a", "b"}) {
    const Server server(name);
    const FreshSidecar fresh(server);
    db::Connection target = session_with(server, db::Side::target);
    state::Sidecar sidecar(target);
    sidecar.create();
    sidecar.claim({.workflow = "shop"}, "mysql", "someone", "9.7");
    Client client = server.client("_godwit");
    for (const char* table : {"route", "fence", "proxy"}) client.execute(std::string("DROP TABLE ") + table);
    client.execute("UPDATE meta SET version = 2");
    sidecar.create();
    CHECK(client.scalar("SELECT version FROM meta") == "4");
    CHECK(sidecar.streams().size() == 1);
    CHECK(state::Authority(target, "shop").create().epoch == 1);
  }
}
