// What only a target of several shards has to fulfil. Of a request without a layout they find nothing to say.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "context.h"
#include "godwit/sql/quote.h"
#include "godwit/util/text.h"

namespace godwit::check {
namespace {

std::string name_of(const catalog::Table& table) { return sql::quote_table(table.schema, table.name); }

Finding finding_of(const Error& error) { return blocker(error.code(), error.object(), error.cause(), error.remedy()); }

// Every table on its own, so that all that is missing is named at once.
Findings shard_placements(const Context& c) {
  if (c.request.layout == nullptr) return {};
  Findings findings;
  for (const auto& table : c.catalog.tables) {
    try {
      const shard::Route route(*c.request.layout, table);
    } catch (const Error& error) {
      findings.push_back(finding_of(error));
    }
  }
  for (const auto& placement : c.request.layout->placements) {
    const auto is_of = [&](const catalog::Table& table) { return shard::find_placement(*c.request.layout, table.schema, table.name) == &placement; };
    if (std::ranges::any_of(c.catalog.tables, is_of)) continue;
    findings.push_back(blocker(Code::bad_placement, placement.flag, "no selected table is called so", "name a table of the source, or leave the flag out"));
  }
  if (findings.empty()) findings.push_back(ok(fmt::format("every table has its place on {} shards", c.request.layout->shards.size())));
  return findings;
}

bool holds_all(const catalog::Key& key, const std::vector<std::string>& columns) {
  return std::ranges::all_of(columns, [&](const std::string& column) {
    return std::ranges::any_of(key.parts, [&](const catalog::KeyPart& part) { return equals_ignoring_case(part.column, column) && !part.prefix_length; });
  });
}

Findings shard_unique_keys(const Context& c) {
  if (c.request.layout == nullptr) return {};
  Findings findings;
  for (const auto& table : c.catalog.tables) {
    const auto* placement = shard::find_placement(*c.request.layout, table.schema, table.name);
    if (placement == nullptr || placement->columns.empty() || c.request.layout->shards.size() == 1) continue;
    for (const auto& key : table.keys) {
      if (!key.is_unique || holds_all(key, placement->columns)) continue;
      findings.push_back(warning(Code::shard_key_unsuitable, name_of(table) + "." + sql::quote_identifier(key.name),
                                 fmt::format("the unique key does not hold the shard key ({}): each shard sees only its own rows, and cannot refuse what another one has", join(placement->columns, ", ")),
                                 "nothing where its values are unique by themselves (random, or handed out in one place); else another shard key"));
    }
  }
  if (findings.empty()) findings.push_back(ok("every unique key holds its table's shard key"));
  return findings;
}

bool changes(const std::string& rule) { return rule == "CASCADE" || rule == "SET NULL" || rule == "SET DEFAULT"; }

bool is_unsharded(const shard::Layout& layout, std::string_view schema, std::string_view table) {
  const auto* placement = shard::find_placement(layout, schema, table);
  return placement != nullptr && placement->kind == shard::PlacementKind::unsharded;
}

// Where the binlog lacks what rules change, the stream makes the same changes on each shard by statements of its own. The other shards see nothing of a
// parent that is on the first alone, and a row whose shard key is set so would be another shard's.
std::optional<std::string> why_cascade_is_lost(const shard::Layout& layout, const catalog::Table& table, const catalog::ForeignKey& key) {
  const bool is_hidden = is_unsharded(layout, key.referenced_schema, key.referenced_table) && !is_unsharded(layout, table.schema, table.name);
  if (is_hidden && (changes(key.on_update) || changes(key.on_delete))) return "is unsharded, so that other shards would not see what it changes on them";
  const auto* placement = shard::find_placement(layout, table.schema, table.name);
  const bool sets_values = changes(key.on_update) || key.on_delete == "SET NULL" || key.on_delete == "SET DEFAULT";
  if (placement == nullptr || !sets_values) return std::nullopt;
  const auto is_key = [&](const std::string& column) { return std::ranges::any_of(placement->columns, [&](const std::string& k) { return equals_ignoring_case(k, column); }); };
  if (std::ranges::any_of(key.columns, is_key)) return "may change the shard key of rows that refer to it";
  return std::nullopt;
}

Findings shard_foreign_keys(const Context& c) {
  if (c.request.layout == nullptr || c.request.layout->shards.size() == 1) return {};
  Findings findings;
  for (const auto& table : c.catalog.tables) {
    for (const auto& key : table.foreign_keys) {
      const std::string parent = sql::quote_table(key.referenced_schema, key.referenced_table);
      const auto lost = are_cascades_logged(c.source) ? std::nullopt : why_cascade_is_lost(*c.request.layout, table, key);
      if (lost) {
        findings.push_back(warning(Code::cascades_not_logged, name_of(table), fmt::format("foreign key {}: {} {}, and the binlog lacks it: the stream stops at such a change", key.name, parent, *lost), "drop the rule (ON UPDATE, ON DELETE) on the source, or see that it never acts"));
      }
      if (shard::are_colocated(*c.request.layout, table, key)) continue;
      findings.push_back(warning(Code::unsupported_feature, name_of(table), fmt::format("foreign key {} leads to {}, whose rows may live on other shards: the shards do without it", key.name, parent), "one shard key for both tables, so that their rows meet; or --reference for the table that is referred to"));
    }
  }
  if (findings.empty()) findings.push_back(ok("rows that refer to each other live on one shard"));
  return findings;
}

Findings shard_objects(const Context& c) {
  if (c.request.layout == nullptr || c.request.layout->shards.size() == 1) return {};
  std::vector<std::string> names;
  for (const auto& object : c.catalog.objects) {
    if (object.kind != catalog::ObjectKind::sequence) names.push_back(fmt::format("{} {}", catalog::to_string(object.kind), sql::quote_table(object.schema, object.name)));
  }
  if (names.empty()) return {ok("there are tables only")};
  return {warning(Code::unsupported_feature, c.source.name(), fmt::format("a shard would see its own rows only, so these are on none: {}", join(names, ", ")), "create them where the shards are served as one (--serve)")};
}

// The values that it has handed out must not come again where the shards are served, and nothing carries them there.
Findings shard_sequences(const Context& c) {
  if (c.request.layout == nullptr || c.request.layout->shards.size() == 1) return {};
  Findings findings;
  for (const auto& object : c.catalog.objects) {
    if (object.kind != catalog::ObjectKind::sequence) continue;
    findings.push_back(blocker(Code::unsupported_feature, fmt::format("sequence {}", sql::quote_table(object.schema, object.name)), "it counts on one server, and is carried neither to the shards nor to what is over them",
                               "AUTO_INCREMENT in its place, or a counter in a table that is --unsharded. Or create it there by hand, raise it before each switch, and --skip shard_sequences"));
  }
  if (findings.empty()) findings.push_back(ok("the source has no sequences"));
  return findings;
}

}  // namespace

std::vector<Check> shard_checks() {
  return {
      {"shard_placements", "with shards: every table has its place, by columns that can be a key", shard_placements},
      {"shard_unique_keys", "with shards: unique keys hold the shard key", shard_unique_keys},
      {"shard_foreign_keys", "with shards: rows that refer to each other live on one shard", shard_foreign_keys},
      {"shard_objects", "with shards: views, routines, triggers and events are on none of them", shard_objects},
      {"shard_sequences", "with shards: no sequence hands out values", shard_sequences},
  };
}

// All shards together, by the requests' number.
Findings shard_versions(const std::vector<std::pair<std::string, std::string>>& versions) {
  Findings findings;
  for (const auto& [shard, version] : versions) {
    if (version == versions.front().second) continue;
    findings.push_back(warning(Code::schema_differs, "shard " + shard, fmt::format("it is {}, shard {} is {}", version, versions.front().first, versions.front().second), "one version on all of them, before the switch"));
  }
  if (findings.empty()) findings.push_back(ok(versions.front().second + " on every shard"));
  return findings;
}

}  // namespace godwit::check
