#include <fmt/format.h>

#include <algorithm>

#include "accounts.h"
#include "godwit/accounts/delegation.h"
#include "godwit/sql/quote.h"
#include "godwit/state/authority.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/workflow/copy.h"
#include "post_copy.h"
#include "preparation.h"

namespace godwit::workflow {
namespace {

// Only what is recorded as created by this workflow; a table of --schema existing keeps its definition, loses the copied rows.
void undo_tables(db::Connection& target, const Definition& definition, const std::vector<state::TableRow>& tables,
                 CancelReport& report) {
  target.execute("SET SESSION foreign_key_checks = 0");
  for (const auto& table : tables) {
    const std::string name = sql::quote_table(table.target_schema, table.target_table);
    target.execute(definition.is_schema_created ? "DROP TABLE IF EXISTS " + name : "TRUNCATE TABLE " + name);
    report.dropped.push_back((definition.is_schema_created ? "table " : "rows of ") + name);
  }
}

void drop_objects(db::Connection& target, const std::vector<state::PostCopyRow>& rows, CancelReport& report) {
  for (const auto& row : rows) {
    // "creating": killed in between, so it may be there, and is ours if it is.
    const bool is_ours = row.state == "done" || row.state == "creating";
    if (!is_ours || !is_object(row)) continue;
    const std::string name = sql::quote_table(row.schema_name, row.object_name);
    target.execute(fmt::format("DROP {} IF EXISTS {}", row.kind, name));
    report.dropped.push_back(row.kind + " " + name);
  }
}

// A schema of ours that holds nothing of anybody else.
void drop_schemas(db::Connection& target, const std::vector<state::PostCopyRow>& rows, CancelReport& report) {
  for (const auto& row : rows) {
    if (row.kind != kSchemaKind) continue;
    const std::string name = sql::quote_string(row.schema_name);
    const bool is_empty = target
                              .query(fmt::format("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {0} UNION "
                                                 "SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {0} UNION "
                                                 "SELECT 1 FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {0}",
                                                 name))
                              .empty();
    if (!is_empty) continue;
    target.execute("DROP DATABASE IF EXISTS " + sql::quote_identifier(row.schema_name));
    report.dropped.push_back("schema " + sql::quote_identifier(row.schema_name));
  }
}

// A source that is gone, or may not be written, keeps a table of one row: that stops no cancel.
void leave_source(const Definition& definition, CancelReport& report) {
  try {
    db::Connection source = db::Connection::open(source_endpoint(definition));
    if (state::Sidecar::leave_source(source, definition.name)) report.dropped.emplace_back("schema `_godwit` on the source");
  } catch (const Error& error) {
    log::warning("the schema `_godwit` on the source is not dropped: {}", error.what());
  }
}

// What `proxy --delegate-auth` gave accounts. It is another schema than the sidecar's, so that a cancel that is killed loses none of its records.
void take_back_credentials(db::Connection& server, CancelReport& report) {
  const std::string name = sql::quote_string(accounts::kDelegationSchema);
  if (server.query("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = " + name).empty()) return;
  for (const auto& account : accounts::Delegation(server).take_back_all()) report.dropped.push_back("the proxy's credential of " + account);
}

}  // namespace

CancelReport cancel(const Definition& definition, state::StateFile& state) {
  CancelReport report;
  db::Connection target = db::Connection::open(target_endpoint(definition));
  if (state::Sidecar::exists(target)) {
    state::Sidecar sidecar(target);
    sidecar.create();  // one of an earlier version is brought up to date: what is forgotten below has tables of every version
    if (const auto found = sidecar.find({.workflow = definition.name})) {
      // The new epoch ends whatever still copies (I3), so that nothing comes back after it was dropped.
      const auto row = sidecar.claim(found->key,
                                     found->position ? gtid::to_string(found->position->flavour) : "",
                                     found->source_identity,
                                     found->source_version,
                                     true);
      const auto statements = sidecar.post_copy(row.id);
      drop_objects(target, statements, report);
      undo_tables(target, definition, sidecar.tables(row.id), report);
      drop_schemas(target, statements, report);
      drop_accounts(target, sidecar.accounts(row.id), report);
      sidecar.forget(row.id);
    }
    state::Authority(target, definition.name).forget();
    if (sidecar.drop_unused()) report.dropped.emplace_back("schema `_godwit`");
  } else {
    state::Sidecar(target).drop_begun();
  }
  take_back_credentials(target, report);
  leave_source(definition, report);
  state.forget_workflow(definition.name);
  return report;
}

}  // namespace godwit::workflow
