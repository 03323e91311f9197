// What the text of a statement gives away, found by one bounded pass over it, without allocation: it runs on every statement.
// Comments are skipped (executable ones are read), quotes are respected. Hints, not proofs: procedures hide what they do.
#pragma once

#include <cstdint>
#include <string_view>

namespace godwit::routing {

enum class Hint : std::uint32_t {
  kills = 1u << 0,                    // Hints::kill has the id
  mentions_session_track = 1u << 1,   // a SET that names session_track_…
  sets_timestamp = 1u << 2,
  may_take_user_lock = 1u << 3,       // GET_LOCK
  may_free_user_locks = 1u << 4,      // RELEASE_LOCK, RELEASE_ALL_LOCKS
  prepares_text = 1u << 5,            // PREPARE, EXECUTE IMMEDIATE, DEALLOCATE, DROP PREPARE: text_statements.h tells them apart
  savepoint = 1u << 6,
  xa = 1u << 7,
  creates_temporary_table = 1u << 8,
  locks_tables = 1u << 9,             // LOCK TABLES, LOCK INSTANCE, BACKUP …
  unlocks_tables = 1u << 10,
  flushes_with_read_lock = 1u << 11,  // and FOR EXPORT
  handler = 1u << 12,
  calls = 1u << 13,                   // CALL, DO, EXECUTE: anything may happen
  gets_diagnostics = 1u << 14,
  flushes_status = 1u << 15,
  sets_transaction = 1u << 16,        // SET TRANSACTION
  sets_password = 1u << 17,           // SET PASSWORD, ALTER USER: the secret may change
  sets_role = 1u << 18,
  begins_transaction = 1u << 19,      // BEGIN, START TRANSACTION
  ends_transaction = 1u << 20,        // COMMIT, ROLLBACK
  changes_schema = 1u << 21,          // USE
  sets = 1u << 22,                    // SET …
  is_cut = 1u << 23,                  // the text is longer than what was looked at
  several_statements = 1u << 24,      // more than one
  several_kills = 1u << 25,           // only the first is described
};

struct Kill {
  bool is_query = false;  // KILL QUERY n
  std::uint64_t id = 0;
  std::uint32_t offset = 0;  // of the digits
  std::uint32_t size = 0;
};

struct Hints {
  std::uint32_t bits = 0;
  Kill kill;
  bool has(Hint hint) const { return (bits & static_cast<std::uint32_t>(hint)) != 0; }
};

struct HintOptions {
  bool has_backslash_escapes = true;  // status bit NO_BACKSLASH_ESCAPES unset
  bool looks_for_user_locks = true;   // off where the server shows locks: then a SELECT or INSERT ends the pass at its first word
  bool takes_several_statements = false;  // CLIENT_MULTI_STATEMENTS
  std::uint32_t bytes_max = 4096;
};
Hints hints_of(std::string_view sql, const HintOptions& options = {});

}  // namespace godwit::routing
