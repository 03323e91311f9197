#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "godwit/shard/vschema.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/workflow/head.h"
#include "godwit/workflow/shards.h"
#include "preparation.h"

namespace godwit::workflow {
namespace {

// The types of its columns are part of where a row lives.
std::vector<catalog::Table> source_tables(const Definition& definition) {
  if (!is_sharded(definition)) throw Error(Code::bad_usage, {.object = "workflow " + definition.name, .cause = "its target is no shards", .remedy = "--shard RANGE=DSN for each shard"});
  db::Connection source = db::Connection::open(source_endpoint(definition));
  return read_source(definition, source).tables;
}

std::string listed(const catalog::Table& table, const std::vector<std::size_t>& columns) {
  std::string text;
  for (const std::size_t column : columns) text += (text.empty() ? "" : ", ") + table.columns[column].name;
  return text.empty() ? "none" : text;
}

const catalog::Table& find_table(const std::vector<catalog::Table>& tables, const std::string& name) {
  const auto found = std::ranges::find_if(tables, [&](const catalog::Table& table) { return catalog::matches_table(name, table.schema, table.name); });
  if (found != tables.end()) return *found;
  throw Error(Code::no_such_table, {.object = name, .cause = "the migration has no table of that name", .remedy = "TABLE or SCHEMA.TABLE, as the source names it"});
}

}  // namespace

nlohmann::json describe_vschema(const Definition& definition) {
  const auto tables = source_tables(definition);
  const shard::Layout layout = layout_of(definition);
  shard::make_routes(layout, tables);
  nlohmann::json shards = nlohmann::json::array();
  for (const auto& shard : layout.shards) shards.push_back({{"range", shard::to_string(shard.range)}, {"server", db::address(shard.dsn)}});
  return {{"shards", std::move(shards)}, {"vschema", shard::vschema(layout, tables)}};
}

Whereabouts find_key(const Definition& definition, const std::string& name, const std::vector<std::optional<std::string>>& key) {
  const auto tables = source_tables(definition);
  const shard::Layout layout = layout_of(definition);
  const catalog::Table& table = find_table(tables, name);
  const shard::Route route(layout, table);
  const bool is_one_place = route.columns().empty();
  if (!is_one_place && key.size() != route.columns().size()) {
    throw Error(Code::bad_usage, {.object = sql::quote_table(table.schema, table.name), .cause = fmt::format("its shard key has {} columns ({}), and {} values are given", route.columns().size(), listed(table, route.columns()), key.size()),
                                  .remedy = "a value for each of them, NULL for none"});
  }
  std::vector<std::optional<std::string_view>> values;
  if (!is_one_place) values.assign(key.begin(), key.end());
  Whereabouts result{.table = table.schema + "." + table.name, .is_everywhere = route.is_everywhere(), .shard = route.shard_of(values), .shards = layout.shards.size()};
  for (const std::size_t column : route.columns()) result.columns.push_back(table.columns[column].name);
  result.range = shard::to_string(layout.shards[result.shard].range);
  result.server = db::address(layout.shards[result.shard].dsn);
  if (const auto id = route.keyspace_id_of(values)) result.keyspace_id = shard::to_hex(*id);
  return result;
}

}  // namespace godwit::workflow
