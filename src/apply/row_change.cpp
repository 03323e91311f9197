#include "row_change.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/util/error.h"

namespace godwit::apply {
namespace {

[[noreturn]] void refuse(Code code, std::string object, std::string cause, std::string remedy) {
  throw Error(code, {std::move(object), std::move(cause), std::move(remedy)});
}

bool is_same(const binlog::Cell& a, const binlog::Cell& b) { return a.state == b.state && a.bytes == b.bytes; }

std::string key_text(const TableBinding& binding, const binlog::Layout& layout, binlog::Image image) {
  const bool is_composite = binding.has_compound_locator();
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
  for (const std::size_t i : binding.shard_key) {
    const BoundColumn& column = binding.columns[i];
    if (!is_present(image[column.index])) {
      refuse(Code::row_image_incomplete,
             binding.target,
             fmt::format("a row event lacks {}, a column of the shard key", column.name),
             "SET GLOBAL binlog_row_image = FULL on every shard, and have the sessions that are open reconnect; then godwit cancel, and copy again");
    }
    text += " AND " + column.match + " <=> ";
    append_comparand(text, column, column.match_introducer, layout.columns[column.index], image[column.index]);
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
  const std::string where = binding.has_compound_locator() ? old_key : fmt::format("{} = {}", binding.columns[binding.key[0]].name, old_key);
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
bool is_fired(const Cascade& cascade, const std::vector<bool>& differs) {
  if (differs.empty() || cascade.is_on_erase) return differs.empty() && cascade.is_on_erase;
  return std::any_of(cascade.referenced.begin(), cascade.referenced.end(), [&](std::size_t i) { return differs[i]; });
}

std::string cascades_text(const TableBinding& binding, const binlog::Layout& layout, const binlog::Row& row, const std::string& old_key, const std::vector<bool>& differs) {
  std::string text;
  for (const auto& cascade : binding.cascades) {
    if (is_fired(cascade, differs)) append_cascade(text, cascade, binding, layout, row, old_key);
  }
  return text;
}

// `is_insert`: also of a row that comes from another shard, whose before image has what the after image leaves out.
std::vector<bool> render_values(Change& change, const TableBinding& binding, const binlog::Layout& layout, const binlog::Row& row, bool is_insert) {
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
    append_literal(change.values, column, layout.columns[column.index], *value, before);
    if (is_insert) {
      change.columns += (change.columns.empty() ? "" : ", ") + column.name;
      continue;
    }
    differs[i] = value == &after && (before == nullptr || !is_present(*before) || !is_same(*before, after));
    if (!differs[i]) continue;
    change.assignments += (change.assignments.empty() ? "" : ", ") + column.name + " = " + change.values.substr(from);
  }
  if (!change.assignments.empty()) append_kept(change.assignments, binding, differs);
  if (change.is_full) change.columns.clear();
  return differs;
}

// The key in the after image, whose columns that are absent did not change.
std::string key_after(const TableBinding& binding, const binlog::Layout& layout, const binlog::Row& row) {
  if (row.before.empty()) return key_text(binding, layout, row.after);
  std::vector<binlog::Cell> image(row.after.begin(), row.after.end());
  for (std::size_t i = 0; i < image.size(); ++i) {
    if (!is_present(image[i])) image[i] = row.before[i];
  }
  return key_text(binding, layout, image);
}

Change begun(const TableBinding& binding, const binlog::Layout& layout, const binlog::Row& row, ChangeKind kind) {
  Change change;
  change.table = &binding;
  change.kind = kind;
  if (kind == ChangeKind::insert) return change;
  change.old_key = key_text(binding, layout, row.before);
  if (!binding.has_key()) change.old_row = row_text(binding, layout, row.before);
  return change;
}

bool may_fire(const TableBinding& binding, const binlog::Rows& event) { return !binding.cascades.empty() && (event.flags & binlog::Rows::kNoForeignKeyChecks) == 0; }

ChangeKind kind_of(binlog::RowsKind kind) {
  return kind == binlog::RowsKind::insert ? ChangeKind::insert : kind == binlog::RowsKind::update ? ChangeKind::update : ChangeKind::erase;
}

bool any_of(const std::vector<std::size_t>& columns, const std::vector<bool>& differs) {
  return std::any_of(columns.begin(), columns.end(), [&](std::size_t i) { return differs[i]; });
}

}  // namespace

Change change_of(const TableBinding& binding, const binlog::Layout& layout, const RowOfEvent& it) {
  const binlog::Row& row = it.row;
  Change change = begun(binding, layout, row, kind_of(it.event.kind));
  const bool has_cascades = may_fire(binding, it.event);
  if (change.kind == ChangeKind::erase) {
    if (has_cascades) change.cascades = cascades_text(binding, layout, row, change.old_key, {});
    return change;
  }
  const std::vector<bool> differs = render_values(change, binding, layout, row, change.kind == ChangeKind::insert);
  if (change.kind == ChangeKind::insert) {
    change.new_key = key_text(binding, layout, row.after);
    return change;
  }
  change.moves_key = any_of(binding.key, differs) || any_of(binding.shard_key, differs);
  change.new_key = change.moves_key ? key_after(binding, layout, row) : change.old_key;
  if (may_hide_defaults(change, *it.event.table, row)) {
    refuse(Code::row_image_incomplete,
           binding.target,
           "a partial row event of MariaDB may be a REPLACE, whose columns that got their default it leaves out",
           "SET GLOBAL binlog_row_image = FULL on the source, and have the session that set MINIMAL or NOBLOB reconnect; then godwit cancel, and copy again");
  }
  if (has_cascades) change.cascades = cascades_text(binding, layout, row, change.old_key, differs);
  change.moves_unique = std::any_of(binding.other_uniques.begin(), binding.other_uniques.end(), [&](const auto& key) { return any_of(key, differs); });
  return change;
}

Change departure_of(const TableBinding& binding, const binlog::Layout& layout, const RowOfEvent& it) { return begun(binding, layout, it.row, ChangeKind::erase); }

Change arrival_of(const TableBinding& binding, const binlog::Layout& layout, const RowOfEvent& it) {
  Change change = begun(binding, layout, it.row, ChangeKind::insert);
  render_values(change, binding, layout, it.row, true);
  if (!change.is_full) {
    refuse(Code::row_image_incomplete,
           binding.target,
           "a row goes to another shard, and its event holds no more than the columns that changed",
           "SET GLOBAL binlog_row_image = FULL on the source, and have the sessions that are open reconnect; then godwit cancel, and copy again");
  }
  change.new_key = key_after(binding, layout, it.row);
  return change;
}

Change cascades_of(const TableBinding& binding, const binlog::Layout& layout, const RowOfEvent& it, const std::vector<bool>& moves_children) {
  Change change;
  change.table = &binding;
  change.kind = kind_of(it.event.kind);
  change.is_elsewhere = true;
  if (change.kind == ChangeKind::insert || !may_fire(binding, it.event)) return change;
  change.old_key = key_text(binding, layout, it.row.before);
  std::vector<bool> differs;
  if (change.kind == ChangeKind::update) {
    Change unused;
    differs = render_values(unused, binding, layout, it.row, false);
  }
  for (std::size_t i = 0; i < binding.cascades.size(); ++i) {
    if (!moves_children[i] || !is_fired(binding.cascades[i], differs)) continue;
    refuse(Code::cascades_not_logged,
           binding.target,
           fmt::format("a foreign key has changed the shard key of rows of {}, which then belong to other shards, and the source does not log what they are", binding.cascades[i].child_name),
           "make such changes by statements of your own, the children's first; godwit cancel, and copy again");
  }
  change.cascades = cascades_text(binding, layout, it.row, change.old_key, differs);
  return change;
}

}  // namespace godwit::apply
