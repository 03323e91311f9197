// Why the two positions are right (I2), per flavour; the property test in test/live proves it against the binlog.
//
// MySQL   low  = @@gtid_executed before the first snapshot. A transaction enters it after it has committed in InnoDB, so all
//                that is in it is visible to any later snapshot. Needs binlog_order_commits=ON (a check refuses OFF).
//         high = gtid_owned, then gtid_executed, after the last snapshot. A transaction has its GTID before it commits in InnoDB and
//                keeps it in gtid_owned until it moves, in one step, to gtid_executed. Whatever a snapshot sees had its GTID by
//                then, so it is in the one read first or, having moved, in the one read second. Transactions that are in neither began
//                later.
// MariaDB low  = the binlog coordinates that belong to a view (binlog_snapshot_file/position, set under the commit lock) opened just before the
//                first one, as a GTID position. Its own rows are not enough: an XA transaction is past the coordinates for a moment before
//                its rows are seen (a few of 1,000 views under four writers). It stays in XA RECOVER until they are: so those that are
//                prepared then must have gone before the first view is opened, or still be there some time after the last one.
//                @@gtid_binlog_pos leads visibility and never serves as low.
//         high = @@gtid_binlog_pos after the last snapshot: the binlog is written before the engine commits.
//
// Where low has to be the instant itself, of all readers (must_be_exact), they begin together, again and again, until no transaction has fallen
// between:
// MariaDB all have the same binlog coordinates, no XA COMMIT has begun meanwhile (Com_xa_commit is counted as the statement begins), and those
//         that had begun before were over. Where the first does not come about, those of the same coordinates are the readers; one always is.
// MySQL   low and high are the same set: what is seen is in high, what is in low is seen.
// The last resort, on MySQL and on a MariaDB that commits XA transactions, is to lock exact_tables for reading while the views are opened: a
// transaction that wrote to one keeps its metadata lock until it is in gtid_executed (or seen), and none can begin; what MariaDB has prepared
// and detached from its session holds none, so that no XA COMMIT may begin there either. A client whose transaction has written to one of
// several such tables and wants another one may be told of a deadlock (1213), since the server prefers the LOCK TABLES.
#include "godwit/db/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <compare>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "godwit/sql/quote.h"
#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"

namespace godwit::db {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kBegin = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

gtid::Position mysql_executed(Connection& connection) {
  return gtid::make_position(Flavour::mysql, connection.scalar("SELECT @@GLOBAL.gtid_executed"));
}

// "uuid:5#31:7#33,uuid:tag:9#12" → "uuid:5:7,uuid:tag:9"
std::string without_owners(std::string_view owned) {
  std::string result;
  bool in_owner = false;
  for (const char c : owned) {
    if (c == '#') in_owner = true;
    if (c == ':' || c == ',') in_owner = false;
    const bool is_blank = c == '\n' || c == ' ';
    if (!in_owner && !is_blank) result.push_back(c);
  }
  return result;
}

gtid::Position mysql_end(Connection& connection) {
  const std::string owned = without_owners(connection.scalar("SELECT @@GLOBAL.gtid_owned"));
  const gtid::Position executed = mysql_executed(connection);
  if (owned.empty()) return executed;
  const std::string both = executed.text.empty() ? owned : executed.text + "," + owned;
  // Subtracting nothing makes the server merge and order the set.
  return gtid::make_position(Flavour::mysql,
                             connection.scalar("SELECT GTID_SUBTRACT(" + sql::quote_string(both) + ", '')"));
}

[[noreturn]] void no_position(const Connection& connection, std::string cause) {
  throw Error(Code::position_unavailable,
              {.object = describe(connection.endpoint()),
               .cause = std::move(cause),
               .remedy = "log_bin must be on, and the account needs BINLOG MONITOR (REPLICATION CLIENT)"});
}

// Of MariaDB's view: where in the binlog it was opened.
struct Coordinates {
  std::string file;
  std::string offset;
  auto operator<=>(const Coordinates&) const = default;
};

Coordinates coordinates_of(Connection& reader) {
  const Rows status = reader.query("SHOW STATUS LIKE 'binlog_snapshot_%'");
  Coordinates found;
  for (std::size_t i = 0; i < status.size(); ++i) {
    const std::string name = lower(status.text(i, "Variable_name"));
    if (name == "binlog_snapshot_file") found.file = status.text(i, "Value");
    if (name == "binlog_snapshot_position") found.offset = status.text(i, "Value");
  }
  if (found.file.empty()) no_position(reader, "the snapshot has no binlog coordinates: is the binlog on?");
  return found;
}

gtid::Position position_at(Connection& session, const Coordinates& at) {
  const Rows position = session.query(fmt::format("SELECT BINLOG_GTID_POS({}, {}) AS p", sql::quote_string(at.file), at.offset));
  if (position.empty() || position.is_null(0, "p")) {
    no_position(session, fmt::format("BINLOG_GTID_POS('{}', {}) gives nothing", at.file, at.offset));
  }
  return gtid::make_position(Flavour::mariadb, position.text(0, "p"));
}

// How many have begun, since the server's start.
std::string xa_commits(Connection& session) {
  const Rows counter = session.query("SHOW GLOBAL STATUS LIKE 'Com_xa_commit'");
  return counter.empty() ? "" : counter.text(0, "Value");
}

// Prepared XA transactions: those that are being committed, and those that nobody commits just now.
class PreparedXa {
 public:
  PreparedXa(Connection& session, const Stop& stop) : session_(session), stop_(stop) {}

