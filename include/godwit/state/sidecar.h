// The schema `_godwit` on a server: what must commit together with rows (I1), and the epoch that fences out a second
// process (I3). One thread per connection. Format: docs/sidecar.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/gtid/position.h"

namespace godwit::state {

inline constexpr std::string_view kSidecarSchema = "_godwit";

inline constexpr std::string_view kCompletedState = "completed";
inline constexpr std::string_view kCancelledState = "cancelled";  // or about to be: what was copied is being dropped

struct StreamKey {
  std::string workflow;
  std::string direction = "forward";  // or "reverse"
  std::string shard = "-";            // key range
};

struct StreamRow {
  std::uint64_t id = 0;
  StreamKey key;
  std::uint64_t epoch = 0;
  std::string state;  // "creating", "copying", "copied", "running", "stopped", "error", "frozen", "completed", "cancelled"
  std::optional<gtid::Position> position;       // where the stream goes on from
  std::optional<gtid::Position> stop_position;
  std::optional<gtid::Position> overlap_end;    // up to here changes may already be in copied rows
  std::string source_identity;
  std::string source_version;
  std::string last_error;
  std::string heartbeat;  // UTC
};

// Where a stream begins that nothing had to be copied for, and what it reads.
struct StreamBegin {
  gtid::Position position;
  std::string source_identity;
  std::string source_version;
};

// A chunk is a range (lower, upper] of one table's key. Bounds are SQL literals of the key's columns as a JSON array, "" for
// unbounded. Ranges are contiguous: each lower equals the upper before it, as text.
struct ChunkRow {
  std::uint64_t number = 0;  // in the order planned, from 1
  std::string lower;
  std::string upper;
  std::string state;  // "pending", "done"
  bool is_planned = true;  // false: the rest of a chunk that held more rows than expected
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
};

struct PostCopyRow {
  std::uint64_t id = 0;
  std::string kind;   // catalog::to_string(PostCopyKind)
  std::string schema_name;
  std::string object_name;
  std::string sql;
  std::string sql_mode;  // to be set before it is run; "" for the session's own
  std::string creates;  // JSON array
  std::string state;    // "pending", "done", "creating" (an object, from before its statement on), "switch" (only the switch runs it), "failed"
  std::string error;
};

struct TableRow {  // one per table of a stream, in copy_table
  std::string source_schema;
  std::string source_table;
  std::string target_schema;
  std::string target_table;
  std::string state;  // "pending", "copying", "copied" (all chunks proved), "finished" (keys built too)
  std::string definition_hash;  // of the source's SHOW CREATE TABLE, to notice DDL
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::uint64_t copy_ms = 0;
  std::uint64_t keys_ms = 0;
};

// The statements that guard and move a stream, for those who put them into transactions of their own. guard: gives the epoch, locked
// shared. update: affects one row while the epoch holds, none when it is over.
std::string guard_statement(std::uint64_t stream);
std::string update_statement(std::uint64_t stream, std::uint64_t epoch, const std::string& assignment);
[[noreturn]] void throw_fenced(std::uint64_t stream, std::uint64_t epoch);

// Named locks that the sessions of a stream hold on its target for as long as they live. A session whose client is gone without a word
// lives on for hours, with its row locks: the next process, or the next attempt, finds it by its name and ends it.
// Throws Error(lock_contention) while an earlier one of that name is still ending.
inline constexpr std::chrono::seconds kSessionPatience{10};  // one that was ended has a transaction to roll back
void begin_session(db::Connection& target, std::uint64_t stream, std::size_t number, std::chrono::seconds patience = kSessionPatience);
void end_sessions(db::Connection& target, std::uint64_t stream);  // all but this one
bool has_sessions(db::Connection& target, std::uint64_t stream);
// Of a stream back from a shard: rows that are applied, and not in their table yet, since another shard's row is in their way.
bool has_parked_rows(db::Connection& target, std::uint64_t stream);

struct AccountRow {  // an account or role that this stream created on the target: recorded before it is there
  std::string user;
  std::string host;
  bool is_role = false;
};

class Sidecar {
 public:
  explicit Sidecar(db::Connection& connection) : db_(connection) {}

  static bool exists(db::Connection& connection);
  // Whether create() has nothing to do. Throws Error(sidecar_newer).
  bool is_current();
  // Creates or migrates the schema. Idempotent, restartable at any statement. Throws Error(sidecar_newer).
  void upgrade();  // one that is there, of an earlier version; makes none, so that one which is being dropped does not come back
  void create();
  // DROP, only of what godwit created.
  void drop();
  // The same where no workflow has anything left in it; true when it is gone.
  bool drop_unused();
  // On a source: the heartbeat's table alone, until a switch needs the rest.
  static void create_heartbeat(db::Connection& source);
  // Forgets what the workflow has on its source: streams that lead back there, its fence. True when nothing was left, and the schema is gone.
  static bool leave_source(db::Connection& source, const std::string& workflow);
  // What a create() that was killed has left, or the heartbeat: no `meta` yet, and nothing of anybody else.
  void drop_begun();

