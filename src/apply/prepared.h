// Changes as bytes, for the rows of prepared XA transactions. Private to apply.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "godwit/apply/change.h"

namespace godwit::apply {

std::string serialize(const std::vector<Change>& changes);
// Throws Error(schema_misfit) when a table is not bound any more, Error(event_corrupt) for bytes that serialize() never wrote.
std::vector<Change> deserialize(std::string_view bytes, const std::vector<TableBinding>& bindings);

}  // namespace godwit::apply
