#include "godwit/apply/assembler.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "row_routing.h"

namespace godwit::apply {
namespace {

constexpr std::size_t kTableMapsMax = 20'000;  // remembered layouts; beyond that they are made again
constexpr std::string_view kSidecarSchema = "_godwit";
constexpr std::string_view kHeartbeatTable = "heartbeat";
constexpr std::uint64_t kMicrosPerSecond = 1'000'000;

[[noreturn]] void out_of_order(std::string_view what) {
  throw Error(Code::event_corrupt,
              {.object = "binlog stream",
               .cause = fmt::format("{} stands where it cannot", what),
               .remedy = "keep the binlog for a report; godwit inspect binlog shows its events"});
}

[[noreturn]] void refuse(Code code, std::string object, std::string cause, std::string remedy) {
  throw Error(code, {std::move(object), std::move(cause), std::move(remedy)});
}

std::string shortened(std::string_view sql) {
  constexpr std::size_t kShown = 200;
  return sql.size() <= kShown ? std::string(sql) : std::string(sql.substr(0, kShown)) + "…";
}

// As it stands in XA COMMIT and XA ROLLBACK of both flavours, lower case.
std::string to_text(const binlog::XaId& id) {
  return lower(fmt::format("X'{}',X'{}',{}", hex(id.global), hex(id.branch), id.format));
}

std::string without_blanks(std::string_view text) {
  std::string result;
  std::copy_if(text.begin(), text.end(), std::back_inserter(result), [](char c) { return c != ' '; });
  return lower(result);
}

// "XA COMMIT X'61',X'',1" → "x'61',x'',1"
std::string xid_of(std::string_view sql, std::string_view head) { return without_blanks(sql.substr(head.size())); }

// CREATE [UNIQUE …] INDEX name ON table, DROP INDEX name ON table: the index may have the name of another table.
std::vector<MentionedName> names_from_table(std::string_view sql) {
  auto names = names_in(sql);
  const auto is = [&](std::size_t i, std::string_view word) { return i < names.size() && names[i].schema.empty() && equals_ignoring_case(names[i].name, word); };
  if (!is(0, "create") && !is(0, "drop")) return names;
  std::size_t at = 1;
  while (at < names.size() && at < 5 && !is(at, "index")) ++at;  // OR REPLACE UNIQUE is the most that can stand before it
  if (!is(at, "index")) return names;
  while (at < names.size() && !is(at, "on")) ++at;
  names.erase(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(at));
  return names;
}

bool has_head(std::string_view sql, std::string_view head) {
  return sql.size() >= head.size() && equals_ignoring_case(sql.substr(0, head.size()), head);
}

}  // namespace

// A table map, and what it is for the targets.
struct Assembler::Bound {
  std::vector<TargetTable> tables;  // one per target; none: not migrated
  std::vector<bool> is_fit;         // which of them are held against the map
  binlog::Layout heartbeat;
  bool is_heartbeat = false;
};

Assembler::Assembler(std::vector<TargetTables> targets, AssemblerOptions options) : targets_(std::move(targets)), options_(options), is_wanted_(targets_.size(), true) {
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    const auto& bindings = *targets_[i].bindings;
    for (std::size_t t = 0; t < bindings.size(); ++t) {
      auto& tables = by_name_[{bindings[t].source_schema, bindings[t].source_table}];
      tables.resize(targets_.size());
      tables[i].shard = targets_[i].shard;
      tables[i].binding = &bindings[t];
      if (targets_[i].routes != nullptr) tables[i].route = &(*targets_[i].routes)[t];
      tables[i].unroutable = unroutable_cascades(targets_[i], bindings[t]);
    }
  }
}

Assembler::~Assembler() = default;

