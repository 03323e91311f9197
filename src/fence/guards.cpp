#include "guards.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <set>
#include <thread>

#include "godwit/sql/guard.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"

namespace godwit::fence {
namespace {

using sql::quote_string;

constexpr std::array<std::string_view, 3> kChanges{"INSERT", "UPDATE", "DELETE"};
constexpr unsigned kDeadlock = 1213;

struct Guard {
  Table table;
  std::string name;
  std::string_view change;
};

// FNV-1a: names of tables are up to 64 characters, and so are names of triggers.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

std::string prefix_of(const Plan& plan) {
  return fmt::format("{}{:08x}_", sql::kGuardPrefix, hash_of(fmt::format("{}\n{}", plan.workflow, db::to_string(plan.side))) & 0xffffffffU);
}

// Not the session's binlog: a replica, and the stream, would meet DDL of a migrated table. They get rows, for which triggers are not run.
class WithoutBinlog {
 public:
  explicit WithoutBinlog(db::Connection& server) : server_(server) { server.execute("SET @_godwit_log_bin = @@SESSION.sql_log_bin, SESSION sql_log_bin = 0"); }
  ~WithoutBinlog() {
    try {
      server_.execute("SET SESSION sql_log_bin = @_godwit_log_bin");
    } catch (const Error& error) {
      log::debug("{}", error.what());  // the session is gone, and the setting with it
    }
  }
  WithoutBinlog(const WithoutBinlog&) = delete;
  WithoutBinlog& operator=(const WithoutBinlog&) = delete;

 private:
  db::Connection& server_;
};

// MariaDB can be asked not to wait for a table at all. Who waits for one that is in use makes everybody's next statement on it wait behind him, and a transaction
// that has read from it meets a deadlock then, which ends the client's statement and never this one. So a moment is looked for in which nobody has it open.
class WithoutWaiting {
 public:
  explicit WithoutWaiting(db::Connection& server) : server_(server), is_possible_(server.server().is_mariadb()) {}

  bool run(const std::string& sql, std::chrono::milliseconds time_max) {
    if (!is_possible_) return false;
    const auto end = std::chrono::steady_clock::now() + time_max;
    server_.execute("SET @_godwit_lock_wait = @@SESSION.lock_wait_timeout, SESSION lock_wait_timeout = 0");
    bool is_done = false;
    while (!is_done && std::chrono::steady_clock::now() < end) {
      try {
        server_.execute(sql);
        is_done = true;
      } catch (const Error& error) {
        if (error.code() != Code::lock_contention) throw;
        std::this_thread::sleep_for(kLook);
      }
    }
    server_.execute("SET SESSION lock_wait_timeout = @_godwit_lock_wait");
    return is_done;
  }

