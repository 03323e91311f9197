// The fence: what keeps every writer but godwit off one side. Set and lifted only in a session that holds the server's named lock, and that reads
// the authority while it holds it (R1): two who disagree about who serves cannot undo each other. Why each order is safe: docs/model/.
// One thread per connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/state/authority.h"

namespace godwit::fence {

//
// With guards, a write of anybody but godwit's own sessions reads `is_set` of the fence's row, sharing a lock on it to the end of its transaction: the
// change of that one row waits for all who have passed, and whoever comes later sees it. So tables are fenced and opened again without DDL, which
// takes some 50 ms a table on MariaDB and waits for those who only read. What guards do not see: DDL, and what a foreign key of a table that is not
// guarded changes.
enum class Kind {
  read_only,  // of the whole server: accounts that may write in spite of it are named by `check`
  triggers,   // of the migrated tables alone: guards BEFORE INSERT, UPDATE and DELETE that let godwit's own sessions pass
  none,       // nothing: the operator says that nobody writes there
};
std::string_view to_string(Kind kind);
// Nothing where the authority's `fence` says nothing.
std::optional<Kind> kind_of(std::string_view name);

struct Table {
  std::string schema;
  std::string name;
};

// What is fenced of one server, and how.
struct Plan {
  std::string workflow;
  db::Side side = db::Side::source;
  Kind kind = Kind::read_only;
  std::vector<Table> tables;  // on that side; for triggers. Those that are not there are left out; none: whatever guards are there already
};

// What makes a session godwit's own for guard triggers: once in each session that writes to a side that may be fenced. Likewise sql::kPassStatement.
std::string pass_statement();
bool is_guard(std::string_view trigger);

// Creates what close() needs, but keeps nobody off: guards of an open fence. Without it close() does so, while clients wait. May take long (DDL).
void prepare(db::Connection& server, const Plan& plan, std::chrono::milliseconds patience);

struct Seen {
  state::Route route;      // as it was inside the lock
  bool is_fenced = false;  // when the lock was given back
  bool was_changed = false;
};

// Makes the fence follow the authority (R5), inside the lock: fenced where the side does not serve, lifted where it serves and no switch is under
// way, left alone where it serves and one is. `server` and `authority` may be sessions to the same server, not the same session.
// Throws Error(lock_contention) when the lock, or the server, is not had within `patience`, Error(fence_failed) like close().
Seen follow(db::Connection& server, state::Authority& authority, const Plan& plan, std::chrono::milliseconds patience);

// Ahead of close(), in the same epoch, so that little is left to write while clients wait: keeps nobody off, and goes as a fence goes. Throws like close().
void announce(db::Connection& server, state::Authority& authority, const Plan& plan, std::uint64_t hold, std::chrono::milliseconds patience);

// The step of a switch: fences the serving side, only while the authority is switching in the epoch `hold`. On return no transaction of anybody but
// privileged accounts can commit there any more, so that the position read next is final. Throws Error(switch_fenced) where the hold is over,
// Error(lock_contention) when writers, or XA transactions, did not end within `patience`, Error(fence_failed) where the account may not, or could not
// write any more itself. Then the fence may be half set: abort(), and follow().
void close(db::Connection& server, state::Authority& authority, const Plan& plan, std::uint64_t hold, std::chrono::milliseconds patience);

// The step behind the commit: writers are let in where the authority says that this side serves, and no more than that: follow() is to do the rest of it.
Seen open(db::Connection& server, state::Authority& authority, const Plan& plan, std::chrono::milliseconds patience);

bool is_fenced(db::Connection& server, const Plan& plan);
bool is_prepared(db::Connection& server, const Plan& plan);  // prepare() would change no table
// Takes away all that was set, whoever serves: for `complete`, `cancel`. What read_only was before godwit came is restored, except that a side which
// was opened since is left open.
void remove(db::Connection& server, const Plan& plan);
// By what that side is fenced, or was before its server forgot it; nothing where godwit has not fenced it.
std::optional<Kind> recorded_kind(db::Connection& server, const std::string& workflow, db::Side side);
// Until whoever is at a fence there has done what he does: by then nobody goes by what the authority said before this was called.
void await_others(db::Connection& server, std::chrono::milliseconds patience);

// What keeps writers, and events, off that server, for whoever leaves it there: to be asked while the fence is recorded still.
struct Remainder {
  std::string what;                     // "the server is read-only, also when it restarts"
  std::vector<std::string> statements;  // that take it away, in their order; none where no statement does
};
std::vector<Remainder> what_stays(db::Connection& server, const Plan& plan);

}  // namespace godwit::fence
