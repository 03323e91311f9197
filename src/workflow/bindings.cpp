#include "bindings.h"

#include <algorithm>

#include "godwit/apply/cascades.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"

namespace godwit::workflow {
namespace {

// DDL that the stream has not reached yet: the source's catalog is of now, the rows to come are of then. Tables that godwit created have kept
// their columns as they were at the position, in their order. Whatever is supposed here is held against each table map (I6).
catalog::Table as_of_position(const catalog::Table* source_now, const catalog::Table& target, const state::TableRow& row) {
  catalog::Table then = target;
  then.schema = row.source_schema;
  then.name = row.source_table;
  if (source_now == nullptr) return then;  // dropped or renamed, further on
  const catalog::Table& source = *source_now;
  const auto has_same_name = [](const catalog::Column& a, const catalog::Column& b) { return equals_ignoring_case(a.name, b.name); };
  if (std::equal(source.columns.begin(), source.columns.end(), target.columns.begin(), target.columns.end(), has_same_name)) return source;
  for (auto& column : then.columns) {
    const auto now = std::find_if(source.columns.begin(), source.columns.end(), [&](const catalog::Column& c) { return has_same_name(c, column); });
    // The other flavour stores some types as another one.
    if (now != source.columns.end() && now->data_type != column.data_type) column = *now;
  }
  return then;
}

}  // namespace

bool logs_cascades(db::Connection& source) {
  const db::Rows native = source.query("SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'");
  if (!native.empty()) return lower(native.text(0, "Value")) == "off";
  const db::Rows flagged = source.query("SHOW GLOBAL VARIABLES LIKE 'rpl_use_binlog_events_for_fk_cascade'");
  return !flagged.empty() && lower(flagged.text(0, "Value")) == "on";
}

namespace {

// Both definitions of each table as they were bound, in the bindings' order.
struct BoundTables {
  std::vector<catalog::Table> then;
  std::vector<catalog::Table> there;
};

std::vector<apply::TableBinding> bind_each(const Preparation& prepared, db::Connection& source, db::Connection& target, std::uint64_t stream, Definitions definitions, BoundTables& tables) {
  state::Sidecar sidecar(target);
  const auto rows = sidecar.tables(stream);
  const auto begun = sidecar.begun_tables(stream);
  std::vector<apply::TableBinding> bindings;
  for (const auto& row : rows) {
    const auto table = std::find_if(prepared.source.tables.begin(), prepared.source.tables.end(), [&](const catalog::Table& t) {
      return t.schema == row.source_schema && t.name == row.source_table;
    });
    const bool is_gone = table == prepared.source.tables.end();
    if (is_gone && (definitions == Definitions::recorded || !prepared.is_schema_created)) {
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
    const catalog::Table then = definitions == Definitions::present && prepared.is_schema_created ? as_of_position(is_gone ? nullptr : &*table, there, row) : *table;
    bindings.push_back(apply::bind(then, there, catalog::transfers(then, there, prepared.ddl), target.server()));
    const bool is_copied = row.state != "pending";
    const bool is_begun = begun.count({row.source_schema, row.source_table}) != 0;
    bindings.back().is_ignored = !is_copied && !is_begun;
    bindings.back().is_partial = !is_copied && is_begun;
    tables.then.push_back(then);
    tables.there.push_back(there);
  }
  if (!logs_cascades(source)) apply::bind_cascades(bindings, prepared.source);
  return bindings;
}

std::vector<std::string> names_of_columns(const catalog::Table& table, const std::vector<std::size_t>& columns) {
  std::vector<std::string> names;
  for (const std::size_t i : columns) names.push_back(table.columns[i].name);
  return names;
}

// The layout speaks of the source's tables, which the stream leads to.
void meet_on_source(RoutedBindings& bound, const shard::Layout& layout, const BoundTables& tables) {
  for (std::size_t i = bound.bindings.size(); i-- > 0;) {
    const shard::Route route(layout, tables.there[i]);
    const bool is_of_first = route.columns().empty();  // on every shard alike, or on the first alone
    if (!is_of_first) apply::share(bound.bindings[i], names_of_columns(tables.there[i], route.columns()));
    if (is_of_first && bound.shard != 0) bound.bindings.erase(bound.bindings.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

}  // namespace

RoutedBindings bind_shard(const Definition& definition, const shard::Layout* layout, db::Connection& source, db::Connection& target, std::uint64_t stream, Definitions definitions, std::optional<catalog::Catalog>& known) {
  const bool is_forward = definition.direction == Direction::forward;
  if (is_forward && !known) known = read_source(definition, source);
  BoundTables tables;
  const Preparation prepared = is_forward ? prepare(definition, *known, source, target) : prepare(definition, source, target);
  RoutedBindings bound{.bindings = bind_each(prepared, source, target, stream, definitions, tables)};
  if (layout == nullptr) return bound;
  bound.shard = shard_number(definition, *layout);
  if (is_forward) {
    for (const auto& table : tables.then) bound.routes.emplace_back(*layout, table);
  } else {
    meet_on_source(bound, *layout, tables);
  }
  return bound;
}

}  // namespace godwit::workflow
