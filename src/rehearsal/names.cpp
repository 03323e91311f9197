#include "names.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"

namespace godwit::rehearsal {
namespace {

constexpr std::size_t kNameMax = 64;  // of a schema, on both flavours

std::string with_suffix(const std::string& schema) {
  if (schema.size() + std::string_view(kSuffix).size() <= kNameMax) return schema + kSuffix;
  throw Error(Code::bad_usage, {.object = "schema " + schema, .cause = fmt::format("with {} its name would have more than {} characters", kSuffix, kNameMax), .remedy = fmt::format("--map {}=NAME with a shorter one, for the rehearsal", schema)});
}

}  // namespace

std::string data_workflow(const std::string& name) { return name + kSuffix; }
std::string switch_workflow(const std::string& name) { return name + kSuffix + "_switch"; }

std::string switch_schema(const std::string& name) {
  if (switch_workflow(name).size() <= kNameMax) return fmt::format("godwit_rehearsal_{}", lower(name));
  throw Error(Code::bad_usage, {.object = "name " + name, .cause = fmt::format("a workflow {} would have more than {} characters", switch_workflow(name), kNameMax), .remedy = "a shorter name"});
}

std::string lock_name(const std::string& name) { return switch_schema(name); }

std::string data_schema(const workflow::Definition& definition, const db::Dsn& target) { return workflow::is_sharded(definition) && !target.schema.empty() ? with_suffix(target.schema) : ""; }

namespace {

// Where no rule says where a schema goes, and the DSNs do.
bool is_named_by_dsn(const workflow::Definition& definition, const std::string& schema) {
  const auto is_of_it = [&](const std::string& rule) { return rule.substr(0, rule.find('=')) == schema; };
  return schema == definition.source.schema && !data_schema(definition, definition.target).empty() && std::ranges::none_of(definition.map, is_of_it);
}

std::vector<std::string> rules(const workflow::Definition& definition, const std::set<std::string>& source_schemas) {
  const catalog::NameMap names = workflow::names_of(definition);
  std::vector<std::string> map;
  for (const auto& schema : source_schemas) {
    if (!is_named_by_dsn(definition, schema)) map.push_back(fmt::format("{}={}", schema, with_suffix(names.schema(schema))));
  }
  for (const auto& rule : definition.map) {
    const std::string from = rule.substr(0, rule.find('='));
    const auto dot = from.find('.');
    if (dot == std::string::npos) continue;
    const auto [schema, table] = names.table(from.substr(0, dot), from.substr(dot + 1));
    map.push_back(fmt::format("{}={}.{}", from, with_suffix(schema), table));
  }
  return map;
}

std::vector<std::string> throwaway_schemas(const workflow::Definition& definition, const std::set<std::string>& source_schemas) {
  std::set<std::string> schemas;
  for (const auto& rule : rules(definition, source_schemas)) schemas.insert(split(rule.substr(rule.find('=') + 1), '.').front());
  for (const auto& schema : source_schemas) {
    if (is_named_by_dsn(definition, schema)) schemas.insert(data_schema(definition, definition.target));
  }
  return {schemas.begin(), schemas.end()};
}

}  // namespace

DataNames data_names(const workflow::Definition& definition, const std::set<std::string>& source_schemas) {
  DataNames result{.map = rules(definition, source_schemas), .schemas = {}};
  for (const auto& one : workflow::shard_definitions(definition)) result.schemas.push_back(throwaway_schemas(one, source_schemas));
  return result;
}

}  // namespace godwit::rehearsal