std::optional<Transaction> Assembler::take(const binlog::Event& event) {
  using namespace binlog;
  if (const auto* rows_event = event.as<Rows>()) return rows(*rows_event);
  if (event.as<TableMapped>() != nullptr || event.as<Annotate>() != nullptr) return std::nullopt;
  if (const auto* it = event.as<binlog::Gtid>()) {
    if (it->is_anonymous) {
      refuse(Code::event_unsupported, "an anonymous transaction", "the source logged a transaction without a GTID",
             "SET GLOBAL gtid_mode = ON on the source (step by step), then copy again");
    }
    begin(it->gtid, it->immediate_commit_us != 0 ? it->immediate_commit_us : event.header.time_s * kMicrosPerSecond);
    return std::nullopt;
  }
  if (const auto* it = event.as<GtidMariadb>()) {
    begin(it->gtid, event.header.time_s * kMicrosPerSecond);
    is_standalone_ = it->is_standalone();
    has_begun_ = !is_standalone_;
    is_xa_ = (it->flags & GtidMariadb::kPreparedXa) != 0;
    if (it->xa) open_.xid = to_text(*it->xa);
    return std::nullopt;
  }
  if (const auto* it = event.as<Query>()) return query(event, *it);
  if (event.as<Xid>() != nullptr) return finish(TransactionKind::rows);
  if (const auto* it = event.as<XaPrepare>()) {
    open_.xid = to_text(it->id);
    return finish(it->is_one_phase ? TransactionKind::rows : TransactionKind::xa_prepared);
  }
  if (event.as<LoadData>() != nullptr) {
    refuse(Code::statement_format, "LOAD DATA", "the source logged it as a statement, not as rows",
           "SET GLOBAL binlog_format = ROW on the source (sessions that are open keep the old one), then copy again");
  }
  if (event.as<Incident>() != nullptr) {
    refuse(Code::event_unsupported, "INCIDENT event", "the source says that its binlog misses something here",
           "the binlog cannot be followed past this point: FLUSH BINARY LOGS on the source, godwit cancel, and copy again");
  }
  if (event.as<StartEncryption>() != nullptr) {
    refuse(Code::event_unsupported, "START_ENCRYPTION event", "the events that follow are encrypted", "read the binlog through the server");
  }
  if (event.as<Unknown>() != nullptr && !event.header.is_ignorable()) {
    refuse(Code::event_unsupported, type_name(event.header.type), "an event of a type that is not known, and must not be ignored",
           "a newer godwit may know it; godwit inspect binlog shows what is around it");
  }
  return std::nullopt;
}

void Assembler::begin(const gtid::Gtid& gtid, std::uint64_t committed_us) {
  if (is_open_) out_of_order("a GTID");
  open_ = Transaction{.gtid = gtid, .committed_us = committed_us};
  is_open_ = true;
  has_begun_ = is_standalone_ = is_xa_ = was_parted_ = false;
  savepoints_.clear();
  for (std::size_t i = 0; is_wanted && i < is_wanted_.size(); ++i) is_wanted_[i] = is_wanted(i, gtid);
}

std::optional<Transaction> Assembler::finish(TransactionKind kind) {
  if (!is_open_) out_of_order("the end of a transaction");
  is_open_ = false;
  open_.kind = kind;
  if (is_xa_ && kind == TransactionKind::rows) drop_ignored(open_.changes);  // committed in one phase
  return std::move(open_);
}

std::optional<Transaction> Assembler::query(const binlog::Event& event, const binlog::Query& query) {
  const std::string_view sql = trim(query.sql);
  if (!is_open_) {
    // MySQL's binlog may hold a query without a GTID only with gtid_mode off; MariaDB logs dummies for what an old reader cannot take.
    if (event.header.is_artificial() || sql.starts_with("#") || sql.empty()) return std::nullopt;
    out_of_order(fmt::format("the statement {}", shortened(sql)));
  }
  if (classify(sql) != StatementKind::transaction_control) return statement(query);
  if (has_head(sql, "XA COMMIT ")) {
    open_.xid = xid_of(sql, "XA COMMIT ");
    return finish(TransactionKind::xa_commit);
  }
  if (has_head(sql, "XA ROLLBACK ")) {
    open_.xid = xid_of(sql, "XA ROLLBACK ");
    return finish(TransactionKind::xa_rollback);
  }
  if (has_head(sql, "XA START") || has_head(sql, "XA END") || has_head(sql, "BEGIN") || has_head(sql, "START TRANSACTION")) {
    has_begun_ = true;
    is_xa_ = is_xa_ || has_head(sql, "XA");
    return std::nullopt;
  }
  if (has_head(sql, "SAVEPOINT") || has_head(sql, "ROLLBACK TO") || has_head(sql, "RELEASE SAVEPOINT")) {
    savepoint(sql);
    return std::nullopt;
  }
  if (has_head(sql, "ROLLBACK")) {
    if (was_parted_) refuse(Code::event_unsupported, to_string(open_.gtid), "it was rolled back after a part of it was applied",
                            "it wrote to tables without transactions: godwit cancel, and copy again");
    open_.changes.clear();
    open_.bytes = 0;
  }
  return finish(TransactionKind::rows);
}

