// What both `copy` and its plan find out before anything is changed: catalogs, target definitions, objects. One thread.
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
check::Request check_request(const Definition& definition, const CopyTuning& tuning);

struct Preparation {
  catalog::Catalog source;
  catalog::DdlOptions ddl;
  std::vector<catalog::TargetTable> tables;  // one per source table, in the same order
  catalog::TargetObjects objects;
  std::vector<catalog::Issue> issues;        // of all tables and objects
  bool is_schema_created = true;             // the target's tables are godwit's, so that they differ from the source's by later DDL alone
};

Preparation prepare(const Definition& definition, db::Connection& source, db::Connection& target);

// Throws Error(server_changed) when the server is not the one that the stream's position belongs to.
void require_same_server(const state::StreamRow& stream, const db::Server& server);

// Of the source's definition, without the AUTO_INCREMENT counter: what DDL changes and writes do not.
std::string definition_hash(const catalog::Table& table);

}  // namespace godwit::workflow
