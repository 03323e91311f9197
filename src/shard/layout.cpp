#include "godwit/shard/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "spec_reader.h"

namespace godwit::shard {
namespace {

constexpr std::string_view kShardForm = "--shard -80=mysql://user@host/schema --shard 80-=mysql://…";
constexpr std::string_view kVindexForm = "--vindex TABLE.COLUMN[,COLUMN]=FUNCTION[(PARAMETER=VALUE;…)]; names that hold one of .,=() stand in backquotes";
constexpr std::string_view kPartitionForm = "--partition \"TABLE=HASH(column)\", likewise with RANGE and LIST";
constexpr std::string_view kTableForm = "TABLE or SCHEMA.TABLE; names that hold one of .,=() stand in backquotes";

// What stands before the "=" may be shown; behind it there may be a password. So it may where somebody left the range out.
Shard parse_shard(const std::string& text) {
  const std::size_t equals = text.find('=');
  const std::string range = text.substr(0, equals);
  if (equals == std::string::npos || range.find("://") != std::string::npos) {
    throw Error(Code::key_range_unreadable, {.object = "--shard", .cause = "it does not begin with RANGE=", .remedy = std::string(kShardForm)});
  }
  return {.range = parse_key_range(range, "--shard"), .dsn = db::parse_dsn(text.substr(equals + 1), "--shard " + range)};
}

void require_different(const std::vector<Shard>& shards) {
  const auto is_same_database = [](const Shard& a, const Shard& b) { return db::address(a.dsn) == db::address(b.dsn) && a.dsn.schema == b.dsn.schema; };
  for (std::size_t i = 0; i < shards.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!is_same_database(shards[i], shards[j])) continue;
      throw Error(Code::same_tables, {.object = "--shard " + to_string(shards[i].range),
                                      .cause = "it is the same database as that of " + to_string(shards[j].range),
                                      .remedy = "a database of its own for each shard"});
    }
  }
}

std::vector<Shard> parse_shards(const std::vector<std::string>& texts) {
  std::vector<Shard> shards;
  std::vector<KeyRange> ranges;
  for (const auto& text : texts) ranges.push_back(shards.emplace_back(parse_shard(text)).range);
  std::vector<Shard> ordered;
  for (const std::size_t i : require_partition(ranges)) ordered.push_back(shards[i]);
  require_different(ordered);
  return ordered;
}

// TABLE or SCHEMA.TABLE from the names read.
void set_table(Placement& placement, std::vector<std::string> names, const SpecReader& in) {
  if (names.empty() || names.size() > 2) in.refuse("it does not name one table");
  placement.table = std::move(names.back());
  if (names.size() == 2) placement.schema = std::move(names.front());
}

std::vector<std::string> read_names(SpecReader& in) {
  std::vector<std::string> names{in.name()};
  while (in.accept('.')) names.push_back(in.name());
  return names;
}

Parameters parse_parameters(std::string_view text, const SpecReader& in) {
  Parameters parameters;
  for (const auto& part : split(text, ';')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos) in.refuse(fmt::format("\"{}\" is no PARAMETER=VALUE", part));
    const std::string name(trim(part.substr(0, equals)));
    if (!parameters.emplace(name, trim(part.substr(equals + 1))).second) in.refuse(fmt::format("\"{}\" is there twice", name));
  }
  return parameters;
}

Vindex read_vindex(SpecReader& in, std::size_t columns, std::string_view flag) {
  VindexSpec spec{.function = in.name(), .columns = columns};
  std::string_view parameters = in.rest();
  if (parameters.empty()) return make_vindex(spec, flag);
  if (!parameters.starts_with('(') || !parameters.ends_with(')')) in.refuse(fmt::format("\"{}\" is not (PARAMETER=VALUE;…)", parameters));
  spec.parameters = parse_parameters(parameters.substr(1, parameters.size() - 2), in);
  return make_vindex(spec, flag);
}

Placement parse_vindex(const std::string& text) {
  Placement placement{.kind = PlacementKind::vindex, .flag = "--vindex " + text};
  SpecReader in(text, placement.flag, kVindexForm);
  auto names = read_names(in);
  placement.columns.push_back(std::move(names.back()));
  names.pop_back();
  set_table(placement, std::move(names), in);
  while (in.accept(',')) placement.columns.push_back(in.name());
  in.expect('=');
  placement.vindex = read_vindex(in, placement.columns.size(), placement.flag);
  return placement;
}

Placement parse_partition(const std::string& text, std::size_t shards) {
  Placement placement{.kind = PlacementKind::partition, .flag = "--partition " + text};
  SpecReader in(text, placement.flag, kPartitionForm);
  set_table(placement, read_names(in), in);
  in.expect('=');
  placement.scheme = parse_scheme({.text = in.rest(), .partitions = shards}, placement.flag);
  placement.columns.push_back(placement.scheme.column);
  return placement;
}

Placement parse_table(PlacementKind kind, const std::string& text) {
  Placement placement{.kind = kind, .flag = (kind == PlacementKind::reference ? "--reference " : "--unsharded ") + text};
  SpecReader in(text, placement.flag, kTableForm);
  set_table(placement, read_names(in), in);
  in.finish();
  return placement;
}

bool may_be_same_table(const Placement& a, const Placement& b) { return a.table == b.table && (a.schema.empty() || b.schema.empty() || a.schema == b.schema); }

void require_one_each(const std::vector<Placement>& placements) {
  for (std::size_t i = 0; i < placements.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!may_be_same_table(placements[i], placements[j])) continue;
      throw Error(Code::bad_placement, {.object = placements[i].flag, .cause = "the table has a place already: " + placements[j].flag, .remedy = "one of the two"});
    }
  }
}

}  // namespace

Layout parse_layout(const LayoutOptions& options) {
  Layout layout{.shards = parse_shards(options.shards)};
  for (const auto& text : options.vindexes) layout.placements.push_back(parse_vindex(text));
  for (const auto& text : options.partitions) layout.placements.push_back(parse_partition(text, layout.shards.size()));
  for (const auto& text : options.references) layout.placements.push_back(parse_table(PlacementKind::reference, text));
  for (const auto& text : options.unsharded) layout.placements.push_back(parse_table(PlacementKind::unsharded, text));
  require_one_each(layout.placements);
  return layout;
}

}  // namespace godwit::shard
