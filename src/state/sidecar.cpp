#include "godwit/state/sidecar.h"

#include <fmt/format.h>

#include <array>
#include <map>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "sidecar_tables.h"

namespace godwit::state {
namespace {

using sql::quote_string;

// utf8mb4_bin is the one collation that every server has and that compares names exactly. Long names stay out of keys.
constexpr std::string_view kTableOptions = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";

constexpr std::string_view kHeartbeatTable = "heartbeat (id TINYINT UNSIGNED NOT NULL PRIMARY KEY, sent_us BIGINT UNSIGNED NOT NULL)";

// Version 4 of the schema; a later version appends statements, none is edited.
constexpr std::array<std::string_view, 16> kTables{
    "stream ("
    "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, workflow VARCHAR(64) NOT NULL, "
    "direction VARCHAR(16) NOT NULL, shard VARCHAR(64) NOT NULL, epoch BIGINT UNSIGNED NOT NULL, "
    "touched BIGINT UNSIGNED NOT NULL DEFAULT 0, state VARCHAR(16) NOT NULL, "
    "flavour VARCHAR(16) NOT NULL, position LONGTEXT NULL, stop_position LONGTEXT NULL, overlap_end LONGTEXT NULL, "
    "source_identity VARCHAR(64) NOT NULL, source_version VARCHAR(128) NOT NULL, "
    "last_error TEXT NULL, heartbeat DATETIME(3) NULL, created DATETIME(3) NOT NULL, "
    "UNIQUE KEY stream_of_workflow (workflow, direction, shard))",
    "copy_table ("
    "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, stream BIGINT UNSIGNED NOT NULL, "
    "source_schema VARCHAR(64) NOT NULL, source_table VARCHAR(64) NOT NULL, "
    "target_schema VARCHAR(64) NOT NULL, target_table VARCHAR(64) NOT NULL, state VARCHAR(16) NOT NULL, "
    "definition_hash VARCHAR(64) NOT NULL, `rows` BIGINT UNSIGNED NOT NULL DEFAULT 0, "
    "bytes BIGINT UNSIGNED NOT NULL DEFAULT 0, copy_ms BIGINT UNSIGNED NOT NULL DEFAULT 0, "
    "keys_ms BIGINT UNSIGNED NOT NULL DEFAULT 0, "
    "UNIQUE KEY table_of_stream (stream, source_schema, source_table))",
    "copy_chunk ("
    "table_id BIGINT UNSIGNED NOT NULL, number BIGINT UNSIGNED NOT NULL, lower_bound LONGTEXT NOT NULL, "
    "upper_bound LONGTEXT NOT NULL, state VARCHAR(16) NOT NULL, is_planned TINYINT NOT NULL, "
    "`rows` BIGINT UNSIGNED NOT NULL DEFAULT 0, bytes BIGINT UNSIGNED NOT NULL DEFAULT 0, "
    "PRIMARY KEY (table_id, number))",
    "post_copy ("
    "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, stream BIGINT UNSIGNED NOT NULL, "
    "kind VARCHAR(16) NOT NULL, schema_name VARCHAR(64) NOT NULL, object_name VARCHAR(64) NOT NULL, "
    "statement LONGTEXT NOT NULL, sql_mode TEXT NOT NULL, creates LONGTEXT NOT NULL, state VARCHAR(16) NOT NULL, error TEXT NOT NULL, "
    "UNIQUE KEY object_of_stream (stream, kind, schema_name, object_name))",
    "prepared_xa ("
    "stream BIGINT UNSIGNED NOT NULL, xid VARCHAR(320) NOT NULL, changes LONGBLOB NOT NULL, created DATETIME(3) NOT NULL, "
    "PRIMARY KEY (stream, xid))",
    kHeartbeatTable,
    "account ("
    "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, stream BIGINT UNSIGNED NOT NULL, "
    "user_name VARCHAR(128) NOT NULL, host_name VARCHAR(255) NOT NULL, is_role TINYINT NOT NULL, "
    "UNIQUE KEY account_of_stream (stream, user_name, host_name))",
    // From here on version 2.
    "stream_hold ("
    "stream BIGINT UNSIGNED NOT NULL PRIMARY KEY, number BIGINT UNSIGNED NOT NULL, goal LONGTEXT NULL, state VARCHAR(16) NOT NULL, "
    "position LONGTEXT NULL, asked DATETIME(3) NOT NULL)",
    "vdiff ("
    "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, workflow VARCHAR(64) NOT NULL, state VARCHAR(16) NOT NULL, options LONGTEXT NOT NULL, "
    "position LONGTEXT NULL, started DATETIME(3) NOT NULL, ended DATETIME(3) NULL, KEY vdiff_of_workflow (workflow))",
    "vdiff_table ("
    "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, vdiff BIGINT UNSIGNED NOT NULL, "
    "source_schema VARCHAR(64) NOT NULL, source_table VARCHAR(64) NOT NULL, target_schema VARCHAR(64) NOT NULL, target_table VARCHAR(64) NOT NULL, "
    "state VARCHAR(16) NOT NULL, why TEXT NOT NULL, done_upto LONGTEXT NULL, source_rows BIGINT UNSIGNED NOT NULL DEFAULT 0, "
    "target_rows BIGINT UNSIGNED NOT NULL DEFAULT 0, compare_ms BIGINT UNSIGNED NOT NULL DEFAULT 0, definition_hash VARCHAR(64) NOT NULL, "
    "UNIQUE KEY table_of_vdiff (vdiff, source_schema, source_table))",
    "vdiff_difference ("
    "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, table_id BIGINT UNSIGNED NOT NULL, state VARCHAR(16) NOT NULL, kind VARCHAR(16) NOT NULL, "
    "row_key LONGTEXT NOT NULL, detail LONGTEXT NOT NULL, KEY difference_of_table (table_id, state))",
    // From here on version 3.
    "route ("
    "workflow VARCHAR(64) NOT NULL PRIMARY KEY, epoch BIGINT UNSIGNED NOT NULL, serving VARCHAR(16) NOT NULL, is_switching TINYINT NOT NULL, "
    "coordinator VARCHAR(255) NOT NULL, fence VARCHAR(16) NOT NULL, changed DATETIME(3) NOT NULL)",
    "fence ("
    "workflow VARCHAR(64) NOT NULL, side VARCHAR(16) NOT NULL, kind VARCHAR(16) NOT NULL, is_set TINYINT NOT NULL, read_only_before VARCHAR(16) NULL, "
    "persisted_before VARCHAR(16) NULL, events_before VARCHAR(16) NULL, changed DATETIME(3) NOT NULL, PRIMARY KEY (workflow, side))",
    "proxy ("
    "workflow VARCHAR(64) NOT NULL, instance VARCHAR(64) NOT NULL, endpoint VARCHAR(255) NOT NULL, serving VARCHAR(16) NOT NULL, seen DATETIME(3) NOT NULL, "
    "PRIMARY KEY (workflow, instance))",
    "live_object ("
    "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, stream BIGINT UNSIGNED NOT NULL, kind VARCHAR(16) NOT NULL, schema_name VARCHAR(64) NOT NULL, "
    "object_name VARCHAR(64) NOT NULL, table_name VARCHAR(64) NOT NULL, number BIGINT UNSIGNED NOT NULL, statement LONGTEXT NOT NULL, sql_mode TEXT NOT NULL, "
    "collation_name VARCHAR(64) NOT NULL, time_zone VARCHAR(64) NOT NULL, state VARCHAR(16) NOT NULL, changed DATETIME(3) NOT NULL, "
    "UNIQUE KEY object_of_stream (stream, kind, schema_name, object_name))",
    // From here on version 4.
    "parked_row ("
    "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, stream BIGINT UNSIGNED NOT NULL, place LONGBLOB NOT NULL, changes LONGBLOB NOT NULL, "
    "created DATETIME(3) NOT NULL, KEY parked_of_stream (stream))"};

constexpr std::uint64_t kVersion = 4;

std::string position_literal(const gtid::Position& position) { return quote_string(position.text); }

std::optional<gtid::Position> position_of(const db::Rows& rows, std::size_t row, std::string_view column) {
  if (rows.is_null(row, column)) return std::nullopt;
  const auto flavour = rows.text(row, "flavour") == "mysql" ? gtid::Flavour::mysql : gtid::Flavour::mariadb;
  return gtid::Position{.flavour = flavour, .text = rows.text(row, column)};
}

StreamRow stream_of(const db::Rows& rows, std::size_t row) {
  return {.id = rows.u64(row, "id"),
          .key = {.workflow = rows.text(row, "workflow"),
                  .direction = rows.text(row, "direction"),
                  .shard = rows.text(row, "shard")},
          .epoch = rows.u64(row, "epoch"),
          .state = rows.text(row, "state"),
          .position = position_of(rows, row, "position"),
          .stop_position = position_of(rows, row, "stop_position"),
          .overlap_end = position_of(rows, row, "overlap_end"),
          .source_identity = rows.text(row, "source_identity"),
          .source_version = rows.text(row, "source_version"),
          .last_error = rows.text(row, "last_error"),
          .heartbeat = rows.text(row, "heartbeat")};
}

std::string where_key(const StreamKey& key) {
  return fmt::format("workflow = {} AND direction = {} AND shard = {}",
                     quote_string(key.workflow),
                     quote_string(key.direction),
                     quote_string(key.shard));
}

}  // namespace

void throw_fenced(std::uint64_t stream, std::uint64_t epoch) {
  throw Error(Code::stream_fenced,
              {.object = fmt::format("stream {} of {}", stream, kSidecarSchema),
               .cause = fmt::format("epoch {} is over: a newer process has taken the stream over", epoch),
               .remedy = "only one godwit works on a workflow: let the newer one go on"});
}

namespace {

constexpr std::size_t kSessionsMax = 65;  // one, and as many workers as --workers takes
constexpr unsigned kNoSuchThread = 1094;

std::string session_name(std::uint64_t stream, std::size_t number) { return quote_string(fmt::format("godwit_stream_{}_{}", stream, number)); }

std::vector<std::uint64_t> sessions_of(db::Connection& target, std::uint64_t stream) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kSessionsMax; ++i) names.push_back(fmt::format("IS_USED_LOCK({})", session_name(stream, i)));
  const db::Rows holders = target.query("SELECT " + join(names, ", "));
  std::vector<std::uint64_t> result;
  for (const auto& cell : holders.rows.at(0)) {
    const auto id = parse_u64(cell.value_or(""));
    if (id && *id != target.id()) result.push_back(*id);
  }
  return result;
}

}  // namespace

