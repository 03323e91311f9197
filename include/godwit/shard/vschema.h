// A layout as Vitess describes it: a VSchema of one sharded keyspace, and its shards (vitess.io, "VSchema"). Pure; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>

#include "godwit/catalog/catalog.h"
#include "godwit/shard/layout.h"

namespace godwit::shard {

// {"sharded": true, "vindexes": …, "tables": …}: what ApplyVSchema takes. Tables that are unsharded are pinned to the first shard. Columns that the server
// numbers name a sequence, TABLE_seq, which an unsharded keyspace must have. Throws Error(not_servable) for a table that is partitioned as MariaDB does it.
nlohmann::json vschema(const Layout& layout, std::span<const catalog::Table> tables);

}  // namespace godwit::shard