  // Until those that are prepared now have gone; what has not by then counts as idle from here on.
  void await(std::chrono::milliseconds patience) {
    const auto deadline = Clock::now() + patience;
    auto left = prepared_xa(session_);
    std::erase_if(left, [&](const std::string& id) { return idle_.count(id) != 0; });
    while (!left.empty() && Clock::now() < deadline) {
      sleep(kLook);
      drop_gone(left);
    }
    idle_.merge(left);
  }

  // After the views are opened: whether none of the idle ones was being committed all the same.
  bool has_stayed() {
    if (idle_.empty()) return true;
    sleep(kAfterwards);
    return drop_gone(idle_) == 0;
  }

 private:
  static constexpr std::chrono::milliseconds kLook{2};
  static constexpr std::chrono::milliseconds kAfterwards{50};

  void sleep(std::chrono::milliseconds duration) const {
    if (!stop_.sleep_for(duration)) stop_.throw_if_requested();
  }
  std::size_t drop_gone(std::set<std::string>& ids) {
    const auto now = prepared_xa(session_);
    return std::erase_if(ids, [&](const std::string& id) { return now.count(id) == 0; });
  }

  Connection& session_;
  const Stop& stop_;
  std::set<std::string> idle_;
};

// --- locks for tables without a key ------------------------------------------------------------------------------

// Who holds up a table lock, for the message: the longest running transaction or statement.
std::string name_blocker(Connection& connection) {
  try {
    const Rows rows = connection.query(
        "SELECT p.ID AS id, p.USER AS user, p.HOST AS host, TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS age, "
        "COALESCE(LEFT(p.INFO, 80), '(idle in transaction)') AS info FROM information_schema.INNODB_TRX t "
        "JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id "
        "WHERE p.ID <> CONNECTION_ID() AND p.COMMAND <> 'Daemon' ORDER BY t.trx_started LIMIT 1");
    if (rows.empty()) return "no open transaction is visible to this account";
    return fmt::format("connection {} ({}@{}) holds a transaction open for {} s: {}",
                       rows.text(0, "id"),
                       rows.text(0, "user"),
                       rows.text(0, "host"),
                       rows.text(0, "age"),
                       rows.text(0, "info"));
  } catch (const Error&) {
    return "the account may not see other sessions (PROCESS)";
  }
}

// Ends a statement of another session when it takes longer than it may.
class Watchdog {
 public:
  Watchdog(Connection& killer, std::uint64_t session, std::chrono::milliseconds limit)
      : thread_([this, &killer, session, limit] {
          std::unique_lock lock(mutex_);
          // Again and again: a KILL that comes before the statement does not meet it.
          while (!ended_.wait_for(lock, limit, [this] { return is_over_; })) {
            has_bitten_ = true;
            try {
              killer.execute(fmt::format("KILL QUERY {}", session));
            } catch (const Error& error) {
              log::debug("a lock attempt could not be ended early: {}", error.what());  // it ends by its own time-out
              return;
            }
          }
        }) {}

