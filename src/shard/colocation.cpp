#include <algorithm>

#include "godwit/shard/layout.h"
#include "godwit/util/text.h"

namespace godwit::shard {
namespace {

// Behind the "=" of the flag: Vitess's functions are the same where they are written alike.
std::string function_text(const Placement& placement) { return placement.flag.substr(placement.flag.find('=') + 1); }

bool is_same_scheme(const Scheme& a, const Scheme& b) {
  return a.kind == b.kind && a.less_than == b.less_than && a.members == b.members && a.null_partition == b.null_partition && a.default_partition == b.default_partition;
}

bool places_alike(const Placement& a, const Placement& b) {
  if (a.kind != b.kind || a.columns.size() != b.columns.size()) return false;
  return a.kind == PlacementKind::vindex ? function_text(a) == function_text(b) : is_same_scheme(a.scheme, b.scheme);
}

}  // namespace

const Placement* find_placement(const Layout& layout, std::string_view schema, std::string_view table) {
  const auto is_of = [&](const Placement& placement) { return placement.table == table && (placement.schema.empty() || placement.schema == schema); };
  const auto found = std::ranges::find_if(layout.placements, is_of);
  return found == layout.placements.end() ? nullptr : &*found;
}

bool has_place(const Layout& layout, const catalog::Table& table, std::size_t shard) {
  if (shard == 0) return true;
  const Placement* placement = find_placement(layout, table.schema, table.name);
  return placement != nullptr && placement->kind != PlacementKind::unsharded;
}

bool are_colocated(const Layout& layout, const catalog::Table& child, const catalog::ForeignKey& key) {
  if (layout.shards.size() == 1) return true;
  const Placement* from = find_placement(layout, child.schema, child.name);
  const Placement* to = find_placement(layout, key.referenced_schema, key.referenced_table);
  if (from == nullptr || to == nullptr) return false;
  if (to->kind == PlacementKind::reference) return true;
  if (to->kind == PlacementKind::unsharded) return from->kind == PlacementKind::unsharded;
  if (!places_alike(*from, *to)) return false;
  // Each column of the parent's shard key must be given by the child's at the same place.
  for (std::size_t i = 0; i < to->columns.size(); ++i) {
    const auto is_it = [&](const std::string& column) { return equals_ignoring_case(column, to->columns[i]); };
    const auto at = std::ranges::find_if(key.referenced_columns, is_it) - key.referenced_columns.begin();
    const bool is_referenced = static_cast<std::size_t>(at) < key.referenced_columns.size();
    if (!is_referenced || !equals_ignoring_case(key.columns[static_cast<std::size_t>(at)], from->columns[i])) return false;
  }
  return true;
}

}  // namespace godwit::shard
