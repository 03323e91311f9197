#include "target_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "post_copy.h"

namespace godwit::workflow {
namespace {

bool exists(db::Connection& connection, const std::string& schema, const std::string& table) {
  return !connection
              .query(fmt::format("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
                                 sql::quote_string(schema),
                                 sql::quote_string(table)))
              .empty();
}

bool has_rows(db::Connection& connection, const std::string& schema, const std::string& table) {
  return !connection.query(fmt::format("SELECT 1 FROM {} LIMIT 1", sql::quote_table(schema, table))).empty();
}

class TargetSchema {
 public:
  TargetSchema(const Definition& definition, const Preparation& prepared, db::Connection& target, SidecarLedger& ledger, std::uint64_t stream)
      : definition_(definition), prepared_(prepared), target_(target), ledger_(ledger), stream_(stream) {}

  void create();

 private:
  void create_database(const std::string& schema, const std::string& statement);
  void create_table(std::size_t i, const std::vector<state::TableRow>& recorded);
  void record_objects();

  const Definition& definition_;
  const Preparation& prepared_;
  db::Connection& target_;
  SidecarLedger& ledger_;
  const std::uint64_t stream_;
};

void TargetSchema::create() {
  if (definition_.is_schema_created) {
    for (const auto& [schema, defaults] : prepared_.source.schemas) {
      create_database(prepared_.ddl.names.schema(schema), catalog::target_schema_sql(schema, prepared_.ddl));
    }
    for (const auto& table : prepared_.tables) {
      create_database(table.schema, "CREATE DATABASE IF NOT EXISTS " + sql::quote_identifier(table.schema));
    }
  }
  const auto recorded = state::Sidecar(target_).tables(stream_);
  for (std::size_t i = 0; i < prepared_.tables.size(); ++i) create_table(i, recorded);
  record_objects();
}

// Recorded before it is created, so that cancel knows which schemas are ours.
void TargetSchema::create_database(const std::string& schema, const std::string& statement) {
  const bool is_there = !target_.query("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = " + sql::quote_string(schema)).empty();
  if (is_there) return;
  ledger_.guarded([&](state::Sidecar& sidecar) {
    sidecar.add_post_copy(stream_,
                          {.kind = std::string(kSchemaKind),
                           .schema_name = schema,
                           .object_name = schema,
                           .sql = statement,
                           .creates = nlohmann::json({schema}).dump(),
                           .state = "done"});
  });
  target_.execute(statement);
}

void TargetSchema::create_table(std::size_t i, const std::vector<state::TableRow>& recorded) {
  const catalog::Table& source = prepared_.source.tables[i];
  const catalog::TargetTable& target = prepared_.tables[i];
  const std::string hash = definition_hash(source);
  const auto row = std::find_if(recorded.begin(), recorded.end(), [&](const state::TableRow& r) {
    return r.source_schema == source.schema && r.source_table == source.name;
  });
  if (row != recorded.end() && row->definition_hash != hash) {
    refuse_changed_table(definition_.name, sql::quote_table(source.schema, source.name));
  }
  const bool is_there = exists(target_, target.schema, target.name);
  if (row == recorded.end()) {
    if (is_there && has_rows(target_, target.schema, target.name)) {
      throw Error(Code::target_not_empty,
                  {.object = sql::quote_table(target.schema, target.name),
                   .cause = "the table is on the target already and holds rows that this workflow did not copy",
                   .remedy = fmt::format("DROP TABLE {}, or --map it to another name", sql::quote_table(target.schema, target.name))});
    }
    if (is_there && definition_.is_schema_created) {
      throw Error(Code::target_not_empty,
                  {.object = sql::quote_table(target.schema, target.name),
                   .cause = "the table is on the target already, empty",
                   .remedy = fmt::format("DROP TABLE {}; or --schema existing to copy into it", sql::quote_table(target.schema, target.name))});
    }
    if (!is_there && !definition_.is_schema_created) {
      throw Error(Code::no_such_table,
                  {.object = sql::quote_table(target.schema, target.name),
                   .cause = "--schema existing, and the target has no such table",
                   .remedy = "create it, or --schema create"});
    }
    // Recorded before it is created: whatever is found under a recorded name is ours.
    ledger_.guarded([&](state::Sidecar& sidecar) {
      sidecar.add_table(stream_,
                        {.source_schema = source.schema,
                         .source_table = source.name,
                         .target_schema = target.schema,
                         .target_table = target.name,
                         .state = "pending",
                         .definition_hash = hash});
      if (!definition_.is_schema_created) return;
      for (const auto& later : target.deferred) {
        sidecar.add_post_copy(stream_,
                              {.kind = std::string(catalog::to_string(later.kind)),
                               .schema_name = later.schema,
                               .object_name = later.name,
                               .sql = later.sql,
                               .creates = nlohmann::json(later.creates).dump(),
                               .state = "pending"});
      }
    });
  }
  if (!is_there && definition_.is_schema_created) {
    target_.execute(target.create_sql);
    failpoint(Fp::copy_table_created);
  }
}

void TargetSchema::record_objects() {
  if (!definition_.is_schema_created) return;
  ledger_.guarded([&](state::Sidecar& sidecar) {
    for (const auto& object : prepared_.objects.objects) {
      const bool is_for_switch =
          object.kind == catalog::PostCopyKind::trigger || object.kind == catalog::PostCopyKind::event;
      sidecar.add_post_copy(stream_,
                            {.kind = std::string(catalog::to_string(object.kind)),
                             .schema_name = object.schema,
                             .object_name = object.name,
                             .sql = object.sql,
                             .sql_mode = object.sql_mode,
                             .creates = nlohmann::json(object.creates).dump(),
                             .state = is_for_switch ? "switch" : "pending"});
    }
  });
}

}  // namespace

void refuse_changed_table(const std::string& workflow, const std::string& table) {
  throw Error(Code::table_changed,
              {.object = table,
               .cause = "its definition is not the one that the copy began with",
               .remedy = fmt::format("godwit cancel {} and copy again; or undo the DDL, and go on with --on-ddl ignore where the stream meets it", workflow)});
}

void create_target_schema(const Definition& definition, const Preparation& prepared, db::Connection& target, SidecarLedger& ledger, std::uint64_t stream) {
  TargetSchema(definition, prepared, target, ledger, stream).create();
}

}  // namespace godwit::workflow
