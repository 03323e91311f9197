#include "godwit/workflow/live_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "godwit/fence/fence.h"
#include "godwit/sql/quote.h"
#include "godwit/state/live_objects.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "preparation.h"
#include "trigger_head.h"

namespace godwit::workflow {
namespace {

using sql::quote_string;
using state::LiveObjectRow;

constexpr int kPatienceSeconds = 3;  // for the lock of another godwit, and for a table that somebody has open: clients may be held meanwhile

std::string object_name(const LiveObjectRow& row) { return fmt::format("{} {}", row.kind, sql::quote_table(row.schema_name, row.object_name)); }

// One side: the stream that writes to it, its tables by their names there.
class LiveSide {
 public:
  LiveSide(const Definition& definition, db::Side side)
      : definition_(in_direction(definition, direction_serving(other(side)))), side_(side), db_(db::Connection::open(target_endpoint(definition_))) {
    db_.execute(fmt::format("SET SESSION lock_wait_timeout = {}", kPatienceSeconds));
    if (!state::Sidecar::exists(db_)) return;
    state::Sidecar sidecar(db_);
    sidecar.create();  // one of an earlier version is brought up to date
    if (const auto found = sidecar.find(stream_key(definition_))) {
      stream_ = found->id;
      tables_ = sidecar.tables(found->id);
    }
  }

  // Nothing is recorded of a side that no stream has ever written to.
  bool is_known() const { return stream_ != 0; }
  state::LiveObjects store() { return {db_, stream_}; }
  void open_authority();  // ahead of locked_route(), which does it otherwise
  std::optional<state::Route> locked_route();
  std::vector<LiveObjectRow> present();
  bool is_there(const LiveObjectRow& row);
  void drop(const LiveObjectRow& row);
  void create(const LiveObjectRow& row);
  bool has_account(const std::string& user, const std::string& host);

 private:
  LiveObjectRow definition_of(LiveObjectRow row);
  std::vector<std::string> schemas() const;
  std::string table_here(const std::string& schema, const std::string& name) const;