void begin_session(db::Connection& target, std::uint64_t stream, std::size_t number, std::chrono::seconds patience) {
  GODWIT_CHECK(number < kSessionsMax);
  const std::string got = target.scalar(fmt::format("SELECT GET_LOCK({}, {})", session_name(stream, number), patience.count()));
  if (got == "1") return;
  throw Error(Code::lock_contention,
              {.object = fmt::format("stream {} of {}", stream, kSidecarSchema),
               .cause = fmt::format("an earlier session of it, number {}, has not ended on the target", number),
               .remedy = "KILL it there, if it does not end by itself"});
}

void end_sessions(db::Connection& target, std::uint64_t stream) {
  for (const auto id : sessions_of(target, stream)) {
    try {
      target.execute(fmt::format("KILL {}", id));
    } catch (const Error&) {
      if (target.last_errno() != kNoSuchThread) throw;
    }
  }
}

bool has_parked_rows(db::Connection& target, std::uint64_t stream) {
  return !target.query(fmt::format("SELECT 1 FROM {} WHERE stream = {} LIMIT 1", name("parked_row"), stream)).empty();
}

bool has_sessions(db::Connection& target, std::uint64_t stream) { return !sessions_of(target, stream).empty(); }

bool Sidecar::exists(db::Connection& connection) {
  return !connection
              .query(fmt::format("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = 'meta'",
                                 quote_string(kSidecarSchema)))
              .empty();
}

