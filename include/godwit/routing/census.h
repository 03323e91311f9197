// What an admin session reads of all sessions at once, by connection id: who holds locks, MySQL's user variables and prepared
// statements and temporary tables, which sessions of plain accounts may not read themselves. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "godwit/routing/session_state.h"

namespace godwit::routing {

// One of: user_lock, table_lock, handler, global_read_lock, backup_lock. MariaDB's list does not tell a transaction's locks from these:
// they show as handler or table_lock, and whoever asks knows which sessions are in a transaction.
struct HeldLock {
  std::string reason;
  std::string object;
  bool operator==(const HeldLock&) const = default;
};
// Nothing where the server shows no locks (ServerFacts::sees_locks).
std::optional<std::string> locks_statement(const ServerFacts& facts);
std::map<std::uint64_t, std::vector<HeldLock>> read_locks(const ServerFacts& facts, const Result& result);

// MySQL: the sessions that it has. One that is not among them has nothing that its lists show, which says nothing of what it has. MariaDB: nothing, what counts is read by each session itself.
std::optional<std::string> sessions_statement(const ServerFacts& facts);
std::set<std::uint64_t> read_sessions(const Result& result);

// MySQL: names of user variables. MariaDB: nothing, see follow_up_statements.
std::optional<std::string> user_variables_statement(const ServerFacts& facts);
std::map<std::uint64_t, std::vector<std::string>> read_user_variables(const Result& result);

// MySQL: how many temporary tables of each engine family (InnoDB, files, MEMORY) a session has.
std::optional<std::string> temporary_tables_statement(const ServerFacts& facts);
std::map<std::uint64_t, std::uint64_t> read_temporary_tables(const Result& result);

// What the census says against moving a session whose state was read at the same time.
std::vector<Refusal> census_refusals(const SessionState& state, const std::vector<HeldLock>& locks, std::uint64_t temporary_tables);

// MySQL: statements of PREPARE, with their text, whole or not.
struct NamedStatement {
  std::string name;
  std::string text;
  bool is_whole = false;
  bool operator==(const NamedStatement&) const = default;
};
std::optional<std::string> named_statements_statement(const ServerFacts& facts);
std::map<std::uint64_t, std::vector<NamedStatement>> read_named_statements(const Result& result);

}  // namespace godwit::routing
