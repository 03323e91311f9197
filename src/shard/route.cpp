#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "godwit/shard/layout.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::shard {
namespace {

using catalog::Column;
using catalog::Table;

constexpr std::size_t kShownBytesMax = 64;  // of a value in a message

template <std::size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::ranges::find(words, word) != words.end();
}

bool is_integer(const Column& column) {
  return is_one_of<5>(column.data_type, {"tinyint", "smallint", "mediumint", "int", "bigint"});
}

// Those whose text is the same however a row comes: by a SELECT, out of the binlog, from a client of vtgate.
bool has_one_text(const Column& column) {
  const bool is_string = is_one_of<6>(column.data_type, {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"});
  if (is_string) return is_one_of<4>(column.charset, {"utf8mb4", "utf8mb3", "utf8", "ascii"});
  return is_one_of<6>(column.data_type, {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}) ||
         is_one_of<9>(column.data_type, {"decimal", "date", "time", "datetime", "timestamp", "year", "uuid", "inet4", "inet6"});
}

std::string quoted(const Table& table) { return sql::quote_table(table.schema, table.name); }

[[noreturn]] void refuse_key(const Table& table, std::string_view column, std::string cause, std::string remedy) {
  throw Error(Code::shard_key_unsuitable, {.object = quoted(table) + "." + sql::quote_identifier(column), .cause = std::move(cause), .remedy = std::move(remedy)});
}

void require_vindex_column(const Table& table, const Column& column) {
  if (is_integer(column) || has_one_text(column)) return;
  if (!column.charset.empty() && column.charset != "binary" && column.data_type != "enum" && column.data_type != "set") {
    refuse_key(table, column.name, fmt::format("its text is in {}, and functions are computed from UTF-8", column.charset), "convert the column to utf8mb4 on the source, or take another column");
  }
  refuse_key(table, column.name, fmt::format("its type {} has no one text that a function could be computed from", column.column_type), "take a column of integers, strings, or one of date and time");
}

void require_partition_column(const Table& table, const Column& column, const Placement& placement) {
  if (!is_integer(column)) refuse_key(table, column.name, fmt::format("its type {} is no integer, as {} needs", column.column_type, placement.flag), "take a column of integers, or --vindex");
  const auto is_negative = [](const auto& bound) { return bound && bound->is_negative; };
  const bool has_negative = std::ranges::any_of(placement.scheme.less_than, is_negative) || (!placement.scheme.members.empty() && placement.scheme.members.begin()->first.is_negative);
  if (column.is_unsigned && has_negative) refuse_key(table, column.name, fmt::format("it is unsigned, and {} names a negative number, which MariaDB refuses", placement.flag), "numbers from 0 on");
}

std::string shown(const std::optional<std::string_view>& value, ValueKind kind) {
  if (!value) return "NULL";
  if (kind != ValueKind::text) return std::string(*value);
  return sql::quote_string(value->substr(0, kShownBytesMax)) + (value->size() > kShownBytesMax ? "…" : "");
}

}  // namespace

Route::Route(const Layout& layout, const Table& table) : layout_(layout), placement_(find_placement(layout, table.schema, table.name)), table_(quoted(table)) {
  if (placement_ == nullptr) {
    if (layout.shards.size() == 1) return;
    throw Error(Code::table_unplaced, {.object = table_, .cause = fmt::format("no flag says on which of {} shards its rows live", layout.shards.size()),
                                       .remedy = fmt::format("--vindex {0}.COLUMN=FUNCTION, --partition, --reference {0} (on every shard) or --unsharded {0} (on the first)", table.name)});
  }
  kind_ = placement_->kind;
  for (const auto& name : placement_->columns) add_column(table, name, *placement_);
}

void Route::add_column(const Table& table, const std::string& name, const Placement& placement) {
  const auto column = std::ranges::find_if(table.columns, [&](const Column& candidate) { return equals_ignoring_case(candidate.name, name); });
  if (column == table.columns.end()) refuse_key(table, name, "the table has no such column", "name one of its columns in " + placement.flag);
  if (!column->is_writable()) refuse_key(table, name, "it is a generated column, whose values do not travel", "take the columns that it is made of");
  const auto index = static_cast<std::size_t>(column - table.columns.begin());
  if (std::ranges::find(columns_, index) != columns_.end()) refuse_key(table, name, "it is there twice in " + placement.flag, "name each column once");
  if (placement.kind == PlacementKind::partition) {
    require_partition_column(table, *column, placement);
  } else {
    require_vindex_column(table, *column);
  }
  columns_.push_back(index);
  kinds_.push_back(!is_integer(*column) ? ValueKind::text : column->is_unsigned ? ValueKind::unsigned_integer : ValueKind::signed_integer);
}

std::size_t Route::shard_of(Values values) const {
  GODWIT_CHECK(values.size() == columns_.size());
  switch (kind_) {
    case PlacementKind::vindex: return shard_of_vindex(values);
    case PlacementKind::partition: return shard_of_partition(values);
    case PlacementKind::reference:
    case PlacementKind::unsharded: return 0;
  }
  return 0;
}

std::optional<KeyspaceId> Route::id_of(Values values) const {
  std::array<Value, kColumnsMax> key;
  for (std::size_t i = 0; i < values.size(); ++i) key.at(i) = values[i] ? Value{.kind = kinds_[i], .text = *values[i]} : Value{};
  return keyspace_id(placement_->vindex, {key.data(), values.size()});
}

std::optional<KeyspaceId> Route::keyspace_id_of(Values values) const {
  GODWIT_CHECK(values.size() == columns_.size());
  if (placement_ == nullptr || kind_ != PlacementKind::vindex) return std::nullopt;
  const auto id = id_of(values);
  return id && !id->empty() ? id : std::nullopt;
}

std::size_t Route::shard_of_vindex(Values values) const {
  const auto id = id_of(values);
  if (!id) refuse(values, fmt::format("the function {} has no keyspace id for it", to_string(placement_->vindex.function)));
  if (id->empty()) refuse(values, "its keyspace id is empty, which vtgate takes for no id");
  const auto behind = std::ranges::find_if(layout_.shards, [&](const Shard& shard) { return shard.range.begins_after(*id); });
  return static_cast<std::size_t>(behind - layout_.shards.begin()) - 1;
}

std::size_t Route::shard_of_partition(Values values) const {
  std::optional<Integer> number;
  if (values[0]) {
    number = parse_integer(*values[0]);
    if (!number) refuse(values, "it is no integer");
  }
  const auto partition = partition_of(placement_->scheme, number);
  if (!partition) refuse(values, "no partition has a place for it");
  return *partition;
}

void Route::refuse(Values values, std::string_view why) const {
  std::vector<std::string> key;
  for (std::size_t i = 0; i < values.size(); ++i) key.push_back(fmt::format("{} = {}", placement_->columns[i], shown(values[i], kinds_[i])));
  throw Error(Code::row_unplaced, {.object = table_, .cause = fmt::format("the row with {} belongs to no shard: {}", join(key, ", "), why),
                                   .remedy = "change the row on the source, or begin again with a placement that has room for it: now " + placement_->flag});
}

std::vector<Route> make_routes(const Layout& layout, std::span<const Table> tables) {
  std::vector<Route> routes;
  std::set<const Placement*> used;
  for (const Table& table : tables) {
    used.insert(find_placement(layout, table.schema, table.name));
    routes.emplace_back(layout, table);
  }
  for (const Placement& placement : layout.placements) {
    if (used.contains(&placement)) continue;
    throw Error(Code::bad_placement, {.object = placement.flag, .cause = "no selected table is called so", .remedy = "name a table of the source, or leave the flag out"});
  }
  return routes;
}

}  // namespace godwit::shard