bool Sidecar::is_current() {
  const db::Rows version = exists(db_) ? db_.query("SELECT version FROM " + name("meta")) : db::Rows{};
  if (!version.empty() && version.u64(0, "version") > kVersion) {
    throw Error(Code::sidecar_newer,
                {.object = std::string(kSidecarSchema),
                 .cause = fmt::format("its version is {}, this godwit knows {}", version.u64(0, "version"), kVersion),
                 .remedy = "use the newer godwit"});
  }
  return !version.empty() && version.u64(0, "version") == kVersion;
}

// Every statement may be repeated, and the table with the version comes last: a run that was killed in between is simply
// repeated, and where that table is, all of them are.
void Sidecar::create() {
  db_.execute(fmt::format("CREATE DATABASE IF NOT EXISTS {}", sql::quote_identifier(kSidecarSchema)));
  if (is_current()) return;
  for (const auto table : kTables) {
    db_.execute(fmt::format("CREATE TABLE IF NOT EXISTS {}.{} {}", sql::quote_identifier(kSidecarSchema), table, kTableOptions));
  }
  db_.execute(fmt::format("CREATE TABLE IF NOT EXISTS {} (id TINYINT NOT NULL PRIMARY KEY, version BIGINT UNSIGNED NOT NULL) {}",
                          name("meta"),
                          kTableOptions));
  db_.execute(fmt::format("INSERT INTO {} VALUES (1, {}) ON DUPLICATE KEY UPDATE version = VALUES(version)", name("meta"), kVersion));
}

