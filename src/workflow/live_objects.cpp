#include "godwit/workflow/live_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "event_status.h"
#include "godwit/sql/quote.h"
#include "godwit/state/live_objects.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/workflow/shards.h"
#include "live_reading.h"
#include "preparation.h"
#include "trigger_head.h"

namespace godwit::workflow {
namespace {

using sql::quote_string;
using state::LiveObjectRow;

constexpr int kIdleSecondsMax = 15;   // of a session that has the lock: its machine may be gone
constexpr int kPatienceSeconds = 3;  // for the lock of another godwit, and for a table that somebody has open: clients may be held meanwhile

// A head may have no such schema yet.
db::Endpoint endpoint_here(const Definition& definition) {
  db::Endpoint endpoint = target_endpoint(definition);
  if (is_head(definition)) endpoint.dsn.schema.clear();
  return endpoint;
}

struct FirstShard {
  state::StreamRow stream;
  std::vector<state::TableRow> tables;
};

std::optional<FirstShard> first_shard_stream(const Definition& definition) {
  const Definition first = shard_definitions(definition).front();
  db::Connection shard = db::Connection::open(target_endpoint(first));
  if (!state::Sidecar::exists(shard)) return std::nullopt;
  state::Sidecar sidecar(shard);
  auto stream = sidecar.find(stream_key(first));
  if (!stream || !stream->position) return std::nullopt;
  return FirstShard{.stream = *stream, .tables = sidecar.tables(stream->id)};
}

bool is_enabled_event(const LiveObjectRow& row) { return row.kind == "event" && is_enabled(row.sql); }

// One side: the stream that writes to it, its tables by their names there.
class LiveSide {
 public:
  enum class Purpose { read, change };
  LiveSide(const Definition& definition, db::Side side, Purpose purpose = Purpose::change)
      : definition_(in_direction(definition, direction_serving(other(side)))), side_(side), db_(db::Connection::open(endpoint_here(definition_))) {
    db_.execute(fmt::format("SET SESSION lock_wait_timeout = {}", kPatienceSeconds));
    if (!state::Sidecar::exists(db_)) return;
    state::Sidecar sidecar(db_);
    if (purpose == Purpose::change) sidecar.upgrade();
    has_store_ = purpose == Purpose::change || sidecar.is_current();
    if (const auto found = sidecar.find(stream_key(definition_))) {
      stream_ = found->id;
      tables_ = sidecar.tables(found->id);
    }
  }
  // A head before its first switch has what the first shard's stream has.
  void take_tables_of_first_shard() {
    const auto first = first_shard_stream(definition_);
    if (is_head(definition_) && stream_ == 0 && first) tables_ = first->tables;
  }

  // Nothing is recorded of a side that no stream has ever written to.
  bool is_known() const { return stream_ != 0; }
  bool has_tables() const { return !tables_.empty(); }
  const std::string& workflow() const { return definition_.name; }
  state::LiveObjects store() { return {db_, stream_}; }
  void open_ahead();  // what locked_route() and carried() open otherwise, while clients may be held
  void lock();
  std::optional<state::Route> locked_route();
  std::vector<LiveObjectRow> present() { return read_live_objects(db_, tables()); }
  // Before this side has ever served: what the serving side has now, as it is made here. Nothing where this side has its own.
  std::optional<std::vector<LiveObjectRow>> carried(const std::vector<LiveObjectRow>& known);
  // All that is made when this side is to serve. Changes nothing.
  std::vector<LiveObjectRow> to_bring();
  bool is_of_tables(const LiveObjectRow& row) const;  // its schema has migrated tables
  bool is_there(const LiveObjectRow& row);
  void drop(const LiveObjectRow& row);
  // An event is disabled as yet.
  void create(const LiveObjectRow& row);
  void set_enabled(const LiveObjectRow& row, bool is_enabled);
  bool has_account(const std::string& user, const std::string& host);

 private:
  std::vector<LiveTable> tables() const;
  db::Connection& authority_session();
  db::Connection& other_side();
  void take_session_of(const LiveObjectRow& row);
  std::string table_here(const std::string& schema, const std::string& name) const;

