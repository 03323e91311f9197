#include "read_only.h"

#include <fmt/format.h>

#include <functional>
#include <thread>

#include "godwit/db/privileges.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"

namespace godwit::fence {
namespace {

constexpr const char* kWaiting = "to make it read-only";
constexpr std::chrono::milliseconds kPollInterval{20};

bool is_on(const std::string& value) { return value != "0" && value != "OFF" && !value.empty(); }

bool are_events_on(db::Connection& server) { return server.scalar("SELECT @@GLOBAL.event_scheduler") == "ON"; }

// Who could not write here any more must not close the door.
void require_passing_account(db::Connection& server) {
  const auto held = db::Privileges::read(server);
  const auto& it = server.server();
  // Since MariaDB 10.11 SUPER does not imply it.
  const bool is_super_enough = !it.is_mariadb() || it.version < db::Version{10, 11, 0};
  const char* needed = it.is_mariadb() ? "READ_ONLY ADMIN" : "CONNECTION_ADMIN";
  if (held.has_global(needed) || held.has_global("READ ONLY ADMIN") || (is_super_enough && held.has_global("SUPER"))) return;
  throw Error(Code::fence_failed,
              {.object = db::describe(server.endpoint()),
               .cause = fmt::format("{} lacks {}: with read_only it could not write here itself", held.account(), needed),
               .remedy = fmt::format("GRANT {} ON *.* TO {}; or --fence triggers", it.is_mariadb() ? "READ_ONLY ADMIN" : "CONNECTION_ADMIN, SYSTEM_VARIABLES_ADMIN", held.account())});
}

// Where persisting is not permitted the fence ends with the server, like MariaDB's: the reconciler sets it again.
void set_on(db::Connection& server) {
  if (server.server().is_mariadb()) {
    server.execute("SET GLOBAL read_only = 1");
    return;
  }
  try {
    server.execute("SET PERSIST read_only = ON");
  } catch (const Error& error) {
    if (error.is_retryable() || error.code() == Code::interrupted) throw;
    log::debug("{}", error.what());
    server.execute("SET GLOBAL read_only = ON");
  }
}

void stop_events(db::Connection& server, const Plan& plan, const Record& record) {
  if (!are_events_on(server)) return;
  if (record.events_before != "ON") set_record(server, plan, "events_before = 'ON'");
  try {
    server.execute("SET GLOBAL event_scheduler = OFF");
  } catch (const Error& error) {
    const bool has_events = !server.query("SELECT 1 FROM information_schema.EVENTS WHERE STATUS = 'ENABLED' LIMIT 1").empty();
    if (error.is_retryable() || has_events) throw;
    log::debug("{}: it has no events", error.what());
    set_record(server, plan, "events_before = NULL");
  }
}

void start_events(db::Connection& server, const Plan& plan, const Record& record) {
  if (record.events_before != "ON") return;
  // Announced, and never stopped: then there is nothing to start, and nothing that an account without the privilege could fail at.
  if (!are_events_on(server)) server.execute("SET GLOBAL event_scheduler = ON");
  set_record(server, plan, "events_before = NULL");
}

// Stopping the scheduler lets events that run go on, and those of a definer who passes read_only write on.
std::string running_event(db::Connection& server) {
  const char* sql = server.server().is_mariadb()
                        ? "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Connect' AND USER NOT IN ('system user', 'unauthenticated user', 'event_scheduler') LIMIT 1"
                        : "SELECT PROCESSLIST_ID FROM performance_schema.threads WHERE NAME = 'thread/sql/event_worker' LIMIT 1";
  const std::string id = server.scalar(sql);
  return id.empty() ? "" : fmt::format("connection {} runs an event", id);
}

void await_none(db::Connection& server, const Patience& patience, const char* what, const std::function<std::string()>& in_the_way) {
  std::string why;
  do {
    why = in_the_way();
    if (why.empty()) return;
    std::this_thread::sleep_for(std::min(kPollInterval, patience.left()));
  } while (patience.left().count() > 0);
  patience.give_up(server, what, why);
}

// Whether MySQL watches transactions, so that those of XA can be told from others.
bool sees_transactions(db::Connection& server) {
  return server.scalar("SELECT (SELECT COUNT(*) FROM performance_schema.setup_consumers WHERE NAME = 'events_transactions_current' AND ENABLED = 'YES') + "
                       "(SELECT COUNT(*) FROM performance_schema.setup_instruments WHERE NAME = 'transaction' AND ENABLED = 'YES')") == "2";
}

// Sessions of MySQL that are inside an XA transaction: they may PREPARE and COMMIT in spite of read_only. Those that have prepared are in XA RECOVER.
// Where it does not watch them, any transaction that has written may be one.
std::string open_xa(db::Connection& server) {
  if (server.server().is_mariadb()) return "";
  if (!sees_transactions(server)) {
    const std::string id = server.scalar("SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX WHERE trx_rows_modified > 0 LIMIT 1");
    return id.empty() ? "" : fmt::format("connection {} has written, and performance_schema does not show whether that is an XA transaction", id);
  }
  const std::string id = server.scalar(
      "SELECT t.PROCESSLIST_ID FROM performance_schema.events_transactions_current e JOIN performance_schema.threads t ON t.THREAD_ID = e.THREAD_ID "
      "WHERE e.STATE = 'ACTIVE' AND e.XA_STATE IN ('ACTIVE', 'IDLE') LIMIT 1");
  return id.empty() ? "" : fmt::format("connection {} is inside an XA transaction", id);
}

std::string xa_in_the_way(db::Connection& server) {
  const auto prepared = server.query("XA RECOVER").size();
  if (prepared > 0) return fmt::format("{} XA transactions are prepared; XA COMMIT or XA ROLLBACK them", prepared);
  return open_xa(server);
}

}  // namespace

bool is_read_only(db::Connection& server) { return is_on(server.scalar("SELECT @@GLOBAL.read_only")); }

std::optional<std::string> persisted_read_only(db::Connection& server) {
  if (server.server().is_mariadb()) return std::nullopt;
  const std::string value = server.scalar("SELECT VARIABLE_VALUE FROM performance_schema.persisted_variables WHERE VARIABLE_NAME = 'read_only'");
  if (value.empty()) return std::nullopt;
  return value;
}

bool are_events_as_recorded(db::Connection& server, const Record& record) { return record.events_before != "ON" || !are_events_on(server); }

// Recorded before it is done: whoever is killed in between leaves a record that is undone by doing nothing.
void set_read_only(db::Connection& server, const Plan& plan, const Record& record, const Patience& patience, bool stops_events) {
  if (!record.is_set) {
    require_passing_account(server);
    set_record(server, plan, "is_set = 1");
  }
  if (stops_events || record.events_before == "ON") stop_events(server, plan, record);
  patience.run(server, kWaiting, [&] { set_on(server); });
  if (stops_events) await_none(server, patience, "to see the end of events", [&] { return running_event(server); });
}

// What is waited for is the server's disk, and its grants: not while clients wait.
void announce_read_only(db::Connection& server, const Plan& plan) {
  const Record record = ensure_record(server, plan);
  require_passing_account(server);
  const bool are_events_to_stop = record.events_before != "ON" && are_events_on(server);
  if (record.is_set && !are_events_to_stop) return;
  set_record(server, plan, are_events_to_stop ? "is_set = 1, events_before = 'ON'" : "is_set = 1");
}

// What is persisted goes first: killed in between, the server is still read-only, which everybody sees and mends. The other way round it would take
// writes until it restarts one day, weeks later perhaps, when nobody is there who lifts it. The record goes last: it says that there is something to lift.
std::optional<Record> open_read_only(db::Connection& server, const Plan& plan, const Patience& patience) {
  auto record = read_record(server, plan);
  if (!record || !record->is_set) return std::nullopt;
  const std::string other = other_holder(server, plan);
  if (!other.empty()) {
    throw Error(Code::fence_failed,
                {.object = db::describe(server.endpoint()),
                 .cause = fmt::format("workflow {} keeps this server read-only: it does not serve there", other),
                 .remedy = "two workflows that share a server and do not switch together need --fence triggers"});
  }
  patience.run(server, "to take writes again", [&] {
    if (!server.server().is_mariadb()) server.execute("RESET PERSIST IF EXISTS read_only");
    server.execute("SET GLOBAL read_only = 0");
  });
  return record;
}

void lift_read_only(db::Connection& server, const Plan& plan, const Patience& patience) {
  const auto record = open_read_only(server, plan, patience);
  if (!record) return;
  start_events(server, plan, *record);
  set_record(server, plan, "is_set = 0");
}

void restore_read_only(db::Connection& server, const Plan& plan, const Patience& patience) {
  const auto record = read_record(server, plan);
  if (!record) return;
  const bool was_read_only = record->read_only_before == "ON";
  const bool is_persisted_gone = !server.server().is_mariadb() && persisted_read_only(server) != record->persisted_before;
  if (record->is_set && was_read_only) {
    start_events(server, plan, *record);
    if (is_persisted_gone && !record->persisted_before) server.execute("RESET PERSIST IF EXISTS read_only");
  } else if (other_holder(server, plan).empty()) {
    lift_read_only(server, plan, patience);
    // A side that was lifted is in use: of what was persisted only OFF may come back.
    if (is_persisted_gone && record->persisted_before == "OFF") server.execute("SET PERSIST read_only = OFF");
  }
}

void require_no_xa(db::Connection& server, const Patience& patience) {
  await_none(server, patience, "to see the end of XA transactions", [&] { return xa_in_the_way(server); });
}

}  // namespace godwit::fence