void Sidecar::upgrade() {
  if (exists(db_) && db_.query("SELECT version FROM " + name("meta")).u64(0, "version") != kVersion) create();
}

void Sidecar::drop() { db_.execute(fmt::format("DROP DATABASE IF EXISTS {}", sql::quote_identifier(kSidecarSchema))); }

void Sidecar::drop_begun() {
  std::vector<std::string> ours;
  for (const auto table : kTables) ours.push_back(quote_string(table.substr(0, table.find(' '))));
  const bool is_foreign = !db_.query(fmt::format("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME NOT IN ({})",
                                                 quote_string(kSidecarSchema),
                                                 join(ours, ", ")))
                               .empty();
  if (!is_foreign) drop();
}

void Sidecar::create_heartbeat(db::Connection& source) {
  source.execute(fmt::format("CREATE DATABASE IF NOT EXISTS {}", sql::quote_identifier(kSidecarSchema)));
  source.execute(fmt::format("CREATE TABLE IF NOT EXISTS {}.{} {}", sql::quote_identifier(kSidecarSchema), kHeartbeatTable, kTableOptions));
}

bool Sidecar::leave_source(db::Connection& source, const std::string& workflow) {
  Sidecar sidecar(source);
  if (!exists(source)) {
    const db::Rows tables = source.query(fmt::format("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}", quote_string(kSidecarSchema)));
    if (!tables.empty()) sidecar.drop_begun();
    return !tables.empty();
  }
  sidecar.create();  // what is forgotten below has tables of every version
  for (const auto& stream : sidecar.streams()) {
    if (stream.key.workflow == workflow && stream.key.direction == "reverse") sidecar.forget(stream.id);
  }
  source.execute(fmt::format("DELETE FROM {} WHERE workflow = {}", name("fence"), quote_string(workflow)));
  return sidecar.drop_unused();
}

bool Sidecar::drop_unused() {
  const bool is_used = !db_.query(fmt::format("SELECT 1 FROM {} UNION SELECT 1 FROM {} UNION SELECT 1 FROM {}", name("stream"), name("route"), name("fence"))).empty();
  if (!is_used) drop();
  return !is_used;
}

