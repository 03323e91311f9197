#include <fmt/format.h>

#include <algorithm>

#include "accounts.h"
#include "godwit/sql/quote.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "godwit/workflow/copy.h"
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
    if (row.state != "done" || (row.kind != "view" && row.kind != "routine")) continue;
    const std::string name = sql::quote_table(row.schema_name, row.object_name);
    if (row.kind == "view") {
      target.execute("DROP VIEW IF EXISTS " + name);
    } else {
      target.execute("DROP PROCEDURE IF EXISTS " + name);
      target.execute("DROP FUNCTION IF EXISTS " + name);
    }
    report.dropped.push_back(row.kind + " " + name);
  }
}

}  // namespace

CancelReport cancel(const Definition& definition, state::StateFile& state) {
  CancelReport report;
  db::Connection target = db::Connection::open(target_endpoint(definition));
  if (state::Sidecar::exists(target)) {
    state::Sidecar sidecar(target);
    if (const auto found = sidecar.find({.workflow = definition.name})) {
      // The new epoch ends whatever still copies (I3), so that nothing comes back after it was dropped.
      const auto row = sidecar.claim(found->key,
                                     found->position ? gtid::to_string(found->position->flavour) : "",
                                     found->source_identity,
                                     found->source_version);
      drop_objects(target, sidecar.post_copy(row.id), report);
      undo_tables(target, definition, sidecar.tables(row.id), report);
      drop_accounts(target, sidecar.accounts(row.id), report);
      sidecar.forget(row.id);
    }
    if (sidecar.streams().empty()) {
      sidecar.drop();
      report.dropped.emplace_back("schema `_godwit`");
    }
  }
  state.forget_workflow(definition.name);
  return report;
}

}  // namespace godwit::workflow
