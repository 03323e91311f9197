// Foreign keys that change rows (ON DELETE, ON UPDATE: CASCADE, SET NULL) on a source that logs the parent's change alone: MariaDB, MySQL up
// to 9.5 and with innodb_native_foreign_keys. The stream makes these changes by statements of its own, whether or not the target has the
// constraint or the parent's row: a table may be copied long before the other. For that each child must be exact at every position of the
// stream, so their snapshots are of one instant. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "godwit/apply/binding.h"
#include "godwit/catalog/catalog.h"

namespace godwit::apply {

// Fills TableBinding::cascades. Throws Error(cascades_not_logged) where the keys lead around too often to be followed.
void bind_cascades(std::vector<TableBinding>& bindings, const catalog::Catalog& source);

// Parents and children of such keys, as quoted `schema`.`table`.
std::set<std::string> cascading_tables(const catalog::Catalog& source);

}  // namespace godwit::apply