// What needs a stream's row for itself, and is to be repeated when it does not get it.
template <typename Attempt>
auto Sidecar::with_row(const std::function<std::optional<std::uint64_t>()>& stream, Attempt attempt) {
  constexpr int kPatienceSeconds = 3;
  // Whoever falls asleep with the row's lock, or whose machine is gone: the server ends the session, so that the stream, and the next switch, go on.
  constexpr int kIdleMaxSeconds = 15;
  db_.execute(fmt::format("SET @godwit_patience = @@SESSION.innodb_lock_wait_timeout, @godwit_idle = @@SESSION.wait_timeout, SESSION innodb_lock_wait_timeout = {}, SESSION wait_timeout = {}", kPatienceSeconds, kIdleMaxSeconds));
  struct Restore {
    db::Connection& db;
    ~Restore() {
      try {
        db.execute("SET SESSION innodb_lock_wait_timeout = @godwit_patience, SESSION wait_timeout = @godwit_idle");
      } catch (const Error&) {  // the session is lost: what it was set to is nobody's any more
      }
    }
  } restore{db_};
  try {
    return attempt();
  } catch (const Error& error) {
    if (error.code() != Code::lock_contention) throw;
    // No transaction of a stream that works lasts so long: its session is one whose client is gone, or hangs. To be fenced out either way.
    db_.execute("ROLLBACK");
    if (const auto blocked = stream()) end_sessions(db_, *blocked);
    return attempt();
  }
}

StreamRow Sidecar::claim(const StreamKey& key, const std::string& flavour, const std::string& source_identity,
                         const std::string& source_version, bool is_cancel) {
  const auto id = [&]() -> std::optional<std::uint64_t> {
    const auto blocked = find(key);
    return blocked ? std::optional(blocked->id) : std::nullopt;
  };
  return with_row(id, [&] {
    insert(key, flavour, source_identity, source_version);
    return take_over(key, source_identity, {.only_epoch = {}, .is_cancel = is_cancel});
  });
}

void Sidecar::insert(const StreamKey& key, const std::string& flavour, const std::string& source_identity, const std::string& source_version) {
  // Two first claimers: one inserts, the other finds its row and raises the epoch, which fences the first one out.
  db_.execute(fmt::format(
      "INSERT IGNORE INTO {} (workflow, direction, shard, epoch, state, flavour, source_identity, source_version, created) "
      "VALUES ({}, {}, {}, 0, 'creating', {}, {}, {}, UTC_TIMESTAMP(3))",
      name("stream"),
      quote_string(key.workflow),
      quote_string(key.direction),
      quote_string(key.shard),
      quote_string(flavour),
      quote_string(source_identity),
      quote_string(source_version)));
}

StreamRow Sidecar::claim_idle(const StreamKey& key, std::uint64_t epoch, const std::string& source_identity) {
  return take_over(key, source_identity, {.only_epoch = epoch, .is_cancel = false});
}

namespace {

// Rolls back unless it was committed: whoever throws in between leaves nothing open in a session that is used again.
class Transaction {
 public:
  explicit Transaction(db::Connection& db) : db_(db) { db_.execute("START TRANSACTION"); }
  ~Transaction() {
    if (is_committed_) return;
    try {
      db_.execute("ROLLBACK");
    } catch (const Error&) {  // the session is lost, and its transaction with it
    }
  }
  Transaction(const Transaction&) = delete;
  void commit() {
    db_.execute("COMMIT");
    is_committed_ = true;
  }

 private:
  db::Connection& db_;
  bool is_committed_ = false;
};

constexpr std::string_view kFrozen = "frozen";

}  // namespace

