// The keys of a table of a Spider head. Private to shard; pure.
#pragma once

#include <string>
#include <vector>

#include "godwit/catalog/catalog.h"

namespace godwit::shard {

// Clauses of CREATE TABLE: all but FULLTEXT and SPATIAL keys, and those over expressions. shard_column: that the table is partitioned by; "": it is not.
// MariaDB wants it in every unique key. One of the AUTO_INCREMENT column alone gets it added: its values are unique over all shards, since the head hands them
// out. Throws Error(not_servable) for any other without it: no shard would see the same value on another one.
std::vector<std::string> head_keys(const catalog::Table& table, const std::string& shard_column);

}  // namespace godwit::shard
