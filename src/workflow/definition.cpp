#include <algorithm>
#include <nlohmann/json.hpp>

#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"

namespace godwit::workflow {
namespace {

std::vector<std::string> list_of(const state::Workflow& workflow, const std::string& option) {
  const auto found = workflow.definition.find(option);
  if (found == workflow.definition.end() || found->second.empty()) return {};
  return split(found->second, ',');
}

std::string value_of(const state::Workflow& workflow, const std::string& option) {
  const auto found = workflow.definition.find(option);
  return found == workflow.definition.end() ? "" : found->second;
}

// As JSON: a comma may be part of one. Without any it is not recorded, so that workflows from before there were shards stay the same.
void put_each(std::map<std::string, std::string>& options, const std::string& option, std::vector<std::string> values) {
  if (values.empty()) return;
  std::sort(values.begin(), values.end());
  options.emplace(option, nlohmann::json(values).dump());
}

std::vector<std::string> each_of(const state::Workflow& workflow, const std::string& option) {
  const auto found = workflow.definition.find(option);
  return found == workflow.definition.end() ? std::vector<std::string>() : nlohmann::json::parse(found->second).get<std::vector<std::string>>();
}

std::vector<std::string> without_passwords(const Definition& definition) {
  std::vector<std::string> shards;
  if (!is_sharded(definition)) return shards;
  for (const auto& shard : layout_of(definition).shards) shards.push_back(shard::to_string(shard.range) + "=" + db::to_string(shard.dsn));
  return shards;
}

}  // namespace

std::map<std::string, std::string> to_options(const Definition& definition) {
  GODWIT_CHECK(definition.direction == Direction::forward);  // what is recorded is what the operator said
  std::map<std::string, std::string> options{
      {"source", db::to_string(definition.source)},
      {"target", db::to_string(definition.target)},
      {"databases", join(definition.databases, ",")},
      {"tables", join(definition.tables, ",")},
      {"exclude-tables", join(definition.exclude_tables, ",")},
      {"map", join(definition.map, ",")},
      {"collation-map", join(definition.collation_map, ",")},
      {"schema", definition.is_schema_created ? "create" : "existing"},
      {"allow-no-key", definition.allow_no_key ? "true" : "false"}};
  put_each(options, "shard", without_passwords(definition));
  put_each(options, "vindex", definition.vindexes);
  put_each(options, "partition", definition.partitions);
  put_each(options, "reference", definition.references);
  put_each(options, "unsharded", definition.unsharded);
  if (definition.serve) options.emplace("serve", db::to_string(*definition.serve));
  return options;
}

Definition definition_from(const state::Workflow& workflow) {
  Definition definition{.name = workflow.name,
                        .source = db::parse_dsn(value_of(workflow, "source"), "--source"),
                        .target = db::parse_dsn(value_of(workflow, "target"), "--target"),
                        .databases = list_of(workflow, "databases"),
                        .tables = list_of(workflow, "tables"),
                        .exclude_tables = list_of(workflow, "exclude-tables"),
                        .map = list_of(workflow, "map"),
                        .collation_map = list_of(workflow, "collation-map"),
                        .is_schema_created = value_of(workflow, "schema") != "existing",
                        .allow_no_key = value_of(workflow, "allow-no-key") == "true",
                        .shards = each_of(workflow, "shard"),
                        .vindexes = each_of(workflow, "vindex"),
                        .partitions = each_of(workflow, "partition"),
                        .references = each_of(workflow, "reference"),
                        .unsharded = each_of(workflow, "unsharded")};
  if (const std::string serve = value_of(workflow, "serve"); !serve.empty()) definition.serve = db::parse_dsn(serve, "--serve");
  settle_shards(definition, [](db::Dsn&, const std::string&) {});
  return definition;
}

}  // namespace godwit::workflow