// The exclusive lock waits for every transaction that has passed the guard of its epoch (see guard()). A request to stand still is taken away in the
// same transaction, so that a comparison which counts on it, and may be rewriting rows of this side, has either committed by then or finds it gone.
std::uint64_t Sidecar::freeze(std::uint64_t stream, const std::function<void()>& when_locked) {
  return with_row([&] { return std::optional(stream); }, [&] {
    Transaction transaction(db_);
    const db::Rows rows = db_.query(fmt::format("SELECT * FROM {} WHERE id = {} FOR UPDATE", name("stream"), stream));
    const std::string state = rows.empty() ? "gone" : rows.text(0, "state");
    if (state != "running" && state != "copied" && state != kFrozen) {
      throw Error(Code::stream_not_ready,
                  {.object = fmt::format("stream {} of {}", stream, kSidecarSchema), .cause = fmt::format("it is {}: only one that is copied can be frozen", state), .remedy = "let the copy end first"});
    }
    if (when_locked) when_locked();
    const std::uint64_t epoch = rows.u64(0, "epoch") + 1;
    db_.execute(fmt::format("DELETE FROM {} WHERE stream = {}", name("stream_hold"), stream));
    db_.execute(fmt::format("UPDATE {} SET epoch = {}, state = {}, touched = touched + 1 WHERE id = {}", name("stream"), epoch, quote_string(kFrozen), stream));
    transaction.commit();
    return epoch;
  });
}

// It names the epoch: a coordinator that was asleep takes nothing out of the hands of the next switch.
bool Sidecar::unfreeze(std::uint64_t stream, std::uint64_t frozen_epoch) {
  return db_.execute(fmt::format("UPDATE {} SET state = 'copied', touched = touched + 1 WHERE id = {} AND epoch = {} AND state = {}", name("stream"), stream, frozen_epoch, quote_string(kFrozen)))
             .affected_rows != 0;
}

void Sidecar::announce_stream(const StreamKey& key, const StreamBegin& begin, const std::vector<TableRow>& tables) {
  insert(key, gtid::to_string(begin.position.flavour), begin.source_identity, begin.source_version);
  put_tables(find(key).value().id, tables);
}

// Mostly they are there already, and nothing is written.
void Sidecar::put_tables(std::uint64_t stream, const std::vector<TableRow>& wanted) {
  std::map<std::pair<std::string, std::string>, TableRow> known;
  for (auto& table : tables(stream)) known[{table.source_schema, table.source_table}] = table;
  for (auto table : wanted) {
    const auto there = known.find({table.source_schema, table.source_table});
    const bool is_same = there != known.end() && there->second.state == "finished" && there->second.target_schema == table.target_schema && there->second.target_table == table.target_table;
    if (is_same) continue;
    table.state = "finished";
    add_table(stream, table);
    db_.execute(fmt::format("UPDATE {} SET state = 'finished', target_schema = {}, target_table = {} WHERE stream = {} AND source_schema = {} AND source_table = {}",
                            name("copy_table"),
                            quote_string(table.target_schema),
                            quote_string(table.target_table),
                            stream,
                            quote_string(table.source_schema),
                            quote_string(table.source_table)));
  }
}

StreamRow Sidecar::prepare_stream(const StreamKey& key, const StreamBegin& begin, const std::vector<TableRow>& tables, const std::function<void()>& when_locked) {
  insert(key, gtid::to_string(begin.position.flavour), begin.source_identity, begin.source_version);
  const auto known = find(key);
  GODWIT_CHECK(known.has_value());
  const std::uint64_t stream = known->id;
  with_row([&] { return std::optional(stream); }, [&] {
    Transaction transaction(db_);
    // The row first: every other transaction of the stream takes it before anything else.
    db_.query(fmt::format("SELECT id FROM {} WHERE id = {} FOR UPDATE", name("stream"), stream));
    if (when_locked) when_locked();
    db_.execute(fmt::format("UPDATE {} SET epoch = epoch + 1, touched = touched + 1, state = 'copied', flavour = {}, position = {}, overlap_end = NULL, stop_position = NULL, "
                            "source_identity = {}, source_version = {}, last_error = NULL, heartbeat = NULL WHERE id = {}",
                            name("stream"),
                            quote_string(gtid::to_string(begin.position.flavour)),
                            position_literal(begin.position),
                            quote_string(begin.source_identity),
                            quote_string(begin.source_version),
                            stream));
    db_.execute(fmt::format("DELETE FROM {} WHERE stream = {}", name("stream_hold"), stream));
    db_.execute(fmt::format("DELETE FROM {} WHERE stream = {}", name("prepared_xa"), stream));  // of before: the position is beyond their outcome
    put_tables(stream, tables);
    transaction.commit();
  });
  return find(key).value();
}