  const Definition definition_;  // as the direction that writes to this side sees it
  const db::Side side_;
  db::Connection db_;
  std::optional<db::Connection> target_;  // where the authority is, if that is the other side
  std::uint64_t stream_ = 0;
  std::vector<state::TableRow> tables_;
};

void LiveSide::open_authority() {
  if (side_ != db::Side::target && !target_) target_.emplace(db::Connection::open(endpoint_of(definition_, db::Side::target)));
}

// The lock ends with the session. The authority inside it: what it says then stays so for whoever waits for this lock before acting on another word.
std::optional<state::Route> LiveSide::locked_route() {
  const std::string lock = quote_string(fmt::format("godwit_live_objects_{}", stream_));
  if (db_.scalar(fmt::format("SELECT GET_LOCK({}, {})", lock, kPatienceSeconds)) != "1") {
    throw Error(Code::lock_contention,
                {.object = fmt::format("triggers and events of {}", db::describe(db_.endpoint())), .cause = "another godwit is at work on them", .remedy = "it is tried again"});
  }
  open_authority();
  return state::Authority(target_ ? *target_ : db_, definition_.name).read();
}

std::vector<std::string> LiveSide::schemas() const {
  std::vector<std::string> result;
  for (const auto& table : tables_) {
    if (std::find(result.begin(), result.end(), table.target_schema) == result.end()) result.push_back(table.target_schema);
  }
  return result;
}

LiveObjectRow LiveSide::definition_of(LiveObjectRow row) {
  const bool is_trigger = row.kind == "trigger";
  const db::Rows rows = db_.query(fmt::format("SHOW CREATE {} {}", row.kind, sql::quote_table(row.schema_name, row.object_name)));
  row.sql = rows.text(0, is_trigger ? "SQL Original Statement" : "Create Event");
  row.sql_mode = rows.text(0, "sql_mode");
  row.collation = rows.text(0, "collation_connection");
  if (!is_trigger) row.time_zone = rows.text(0, "time_zone");
  if (!row.sql.empty()) return row;
  throw Error(Code::privilege_missing,
              {.object = object_name(row),
               .cause = "the account may not read its definition, so that it could not be brought back",
               .remedy = fmt::format("GRANT {} ON {}.* to the account", is_trigger ? "TRIGGER" : "EVENT", sql::quote_identifier(row.schema_name))});
}

// Of the migrated tables and their schemas; the guards of a fence are godwit's own, and stay.
std::vector<LiveObjectRow> LiveSide::present() {
  std::vector<LiveObjectRow> result;
  for (const auto& schema : schemas()) {
    const db::Rows triggers = db_.query(
        fmt::format("SELECT TRIGGER_NAME AS name, EVENT_OBJECT_TABLE AS tbl, ACTION_ORDER AS number FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {} ORDER BY EVENT_OBJECT_TABLE, ACTION_ORDER",
                    quote_string(schema)));
    for (std::size_t i = 0; i < triggers.size(); ++i) {
      const std::string name = triggers.text(i, "name");
      const std::string table = triggers.text(i, "tbl");
      const bool is_migrated = std::any_of(tables_.begin(), tables_.end(), [&](const state::TableRow& t) { return t.target_schema == schema && t.target_table == table; });
      if (!is_migrated || fence::is_guard(name)) continue;
      result.push_back(definition_of({.kind = "trigger", .schema_name = schema, .object_name = name, .table_name = table, .number = triggers.u64(i, "number")}));
    }
    const db::Rows events = db_.query(fmt::format("SELECT EVENT_NAME AS name FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {} ORDER BY EVENT_NAME", quote_string(schema)));
    for (std::size_t i = 0; i < events.size(); ++i) result.push_back(definition_of({.kind = "event", .schema_name = schema, .object_name = events.text(i, "name")}));
  }
  return result;
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

void LiveSide::create(const LiveObjectRow& row) {
  try {
    db_.execute("USE " + sql::quote_identifier(row.schema_name));
    db_.execute("SET SESSION sql_mode = " + quote_string(row.sql_mode));
    // The text is in this session's character set; what its literals are compared by is the collation that they were written under.
    db_.execute(row.collation.empty() ? "SET NAMES utf8mb4" : "SET SESSION collation_connection = " + quote_string(row.collation));
    db_.execute(fmt::format("SET SESSION time_zone = {}", quote_string(row.time_zone.empty() ? "+00:00" : row.time_zone)));
    const TriggerHead head{.name = row.object_name, .table = [&](const std::string& table) { return table_here(row.schema_name, table); }};
    db_.execute(row.kind == "trigger" ? with_head(row.sql, head) : row.sql);
  } catch (const Error& error) {
    throw error.in(object_name(row));
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

// Recorded before it is dropped, all of it: killed in between, what is there still is recorded again, as it is then. Dropped from the last to the first:
// what is left keeps its place before what comes back later, and triggers of one table fire in their order.
std::vector<std::string> set_aside(const Definition& definition, db::Side side) {
  std::vector<std::string> names;
  LiveSide here(definition, side);
  if (!here.is_known()) return names;
  const auto route = here.locked_route();
  if (!route || route->serving == side || route->is_switching) return names;
  here.store().take_over_kept();
  auto present = here.present();
  here.store().record(present);
  failpoint(Fp::objects_recorded);
  std::reverse(present.begin(), present.end());
  for (const auto& row : present) {
    here.drop(row);
    failpoint(Fp::objects_dropped);
    names.push_back(object_name(row));
  }
  return names;
}

struct BringBack::Impl {
  LiveSide here;
  db::Side side;
};

BringBack::BringBack(const Definition& definition, db::Side side) : impl_(std::make_unique<Impl>(Impl{LiveSide(definition, side), side})) {
  if (impl_->here.is_known()) impl_->here.open_authority();
}

BringBack::~BringBack() = default;

std::vector<std::string> bring_back(const Definition& definition, db::Side side, std::uint64_t hold) { return BringBack(definition, side).run(hold); }

// One that is there under a name that is recorded is the one that was recorded: made by a run that was killed before it said so, or not dropped by one.
std::vector<std::string> BringBack::run(std::uint64_t hold) {
  std::vector<std::string> names;
  LiveSide& here = impl_->here;
  const db::Side side = impl_->side;
  if (!here.is_known()) return names;
  const auto route = here.locked_route();
  if (!route || route->epoch != hold || !route->is_switching || route->serving == side) {
    throw Error(Code::switch_fenced, {.object = fmt::format("hold {}", hold), .cause = "it is over", .remedy = "run the switch again"});
  }
  here.store().take_over_kept();
  for (const auto& row : here.store().all()) {
    if (row.state != "aside") continue;
    if (!here.is_there(row)) {
      here.create(row);
      failpoint(Fp::objects_created);
      names.push_back(object_name(row));
    }
    here.store().set_there(row.id);
  }
  return names;
}

std::vector<MissingDefiner> missing_definers(const Definition& definition, db::Side side) {
  std::vector<MissingDefiner> missing;
  LiveSide here(definition, side);
  if (!here.is_known()) return missing;
  auto rows = here.store().all();
  for (const auto& row : here.store().kept()) rows.push_back(row);
  std::map<std::string, bool> known;
  for (const auto& row : rows) {
    const auto account = row.state == "aside" ? definer_of(row.sql) : std::nullopt;
    if (!account) continue;
    const std::string name = sql::quote_identifier(account->user) + (account->host.empty() ? "" : "@" + sql::quote_identifier(account->host));
    if (!known.emplace(name, true).second || here.has_account(account->user, account->host)) continue;
    missing.push_back({.account = name, .object = object_name(row)});
  }
  return missing;
}

}  // namespace godwit::workflow