 private:
  static constexpr std::chrono::milliseconds kLook{3};
  db::Connection& server_;
  const bool is_possible_;
};

void change_guard(db::Connection& server, const std::string& sql, const char* what, const Patience& patience) {
  if (WithoutWaiting(server).run(sql, patience.left() * 3 / 4)) return;
  patience.run(server, what, [&] { server.execute(sql); });
}

std::string schemas_of(const Plan& plan) {
  std::set<std::string> schemas;
  for (const auto& table : plan.tables) schemas.insert(quote_string(table.schema));
  return join(std::vector<std::string>(schemas.begin(), schemas.end()), ", ");
}

std::set<std::pair<std::string, std::string>> existing_tables(db::Connection& server, const Plan& plan) {
  const db::Rows rows = server.query(
      fmt::format("SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ({}) AND TABLE_TYPE NOT IN ('VIEW', 'SEQUENCE')", schemas_of(plan)));
  std::set<std::pair<std::string, std::string>> result;
  for (std::size_t i = 0; i < rows.size(); ++i) result.emplace(lower(rows.text(i, "s")), lower(rows.text(i, "t")));
  return result;
}

std::set<std::string> existing_guards(db::Connection& server, const Plan& plan) {
  const db::Rows rows = server.query(fmt::format("SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA IN ({})", schemas_of(plan)));
  std::set<std::string> result;
  for (std::size_t i = 0; i < rows.size(); ++i) result.insert(rows.text(i, "name"));
  return result;
}

std::vector<Guard> missing_guards(db::Connection& server, const Plan& plan) {
  if (plan.tables.empty()) return {};
  const auto guards = existing_guards(server, plan);
  std::vector<Guard> missing;
  for (const auto& table : plan.tables) {
    for (const auto change : kChanges) {
      const std::string name = fmt::format("{}{:016x}_{}", prefix_of(plan), hash_of(table.schema + "\n" + table.name), lower(change.substr(0, 1)));
      if (guards.count(name) == 0) missing.push_back({.table = table, .name = name, .change = change});
    }
  }
  if (missing.empty()) return missing;
  const auto tables = existing_tables(server, plan);
  std::erase_if(missing, [&](const Guard& guard) { return tables.count({lower(guard.table.schema), lower(guard.table.name)}) == 0; });
  return missing;
}

// No row: closed, so that a record that somebody took away opens nothing.
std::string create_statement(const Plan& plan, const Guard& guard) {
  const std::string message = fmt::format("{} workflow {}: this side does not serve, write to the other", info(Code::side_not_serving).id, plan.workflow);
  return fmt::format(
      "CREATE TRIGGER {} BEFORE {} ON {} FOR EACH ROW BEGIN DECLARE _godwit_closed TINYINT DEFAULT 1; IF COALESCE(@_godwit_pass, 0) <> 1 THEN "
      "SELECT is_set INTO _godwit_closed FROM {} WHERE {} LOCK IN SHARE MODE; "
      "IF _godwit_closed <> 0 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = {}; END IF; END IF; END",
      sql::quote_table(guard.table.schema, guard.name),
      guard.change,
      sql::quote_table(guard.table.schema, guard.table.name),
      record_table(),
      record_key(plan),
      quote_string(message));
}

}  // namespace

bool is_armed(db::Connection& server, const Plan& plan) { return missing_guards(server, plan).empty(); }

void arm(db::Connection& server, const Plan& plan, const Patience& patience) {
  const auto missing = missing_guards(server, plan);
  if (missing.empty()) return;
  const WithoutBinlog without(server);
  for (const auto& guard : missing) {
    // Of many tables each takes its few milliseconds, and somebody may be held meanwhile: one at least is made each time, so that it ends.
    if (&guard != &missing.front() && patience.left().count() == 0) patience.give_up(server, "to create guard triggers", fmt::format("{} of {} are made", &guard - &missing.front(), missing.size()));
    change_guard(server, create_statement(plan, guard), "to create guard triggers", patience);
  }
}

std::vector<std::string> guard_names(db::Connection& server, const Plan& plan) {
  const std::string pattern = join(split(prefix_of(plan), '_'), "\\_") + "%";
  const db::Rows rows = server.query(fmt::format("SELECT TRIGGER_SCHEMA AS s, TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE TRIGGER_NAME LIKE {} ORDER BY 1, 2", quote_string(pattern)));
  std::vector<std::string> names;
  for (std::size_t i = 0; i < rows.size(); ++i) names.push_back(sql::quote_table(rows.text(i, "s"), rows.text(i, "name")));
  return names;
}

void disarm(db::Connection& server, const Plan& plan, const Patience& patience) {
  const auto names = guard_names(server, plan);
  if (names.empty()) return;
  const WithoutBinlog without(server);
  for (const auto& name : names) {
    change_guard(server, "DROP TRIGGER IF EXISTS " + name, "to drop guard triggers", patience);
  }
}

// All guards first: the row is what they ask, and once it is changed none may be missing. A deadlock with a writer may end this session's
// statement instead of the writer's.
void close_guards(db::Connection& server, const Plan& plan, const Patience& patience) {
  const Record record = ensure_record(server, plan);
  arm(server, plan, patience);
  if (record.is_set) return;
  patience.run(server, "to wait for transactions that write", [&] {
    for (;;) {
      try {
        return set_record(server, plan, "is_set = 1");
      } catch (const Error&) {
        if (server.last_errno() != kDeadlock || patience.left().count() == 0) throw;
      }
    }
  });
}

void open_guards(db::Connection& server, const Plan& plan) {
  const auto record = read_record(server, plan);
  if (record && record->is_set) set_record(server, plan, "is_set = 0");
}

}  // namespace godwit::fence
