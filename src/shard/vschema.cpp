#include "godwit/shard/vschema.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::shard {
namespace {

using nlohmann::json;

void add_static_map(json& parameters, const Vindex& vindex) {
  json numbers = json::object();
  for (const auto& [from, to] : vindex.numbers) numbers[std::to_string(from)] = to;
  parameters["json"] = numbers.dump();
}

// Vitess's parameters are strings, all of them.
json parameters_of(const Vindex& vindex) {
  json parameters = json::object();
  if (vindex.function == Function::numeric_static_map) {
    add_static_map(parameters, vindex);
    if (!vindex.parts.empty()) parameters["fallback_type"] = to_string(vindex.parts[0].function);
  }
  if (vindex.function == Function::region_experimental) parameters["region_bytes"] = std::to_string(vindex.region_bytes);
  if (vindex.function != Function::multicol) return parameters;
  std::vector<std::string> functions;
  std::vector<std::string> bytes;
  for (std::size_t i = 0; i < vindex.columns; ++i) {
    functions.emplace_back(to_string(vindex.parts[i].function));
    bytes.push_back(std::to_string(vindex.part_bytes[i]));
    if (vindex.parts[i].function == Function::numeric_static_map) parameters.update(parameters_of(vindex.parts[i]));
  }
  parameters["column_count"] = std::to_string(vindex.columns);
  parameters["column_vindex"] = join(functions, ",");
  parameters["column_bytes"] = join(bytes, ",");
  return parameters;
}

json vindex_of(const Vindex& vindex) {
  json result{{"type", to_string(vindex.function)}};
  if (json parameters = parameters_of(vindex); !parameters.empty()) result["params"] = std::move(parameters);
  return result;
}

// One for all tables that say the same: tables whose rows meet on one shard name the same vindex.
std::string name_in(json& vindexes, const Vindex& vindex) {
  const json wanted = vindex_of(vindex);
  const std::string base(to_string(vindex.function));
  for (std::size_t i = 1;; ++i) {
    const std::string name = i == 1 ? base : fmt::format("{}_{}", base, i);
    if (!vindexes.contains(name)) vindexes[name] = wanted;
    if (vindexes[name] == wanted) return name;
  }
}

json column_vindex(const Placement& placement, json& vindexes) {
  json result{{"name", name_in(vindexes, placement.vindex)}};
  if (placement.columns.size() == 1) {
    result["column"] = placement.columns[0];
  } else {
    result["columns"] = placement.columns;
  }
  return result;
}

void add_sequence(json& result, const catalog::Table& table) {
  const auto column = std::ranges::find_if(table.columns, &catalog::Column::is_auto_increment);
  if (column == table.columns.end()) return;
  result["auto_increment"] = {{"column", column->name}, {"sequence", table.name + "_seq"}};
}

// Nothing is said of it where all is one shard.
json table_of(const Placement* placement, const catalog::Table& table, json& vindexes) {
  json result = json::object();
  const PlacementKind kind = placement == nullptr ? PlacementKind::unsharded : placement->kind;
  switch (kind) {
    case PlacementKind::vindex:
      result["column_vindexes"] = json::array({column_vindex(*placement, vindexes)});
      add_sequence(result, table);
      return result;
    case PlacementKind::reference: result["type"] = "reference"; return result;
    case PlacementKind::unsharded: result["pinned"] = "00"; return result;
    case PlacementKind::partition:
      throw Error(Code::not_servable, {.object = sql::quote_table(table.schema, table.name), .cause = fmt::format("Vitess has no vindex that does what {} says", placement->flag),
                                       .remedy = "--vindex for this table, or a Spider head (godwit shard ddl --engine spider)"});
  }
  return result;
}

}  // namespace

json vschema(const Layout& layout, std::span<const catalog::Table> tables) {
  json vindexes = json::object();
  json described = json::object();
  for (const catalog::Table& table : tables) {
    const Route route(layout, table);  // refuses what cannot be a key
    described[table.name] = table_of(find_placement(layout, table.schema, table.name), table, vindexes);
  }
  return {{"sharded", true}, {"vindexes", std::move(vindexes)}, {"tables", std::move(described)}};
}

}  // namespace godwit::shard
