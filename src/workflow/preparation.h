// What a command finds out before anything is changed: servers, catalogs, target definitions, objects, whether there is a copy to go on from. One thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/state/sidecar.h"
#include "godwit/workflow/copy.h"

namespace godwit::workflow {

db::Endpoint source_endpoint(const Definition& definition);
db::Endpoint target_endpoint(const Definition& definition);
// A replica of it, which `option` names by a DSN; where that has no account, it is the primary's.
db::Endpoint replica_endpoint(const db::Endpoint& primary, const std::string& dsn, std::string_view option);

struct Preparation {
  catalog::Catalog source;
  catalog::DdlOptions ddl;
  std::vector<catalog::TargetTable> tables;  // one per source table, in the same order
  catalog::TargetObjects objects;
  std::vector<catalog::Issue> issues;        // of all tables and objects
  bool is_schema_created = true;             // the target's tables are godwit's, so that they differ from the source's by later DDL alone
};

// Of the source, as the definition selects it.
catalog::Catalog read_source(const Definition& definition, db::Connection& source);
// Of one shard: only what has a place there. Views, routines, triggers and events are for where the shards are served as one, and so on none of several.
Preparation prepare(const Definition& definition, db::Connection& source, db::Connection& target);
// The same with a catalog that was read before, once for all shards.
Preparation prepare(const Definition& definition, catalog::Catalog catalog, db::Connection& source, db::Connection& target);
// What the checks say, of one target or all shards. Throws as run_checks and layout_of.
std::vector<check::Finding> check_all(const Definition& definition, const CopyTuning& tuning);

// Throws Error(server_changed) when the server is not the one that the stream's position belongs to.
void require_same_server(const state::StreamRow& stream, const db::Server& server);

// Its tables are on the target, and it can be followed from its position.
bool is_copied(const state::StreamRow& stream);
// Throws Error(stream_not_ready). stream: nothing where the target knows no such workflow; or_else: what else can be done.
[[noreturn]] void refuse_uncopied(const Definition& definition, const std::optional<state::StreamRow>& stream, std::string_view or_else = "");

// Of the source's definition, without the AUTO_INCREMENT counter: what DDL changes and writes do not.
std::string definition_hash(const catalog::Table& table);

}  // namespace godwit::workflow
