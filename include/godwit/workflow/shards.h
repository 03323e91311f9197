// A migration whose target is several shards. Each shard has for itself all that a single target has: a sidecar with its stream, its chunks and its statements, its
// own position and epoch. What is one for all of them stands on shard number 0: the authority, and the coordinator's lock. Pure; any thread.
#pragma once

#include <functional>
#include <optional>
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

// How messages and reports name one of them: "shard -80", "the head". "" where there are none.
std::string shard_name(const Definition& definition);

// The names of one database on each of the shards; `first`: its name on the first of them. They differ where the DSNs name it, and no --map does. Of either direction.
std::vector<std::string> names_on_shards(const std::vector<const Definition*>& shards, const std::string& first);
bool has_own_names(const std::vector<const Definition*>& shards, const std::string& first);

// The server with the authority, of whichever shard and direction the definition is.
db::Endpoint authority_endpoint(const Definition& definition);

// The SQL endpoint over the shards, seen as one of them: no stream leads there, but it has a fence, and where triggers and events live on it, it has them (live_objects.h).
// `recorded`: the forward definition. Nothing where there is no --serve, or where it is one of the shards' own servers.
inline constexpr std::string_view kHeadShard = "head";
std::optional<Definition> head_definition(const Definition& recorded);
bool is_head(const Definition& definition);

// Of the target's side, besides that of the authority: further shards, and the head.
std::vector<db::Endpoint> other_servers(const Definition& recorded);

// The one whose triggers and events are that side's: the source's are kept with the stream back from the first shard, the target's with the head over the shards, none of
// which has any. Nothing where there is no head.
std::optional<Definition> objects_definition(const Definition& recorded, db::Side side);

}  // namespace godwit::workflow
