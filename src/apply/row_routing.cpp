#include "row_routing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::apply {
namespace {

bool is_in_one_place(const shard::Route& route) { return route.columns().empty() && !route.is_everywhere(); }

// What the key's columns are set to may be of another shard.
bool is_unroutable(const TargetTables& target, const Cascade& cascade) {
  const shard::Route& child = (*target.routes)[cascade.child];
  const auto is_assigned = [&](std::size_t column) {
    const std::string& name = (*target.bindings)[cascade.child].column_names[column];
    return std::any_of(cascade.assigned.begin(), cascade.assigned.end(), [&](const std::string& assigned) { return equals_ignoring_case(assigned, name); });
  };
  return std::any_of(child.columns().begin(), child.columns().end(), is_assigned);
}

}  // namespace

std::vector<bool> unroutable_cascades(const TargetTables& target, const TableBinding& binding) {
  std::vector<bool> result(binding.cascades.size(), false);
  if (target.routes == nullptr) return result;
  const auto index = static_cast<std::size_t>(&binding - target.bindings->data());
  for (std::size_t i = 0; i < result.size(); ++i) {
    const Cascade& cascade = binding.cascades[i];
    // The other shards know nothing of a table that is on the first only.
    const bool is_unknown_there = is_in_one_place((*target.routes)[index]) && !is_in_one_place((*target.routes)[cascade.child]);
    result[i] = is_unknown_there || is_unroutable(target, cascade);
  }
  return result;
}

std::size_t RowRouting::first() const {
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    if (is_wanted_[i] && tables_[i].binding != nullptr) return i;
  }
  return 0;
}

std::optional<std::size_t> RowRouting::wanted_target(std::size_t shard) const {
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    if (tables_[i].shard == shard && is_wanted_[i] && tables_[i].binding != nullptr) return i;
  }
  return std::nullopt;
}

// Every wanted target has the same definition of the table at this point of the binlog (require_fit), so that any of them may read the image.
std::size_t RowRouting::home_of(binlog::Image image, binlog::Image before) const {
  const TargetTable& table = tables_[first()];
  const auto& columns = table.route->columns();
  std::array<std::string, shard::kColumnsMax> texts;
  std::array<std::optional<std::string_view>, shard::kColumnsMax> values;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::size_t column = columns[i];
    const binlog::Cell* cell = &image[column];
    if (!is_present(*cell) && !before.empty()) cell = &before[column];  // it did not change
    if (!is_present(*cell)) {
      throw Error(Code::row_image_incomplete,
                  {.object = table.binding->target,
                   .cause = fmt::format("a row event lacks {}, a column of the shard key", table.binding->column_names[column]),
                   .remedy = "SET GLOBAL binlog_row_image = FULL on the source, and have the sessions that are open reconnect; then godwit cancel, and copy again"});
    }
    if (cell->state != binlog::Cell::State::value) continue;  // NULL
    binlog::append_value(texts.at(i), *cell, table.layout.columns[column]);
    values.at(i) = texts.at(i);
  }
  return table.route->shard_of({values.data(), columns.size()});
}

// A row that belongs nowhere was refused when it came, or when it was to be copied: no shard has it, and so none has to do with its end. That is how it is mended.
std::optional<std::size_t> RowRouting::home_before(binlog::Image before) const {
  try {
    return home_of(before, {});
  } catch (const Error& error) {
    if (error.code() != Code::row_unplaced) throw;
    return std::nullopt;
  }
}

void RowRouting::add(std::size_t target, Change change, std::vector<Change>& changes) const {
  change.target = static_cast<std::uint16_t>(target);
  changes.push_back(std::move(change));
}

// The rows that refer to it may be on any shard. Where the row is, its own change brings them along, unless it leaves.
void RowRouting::add_cascades(const RowOfEvent& it, std::optional<std::size_t> home, bool has_left, std::vector<Change>& changes) const {
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    const TargetTable& table = tables_[i];
    if (!is_wanted_[i] || table.binding == nullptr || table.binding->cascades.empty()) continue;
    Change change = cascades_of(*table.binding, table.layout, it, table.unroutable);
    if (!change.cascades.empty() && (table.shard != home || has_left)) add(i, std::move(change), changes);
  }
}

void RowRouting::route(const RowOfEvent& it, std::vector<Change>& changes) const {
  const auto is_for = [&](std::size_t i) { return is_wanted_[i] && tables_[i].binding != nullptr; };
  const TargetTable& any = tables_[first()];
  if (any.route == nullptr || any.route->is_everywhere()) {
    if (any.route != nullptr && !any.binding->cascades.empty()) cascades_of(*any.binding, any.layout, it, any.unroutable);  // refuses what cannot be
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      if (is_for(i)) add(i, change_of(*tables_[i].binding, tables_[i].layout, it), changes);
    }
    return;
  }
  const bool has_before = it.event.kind != binlog::RowsKind::insert;
  const bool has_after = it.event.kind != binlog::RowsKind::erase;
  const std::size_t to = has_after ? home_of(it.row.after, it.row.before) : 0;
  const std::optional<std::size_t> from = has_before ? home_before(it.row.before) : to;
  const bool moves = has_after && from != to;
  add_cascades(it, from, moves, changes);
  const auto left = from ? wanted_target(*from) : std::nullopt;
  const auto reached = wanted_target(to);
  if (!moves) {
    if (left) add(*left, change_of(*tables_[*left].binding, tables_[*left].layout, it), changes);
    return;
  }
  if (left) add(*left, departure_of(*tables_[*left].binding, tables_[*left].layout, it), changes);
  if (reached) add(*reached, arrival_of(*tables_[*reached].binding, tables_[*reached].layout, it), changes);
}

}  // namespace godwit::apply
