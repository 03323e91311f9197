#include "godwit/apply/assembler.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/util/error.h"
#include "godwit/util/text.h"

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

bool has_head(std::string_view sql, std::string_view head) {
  return sql.size() >= head.size() && equals_ignoring_case(sql.substr(0, head.size()), head);
}

}  // namespace

Assembler::Assembler(const std::vector<TableBinding>& bindings, AssemblerOptions options) : bindings_(bindings), options_(options) {
  for (const auto& binding : bindings_) by_name_[{binding.source_schema, binding.source_table}] = &binding;
}

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
  if (is_ours) open_.statement = {.schema = std::string(query.schema), .sql = std::string(query.sql), .sql_mode = query.sql_mode};
  // CREATE TABLE … SELECT on MySQL: BEGIN, the statement, its rows, and only then the end.
  if (has_begun_) {
    if (!is_ours) return std::nullopt;
    Transaction first{.kind = TransactionKind::statement, .gtid = open_.gtid, .committed_us = open_.committed_us, .statement = open_.statement};
    return first;
  }
  return finish(is_ours ? TransactionKind::statement : TransactionKind::rows);
}

bool Assembler::concerns_us(const binlog::Query& query) const {
  const auto is_our_schema = [&](std::string_view schema) {
    return std::any_of(bindings_.begin(), bindings_.end(), [&](const TableBinding& b) { return equals_ignoring_case(b.source_schema, schema); });
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
    const bool is_table = std::any_of(bindings_.begin(), bindings_.end(), [&](const TableBinding& b) {
      return equals_ignoring_case(b.source_schema, schema) && equals_ignoring_case(b.source_table, name.name);
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

const Assembler::Bound& Assembler::bound(const std::shared_ptr<const binlog::TableMap>& map) {
  if (const auto found = bounds_.find(map.get()); found != bounds_.end()) return found->second.second;
  if (bounds_.size() >= kTableMapsMax) bounds_.clear();
  Bound made;
  const auto known = by_name_.find({map->schema, map->table});
  made.is_heartbeat = map->schema == kSidecarSchema && map->table == kHeartbeatTable;
  if (known != by_name_.end()) {
    require_fit(*known->second, *map);
    made.binding = known->second;
    made.layout = binlog::make_layout(map, made.binding->facts);
  } else if (made.is_heartbeat) {
    made.layout = binlog::make_layout(map, {}, binlog::Unexplained::assume);
  }
  // The map is kept alive, so that its address stays its name.
  return bounds_.emplace(map.get(), std::pair(map, std::move(made))).first->second.second;
}

void Assembler::note_heartbeat(const Bound& bound, const binlog::Rows& rows) {
  binlog::RowReader reader(bound.layout, rows);
  binlog::Row row;
  while (reader.next(row)) {
    if (row.after.size() < 2 || row.after[1].state != binlog::Cell::State::value) continue;
    std::string text;
    binlog::append_value(text, row.after[1], bound.layout.columns[1]);
    open_.heartbeat_us = parse_u64(text).value_or(0);
  }
}

std::optional<Transaction> Assembler::rows(const binlog::Rows& rows) {
  if (rows.table == nullptr) return std::nullopt;  // a dummy that only ends a statement
  if (!is_open_) out_of_order("a row event");
  const Bound& table = bound(rows.table);
  if (table.is_heartbeat) note_heartbeat(table, rows);
  // Of a prepared transaction everything is kept: a table may be copied, without these rows, before the outcome is known.
  if (table.binding == nullptr || (table.binding->is_ignored && !is_xa_ && table.binding->cascades.empty())) return std::nullopt;
  binlog::RowReader reader(table.layout, rows);
  binlog::Row row;
  while (reader.next(row)) {
    Change change = change_of(table, rows, row);
    if (change.kind == ChangeKind::update && change.assignments.empty()) continue;  // nothing that is written differs
    if (is_to_be_dropped(change) && !is_xa_) continue;
    open_.bytes += change.bytes();
    open_.changes.push_back(std::move(change));
  }
  if (open_.bytes < options_.part_bytes_max || is_xa_) return std::nullopt;
  was_parted_ = true;
  Transaction part{.kind = TransactionKind::part, .gtid = open_.gtid, .committed_us = open_.committed_us};
  part.changes = std::move(open_.changes);
  part.bytes = open_.bytes;
  open_.changes.clear();
  open_.bytes = 0;
  return part;
}

namespace {

bool is_present(const binlog::Cell& cell) { return cell.state != binlog::Cell::State::absent; }

bool is_same(const binlog::Cell& a, const binlog::Cell& b) { return a.state == b.state && a.bytes == b.bytes; }

std::string key_text(const TableBinding& binding, const binlog::Layout& layout, binlog::Image image) {
  const bool is_composite = binding.key.size() > 1;
  std::string text(is_composite ? "(" : "");
  for (const std::size_t i : binding.key) {
    const BoundColumn& column = binding.columns[i];
    if (!is_present(image[column.index])) {
      refuse(Code::row_image_incomplete,
             binding.target,
             fmt::format("a row event lacks the key column {}", column.name),
             "SET GLOBAL binlog_row_image = FULL on the source; the change cannot be matched to its row");
    }
    if (is_composite) text += (text.size() > 1 ? " AND " : "") + column.name + " = ";
    append_comparand(text, column, column.key_introducer, layout.columns[column.index], image[column.index]);
  }
  if (is_composite) text += ")";
  return text;
}

// "`a` <=> 1 AND `b` <=> NULL" over every column: how a row without a key is found.
std::string row_text(const TableBinding& binding, const binlog::Layout& layout, binlog::Image image) {
  std::string text;
  for (const auto& column : binding.columns) {
    if (!is_present(image[column.index])) {
      refuse(Code::row_image_incomplete,
             binding.target,
             fmt::format("the table has no key, and a row event lacks the column {}", column.name),
             "SET GLOBAL binlog_row_image = FULL on the source");
    }
    if (!text.empty()) text += " AND ";
    text += column.match + " <=> ";
    append_comparand(text, column, column.match_introducer, layout.columns[column.index], image[column.index]);
  }
  return text;
}

// MariaDB (10.11, measured) logs a REPLACE that finds a row as an update; MINIMAL and NOBLOB leave out of it the columns that the
// statement did not name, although they got their defaults. Unlike most updates it holds its key again.
bool may_hide_defaults(const Change& change, const binlog::TableMap& map, const binlog::Row& row) {
  const TableBinding& binding = *change.table;
  if (change.is_full || !binding.has_key() || map.flavour != gtid::Flavour::mariadb) return false;
  const bool holds_key = std::all_of(binding.key.begin(), binding.key.end(), [&](std::size_t i) { return is_present(row.after[binding.columns[i].index]); });
  const bool is_another_row = change.moves_key && binding.is_key_exact && binding.other_uniques.empty();
  return holds_key && !is_another_row;
}

// What the source did not change, the target must not either, although it is told to at each update.
void append_kept(std::string& assignments, const TableBinding& binding, const std::vector<bool>& is_assigned) {
  for (std::size_t i = 0; i < binding.columns.size(); ++i) {
    const BoundColumn& column = binding.columns[i];
    if (!is_assigned[i] && !column.keep.empty()) assignments += ", " + column.keep;
  }
}

// A value that the event leaves out is in the parent's row on the target, once that is there.
void append_looked_up(std::string& out, const TableBinding& binding, const BoundColumn& column, const std::string& old_key) {
  if (binding.is_ignored || binding.is_partial || !binding.has_key()) {
    refuse(Code::row_image_incomplete,
           binding.target,
           fmt::format("a row event lacks the column {}, by which foreign keys changed other rows while the copy ran", column.name),
           "SET GLOBAL binlog_row_image = FULL on the source; then godwit cancel, and copy again");
  }
  const std::string where = binding.key.size() > 1 ? old_key : fmt::format("{} = {}", binding.columns[binding.key[0]].name, old_key);
  out += fmt::format("(SELECT godwit_old.{0} FROM (SELECT {0} FROM {1} WHERE {2}) AS godwit_old)", column.name, binding.target, where);
}

// The values between the pieces of a cascade's statement; what the after image leaves out did not change.
void append_cascade(std::string& out, const Cascade& cascade, const TableBinding& binding, const binlog::Layout& layout, const binlog::Row& row,
                    const std::string& old_key) {
  for (std::size_t i = 0; i < cascade.values.size(); ++i) {
    const BoundColumn& column = binding.columns[cascade.values[i].column];
    const bool is_new = cascade.values[i].is_new && is_present(row.after[column.index]);
    const binlog::Cell& cell = is_new ? row.after[column.index] : row.before[column.index];
    out += cascade.pieces[i];
    if (!is_present(cell)) {
      append_looked_up(out, binding, column, old_key);
      continue;
    }
    append_comparand(out, column, column.key_introducer, layout.columns[column.index], cell);
  }
  out += cascade.pieces.back();
  out.push_back(kStatementEnd);
}

// `differs` is empty for a deleted row.
std::string cascades_text(const TableBinding& binding, const binlog::Layout& layout, const binlog::Row& row, const std::string& old_key, const std::vector<bool>& differs) {
  std::string text;
  for (const auto& cascade : binding.cascades) {
    const bool is_update = !differs.empty();
    const bool is_fired = is_update ? std::any_of(cascade.referenced.begin(), cascade.referenced.end(), [&](std::size_t i) { return differs[i]; }) : cascade.is_on_erase;
    if (is_fired && is_update == !cascade.is_on_erase) append_cascade(text, cascade, binding, layout, row, old_key);
  }
  return text;
}

}  // namespace

Change Assembler::change_of(const Bound& bound, const binlog::Rows& rows, const binlog::Row& row) {
  const binlog::RowsKind kind = rows.kind;
  const TableBinding& binding = *bound.binding;
  const auto& layouts = bound.layout.columns;
  Change change;
  change.table = &binding;
  change.kind = kind == binlog::RowsKind::insert ? ChangeKind::insert : kind == binlog::RowsKind::update ? ChangeKind::update : ChangeKind::erase;
  if (kind != binlog::RowsKind::insert) {
    change.old_key = key_text(binding, bound.layout, row.before);
    if (!binding.has_key()) change.old_row = row_text(binding, bound.layout, row.before);
  }
  const bool may_fire = !binding.cascades.empty() && (rows.flags & binlog::Rows::kNoForeignKeyChecks) == 0;
  if (kind == binlog::RowsKind::erase) {
    if (may_fire) change.cascades = cascades_text(binding, bound.layout, row, change.old_key, {});
    return change;
  }

  std::vector<bool> differs(binding.columns.size(), false);
  for (std::size_t i = 0; i < binding.columns.size(); ++i) {
    const BoundColumn& column = binding.columns[i];
    const binlog::Cell& after = row.after[column.index];
    const binlog::Cell* before = row.before.empty() ? nullptr : &row.before[column.index];
    const binlog::Cell* value = &after;
    if (!is_present(after)) {
      // MINIMAL and NOBLOB images leave out what did not change; where the before image has it, it is the value.
      if (before == nullptr || !is_present(*before)) {
        change.is_full = false;
        continue;
      }
      value = before;
    }
    const bool lacks_base = value->state == binlog::Cell::State::json_diff && (before == nullptr || before->state != binlog::Cell::State::value);
    if (lacks_base) {
      refuse(Code::row_image_incomplete,
             binding.target,
             fmt::format("a row event holds how the JSON column {} changed, and not what it was", column.name),
             "SET GLOBAL binlog_row_image = FULL on the source, or binlog_row_value_options = ''; then godwit cancel, and copy again");
    }
    const std::size_t from = change.values.empty() ? 0 : change.values.size() + 2;
    if (!change.values.empty()) change.values += ", ";
    append_literal(change.values, column, layouts[column.index], *value, before);
    if (kind == binlog::RowsKind::insert) {
      change.columns += (change.columns.empty() ? "" : ", ") + column.name;
      continue;
    }
    differs[i] = value == &after && (before == nullptr || !is_present(*before) || !is_same(*before, after));
    if (!differs[i]) continue;
    change.assignments += (change.assignments.empty() ? "" : ", ") + column.name + " = " + change.values.substr(from);
  }
  if (!change.assignments.empty()) append_kept(change.assignments, binding, differs);
  if (change.is_full) change.columns.clear();
  if (kind == binlog::RowsKind::insert) {
    change.new_key = key_text(binding, bound.layout, row.after);
    return change;
  }
  const bool may_move = std::any_of(binding.key.begin(), binding.key.end(), [&](std::size_t i) { return differs[i]; });
  change.moves_key = may_move;
  if (!may_move) {
    change.new_key = change.old_key;
  } else {
    // The new key's columns that are absent did not change.
    std::vector<binlog::Cell> image(row.after.begin(), row.after.end());
    for (std::size_t i = 0; i < image.size(); ++i) {
      if (!is_present(image[i])) image[i] = row.before[i];
    }
    change.new_key = key_text(binding, bound.layout, image);
  }
  if (may_hide_defaults(change, *rows.table, row)) {
    refuse(Code::row_image_incomplete,
           binding.target,
           "a partial row event of MariaDB may be a REPLACE, whose columns that got their default it leaves out",
           "SET GLOBAL binlog_row_image = FULL on the source, and have the session that set MINIMAL or NOBLOB reconnect; then godwit cancel, and copy again");
  }
  if (may_fire) change.cascades = cascades_text(binding, bound.layout, row, change.old_key, differs);
  change.moves_unique = std::any_of(binding.other_uniques.begin(), binding.other_uniques.end(), [&](const auto& key) {
    return std::any_of(key.begin(), key.end(), [&](std::size_t i) { return differs[i]; });
  });
  return change;
}

}  // namespace godwit::apply