std::chrono::milliseconds Sidecar::touched_ago(std::uint64_t stream) {
  const db::Rows rows = db_.query(fmt::format("SELECT TIMESTAMPDIFF(MICROSECOND, COALESCE(heartbeat, created), UTC_TIMESTAMP(3)) DIV 1000 AS age FROM {} WHERE id = {}", name("stream"), stream));
  return std::chrono::milliseconds(rows.empty() ? 0 : parse_i64(rows.text(0, "age")).value_or(0));
}

void refuse_cancelled(std::string_view workflow) {
  throw Error(Code::stream_not_ready,
              {.object = fmt::format("workflow {}", workflow), .cause = "a cancel of it has begun: some of what was copied is gone", .remedy = fmt::format("godwit cancel {} again; then it can be copied anew", workflow)});
}

StreamRow Sidecar::take_over(const StreamKey& key, const std::string& source_identity, const Takeover& how) {
  db_.execute("START TRANSACTION");
  const db::Rows rows = db_.query(fmt::format("SELECT * FROM {} WHERE {} FOR UPDATE", name("stream"), where_key(key)));
  GODWIT_CHECK(rows.size() == 1);
  StreamRow row = stream_of(rows, 0);
  if (how.only_epoch && row.epoch != *how.only_epoch) {
    db_.execute("ROLLBACK");
    throw_fenced(row.id, *how.only_epoch);
  }
  if (row.state == "frozen" && !how.is_cancel) {
    db_.execute("ROLLBACK");
    throw Error(Code::stream_fenced,
                {.object = fmt::format("workflow {}", key.workflow), .cause = fmt::format("a switch has frozen its {} stream", key.direction), .remedy = "run the switch again: it finishes or undoes what it began"});
  }
  if (row.state == kCancelledState && !how.is_cancel) {
    db_.execute("ROLLBACK");
    refuse_cancelled(key.workflow);
  }
  if (row.source_identity != source_identity) {
    db_.execute("ROLLBACK");
    throw Error(Code::server_changed,
                {.object = fmt::format("workflow {}", key.workflow),
                 .cause = fmt::format("it began with source {}, this one is {}", row.source_identity, source_identity),
                 .remedy = "name the server it began with; or godwit cancel, and copy anew"});
  }
  ++row.epoch;
  if (how.is_cancel) row.state = kCancelledState;
  db_.execute(fmt::format("UPDATE {} SET epoch = {}, heartbeat = UTC_TIMESTAMP(3), last_error = NULL, state = {} WHERE id = {}",
                          name("stream"),
                          row.epoch,
                          quote_string(row.state),
                          row.id));
  db_.execute("COMMIT");
  return row;
}

// The position was proved to be known to the new server; the guard makes sure that nobody else follows the old one.
void Sidecar::move_source(std::uint64_t stream, const std::string& source_identity, const std::string& source_version) {
  db_.execute(fmt::format("UPDATE {} SET source_identity = {}, source_version = {}, epoch = epoch + 1 WHERE id = {}",
                          name("stream"),
                          quote_string(source_identity),
                          quote_string(source_version),
                          stream));
}

std::set<std::pair<std::string, std::string>> Sidecar::begun_tables(std::uint64_t stream) {
  const db::Rows rows = db_.query(fmt::format(
      "SELECT DISTINCT t.source_schema, t.source_table FROM {} t JOIN {} c ON c.table_id = t.id WHERE t.stream = {} AND c.state = 'done'",
      name("copy_table"),
      name("copy_chunk"),
      stream));
  std::set<std::pair<std::string, std::string>> result;
  for (std::size_t i = 0; i < rows.size(); ++i) result.emplace(rows.text(i, "source_schema"), rows.text(i, "source_table"));
  return result;
}

