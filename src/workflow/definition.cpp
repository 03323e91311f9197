#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "godwit/workflow/copy.h"

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

}  // namespace

std::map<std::string, std::string> to_options(const Definition& definition) {
  GODWIT_CHECK(definition.direction == Direction::forward);  // what is recorded is what the operator said
  return {{"source", db::to_string(definition.source)},
          {"target", db::to_string(definition.target)},
          {"databases", join(definition.databases, ",")},
          {"tables", join(definition.tables, ",")},
          {"exclude-tables", join(definition.exclude_tables, ",")},
          {"map", join(definition.map, ",")},
          {"collation-map", join(definition.collation_map, ",")},
          {"schema", definition.is_schema_created ? "create" : "existing"},
          {"allow-no-key", definition.allow_no_key ? "true" : "false"}};
}

Definition definition_from(const state::Workflow& workflow) {
  return {.name = workflow.name,
          .source = db::parse_dsn(value_of(workflow, "source"), "--source"),
          .target = db::parse_dsn(value_of(workflow, "target"), "--target"),
          .databases = list_of(workflow, "databases"),
          .tables = list_of(workflow, "tables"),
          .exclude_tables = list_of(workflow, "exclude-tables"),
          .map = list_of(workflow, "map"),
          .collation_map = list_of(workflow, "collation-map"),
          .is_schema_created = value_of(workflow, "schema") != "existing",
          .allow_no_key = value_of(workflow, "allow-no-key") == "true"};
}

}  // namespace godwit::workflow
