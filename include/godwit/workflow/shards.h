// A migration whose target is several shards. Each shard has for itself all that a single target has: a sidecar with its stream, its chunks and its statements, its
// own position and epoch. What is one for all of them stands on shard number 0: the authority, and the coordinator's lock. Pure; any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/shard/layout.h"
#include "godwit/workflow/copy.h"

namespace godwit::workflow {

// --shard was given, were it only once.
bool is_sharded(const Definition& definition);

// As parse_layout(), whose errors it throws; the shards' DSNs are those of Definition::shard_targets, where these are known.
shard::Layout layout_of(const Definition& definition);

// Looks whether the layout can be taken (throws as layout_of), makes the order of Definition::shards that of their ranges, and has `complete` fill in what each DSN
// leaves out: Definition::shard_targets, and Definition::target, which is that of shard number 0. Of a migration without shards: refuses placements, and nothing else.
using CompleteDsn = std::function<void(db::Dsn& dsn, const std::string& flag)>;
void settle_shards(Definition& definition, const CompleteDsn& complete);

// One per shard in the order of the ranges, each with that shard's DSN as its target, and its range as its shard. Of a migration without shards: the definition itself.
std::vector<Definition> shard_definitions(const Definition& definition);

// The number of the shard that a definition of shard_definitions() is for; 0 where there are none.
std::size_t shard_number(const Definition& definition, const shard::Layout& layout);

// How messages and reports name one of them: "shard -80". "" where there are none.
std::string shard_name(const Definition& definition);

// For what knows one target only. Throws Error(bad_usage).
void refuse_shards(const Definition& definition, std::string_view command);

}  // namespace godwit::workflow
