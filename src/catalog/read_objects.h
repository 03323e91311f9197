// Views, routines, triggers, events and sequences of schemas. Private to catalog.
#pragma once

#include <string>
#include <vector>

#include "godwit/catalog/catalog.h"

namespace godwit::catalog {

std::vector<Object> read_objects(db::Connection& connection, const std::vector<std::string>& schemas);

}  // namespace godwit::catalog