void Assembler::savepoint(std::string_view sql) {
  if (has_head(sql, "RELEASE")) return;
  const bool is_rollback = has_head(sql, "ROLLBACK TO");
  std::string name = without_blanks(sql.substr(is_rollback ? 11 : 9));
  if (is_rollback && name.starts_with("savepoint")) name.erase(0, 9);
  if (!is_rollback) {
    std::erase_if(savepoints_, [&](const auto& known) { return known.first == name; });
    savepoints_.emplace_back(name, open_.changes.size());
    return;
  }
  const auto found = std::find_if(savepoints_.begin(), savepoints_.end(), [&](const auto& known) { return known.first == name; });
  if (found == savepoints_.end() || was_parted_) {
    refuse(Code::event_unsupported, to_string(open_.gtid), fmt::format("{} names a savepoint that was not seen or is applied already", shortened(sql)),
           "it wrote to tables without transactions: godwit cancel, and copy again");
  }
  open_.changes.resize(found->second);
  savepoints_.erase(found + 1, savepoints_.end());
}

std::optional<Transaction> Assembler::statement(const binlog::Query& query) {
  const StatementKind kind = classify(query.sql);
  const bool is_ours = kind != StatementKind::harmless && concerns_us(query);
  if (is_ours && kind == StatementKind::data_change) {
    refuse(Code::statement_format,
           to_string(open_.gtid),
           fmt::format("the source logged a change as a statement, not as rows: {}", shortened(query.sql)),
           "SET GLOBAL binlog_format = ROW on the source (sessions that are open keep the old one), then copy again");
  }
  if (is_ours) open_.statement = {.schema = std::string(query.schema), .sql = std::string(query.sql), .sql_mode = query.sql_mode, .is_there = places_of(query)};
  // CREATE TABLE … SELECT on MySQL: BEGIN, the statement, its rows, and only then the end.
  if (has_begun_) {
    if (!is_ours) return std::nullopt;
    Transaction first{.kind = TransactionKind::statement, .gtid = open_.gtid, .committed_us = open_.committed_us, .statement = open_.statement};
    return first;
  }
  return finish(is_ours ? TransactionKind::statement : TransactionKind::rows);
}

// The first one: ALTER TABLE and the like name what they change before what they refer to.
std::vector<bool> Assembler::places_of(const binlog::Query& query) const {
  for (const auto& name : names_from_table(query.sql)) {
    const std::string_view schema = name.schema.empty() ? query.schema : std::string_view(name.schema);
    const auto is_it = [&](const auto& table) { return equals_ignoring_case(table.first.first, schema) && equals_ignoring_case(table.first.second, name.name); };
    const auto found = std::find_if(by_name_.begin(), by_name_.end(), is_it);
    if (found == by_name_.end()) continue;
    std::vector<bool> places;
    for (const auto& table : found->second) places.push_back(table.binding != nullptr);
    return places;
  }
  return {};
}

bool Assembler::concerns_us(const binlog::Query& query) const {
  const auto is_our_schema = [&](std::string_view schema) {
    return std::any_of(by_name_.begin(), by_name_.end(), [&](const auto& table) { return equals_ignoring_case(table.first.first, schema); });
  };
  const bool is_default_ours = is_our_schema(query.schema);
  const StatementKind kind = classify(query.sql);
  // A CALL or a function may write anything: where it ran in a migrated schema it counts.
  if (kind == StatementKind::data_change && is_default_ours) return true;
  const auto names = names_in(query.sql);
  const auto is_word = [&](std::size_t i, std::string_view word) {
    return i < names.size() && names[i].schema.empty() && equals_ignoring_case(names[i].name, word);
  };
  const bool is_create = is_word(0, "create");
  const bool names_schema = is_word(1, "database") || is_word(1, "schema");
  for (const auto& name : names) {
    const std::string_view schema = name.schema.empty() ? query.schema : std::string_view(name.schema);
    const bool is_table = std::any_of(by_name_.begin(), by_name_.end(), [&](const auto& table) {
      return equals_ignoring_case(table.first.first, schema) && equals_ignoring_case(table.first.second, name.name);
    });
    if (is_table) return true;
    if (names_schema && name.schema.empty() && is_our_schema(name.name)) return true;
    const bool is_new_table = is_create && options_.takes_new_tables && kind == StatementKind::table_definition && !name.schema.empty();
    if (is_new_table && is_our_schema(name.schema)) return true;
  }
  if (!is_create || !options_.takes_new_tables || kind != StatementKind::table_definition || !is_default_ours) return false;
  // An unqualified new table in a migrated default schema; one that is qualified with a foreign schema is not ours.
  std::size_t at = 1;
  while (is_word(at, "or") || is_word(at, "replace") || is_word(at, "table") || is_word(at, "if") || is_word(at, "not") || is_word(at, "exists")) ++at;
  return at >= names.size() || names[at].schema.empty();
}

