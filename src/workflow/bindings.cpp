#include "bindings.h"

#include <algorithm>

#include "godwit/apply/cascades.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::workflow {
bool logs_cascades(db::Connection& source) {
  const db::Rows native = source.query("SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'");
  if (!native.empty()) return lower(native.text(0, "Value")) == "off";
  const db::Rows flagged = source.query("SHOW GLOBAL VARIABLES LIKE 'rpl_use_binlog_events_for_fk_cascade'");
  return !flagged.empty() && lower(flagged.text(0, "Value")) == "on";
}

std::vector<apply::TableBinding> bind_tables(const Preparation& prepared, db::Connection& source, db::Connection& target, std::uint64_t stream) {
  state::Sidecar sidecar(target);
  const auto rows = sidecar.tables(stream);
  const auto begun = sidecar.begun_tables(stream);
  std::vector<apply::TableBinding> bindings;
  for (const auto& row : rows) {
    const auto table = std::find_if(prepared.source.tables.begin(), prepared.source.tables.end(), [&](const catalog::Table& t) {
      return t.schema == row.source_schema && t.name == row.source_table;
    });
    if (table == prepared.source.tables.end()) {
      throw Error(Code::no_such_table,
                  {.object = sql::quote_table(row.source_schema, row.source_table),
                   .cause = "it belongs to the migration, and the source has it no more",
                   .remedy = "was it dropped or renamed? godwit cancel, and copy again"});
    }
    const catalog::Table there = catalog::read_table(target, row.target_schema, row.target_table);
    bindings.push_back(apply::bind(*table, there, catalog::transfers(*table, there, prepared.ddl), target.server()));
    const bool is_copied = row.state != "pending";
    const bool is_begun = begun.count({row.source_schema, row.source_table}) != 0;
    bindings.back().is_ignored = !is_copied && !is_begun;
    bindings.back().is_partial = !is_copied && is_begun;
  }
  if (!logs_cascades(source)) apply::bind_cascades(bindings, prepared.source);
  return bindings;
}

}  // namespace godwit::workflow