  // Takes the stream over: inserts its row with epoch 1, or raises the epoch of the one that is there, in one transaction; whoever
  // held it before finds 0 rows at its next guarded statement. Throws Error(server_changed) when source_identity differs, stream_fenced while
  // a switch has frozen it, stream_not_ready when a cancel of it has begun. is_cancel: it is taken in any state, and nobody takes it after that.
  StreamRow claim(const StreamKey& key, const std::string& flavour, const std::string& source_identity,
                  const std::string& source_version, bool is_cancel = false);
  // The same for one who must fence out nobody: only while the epoch is the one given. Throws Error(stream_fenced) when it is another,
  // Error(lock_contention) when somebody is writing to the row.
  StreamRow claim_idle(const StreamKey& key, std::uint64_t epoch, const std::string& source_identity);
  // A switch takes the stream out of everybody's hands: the epoch is raised and the state is "frozen", so that whoever followed it can commit nothing
  // more, and nobody claims it. On return none of its transactions is under way. Gives the epoch, by which unfreeze() names this freezing. To be
  // repeated at will. Throws Error(stream_not_ready) when it is not copied. when_locked: asked once the row is locked, before anything is changed; what it
  // throws leaves everything as it is.
  std::uint64_t freeze(std::uint64_t stream, const std::function<void()>& when_locked = {});
  // "copied" again, in the same epoch: the next replicate may claim it, also the one that was stopped by it. False: it is not frozen in that epoch (any more).
  bool unfreeze(std::uint64_t stream, std::uint64_t frozen_epoch);
  // The other direction's stream, made or begun anew in one transaction: its tables are copied already, and it goes on from `position`, without overlap.
  // Its epoch is raised, its state "copied": it runs as soon as somebody claims it. To be repeated at will. when_locked: as for freeze().
  StreamRow prepare_stream(const StreamKey& key, const StreamBegin& begin, const std::vector<TableRow>& tables, const std::function<void()>& when_locked = {});
  // Ahead of the first time, so that little is left to write then: its row, which nobody can follow yet, and its tables.
  void announce_stream(const StreamKey& key, const StreamBegin& begin, const std::vector<TableRow>& tables);
  // How long ago somebody claimed the stream, or moved it.
  std::chrono::milliseconds touched_ago(std::uint64_t stream);
  std::optional<StreamRow> find(const StreamKey& key);
  std::vector<StreamRow> streams();
  // Another server takes the source's place. Raises the epoch.
  void move_source(std::uint64_t stream, const std::string& source_identity, const std::string& source_version);
  void forget(std::uint64_t stream);  // with its tables, chunks, statements and accounts

  // Within the caller's transaction; each throws Error(stream_fenced) when the row's epoch is not `epoch` (I3).
  void guard(std::uint64_t stream, std::uint64_t epoch);
  void set_state(std::uint64_t stream, std::uint64_t epoch, std::string_view state);
  void set_position(std::uint64_t stream, std::uint64_t epoch, const gtid::Position& position);
  void set_overlap_end(std::uint64_t stream, std::uint64_t epoch, const gtid::Position& position);
  void set_error(std::uint64_t stream, std::uint64_t epoch, std::string_view error);

  std::vector<TableRow> tables(std::uint64_t stream);
  // Those of which at least one chunk is stored: source schema and table.
  std::set<std::pair<std::string, std::string>> begun_tables(std::uint64_t stream);
  void add_table(std::uint64_t stream, const TableRow& table);  // ignored when it is there
  void set_table_state(std::uint64_t stream, const TableRow& table);  // by source schema and table

  std::vector<ChunkRow> chunks(std::uint64_t stream, std::string_view schema, std::string_view table);
  void add_chunks(std::uint64_t stream, std::string_view schema, std::string_view table, const std::vector<ChunkRow>& chunks);
  // Locks the chunk's row within the caller's transaction. False: it is done, or a newer process has finished the table, whose chunks are one row since.
  bool lock_pending_chunk(std::uint64_t stream, std::string_view schema, std::string_view table, std::uint64_t number);
  // Marks a pending chunk done; with `upper` changed when it was cut short. Throws Error(internal_error) when it is not pending.
  void finish_chunk(std::uint64_t stream, std::string_view schema, std::string_view table, const ChunkRow& chunk);
  // In the caller's transaction: what merging left of a table's chunks (I11).
  void replace_chunks(std::uint64_t stream, std::string_view schema, std::string_view table,
                      const std::vector<ChunkRow>& chunks);

  std::vector<PostCopyRow> post_copy(std::uint64_t stream);
  void add_post_copy(std::uint64_t stream, const PostCopyRow& row);  // ignored when (kind, schema, object) is there
  void set_post_copy_state(std::uint64_t id, std::string_view state, std::string_view error);

  std::vector<AccountRow> accounts(std::uint64_t stream);
  void add_account(std::uint64_t stream, const AccountRow& account);  // ignored when it is there
  void forget_account(std::uint64_t stream, const AccountRow& account);  // it could not be created

 private:
  void update(std::uint64_t stream, std::uint64_t epoch, const std::string& assignment);
  void insert(const StreamKey& key, const std::string& flavour, const std::string& source_identity, const std::string& source_version);
  void put_tables(std::uint64_t stream, const std::vector<TableRow>& wanted);
  struct Takeover {
    std::optional<std::uint64_t> only_epoch;
    bool is_cancel = false;
  };
  StreamRow take_over(const StreamKey& key, const std::string& source_identity, const Takeover& how);
  template <typename Attempt>
  auto with_row(const std::function<std::optional<std::uint64_t>()>& stream, Attempt attempt);

  db::Connection& db_;
};

// Throws Error(stream_not_ready): its cancel is to be ended first.
[[noreturn]] void refuse_cancelled(std::string_view workflow);

}  // namespace godwit::state