std::optional<StreamRow> Sidecar::find(const StreamKey& key) {
  const db::Rows rows = db_.query(fmt::format("SELECT * FROM {} WHERE {}", name("stream"), where_key(key)));
  if (rows.empty()) return std::nullopt;
  return stream_of(rows, 0);
}

std::vector<StreamRow> Sidecar::streams() {
  return rows_of(db_.query(fmt::format("SELECT * FROM {} ORDER BY id", name("stream"))), stream_of);
}

void Sidecar::forget(std::uint64_t stream) {
  db_.execute("START TRANSACTION");
  db_.execute(fmt::format("DELETE FROM {} WHERE table_id IN (SELECT id FROM {} WHERE stream = {})",
                          name("copy_chunk"),
                          name("copy_table"),
                          stream));
  db_.execute(fmt::format("DELETE FROM {} WHERE stream = {}", name("copy_table"), stream));
  db_.execute(fmt::format("DELETE FROM {} WHERE stream = {}", name("post_copy"), stream));
  db_.execute(fmt::format("DELETE FROM {} WHERE stream = {}", name("prepared_xa"), stream));
  db_.execute(fmt::format("DELETE FROM {} WHERE stream = {}", name("account"), stream));
  db_.execute(fmt::format("DELETE FROM {} WHERE stream = {}", name("stream_hold"), stream));
  db_.execute(fmt::format("DELETE FROM {} WHERE stream = {}", name("live_object"), stream));
  db_.execute(fmt::format("DELETE FROM {} WHERE stream = {}", name("parked_row"), stream));
  forget_vdiffs(db_, fmt::format("workflow = (SELECT workflow FROM {} WHERE id = {})", name("stream"), stream));
  db_.execute(fmt::format("DELETE FROM {} WHERE id = {}", name("stream"), stream));
  db_.execute("COMMIT");
}

// A shared lock suffices for I3: claim() must take the row exclusively, so it waits for every transaction that has passed this
// guard and not yet committed, and once it has raised the epoch none of the old epoch can pass. Transactions of one epoch do
// not wait for each other, which an UPDATE of the row would make them do.
void Sidecar::guard(std::uint64_t stream, std::uint64_t epoch) {
  const db::Rows rows = db_.query(guard_statement(stream));
  if (rows.empty() || rows.u64(0, "epoch") != epoch) throw_fenced(stream, epoch);
}

std::string guard_statement(std::uint64_t stream) {
  return fmt::format("SELECT epoch FROM {} WHERE id = {} LOCK IN SHARE MODE", name("stream"), stream);
}

// `touched` makes every update count as a change, so that 0 rows mean one thing only.
std::string update_statement(std::uint64_t stream, std::uint64_t epoch, const std::string& assignment) {
  return fmt::format("UPDATE {} SET {}, touched = touched + 1, heartbeat = UTC_TIMESTAMP(3) WHERE id = {} AND epoch = {}",
                     name("stream"),
                     assignment,
                     stream,
                     epoch);
}

void Sidecar::update(std::uint64_t stream, std::uint64_t epoch, const std::string& assignment) {
  if (db_.execute(update_statement(stream, epoch, assignment)).affected_rows == 0) throw_fenced(stream, epoch);
}

void Sidecar::set_state(std::uint64_t stream, std::uint64_t epoch, std::string_view state) {
  update(stream, epoch, fmt::format("state = {}", quote_string(state)));
}

void Sidecar::set_position(std::uint64_t stream, std::uint64_t epoch, const gtid::Position& position) {
  update(stream, epoch, fmt::format("position = {}", position_literal(position)));
}

void Sidecar::set_overlap_end(std::uint64_t stream, std::uint64_t epoch, const gtid::Position& position) {
  update(stream, epoch, fmt::format("overlap_end = {}", position_literal(position)));
}

void Sidecar::set_error(std::uint64_t stream, std::uint64_t epoch, std::string_view error) {
  update(stream, epoch, fmt::format("last_error = {}", quote_string(error)));
}

}  // namespace godwit::state
