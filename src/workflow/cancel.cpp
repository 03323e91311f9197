#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "accounts.h"
#include "godwit/accounts/delegation.h"
#include "godwit/fence/fence.h"
#include "godwit/sql/quote.h"
#include "godwit/state/authority.h"
#include "godwit/state/coordinator_lock.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
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
    fence::remove(source, {.workflow = definition.name, .side = db::Side::source});
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

// What serves is no copy any more.
void require_source_serves(db::Connection& target, const Definition& definition) {
  const auto route = state::Authority(target, definition.name).read();
  if (!route || (route->serving == db::Side::source && !route->is_switching)) return;
  throw Error(Code::not_switched, {.object = "workflow " + definition.name,
                                   .cause = route->is_switching ? "a switch is under way" : "the target serves: what would be dropped is the only copy that is up to date",
                                   .remedy = "godwit reverse first; or godwit complete"});
}

// Dropping what was there before the migration could not be taken back.
void require_no_tables(state::Sidecar& sidecar, const Definition& definition) {
  const auto found = sidecar.find({.workflow = definition.name});
  if (!found || sidecar.tables(found->id).empty()) return;
  throw Error(Code::bad_usage, {.object = "--schema",
                                .cause = fmt::format("the state file does not know {}, and so not whether its tables are to be dropped or emptied", definition.name),
                                .remedy = "--schema create where copy has created them: they are dropped; --schema existing: they are emptied"});
}

// The route first: without it no reconciler sets again what is taken away. The new epoch ends whatever still copies (I3), so that nothing comes back after it was dropped.
std::optional<state::StreamRow> claim_stream(db::Connection& target, state::Sidecar& sidecar, const Definition& definition) {
  if (!state::Authority(target, definition.name).forget_unswitched()) require_source_serves(target, definition);
  fence::remove(target, {.workflow = definition.name, .side = db::Side::target});
  const auto found = sidecar.find({.workflow = definition.name});
  if (!found) return std::nullopt;
  return sidecar.claim(found->key, found->position ? gtid::to_string(found->position->flavour) : "", found->source_identity, found->source_version, true);
}

void drop_copy(db::Connection& target, state::Sidecar& sidecar, const Definition& definition, std::uint64_t stream, CancelReport& report) {
  const auto statements = sidecar.post_copy(stream);
  drop_objects(target, statements, report);
  undo_tables(target, definition, sidecar.tables(stream), report);
  drop_schemas(target, statements, report);
  drop_accounts(target, sidecar.accounts(stream), report);
}

}  // namespace

CancelReport cancel(const Definition& definition, state::StateFile& state, bool is_schema_known) {
  CancelReport report;
  db::Connection target = db::Connection::open(target_endpoint(definition));
  if (state::Sidecar::exists(target)) {
    state::Sidecar sidecar(target);
    sidecar.create();  // one of an earlier version is brought up to date: what is forgotten below has tables of every version
    const state::CoordinatorLock lock(target_endpoint(definition), definition.name);  // no switch begins meanwhile
    require_source_serves(target, definition);
    if (!is_schema_known) require_no_tables(sidecar, definition);
    failpoint(Fp::cancel_claim_before);
    const auto row = claim_stream(target, sidecar, definition);
    failpoint(Fp::cancel_claim_after);
    if (row) {
      failpoint(Fp::cancel_objects_before);
      drop_copy(target, sidecar, definition, row->id, report);
      failpoint(Fp::cancel_objects_after);
      sidecar.forget(row->id);
    }
    failpoint(Fp::cancel_sidecar_before);
    if (sidecar.drop_unused()) report.dropped.emplace_back("schema `_godwit`");
    failpoint(Fp::cancel_sidecar_after);
  } else {
    state::Sidecar(target).drop_begun();
  }
  failpoint(Fp::cancel_source_before);
  take_back_credentials(target, report);
  leave_source(definition, report);
  failpoint(Fp::cancel_source_after);
  state.forget_workflow(definition.name);
  return report;
}

}  // namespace godwit::workflow
