#include "bindings.h"

#include <algorithm>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::workflow {
namespace {

bool changes_rows(const std::string& rule) { return rule == "CASCADE" || rule == "SET NULL" || rule == "SET DEFAULT"; }

void mark_cascades(std::vector<apply::TableBinding>& bindings, const catalog::Catalog& source) {
  for (const auto& table : source.tables) {
    for (const auto& key : table.foreign_keys) {
      if (!changes_rows(key.on_delete) && !changes_rows(key.on_update)) continue;
      const auto parent = std::find_if(bindings.begin(), bindings.end(), [&](const apply::TableBinding& b) {
        return b.source_schema == key.referenced_schema && b.source_table == key.referenced_table;
      });
      if (parent == bindings.end()) continue;
      parent->fires_cascades = true;
      for (std::size_t i = 0; i < parent->columns.size(); ++i) {
        const bool is_referenced = std::any_of(key.referenced_columns.begin(), key.referenced_columns.end(), [&](const std::string& name) {
          return equals_ignoring_case(sql::quote_identifier(name), parent->columns[i].name);
        });
        if (is_referenced) parent->cascade_columns.push_back(i);
      }
    }
  }
}

void require_columns(const catalog::Table& source, const catalog::Table& target) {
  for (const auto& column : source.columns) {
    const bool is_there = std::any_of(target.columns.begin(), target.columns.end(), [&](const catalog::Column& c) { return equals_ignoring_case(c.name, column.name); });
    if (is_there || !column.is_writable()) continue;
    const std::string table = sql::quote_table(target.schema, target.name);
    throw Error(Code::schema_misfit,
                {.object = table,
                 .cause = "the source's column " + sql::quote_identifier(column.name) + " is not on the target",
                 .remedy = "ALTER TABLE " + table + " ADD COLUMN " + sql::quote_identifier(column.name) + " " + column.column_type + ", then run the same command again"});
  }
}

}  // namespace

bool logs_cascades(db::Connection& source) {
  const db::Rows native = source.query("SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'");
  if (!native.empty()) return lower(native.text(0, "Value")) == "off";
  const db::Rows flagged = source.query("SHOW GLOBAL VARIABLES LIKE 'rpl_use_binlog_events_for_fk_cascade'");
  return !flagged.empty() && lower(flagged.text(0, "Value")) == "on";
}

std::vector<apply::TableBinding> bind_tables(const Preparation& prepared, db::Connection& source, db::Connection& target, std::uint64_t stream,
                                             Definitions definitions) {
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
    if (definitions == Definitions::recorded && definition_hash(*table) != row.definition_hash) {
      throw Error(Code::table_changed,
                  {.object = sql::quote_table(row.source_schema, row.source_table),
                   .cause = "its definition is not the one that the copy began with",
                   .remedy = "godwit cancel and copy again; or undo the DDL, and go on with --on-ddl ignore where the stream meets it"});
    }
    const catalog::Table there = catalog::read_table(target, row.target_schema, row.target_table);
    require_columns(*table, there);
    bindings.push_back(apply::bind(*table, there, catalog::transfers(*table, there, prepared.ddl), target.server()));
    const bool is_copied = row.state != "pending";
    const bool is_begun = begun.count({row.source_schema, row.source_table}) != 0;
    bindings.back().is_ignored = !is_copied && !is_begun;
    bindings.back().is_partial = !is_copied && is_begun;
  }
  if (!logs_cascades(source)) mark_cascades(bindings, prepared.source);
  return bindings;
}

}  // namespace godwit::workflow
