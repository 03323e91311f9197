// What a client's session with a server is made of, as the server tells it. Pure: statements as text out, rows in; whoever owns the
// session runs them, in order, and hands each answer over, an error too. Any thread. docs/session-state.md has the facts behind it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/routing/variables.h"

namespace godwit::routing {

using gtid::Flavour;

// The answer to one statement. Names of columns are not looked at: they come in the session's own character set.
struct Result {
  db::Rows rows;
  unsigned server_errno = 0;
  std::string sqlstate;
  std::string error;
  bool is_error() const { return server_errno != 0; }
};

// Why a session cannot be moved now, or not at all. `reason` is a stable word (docs/session-state.md lists them), `object` what it is
// about: a lock, a table, a variable.
struct Refusal {
  std::string reason;
  std::string object;
  std::string detail;
  bool operator==(const Refusal&) const = default;
};

// A variable that sessions have a value of.
struct VariableFact {
  enum class Kind { number, text, unknown };
  Kind kind = Kind::unknown;
  bool is_read_only = false;
  std::optional<std::string> global;  // the default of new sessions
};

// What an admin session reads once per server, and again when globals may have been changed.
struct ServerFacts {
  Flavour flavour = Flavour::mysql;
  db::Version version;
  std::map<std::string, VariableFact> variables;           // by name in lower case
  std::map<std::string, std::string> collations;           // its full name → its character set
  std::map<std::string, std::string> default_collations;   // character set → collation
  bool has_metadata_lock_info = false;                     // MariaDB's plugin is active
  bool has_metadata_locks = false;                         // performance_schema shows them
  bool has_performance_schema = false;
  std::uint64_t routines_with_user_locks = 0;              // stored functions, procedures and triggers that call GET_LOCK
  std::int64_t system_utc_offset_seconds = 0;
  std::string digest_statement;                            // of a pull with a digest; long, and the same for all sessions
  bool is_mariadb() const { return flavour == Flavour::mariadb; }
  // Whether an admin can list who holds locks (locks_statement); else only the text of statements hints at user locks.
  bool sees_locks() const { return has_metadata_lock_info || has_metadata_locks; }
  // Whether a session can list its own temporary tables.
  bool lists_temporary_tables() const { return is_mariadb() && version >= db::Version{11, 2, 0}; }
};
std::vector<std::string> facts_statements(Flavour flavour);
// Throws Error(statement_failed) when the answers lack what is needed: the account may not read them.
ServerFacts read_facts(Flavour flavour, db::Version version, std::span<const Result> results);

// What only the wire told, kept by whoever relays it.
struct WireState {
  std::int64_t row_count = -1;    // affected_rows of the last OK (PING and INIT_DB count, STMT_PREPARE and STATISTICS do not); -1 after rows, EOF or an error
  unsigned warnings = 0;          // of the last answer
  bool is_in_transaction = false;
  bool has_table_locks = false;   // 'L' in SESSION_TRACK_TRANSACTION_STATE
  std::string transaction_characteristics;  // SESSION_TRACK_TRANSACTION_CHARACTERISTICS as it stands; outside a transaction: a one-shot SET TRANSACTION
  bool may_hold_user_lock = false;           // of unknown name (user_locks.h), where the server shows no locks
  std::vector<std::string> user_lock_names;  // the others that were ever taken, as literals
  bool holds_global_read_lock = false;  // FLUSH … WITH READ LOCK was seen, and no UNLOCK TABLES since
  bool has_flushed_status = false;      // FLUSH STATUS was seen: the session's counters say nothing
  unsigned text_prepares = 0;           // PREPAREs and DEALLOCATEs that were seen (text_statements.h), since the last reset
  unsigned text_deallocates = 0;
  std::vector<std::string> temporary_tables;  // `schema`.`table` or `table`, of each CREATE TEMPORARY TABLE that was seen
  unsigned temporary_creates = 0;             // how often one ran
};

struct UserVariable {
  enum class Type { null, integer, unsigned_integer, decimal, real, string };
  std::string name;  // utf8mb4
  Type type = Type::null;
  std::string value;      // digits, or the string's bytes in its own character set
  std::string charset;    // of strings, and of a NULL that is one
  std::string collation;
  bool operator==(const UserVariable&) const = default;
};

struct Warning {  // as the session's own character_set_results has it
  std::string level;
  std::string code;
  std::string message;
  bool operator==(const Warning&) const = default;
};

// What SHOW WARNINGS, FOUND_ROWS() and ROW_COUNT() say until another statement changes them. diagnostics.h answers from it.
struct Diagnostics {
  std::uint64_t found_rows = 0;
  std::int64_t row_count = 0;
  std::uint64_t warning_count = 0;  // errors and notes included
  std::uint64_t error_count = 0;
  std::vector<Warning> warnings;
  bool is_of_warnings_alone = false;  // FOUND_ROWS() and ROW_COUNT() are a later statement's, which the server knows
};

struct SessionState {
  Variables variables;  // all session-scoped ones, by name in lower case
  std::string variables_digest;                  // of these, as the server has made it; of a light pull: of those it has not read
  bool has_no_results_charset = false;           // character_set_results is NULL
  std::vector<UserVariable> user_variables;      // by name
  std::optional<std::string> schema;
  std::optional<std::string> role;  // as CURRENT_ROLE() has it; nothing for none
  std::uint64_t last_insert_id = 0;
  std::uint64_t insert_id = 0;              // SET insert_id that no INSERT has used yet
  std::optional<std::string> timestamp;     // when the session fixed it
  std::map<std::string, std::uint64_t> counters;  // Com_… of the session, lower case
  std::vector<std::string> temporary_tables;      // those that are proven to be there
  bool are_temporary_tables_known = false;        // the list is complete
  std::vector<std::string> user_locks;            // those of wire.user_lock_names that are held
  Diagnostics diagnostics;
  WireState wire;
  std::vector<Refusal> unread;  // what the session could not tell
};

// What a statement's meaning depends on at the time of its PREPARE.
struct PrepareContext {
  std::optional<std::string> schema;
  std::string sql_mode;
  std::string character_set_client;
  std::string character_set_connection;
  std::string collation_connection;
  auto operator<=>(const PrepareContext&) const = default;
};

struct PullOptions {
  bool is_light = false;  // without system variables and counters: for a session whose STATE_CHANGE tracker has been silent since the last full pull
  bool has_digest = false;  // of the variables: a light pull that has the same as the full one before says that none has changed, for a fifth of its cost. With counters
  std::vector<std::string> user_variables;  // MySQL: their names, from census.h; MariaDB's sessions know them themselves
};

// Run them in this order on the session, one by one or at once: SHOW WARNINGS first, since the others destroy what it shows.
std::vector<std::string> pull_statements(const ServerFacts& facts, const PullOptions& options);
SessionState read_state(const ServerFacts& facts, const PullOptions& options, const WireState& wire, std::span<const Result> results);
// A second round, empty for most sessions: the bytes of string variables, temporary tables by name.
std::vector<std::string> follow_up_statements(const ServerFacts& facts, const SessionState& state);
void read_follow_up(const ServerFacts& facts, std::span<const Result> results, SessionState& state);
PrepareContext context_of(const SessionState& state);
// Whether a light pull with a digest says that the variables are those of the full one.
bool has_same_variables(const SessionState& full, const SessionState& light);
// A light pull on top of an earlier full one; before its follow-up.
SessionState merge(const ServerFacts& facts, const SessionState& full, SessionState light);

// What keeps the session where it is. Locks that an admin sees are in census.h.
std::vector<Refusal> refusals(const ServerFacts& facts, const SessionState& state);

}  // namespace godwit::routing
