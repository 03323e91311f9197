#include "godwit/workflow/direction.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "godwit/util/error.h"
#include "godwit/workflow/copy.h"
#include "preparation.h"

namespace godwit::workflow {
namespace {

struct Rule {
  std::string from;
  std::string to;
  bool is_table() const { return from.find('.') != std::string::npos; }
};

Rule rule_of(const std::string& text) {
  const auto equals = text.find('=');
  return {.from = text.substr(0, equals), .to = equals == std::string::npos ? std::string() : text.substr(equals + 1)};
}

// old=new → new=old. A second old of the same new is left out: there is one way back.
std::vector<std::string> turned(const std::vector<std::string>& rules) {
  std::vector<std::string> result;
  std::set<std::string> known;
  for (const auto& text : rules) {
    const Rule rule = rule_of(text);
    if (known.insert(rule.to).second) result.push_back(rule.to + "=" + rule.from);
  }
  return result;
}

void add(std::vector<std::string>& names, std::string name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
}

std::string schema_of(const std::string& table) { return table.substr(0, table.find('.')); }

// Where a rule takes a table to another schema than the rest, that one is selected too.
std::vector<std::string> schemas_there(const Definition& definition, const catalog::NameMap& names) {
  std::vector<std::string> selected = definition.databases;
  if (selected.empty() && !definition.source.schema.empty()) selected = {definition.source.schema};
  std::vector<std::string> result;
  for (const auto& schema : selected) add(result, names.schema(schema));
  const bool is_all = std::find(selected.begin(), selected.end(), "*") != selected.end();
  for (const auto& text : definition.map) {
    const Rule rule = rule_of(text);
    const bool is_selected = std::find(selected.begin(), selected.end(), schema_of(rule.from)) != selected.end();
    if (!is_all && rule.is_table() && is_selected) add(result, schema_of(rule.to));
  }
  return result;
}

// A pattern of one schema moves with it; a table that a rule renames is named besides.
std::vector<std::string> patterns_there(const std::vector<std::string>& patterns, const Definition& definition, const catalog::NameMap& names) {
  std::vector<std::string> result;
  for (const auto& pattern : patterns) {
    const auto dot = pattern.find('.');
    add(result, dot == std::string::npos ? pattern : names.schema(pattern.substr(0, dot)) + pattern.substr(dot));
    for (const auto& text : definition.map) {
      const Rule rule = rule_of(text);
      if (!rule.is_table()) continue;
      const std::string schema = schema_of(rule.from);
      if (catalog::matches_table(pattern, schema, rule.from.substr(schema.size() + 1))) add(result, rule.to);
    }
  }
  return result;
}

}  // namespace

std::string_view to_string(Direction direction) { return direction == Direction::forward ? "forward" : "reverse"; }

Direction other(Direction direction) { return direction == Direction::forward ? Direction::reverse : Direction::forward; }

db::Side other(db::Side side) { return side == db::Side::source ? db::Side::target : db::Side::source; }

db::Side serving_side(Direction direction) { return direction == Direction::forward ? db::Side::source : db::Side::target; }

db::Side passive_side(Direction direction) { return other(serving_side(direction)); }

Direction direction_serving(db::Side serving) { return serving == db::Side::source ? Direction::forward : Direction::reverse; }

Direction direction_of(const std::optional<state::Route>& route) { return route ? direction_serving(route->serving) : Direction::forward; }

Definition reversed(const Definition& definition) {
  const catalog::NameMap names = names_of(definition);
  Definition result = definition;
  result.direction = other(definition.direction);
  std::swap(result.source, result.target);
  result.databases = schemas_there(definition, names);
  result.tables = patterns_there(definition.tables, definition, names);
  result.exclude_tables = patterns_there(definition.exclude_tables, definition, names);
  result.map = turned(definition.map);
  result.collation_map = turned(definition.collation_map);
  return result;
}

Definition in_direction(const Definition& definition, Direction direction) {
  GODWIT_CHECK(definition.direction == Direction::forward);
  return direction == Direction::forward ? definition : reversed(definition);
}

state::StreamKey stream_key(const Definition& definition) { return {.workflow = definition.name, .direction = std::string(to_string(definition.direction)), .shard = definition.shard}; }

db::Endpoint endpoint_of(const Definition& definition, db::Side side) {
  return side == serving_side(definition.direction) ? source_endpoint(definition) : target_endpoint(definition);
}

}  // namespace godwit::workflow