// --- rows ---------------------------------------------------------------------------------------------------------

Assembler::Bound& Assembler::bound(const std::shared_ptr<const binlog::TableMap>& map) {
  if (const auto found = bounds_.find(map.get()); found != bounds_.end()) return found->second.second;
  if (bounds_.size() >= kTableMapsMax) bounds_.clear();
  Bound made;
  if (const auto known = by_name_.find({map->schema, map->table}); known != by_name_.end()) {
    made.tables = known->second;
    made.is_fit.resize(made.tables.size(), false);
  } else if (map->schema == kSidecarSchema && map->table == kHeartbeatTable) {
    made.is_heartbeat = true;
    made.heartbeat = binlog::make_layout(map, {}, binlog::Unexplained::assume);
  }
  // The map is kept alive, so that its address stays its name.
  return bounds_.emplace(map.get(), std::pair(map, std::move(made))).first->second.second;
}

void Assembler::note_heartbeat(const Bound& bound, const binlog::Rows& rows) {
  binlog::RowReader reader(bound.heartbeat, rows);
  binlog::Row row;
  while (reader.next(row)) {
    if (row.after.size() < 2 || row.after[1].state != binlog::Cell::State::value) continue;
    std::string text;
    binlog::append_value(text, row.after[1], bound.heartbeat.columns[1]);
    open_.heartbeat_us = parse_u64(text).value_or(0);
  }
}

// Holds the map against the definition of each target that wants the rows; gives how they are read, or nothing where nobody needs them.
const binlog::Layout* Assembler::fit(Bound& bound, const std::shared_ptr<const binlog::TableMap>& map) {
  const binlog::Layout* layout = nullptr;
  for (std::size_t i = 0; i < bound.tables.size(); ++i) {
    TargetTable& table = bound.tables[i];
    if (table.binding == nullptr || !is_wanted_[i]) continue;
    if (!bound.is_fit[i]) {
      require_fit(*table.binding, *map);
      table.layout = binlog::make_layout(map, table.binding->facts);
      bound.is_fit[i] = true;
    }
    // Of a prepared transaction everything is kept: a table may be copied, without these rows, before the outcome is known.
    const bool is_needed = !table.binding->is_ignored || is_xa_ || !table.binding->cascades.empty();
    if (is_needed && layout == nullptr) layout = &table.layout;
  }
  return layout;
}

std::optional<Transaction> Assembler::rows(const binlog::Rows& rows) {
  if (rows.table == nullptr) return std::nullopt;  // a dummy that only ends a statement
  if (!is_open_) out_of_order("a row event");
  Bound& table = bound(rows.table);
  if (table.is_heartbeat) note_heartbeat(table, rows);
  const binlog::Layout* layout = fit(table, rows.table);
  if (layout == nullptr) return std::nullopt;
  const RowRouting routing(table.tables, is_wanted_);
  binlog::RowReader reader(*layout, rows);
  binlog::Row row;
  while (reader.next(row)) {
    const std::size_t known = open_.changes.size();
    routing.route({.event = rows, .row = row}, open_.changes);
    std::size_t kept = known;
    for (std::size_t i = known; i < open_.changes.size(); ++i) {
      Change& change = open_.changes[i];
      const bool is_nothing = change.kind == ChangeKind::update && !change.is_elsewhere && change.assignments.empty();  // nothing that is written differs
      if (is_nothing || (is_to_be_dropped(change) && !is_xa_)) continue;
      open_.bytes += change.bytes();
      if (kept != i) open_.changes[kept] = std::move(change);
      ++kept;
    }
    open_.changes.resize(kept);
  }
  return part_if_full();
}

std::optional<Transaction> Assembler::part_if_full() {
  if (open_.bytes < options_.part_bytes_max || is_xa_) return std::nullopt;
  was_parted_ = true;
  Transaction part{.kind = TransactionKind::part, .gtid = open_.gtid, .committed_us = open_.committed_us};
  part.changes = std::move(open_.changes);
  part.bytes = open_.bytes;
  open_.changes.clear();
  open_.bytes = 0;
  return part;
}

}  // namespace godwit::apply