  ~Watchdog() { call_off(); }

  // True when the statement was ended by it, or was about to be.
  bool call_off() {
    {
      std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    ended_.notify_one();
    if (thread_.joinable()) thread_.join();
    return has_bitten_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_over_ = false;
  bool has_bitten_ = false;
  std::thread thread_;  // last: it uses the others
};

// Read locks on some tables, held from construction to release(); gone with the session in any case.
class TableLocks {
 public:
  TableLocks(const Endpoint& source, const SnapshotOptions& options, const Stop& stop)
      : session_(Connection::open(source)), killer_(Connection::open(source)) {
    // Writers that come after a waiting LOCK TABLES wait behind it: an attempt lasts milliseconds, and between two
    // the traffic flows.
    const auto deadline = Clock::now() + options.lock_total_max;
    auto pause = std::chrono::milliseconds(100);
    while (!try_lock(options)) {
      const std::string blocker = name_blocker(killer_);
      log::warning("{}: no read lock within {}; {}; next attempt in {}",
                   join(options.exact_tables, ", "),
                   format_duration(options.lock_attempt),
                   blocker,
                   format_duration(pause));
      if (Clock::now() + pause > deadline) give_up(options, blocker);
      if (!stop.sleep_for(pause)) stop.throw_if_requested();
      pause = std::min(pause * 2, std::chrono::milliseconds(10'000));
    }
  }

  std::chrono::microseconds release() {
    session_.execute("UNLOCK TABLES");
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - asked_);
  }

 private:
  bool try_lock(const SnapshotOptions& options) {
    std::vector<std::string> parts;
    for (const auto& table : options.exact_tables) parts.push_back(table + " READ");
    asked_ = Clock::now();  // from here on writers wait for us, granted or not
    Watchdog watchdog(killer_, session_.id(), options.lock_attempt);
    try {
      session_.execute("LOCK TABLES " + join(parts, ", "));
    } catch (const Error& error) {
      const bool was_ended = error.code() == Code::interrupted || error.code() == Code::lock_contention;
      if (!was_ended) throw;
      return false;
    }
    if (!watchdog.call_off()) return true;
    // Granted in the very moment in which it was ended: the next statement may meet the KILL, so begin anew.
    session_ = Connection::open(session_.endpoint());
    return false;
  }

  [[noreturn]] static void give_up(const SnapshotOptions& options, const std::string& blocker) {
    throw Error(Code::lock_unavailable,
                {.object = join(options.exact_tables, ", "),
                 .cause = fmt::format("not locked within {}; {}", format_duration(options.lock_total_max), blocker),
                 .remedy = "end that transaction, add a primary key to the tables, or exclude them"});
  }

  Connection session_;
  Connection killer_;
  Clock::time_point asked_;
};

}  // namespace

void prepare_snapshot(Connection& reader) {
  // SESSION: without it the level holds for the next transaction only.
  reader.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
}

void begin_snapshot(Connection& reader) { reader.execute(kBegin); }

gtid::Position end_of_binlog(Connection& connection) {
  if (!connection.server().is_mariadb()) return mysql_end(connection);
  return gtid::make_position(Flavour::mariadb, connection.scalar("SELECT @@GLOBAL.gtid_binlog_pos"));
}

SnapshotSessions connect_snapshot(const Endpoint& source, std::size_t readers) {
  GODWIT_CHECK(readers > 0);
  SnapshotSessions sessions{.readers = {}, .watcher = Connection::open(source)};
  prepare_snapshot(sessions.watcher);
  sessions.readers.reserve(readers);
  for (std::size_t i = 0; i < readers; ++i) {
    sessions.readers.push_back(Connection::open(source, Encoding::bytes));
    prepare_snapshot(sessions.readers.back());
  }
  return sessions;
}

namespace {

// Sent to all before the first answer is read: between them is the time of some system calls, and not that of round trips.
void begin_together(std::vector<Connection>& readers) {
  for (auto& reader : readers) reader.send(kBegin);
  for (auto& reader : readers) reader.await_sent(kBegin);
}

std::vector<Coordinates> coordinates_of_all(std::vector<Connection>& readers) {
  std::vector<Coordinates> all;
  for (auto& reader : readers) all.push_back(coordinates_of(reader));
  return all;
}

// Tries until `attempt` is true, or for so long.
template <typename Attempt>
bool try_for(std::chrono::milliseconds patience, const Stop& stop, Attempt attempt) {
  constexpr std::chrono::milliseconds kPauseMax{10};
  const auto deadline = Clock::now() + patience;
  auto pause = std::chrono::milliseconds(1);
  while (Clock::now() < deadline) {
    if (attempt()) return true;
    if (!stop.sleep_for(pause)) stop.throw_if_requested();
    pause = std::min(pause * 2, kPauseMax);
  }
  return false;
}

// --- MySQL --------------------------------------------------------------------------------------------------------

void begin_mysql(Snapshot& snapshot, Connection& watcher) {
  snapshot.low = mysql_executed(watcher);  // before the first snapshot: see the top
  begin_together(snapshot.readers);
}

void open_mysql(Snapshot& snapshot, Connection& watcher, const SnapshotOptions& options, const Stop& stop) {
  if (!options.must_be_exact) return begin_mysql(snapshot, watcher);
  const bool is_exact = try_for(options.quiet_max, stop, [&] {
    begin_mysql(snapshot, watcher);
    return snapshot.low.text == mysql_end(watcher).text;
  });
  if (is_exact) return;
  TableLocks locks(watcher.endpoint(), options, stop);
  begin_mysql(snapshot, watcher);
  snapshot.writes_held = locks.release();
}

// --- MariaDB ------------------------------------------------------------------------------------------------------

// From the binlog to the rows it is microseconds; more for a machine that is too busy to run the thread.
std::chrono::milliseconds xa_patience(const SnapshotOptions& options) { return std::clamp(options.quiet_max / 3, std::chrono::milliseconds(20), std::chrono::milliseconds(500)); }

Coordinates coordinates_now(Connection& watcher) {
  begin_snapshot(watcher);
  const Coordinates at = coordinates_of(watcher);
  watcher.execute("ROLLBACK");
  return at;
}

bool are_one(const std::vector<Coordinates>& all) {
  return std::ranges::all_of(all, [&](const Coordinates& one) { return one == all.front(); });
}

// The largest group of them, where their views have been opened at different instants.
Coordinates keep_those_in_one_instant(Snapshot& snapshot, const std::vector<Coordinates>& all) {
  std::map<Coordinates, std::size_t> groups;
  for (const auto& one : all) ++groups[one];
  const auto largest = std::ranges::max_element(groups, {}, [](const auto& group) { return group.second; })->first;
  std::vector<Connection> kept;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] == largest) kept.push_back(std::move(snapshot.readers[i]));
  }
  if (kept.size() < all.size()) log::info("{} of {} sessions read at one instant: the source commits too often for more", kept.size(), all.size());
  snapshot.readers = std::move(kept);
  return largest;
}

// The coordinates of each reader, where no XA transaction was on its way from the binlog to its rows as they began.
std::optional<std::vector<Coordinates>> begin_beside_xa(Snapshot& snapshot, Connection& watcher, const SnapshotOptions& options, PreparedXa& prepared) {
  const std::string before = xa_commits(watcher);
  prepared.await(xa_patience(options));
  begin_together(snapshot.readers);
  auto all = coordinates_of_all(snapshot.readers);
  if (xa_commits(watcher) != before || !prepared.has_stayed()) return std::nullopt;
  return all;
}

// While the lock is held: coordinates behind which no transaction of the locked tables comes, and nothing is missing of any.
std::optional<Coordinates> begin_mariadb_under_lock(Snapshot& snapshot, Connection& watcher, const SnapshotOptions& options, const Stop& stop, PreparedXa& prepared) {
  constexpr std::chrono::milliseconds kPatience{20};
  TableLocks locks(watcher.endpoint(), options, stop);
  const std::string before = xa_commits(watcher);
  const Coordinates at = coordinates_now(watcher);
  prepared.await(kPatience);
  begin_together(snapshot.readers);
  const bool has_begun = xa_commits(watcher) != before;
  snapshot.writes_held = std::max(snapshot.writes_held, locks.release());
  return has_begun || !prepared.has_stayed() ? std::nullopt : std::optional(at);
}

Coordinates begin_mariadb_exactly(Snapshot& snapshot, Connection& watcher, const SnapshotOptions& options, const Stop& stop) {
  PreparedXa prepared(watcher, stop);
  std::optional<std::vector<Coordinates>> all;
  const auto begin = [&] { return (all = begin_beside_xa(snapshot, watcher, options, prepared)).has_value(); };
  if (try_for(options.quiet_max, stop, [&] { return begin() && are_one(*all); })) return all->front();
  if (all || begin()) return keep_those_in_one_instant(snapshot, *all);
  constexpr std::chrono::seconds kLockedMax{10};
  std::optional<Coordinates> at;
  const auto begin_locked = [&] { return (at = begin_mariadb_under_lock(snapshot, watcher, options, stop, prepared)).has_value(); };
  if (!options.exact_tables.empty() && try_for(kLockedMax, stop, begin_locked)) return *at;
  throw Error(Code::lock_contention,
              {.object = describe(watcher.endpoint()),
               .cause = fmt::format("no instant without an XA COMMIT in {}", format_duration(options.quiet_max)),
               .remedy = "it is tried again; at a quieter moment it is found"});
}

// Those of a view opened before, whose transactions all readers see.
Coordinates begin_mariadb_after(Snapshot& snapshot, Connection& watcher, const SnapshotOptions& options, const Stop& stop) {
  PreparedXa prepared(watcher, stop);
  while (true) {
    const Coordinates at = coordinates_now(watcher);
    prepared.await(xa_patience(options));
    begin_together(snapshot.readers);
    if (prepared.has_stayed()) return at;
  }
}

std::optional<Coordinates> open_mariadb(Snapshot& snapshot, Connection& watcher, const SnapshotOptions& options, const Stop& stop) {
  if (options.must_be_exact) return begin_mariadb_exactly(snapshot, watcher, options, stop);
  if (options.needs_low) return begin_mariadb_after(snapshot, watcher, options, stop);
  begin_together(snapshot.readers);
  return std::nullopt;
}

}  // namespace

