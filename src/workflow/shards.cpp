#include "godwit/workflow/shards.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "preparation.h"

namespace godwit::workflow {
namespace {

void refuse_placement(const std::vector<std::string>& given, std::string_view flag) {
  if (given.empty()) return;
  throw Error(Code::bad_usage, {.object = fmt::format("{} {}", flag, given.front()), .cause = "there are no shards", .remedy = "--shard RANGE=DSN for each of them, instead of --target"});
}

std::string range_of(const std::string& shard) { return shard.substr(0, shard.find('=')); }

void order_by_range(std::vector<std::string>& shards, const shard::Layout& layout) {
  const auto place = [&](const std::string& text) {
    return std::ranges::find_if(layout.shards, [&](const shard::Shard& shard) { return shard::to_string(shard.range) == range_of(text); }) - layout.shards.begin();
  };
  std::ranges::stable_sort(shards, {}, place);
}

}  // namespace

bool is_sharded(const Definition& definition) { return !definition.shards.empty(); }

shard::Layout layout_of(const Definition& definition) {
  shard::Layout layout = shard::parse_layout({.shards = definition.shards,
                                              .vindexes = definition.vindexes,
                                              .partitions = definition.partitions,
                                              .references = definition.references,
                                              .unsharded = definition.unsharded});
  if (definition.shard_targets.empty()) return layout;
  GODWIT_CHECK(definition.shard_targets.size() == layout.shards.size());
  for (std::size_t i = 0; i < layout.shards.size(); ++i) layout.shards[i].dsn = definition.shard_targets[i];
  return layout;
}

void settle_shards(Definition& definition, const CompleteDsn& complete) {
  if (!is_sharded(definition)) {
    refuse_placement(definition.vindexes, "--vindex");
    refuse_placement(definition.partitions, "--partition");
    refuse_placement(definition.references, "--reference");
    refuse_placement(definition.unsharded, "--unsharded");
    if (definition.serve) refuse_placement({db::to_string(*definition.serve)}, "--serve");
    return;
  }
  definition.shard_targets.clear();
  const shard::Layout layout = layout_of(definition);
  order_by_range(definition.shards, layout);
  for (const auto& shard : layout.shards) complete(definition.shard_targets.emplace_back(shard.dsn), "--shard " + shard::to_string(shard.range));
  definition.target = definition.shard_targets.front();
}

std::vector<Definition> shard_definitions(const Definition& definition) {
  if (!is_sharded(definition)) return {definition};
  GODWIT_CHECK(definition.direction == Direction::forward);
  std::vector<Definition> result;
  for (const auto& shard : layout_of(definition).shards) {
    Definition& one = result.emplace_back(definition);
    one.target = shard.dsn;
    one.shard = shard::to_string(shard.range);
  }
  return result;
}

std::size_t shard_number(const Definition& definition, const shard::Layout& layout) {
  const auto is_it = [&](const shard::Shard& shard) { return shard::to_string(shard.range) == definition.shard; };
  const auto found = std::ranges::find_if(layout.shards, is_it);
  GODWIT_CHECK(found != layout.shards.end());
  return static_cast<std::size_t>(found - layout.shards.begin());
}

std::string shard_name(const Definition& definition) {
  if (is_head(definition)) return "the head";
  return is_sharded(definition) ? "shard " + definition.shard : "";
}

std::vector<std::string> names_on_shards(const std::vector<const Definition*>& shards, const std::string& first) {
  const auto named = [](const Definition& definition) { return definition.direction == Direction::forward ? definition.target.schema : definition.source.schema; };
  const auto names_it = [&](const std::string& rule) {
    const auto sides = split(rule, '=');
    return std::ranges::any_of(sides, [&](const std::string& side) { return split(side, '.').front() == first; });
  };
  const bool is_of_dsn = named(*shards.front()) == first && std::ranges::none_of(shards.front()->map, names_it);
  std::vector<std::string> names;
  for (const Definition* shard : shards) names.push_back(is_of_dsn ? named(*shard) : first);
  return names;
}

bool has_own_names(const std::vector<const Definition*>& shards, const std::string& first) {
  return std::ranges::any_of(names_on_shards(shards, first), [&](const std::string& name) { return name != first; });
}

db::Endpoint authority_endpoint(const Definition& definition) {
  db::Endpoint endpoint = endpoint_of(definition, db::Side::target);
  if (!definition.shard_targets.empty()) endpoint.dsn = definition.shard_targets.front();
  return endpoint;
}

namespace {

bool is_one_server(const db::Dsn& a, const db::Dsn& b) { return a.host == b.host && a.port == b.port && a.socket == b.socket; }

}  // namespace

std::optional<Definition> head_definition(const Definition& recorded) {
  GODWIT_CHECK(recorded.direction == Direction::forward);
  // A Spider head finds rows by partitions alone: what serves vindexes is no server that could be fenced, or have triggers.
  if (!is_sharded(recorded) || !recorded.serve || !recorded.vindexes.empty()) return std::nullopt;
  const auto is_shard = [&](const Definition& one) { return is_one_server(one.target, *recorded.serve); };
  if (std::ranges::any_of(shard_definitions(recorded), is_shard)) return std::nullopt;
  Definition head = recorded;
  head.target = *recorded.serve;
  head.shard = kHeadShard;
  return head;
}

bool is_head(const Definition& definition) { return definition.shard == kHeadShard; }

std::vector<db::Endpoint> other_servers(const Definition& recorded) {
  std::vector<db::Endpoint> result;
  for (const auto& shard : shard_definitions(recorded)) result.push_back(target_endpoint(shard));
  result.erase(result.begin());
  if (const auto head = head_definition(recorded)) result.push_back(target_endpoint(*head)), result.back().dsn.schema.clear();
  return result;
}

std::optional<Definition> objects_definition(const Definition& recorded, db::Side side) {
  if (!is_sharded(recorded)) return recorded;
  if (side == db::Side::source) return shard_definitions(recorded).front();
  return head_definition(recorded);
}

}  // namespace godwit::workflow