  const Definition definition_;  // as the direction that writes to this side sees it
  const db::Side side_;
  db::Connection db_;
  std::optional<db::Connection> other_;
  std::optional<db::Connection> authority_;  // where that is on neither of the two
  std::uint64_t stream_ = 0;
  std::vector<state::TableRow> tables_;
  bool has_store_ = false;  // the sidecar of an earlier version, which is only read, has no table for them
};

db::Connection& LiveSide::other_side() {
  if (!other_) other_.emplace(db::Connection::open(source_endpoint(definition_)));
  return *other_;
}

db::Connection& LiveSide::authority_session() {
  if (!is_sharded(definition_)) return side_ == db::Side::target ? db_ : other_side();
  if (!authority_) authority_.emplace(db::Connection::open(authority_endpoint(definition_)));
  return *authority_;
}

void LiveSide::open_ahead() {
  other_side();
  authority_session();
}

// It ends with the session.
void LiveSide::lock() {
  const std::string lock = quote_string(fmt::format("godwit_live_objects_{}", stream_));
  if (db_.scalar(fmt::format("SELECT GET_LOCK({}, {})", lock, kPatienceSeconds)) != "1") {
    throw Error(Code::lock_contention,
                {.object = fmt::format("triggers and events of {}", db::describe(db_.endpoint())), .cause = "another godwit is at work on them", .remedy = "it is tried again"});
  }
  db_.execute(fmt::format("SET SESSION wait_timeout = {}", kIdleSecondsMax));
}

// The authority inside the lock: what it says then stays so for whoever waits for this lock before acting on another word.
std::optional<state::Route> LiveSide::locked_route() {
  lock();
  return state::Authority(authority_session(), definition_.name).read();
}

std::vector<LiveTable> LiveSide::tables() const {
  std::vector<LiveTable> result;
  for (const auto& table : tables_) result.push_back({.schema = table.target_schema, .name = table.target_table});
  return result;
}

bool LiveSide::is_of_tables(const LiveObjectRow& row) const {
  return std::any_of(tables_.begin(), tables_.end(), [&](const state::TableRow& table) { return table.target_schema == row.schema_name; });
}

// Whoever changed a trigger while the copy and the stream ran changed it where it lives. Once this side has had its own, those are what comes back.
std::optional<std::vector<LiveObjectRow>> LiveSide::carried(const std::vector<LiveObjectRow>& known) {
  const auto is_copied = [](const LiveObjectRow& row) { return row.state == state::kCopiedObject; };
  const bool has_own = !std::all_of(known.begin(), known.end(), is_copied);
  const bool has_copied = std::any_of(known.begin(), known.end(), is_copied);
  if (side_ != db::Side::target || !definition_.is_schema_created || (has_own && !has_copied)) return std::nullopt;
  auto rows = read_carried(definition_, other_side(), db_, tables_);
  std::erase_if(rows, [&](const LiveObjectRow& row) {
    const auto it = std::find_if(known.begin(), known.end(), [&](const LiveObjectRow& one) { return state::is_same(one, row); });
    return it == known.end() ? has_own : !is_copied(*it);
  });
  return rows;
}

std::vector<LiveObjectRow> LiveSide::to_bring() {
  auto known = has_store_ && is_known() ? store().all() : std::vector<LiveObjectRow>{};
  if (is_known()) {
    for (const auto& row : store().kept()) known.push_back(row);
  }
  const auto anew = carried(known);
  std::erase_if(known, [&](const LiveObjectRow& row) { return row.state == "there" || (anew && row.state == state::kCopiedObject && is_of_tables(row)); });
  if (anew) known.insert(known.end(), anew->begin(), anew->end());
  return known;
}

bool LiveSide::is_there(const LiveObjectRow& row) {
  const bool is_trigger = row.kind == "trigger";
  return !db_.query(fmt::format("SELECT 1 FROM information_schema.{0}S WHERE {0}_SCHEMA = {1} AND {0}_NAME = {2}", is_trigger ? "TRIGGER" : "EVENT", quote_string(row.schema_name), quote_string(row.object_name)))
              .empty();
}

void LiveSide::drop(const LiveObjectRow& row) { db_.execute(fmt::format("DROP {} IF EXISTS {}", row.kind, sql::quote_table(row.schema_name, row.object_name))); }

// What the copy has kept is in the words of the other side.
std::string LiveSide::table_here(const std::string& schema, const std::string& name) const {
  const auto is_here = [&](const state::TableRow& t) { return t.target_schema == schema && t.target_table == name; };
  if (std::any_of(tables_.begin(), tables_.end(), is_here)) return name;
  const auto there = std::find_if(tables_.begin(), tables_.end(), [&](const state::TableRow& t) { return t.target_schema == schema && t.source_table == name; });
  return there == tables_.end() ? name : there->target_table;
}

void LiveSide::take_session_of(const LiveObjectRow& row) {
  db_.execute("USE " + sql::quote_identifier(row.schema_name));
  db_.execute("SET SESSION sql_mode = " + quote_string(row.sql_mode));
  // The text is in this session's character set; what its literals are compared by is the collation that they were written under.
  db_.execute(row.collation.empty() ? "SET NAMES utf8mb4" : "SET SESSION collation_connection = " + quote_string(row.collation));
  db_.execute(fmt::format("SET SESSION time_zone = {}", quote_string(row.time_zone.empty() ? "+00:00" : row.time_zone)));
}

void LiveSide::create(const LiveObjectRow& row) {
  try {
    take_session_of(row);
    const TriggerHead head{.name = row.object_name, .table = [&](const std::string& table) { return table_here(row.schema_name, table); }};
    if (row.kind == "trigger") db_.execute(with_head(row.sql, head));
    if (row.kind == "event") db_.execute(is_enabled_event(row) ? with_enabled(row.sql, false) : row.sql);
  } catch (const Error& error) {
    throw error.in(state::to_string(row));
  }
}

// Not of the stream that reads this side, nor of a replica of it, where events are disabled anyway. Where that is not permitted it is in the binlog, and passed over.
void LiveSide::set_enabled(const LiveObjectRow& row, bool is_enabled) {
  try {
    take_session_of(row);
    bool is_logged = true;
    try {
      db_.execute("SET SESSION sql_log_bin = 0");
      is_logged = false;
    } catch (const Error& error) {
      if (error.is_retryable()) throw;
      log::debug("{}", error.what());
    }
    db_.execute(alter_enabled(row.sql, sql::quote_table(row.schema_name, row.object_name), is_enabled));
    if (!is_logged) db_.execute("SET SESSION sql_log_bin = 1");
  } catch (const Error& error) {
    throw error.in(state::to_string(row));
  }
}

bool LiveSide::has_account(const std::string& user, const std::string& host) {
  return !db_.query(fmt::format("SELECT 1 FROM mysql.user WHERE User = {} AND Host = {}", quote_string(user), quote_string(host))).empty();
}

// What is between quotes at the front, doubled ones undone; what follows it is left in `text`.
std::string take_quoted(std::string_view& text) {
  std::string name;
  const char quote = text.empty() ? '\0' : text[0];
  if (quote != '`' && quote != '\'' && quote != '"') return name;
  std::size_t at = 1;
  while (at < text.size()) {
    if (text[at] == quote) {
      if (at + 1 >= text.size() || text[at + 1] != quote) break;
      ++at;
    }
    name.push_back(text[at++]);
  }
  text.remove_prefix(std::min(at + 1, text.size()));
  return name;
}

struct Account {
  std::string user;
  std::string host;
};

// Servers print CREATE DEFINER=`user`@`host` …, and a role of MariaDB's without a host.
std::optional<Account> definer_of(std::string_view sql) {
  constexpr std::string_view kWord = "DEFINER=";
  const auto at = sql.find(kWord);
  if (at == std::string_view::npos) return std::nullopt;
  sql.remove_prefix(at + kWord.size());
  Account account{.user = take_quoted(sql), .host = {}};
  if (!sql.empty() && sql[0] == '@') {
    sql.remove_prefix(1);
    account.host = take_quoted(sql);
  }
  return account;
}

}  // namespace

void announce_head(const Definition& recorded) {
  const auto head = head_definition(recorded);
  const auto first = head ? first_shard_stream(recorded) : std::nullopt;
  if (!first) return;
  db::Connection session = db::Connection::open(endpoint_here(*head));
  state::Sidecar sidecar(session);
  sidecar.create();
  sidecar.announce_stream(stream_key(*head), {.position = *first->stream.position, .source_identity = first->stream.source_identity, .source_version = first->stream.source_version}, first->tables);
}

namespace {

// Recorded before it is dropped, all of it: killed in between, what is there still is recorded again, as it is then. Dropped from the last to the first:
// what is left keeps its place before what comes back later, and triggers of one table fire in their order.
std::vector<std::string> set_aside_there(const Definition& placed, db::Side side) {
  std::vector<std::string> names;
  LiveSide here(placed, side);
  if (!here.is_known()) return names;
  const auto route = here.locked_route();
  if (!route || route->serving == side || route->is_switching) return names;
  here.store().take_over_kept();
  auto present = here.present();
  const auto known = here.store().all();
  for (auto& row : present) {
    const auto it = std::find_if(known.begin(), known.end(), [&](const LiveObjectRow& one) { return state::is_same(one, row); });
    // One that a switch has made, which was undone before it was enabled: it is disabled by godwit alone.
    if (it != known.end() && it->state != "there" && is_enabled_event(*it) && is_disabled(row.sql)) row.sql = with_enabled(row.sql, true);
  }
  here.store().record(present);
  failpoint(Fp::objects_recorded);
  std::reverse(present.begin(), present.end());
  for (const auto& row : present) {
    here.drop(row);
    failpoint(Fp::objects_dropped);
    names.push_back(state::to_string(row));
  }
  return names;
}

}  // namespace

// No stream writes by way of the head over shards, so that nothing waits for one that is away: what it has there stays, behind its fence.
std::vector<std::string> set_aside(const Definition& definition, db::Side side) {
  const auto placed = objects_definition(definition, side);
  if (!placed) return {};
  try {
    return set_aside_there(*placed, side);
  } catch (const Error& error) {
    if (!is_head(*placed) || !error.is_retryable()) throw;
    log::warning("triggers and events of the head over the shards are not set aside: {}", error.what());
  }
  return {};
}

struct BringBack::Impl {
  LiveSide here;
  db::Side side;
};

BringBack::BringBack(const Definition& definition, db::Side side) {
  const auto placed = objects_definition(definition, side);
  if (!placed) return;
  impl_ = std::make_unique<Impl>(Impl{LiveSide(*placed, side), side});
  if (impl_->here.is_known()) impl_->here.open_ahead();
}

BringBack::~BringBack() = default;

std::vector<std::string> bring_back(const Definition& definition, db::Side side, std::uint64_t hold) { return BringBack(definition, side).run(hold); }

// One that is there under a name that is recorded is the one that was recorded: made by a run that was killed, or not dropped by one. What is made stays recorded
// as aside until this side serves (enable_events): the switch may still be undone.
std::vector<std::string> BringBack::run(std::uint64_t hold) {
  std::vector<std::string> names;
  if (!impl_) return names;
  LiveSide& here = impl_->here;
  const db::Side side = impl_->side;
  if (!here.is_known()) return names;
  state::require_hold(here.locked_route(), here.workflow(), hold, other(side));
  here.store().take_over_kept();
  const auto known = here.store().all();
  if (const auto anew = here.carried(known)) here.store().replace_copied(*anew, [&](const LiveObjectRow& row) { return here.is_of_tables(row); });
  for (const auto& row : here.store().all()) {
    if (row.state == "there") continue;
    if (here.is_there(row)) {
      if (is_enabled_event(row)) here.set_enabled(row, false);
      continue;
    }
    here.create(row);
    failpoint(Fp::objects_created);
    names.push_back(state::to_string(row));
  }
  return names;
}

std::vector<std::string> enable_events(const Definition& definition, db::Side side) {
  std::vector<std::string> names;
  const auto placed = objects_definition(definition, side);
  if (!placed) return names;
  LiveSide here(*placed, side);
  if (!here.is_known()) return names;
  const auto route = here.locked_route();
  if (!route || route->serving != side || route->is_switching) return names;
  for (const auto& row : here.store().all()) {
    if (row.state == "there") continue;
    if (is_enabled_event(row) && here.is_there(row)) {  // one whose only time has passed is not
      here.set_enabled(row, true);
      failpoint(Fp::objects_enabled);
      names.push_back(state::to_string(row));
    }
    here.store().set_there(row.id);
  }
  return names;
}

std::vector<std::string> bring_back_to_source_alone(const Definition& definition) {
  std::vector<std::string> names;
  LiveSide here(*objects_definition(definition, db::Side::source), db::Side::source);
  if (!here.is_known()) return names;
  here.lock();
  for (const auto& row : here.store().all()) {
    if (row.state == "there") continue;
    if (!here.is_there(row)) {
      here.create(row);
      names.push_back(state::to_string(row));
    }
    if (is_enabled_event(row)) here.set_enabled(row, true);
    here.store().set_there(row.id);
  }
  return names;
}

std::vector<std::string> to_bring_back(const Definition& definition, db::Side side) {
  std::vector<std::string> names;
  const auto placed = objects_definition(definition, side);
  if (!placed) return names;
  LiveSide here(*placed, side, LiveSide::Purpose::read);
  if (is_head(*placed)) here.take_tables_of_first_shard();
  if (!here.has_tables()) return names;
  for (const auto& row : here.to_bring()) names.push_back(state::to_string(row));
  return names;
}

namespace {

// It has no stream back of its own: its row, with all tables, is on itself.
std::vector<std::string> present_on_head(const Definition& head) {
  std::vector<std::string> names;
  LiveSide here(head, db::Side::target, LiveSide::Purpose::read);
  if (!here.is_known()) return names;
  for (const auto& row : here.present()) names.push_back(state::to_string(row));
  return names;
}

}  // namespace

// Before the first switch nothing is recorded there, nor any table: those of the stream that reads that side have its names.
std::vector<std::string> to_set_aside(const Definition& definition, db::Side side) {
  const auto placed = objects_definition(definition, side);
  if (!placed) return {};
  if (is_head(*placed)) return present_on_head(*placed);
  const Definition running = in_direction(*placed, direction_serving(side));
  auto passive = db::Connection::open(target_endpoint(running));
  state::Sidecar sidecar(passive);
  const auto stream = state::Sidecar::exists(passive) ? sidecar.find(stream_key(running)) : std::nullopt;
  if (!stream) return {};
  std::vector<LiveTable> tables;
  for (const auto& table : sidecar.tables(stream->id)) tables.push_back({.schema = table.source_schema, .name = table.source_table});
  auto serving = db::Connection::open(source_endpoint(running));
  std::vector<std::string> names;
  for (const auto& row : read_live_objects(serving, tables)) names.push_back(state::to_string(row));
  return names;
}

std::vector<MissingDefiner> missing_definers(const Definition& definition, db::Side side) {
  std::vector<MissingDefiner> missing;
  const auto placed = objects_definition(definition, side);
  if (!placed) return missing;
  LiveSide here(*placed, side, LiveSide::Purpose::read);
  if (is_head(*placed)) here.take_tables_of_first_shard();
  if (!here.has_tables()) return missing;
  std::map<std::string, bool> known;
  for (const auto& row : here.to_bring()) {
    const auto account = definer_of(row.sql);
    if (!account) continue;
    const std::string name = sql::quote_identifier(account->user) + (account->host.empty() ? "" : "@" + sql::quote_identifier(account->host));
    if (!known.emplace(name, true).second || here.has_account(account->user, account->host)) continue;
    missing.push_back({.account = name, .object = state::to_string(row)});
  }
  return missing;
}

}  // namespace godwit::workflow
