#include "godwit/routing/census.h"

#include <algorithm>

#include "cells.h"
#include "godwit/util/text.h"
#include "pull.h"

namespace godwit::routing {
namespace {

// MySQL keeps 1 KiB of a prepared statement's text: what fills that may be cut.
constexpr std::size_t kStatementTextBytes = 1024;

constexpr std::string_view kOfThreads = " JOIN performance_schema.threads t ON t.THREAD_ID = ";

std::string performance_schema_locks() {
  return std::string("SELECT t.PROCESSLIST_ID, m.OBJECT_TYPE, m.LOCK_TYPE, CONCAT_WS('.', m.OBJECT_SCHEMA, m.OBJECT_NAME), m.LOCK_DURATION "
                     "FROM performance_schema.metadata_locks m")
      .append(kOfThreads)
      .append("m.OWNER_THREAD_ID WHERE m.LOCK_STATUS = 'GRANTED' AND t.PROCESSLIST_ID IS NOT NULL AND t.PROCESSLIST_ID <> CONNECTION_ID()")
      .append(kNoLimit);
}

std::string plugin_locks() {
  return std::string("SELECT THREAD_ID, LOCK_TYPE, LOCK_MODE, CONCAT_WS('.', NULLIF(TABLE_SCHEMA, ''), NULLIF(TABLE_NAME, '')), '' "
                     "FROM information_schema.METADATA_LOCK_INFO WHERE THREAD_ID <> CONNECTION_ID()")
      .append(kNoLimit);
}

bool has_prefix(std::string_view text, std::string_view prefix) { return text.size() >= prefix.size() && equals_ignoring_case(text.substr(0, prefix.size()), prefix); }

// Both servers' words: "USER LEVEL LOCK" and "User lock", "TABLE" and "Table metadata lock", "GLOBAL", "COMMIT", "Backup lock", …
std::string reason_of(std::string_view object, std::string_view mode, std::string_view duration) {
  if (has_prefix(object, "USER")) return "user_lock";
  if (has_prefix(object, "LOCKING SERVICE")) return "user_lock";
  if (has_prefix(object, "GLOBAL") || has_prefix(object, "COMMIT")) return mode == "SHARED" ? "global_read_lock" : "";
  if (has_prefix(object, "BACKUP")) {
    if (mode.find("FTWRL") != std::string_view::npos) return "global_read_lock";
    const bool is_of_statement = mode == "INTENTION_EXCLUSIVE" || mode == "MDL_BACKUP_DDL" || mode == "MDL_BACKUP_DML" || mode == "MDL_BACKUP_TRANS_DML";
    return is_of_statement ? "" : "backup_lock";
  }
  if (!has_prefix(object, "TABLE") || has_prefix(object, "TABLESPACE")) return "";
  // Of a transaction, or of a look at performance_schema under autocommit=0, which is none.
  if (duration == "TRANSACTION" && (mode == "SHARED_READ" || mode == "SHARED_WRITE")) return "";
  // SHARED is a HANDLER that has not read yet; or InnoDB's own short look at a definition, booked on whichever session made it, which is gone when the session is asked again.
  if (duration == "EXPLICIT" || mode == "MDL_SHARED_READ") return "handler";
  if (mode == "MDL_SHARED_HIGH_PRIO") return "backup_lock";
  return "table_lock";
}

std::string named(std::string_view column, std::string_view table, std::string_view condition) {
  return std::string("SELECT t.PROCESSLIST_ID, ").append(column).append(" FROM performance_schema.").append(table).append(condition).append(kNoLimit);
}

}  // namespace

std::optional<std::string> locks_statement(const ServerFacts& facts) {
  if (facts.has_metadata_lock_info) return plugin_locks();
  if (facts.has_metadata_locks) return performance_schema_locks();
  return std::nullopt;
}

std::map<std::uint64_t, std::vector<HeldLock>> read_locks(const ServerFacts&, const Result& result) {
  std::map<std::uint64_t, std::vector<HeldLock>> locks;
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    const std::string reason = reason_of(ascii_cell(result.rows, i, 1), ascii_cell(result.rows, i, 2), ascii_cell(result.rows, i, 4));
    if (reason.empty()) continue;
    auto& of_session = locks[number_cell(result.rows, i, 0)];
    HeldLock lock{reason, ascii_cell(result.rows, i, 3)};
    if (std::find(of_session.begin(), of_session.end(), lock) == of_session.end()) of_session.push_back(std::move(lock));
  }
  return locks;
}