std::set<std::string> prepared_xa(Connection& session) {
  std::set<std::string> ids;
  const Rows rows = session.query("XA RECOVER");
  for (std::size_t i = 0; i < rows.size(); ++i) ids.insert(fmt::format("{}:{}:{}", rows.text(i, "formatID"), rows.text(i, "gtrid_length"), rows.text(i, "data")));
  return ids;
}

bool has_committed_xa(Connection& connection) { return xa_commits(connection) != "0"; }

Snapshot open_snapshot(SnapshotSessions sessions, const SnapshotOptions& options, const Stop& stop) {
  Snapshot snapshot;
  snapshot.readers = std::move(sessions.readers);
  Connection& watcher = sessions.watcher;
  std::optional<Coordinates> low;
  if (watcher.server().is_mariadb()) {
    low = open_mariadb(snapshot, watcher, options, stop);
  } else {
    open_mysql(snapshot, watcher, options, stop);
  }
  snapshot.high = end_of_binlog(watcher);  // after the last one
  if (low) snapshot.low = position_at(watcher, *low);
  snapshot.opened = Clock::now();
  return snapshot;
}

Snapshot open_snapshot(const Endpoint& source, const SnapshotOptions& options, const Stop& stop) {
  return open_snapshot(connect_snapshot(source, options.readers), options, stop);
}

}  // namespace godwit::db
