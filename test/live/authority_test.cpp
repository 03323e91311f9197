// servers: a=mariadb-10.11 b=mysql-9.7
// The authority on real servers: of two who act on one reading, one changes something. And the sidecar on a source, which has the heartbeat already.
#include "godwit/state/authority.h"

#include <atomic>
#include <functional>
#include <latch>
#include <thread>

#include "catch.h"
#include "godwit/state/coordinator_lock.h"
#include "godwit/state/sidecar.h"
#include "live/support/sidecars.h"
#include "refused.h"

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

TEST_CASE("authority: a row that is gone as soon as it is made is said to be lost", "[authority]") {
  const Server server("b");
  const FreshSidecar fresh(server);
  db::Connection connection = session_with(server, db::Side::target);
  state::Sidecar(connection).create();
  server.client("_godwit").execute("ALTER TABLE route ENGINE = BLACKHOLE");
  const Error error = refusal([&] { state::Authority(connection, "shop").create(); });
  CHECK(error.code() == Code::authority_lost);
  CHECK(error.object() == "workflow shop");
  CHECK(error.cause() == "its row in _godwit.route was taken away while it was made");
  CHECK(error.remedy() == "is a godwit cancel or complete at work? run this again when it has ended");
}

TEST_CASE("authority: of two coordinators the second is refused, and one whose session was ended knows it", "[authority]") {
  for (const char* name : {"a", "b"}) {
    const Server server(name);
    const auto target = endpoint_of(server, db::Side::target);
    db::Connection watcher = session_with(server, db::Side::target);
    CHECK(!state::CoordinatorLock::is_held(watcher, "shop"));
    state::CoordinatorLock lock(target, "shop");
    CHECK(state::CoordinatorLock::is_held(watcher, "shop"));
    lock.require();
    const std::string holder = watcher.scalar("SELECT IS_USED_LOCK('godwit_switch_shop')");
    const Error second = refusal([&] { state::CoordinatorLock(target, "shop"); });
    CHECK(second.code() == Code::switch_refused);
    CHECK(second.object() == "workflow shop");
    CHECK(second.cause() == "another coordinator is at work: session " + holder + " of the target");
    CHECK(second.remedy() == "let it end; if it hangs, end it, and run this again");
    watcher.execute("KILL " + holder);
    const Error lost = refusal([&] { lock.require(); });
    CHECK(lost.code() == Code::switch_fenced);
    CHECK(lost.object() == "workflow shop");
    CHECK(lost.cause().starts_with("the coordinators' lock is gone, and another coordinator may be at work: "));
    CHECK(lost.remedy() == "nothing is lost: run it again, if nobody else does");
  }
}

TEST_CASE("sidecar: a stream's session waits for the one before it, and names it", "[authority]") {
  for (const char* name : {"a", "b"}) {
    const Server server(name);
    db::Connection earlier = session_with(server, db::Side::target);
    db::Connection later = session_with(server, db::Side::target);
    state::begin_session(earlier, 7, 3);
    const Error error = refusal([&] { state::begin_session(later, 7, 3, std::chrono::seconds(0)); });
    CHECK(error.code() == Code::lock_contention);
    CHECK(error.is_retryable());
    CHECK(error.object() == "stream 7 of _godwit");
    CHECK(error.cause() == "an earlier session of it, number 3, has not ended on the target");
    CHECK(error.remedy() == "KILL it there, if it does not end by itself");
    state::begin_session(later, 7, 4);
    state::end_sessions(later, 7);
    state::begin_session(later, 7, 3);
  }
}

TEST_CASE("sidecar: only a stream that is copied is frozen, and one that is frozen or being cancelled is nobody's", "[authority]") {
  for (const char* name : {"a", "b"}) {
    const Server server(name);
    const FreshSidecar fresh(server);
    db::Connection target = session_with(server, db::Side::target);
    state::Sidecar sidecar(target);
    sidecar.create();
    const auto claim = [&] { return sidecar.claim({.workflow = "shop"}, "mysql", "someone", "9.7"); };
    const state::StreamRow row = claim();
    const Error early = refusal([&] { sidecar.freeze(row.id); });
    CHECK(early.code() == Code::stream_not_ready);
    CHECK(early.object() == "stream " + std::to_string(row.id) + " of _godwit");
    CHECK(early.cause() == "it is creating: only one that is copied can be frozen");
    CHECK(early.remedy() == "let the copy end first");
    sidecar.set_state(row.id, row.epoch, "copied");
    const auto epoch = sidecar.freeze(row.id);
    const Error frozen = refusal(claim);
    CHECK(frozen.code() == Code::stream_fenced);
    CHECK(frozen.object() == "workflow shop");
    CHECK(frozen.cause() == "a switch has frozen its forward stream");
    CHECK(frozen.remedy() == "run the switch again: it finishes or undoes what it began");
    REQUIRE(sidecar.unfreeze(row.id, epoch));
    sidecar.claim({.workflow = "shop"}, "mysql", "someone", "9.7", true);
    const Error cancelled = refusal(claim);
    CHECK(cancelled.code() == Code::stream_not_ready);
    CHECK(cancelled.cause() == "a cancel of it has begun: some of what was copied is gone");
    CHECK(cancelled.remedy() == "godwit cancel shop again; then it can be copied anew");
  }
}

TEST_CASE("sidecar: a chunk is done once", "[authority]") {
  for (const char* name : {"a", "b"}) {
    const Server server(name);
    const FreshSidecar fresh(server);
    db::Connection target = session_with(server, db::Side::target);
    state::Sidecar sidecar(target);
    sidecar.create();
    const auto stream = sidecar.claim({.workflow = "shop"}, "mysql", "someone", "9.7").id;
    sidecar.add_table(stream, {.source_schema = "shop", .source_table = "orders", .target_schema = "shop", .target_table = "orders", .state = "copying"});
    const state::ChunkRow chunk{.number = 1, .state = "pending"};
    sidecar.add_chunks(stream, "shop", "orders", {chunk});
    sidecar.finish_chunk(stream, "shop", "orders", chunk);
    const Error error = refusal([&] { sidecar.finish_chunk(stream, "shop", "orders", chunk); });
    CHECK(error.code() == Code::internal_error);
    CHECK(error.object() == "`shop`.`orders`");
    CHECK(error.cause() == "chunk 1 is not pending");
    CHECK(error.remedy() == "keep _godwit.copy_chunk for a report");
  }
}