std::optional<std::string> sessions_statement(const ServerFacts& facts) {
  if (facts.is_mariadb()) return std::nullopt;
  return std::string("SELECT PROCESSLIST_ID FROM performance_schema.threads WHERE PROCESSLIST_ID IS NOT NULL").append(kNoLimit);
}

std::set<std::uint64_t> read_sessions(const Result& result) {
  std::set<std::uint64_t> sessions;
  for (std::size_t i = 0; i < result.rows.size(); ++i) sessions.insert(number_cell(result.rows, i, 0));
  return sessions;
}

std::optional<std::string> user_variables_statement(const ServerFacts& facts) {
  if (facts.is_mariadb()) return std::nullopt;
  return named("HEX(v.VARIABLE_NAME)", "user_variables_by_thread v", std::string(kOfThreads).append("v.THREAD_ID WHERE t.PROCESSLIST_ID IS NOT NULL"));
}

std::map<std::uint64_t, std::vector<std::string>> read_user_variables(const Result& result) {
  std::map<std::uint64_t, std::vector<std::string>> names;
  for (std::size_t i = 0; i < result.rows.size(); ++i) names[number_cell(result.rows, i, 0)].push_back(hex_cell(result.rows, i, 1).value_or(""));
  return names;
}

// InnoDB names them #sql<process>_<connection>_<n>, in hex, and so are the files of MyISAM's; MEMORY's have neither, but the memory of
// their shares is booked on the thread that made them (a thread that was the first to open a permanent MEMORY table has some too).
std::optional<std::string> temporary_tables_statement(const ServerFacts& facts) {
  if (facts.is_mariadb()) return std::nullopt;
  return std::string(
             "SELECT CONV(SUBSTRING_INDEX(SUBSTRING_INDEX(NAME, '_', 2), '_', -1), 16, 10), COUNT(*) FROM information_schema.INNODB_TEMP_TABLE_INFO "
             "WHERE NAME LIKE '#sql%' GROUP BY 1 UNION ALL "
             "SELECT CONV(SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(FILE_NAME, '/#sql', -1), '_', 2), '_', -1), 16, 10), COUNT(*) "
             "FROM performance_schema.file_instances WHERE FILE_NAME LIKE '%/#sql%.MYD' GROUP BY 1 UNION ALL "
             "SELECT t.PROCESSLIST_ID, m.CURRENT_COUNT_USED FROM performance_schema.memory_summary_by_thread_by_event_name m")
      .append(kOfThreads)
      .append("m.THREAD_ID WHERE m.EVENT_NAME = 'memory/memory/HP_SHARE' AND m.CURRENT_COUNT_USED > 0 AND t.PROCESSLIST_ID IS NOT NULL")
      .append(kNoLimit);
}

std::map<std::uint64_t, std::uint64_t> read_temporary_tables(const Result& result) {
  std::map<std::uint64_t, std::uint64_t> tables;
  for (std::size_t i = 0; i < result.rows.size(); ++i) tables[number_cell(result.rows, i, 0)] += number_cell(result.rows, i, 1);
  return tables;
}

// A session that has created no table at all has no temporary one: what is booked on it is a permanent MEMORY table.
std::vector<Refusal> census_refusals(const SessionState& state, const std::vector<HeldLock>& locks, std::uint64_t temporary_tables) {
  std::vector<Refusal> all;
  for (const auto& lock : locks) all.push_back({lock.reason, lock.object, "the session holds the lock"});
  const bool is_counted = state.counters.contains("com_create_table") && !state.wire.has_flushed_status;
  const bool has_created = !is_counted || counter(state, "com_create_table") > 0;
  if (temporary_tables > 0 && has_created) all.push_back({"temporary_table", "", "the rows of a temporary table exist on the old server only"});
  return all;
}

std::optional<std::string> named_statements_statement(const ServerFacts& facts) {
  if (facts.is_mariadb()) return std::nullopt;
  return named("HEX(p.STATEMENT_NAME), HEX(p.SQL_TEXT)", "prepared_statements_instances p",
               std::string(kOfThreads).append("p.OWNER_THREAD_ID WHERE p.STATEMENT_NAME IS NOT NULL AND t.PROCESSLIST_ID IS NOT NULL"));
}

std::map<std::uint64_t, std::vector<NamedStatement>> read_named_statements(const Result& result) {
  std::map<std::uint64_t, std::vector<NamedStatement>> statements;
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    std::string text = hex_cell(result.rows, i, 2).value_or("");
    const bool is_whole = text.size() < kStatementTextBytes - 8;
    statements[number_cell(result.rows, i, 0)].push_back({hex_cell(result.rows, i, 1).value_or(""), std::move(text), is_whole});
  }
  return statements;
}

}  // namespace godwit::routing
