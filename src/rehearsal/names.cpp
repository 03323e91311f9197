#include "names.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/util/error.h"
#include "godwit/util/text.h"

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

DataNames data_names(const workflow::Definition& definition, const std::set<std::string>& source_schemas) {
  const catalog::NameMap names = workflow::names_of(definition);
  DataNames result;
  std::set<std::string> schemas;
  for (const auto& schema : source_schemas) {
    const std::string throwaway = with_suffix(names.schema(schema));
    result.map.push_back(fmt::format("{}={}", schema, throwaway));
    schemas.insert(throwaway);
  }
  for (const auto& rule : definition.map) {
    const std::string from = rule.substr(0, rule.find('='));
    const auto dot = from.find('.');
    if (dot == std::string::npos) continue;
    const auto [schema, table] = names.table(from.substr(0, dot), from.substr(dot + 1));
    result.map.push_back(fmt::format("{}={}.{}", from, with_suffix(schema), table));
    schemas.insert(with_suffix(schema));
  }
  result.schemas.assign(schemas.begin(), schemas.end());
  return result;
}

}  // namespace godwit::rehearsal
