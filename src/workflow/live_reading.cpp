#include "live_reading.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/catalog/ddl.h"
#include "godwit/fence/fence.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"

namespace godwit::workflow {
namespace {

using sql::quote_string;
using state::LiveObjectRow;

constexpr std::string_view kKeyGuard = "_godwit_key_";  // of a Spider head, which keeps shard keys as they are: docs/sharding.md

LiveObjectRow with_definition(db::Connection& server, LiveObjectRow row) {
  const bool is_trigger = row.kind == "trigger";
  const db::Rows rows = server.query(fmt::format("SHOW CREATE {} {}", row.kind, sql::quote_table(row.schema_name, row.object_name)));
  row.sql = rows.text(0, is_trigger ? "SQL Original Statement" : "Create Event");
  row.sql_mode = rows.text(0, "sql_mode");
  row.collation = rows.text(0, "collation_connection");
  if (!is_trigger) row.time_zone = rows.text(0, "time_zone");
  if (!row.sql.empty()) return row;
  throw Error(Code::privilege_missing,
              {.object = state::to_string(row),
               .cause = "the account may not read its definition, so that it could not be brought to the side that is to serve",
               .remedy = fmt::format("GRANT {} ON {}.* to the account", is_trigger ? "TRIGGER" : "EVENT", sql::quote_identifier(row.schema_name))});
}

std::vector<std::string> schemas_of(const std::vector<LiveTable>& tables) {
  std::vector<std::string> result;
  for (const auto& table : tables) {
    if (std::find(result.begin(), result.end(), table.schema) == result.end()) result.push_back(table.schema);
  }
  return result;
}

// "SYSTEM" and offsets are known everywhere, names only where they were loaded.
bool knows_time_zone(db::Connection& server, const std::string& zone) {
  return zone == "SYSTEM" || !server.scalar(fmt::format("SELECT CONVERT_TZ('2000-01-01 00:00:00', '+00:00', {})", quote_string(zone))).empty();
}

}  // namespace

std::vector<LiveObjectRow> read_live_objects(db::Connection& server, const std::vector<LiveTable>& tables) {
  std::vector<LiveObjectRow> result;
  for (const auto& schema : schemas_of(tables)) {
    const db::Rows triggers = server.query(
        fmt::format("SELECT TRIGGER_NAME AS name, EVENT_OBJECT_TABLE AS tbl, ACTION_ORDER AS number FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {} ORDER BY EVENT_OBJECT_TABLE, ACTION_ORDER",
                    quote_string(schema)));
    for (std::size_t i = 0; i < triggers.size(); ++i) {
      const std::string name = triggers.text(i, "name");
      const std::string table = triggers.text(i, "tbl");
      const bool is_migrated = std::any_of(tables.begin(), tables.end(), [&](const LiveTable& t) { return t.schema == schema && t.name == table; });
      if (!is_migrated || fence::is_guard(name) || name.starts_with(kKeyGuard)) continue;
      result.push_back(with_definition(server, {.kind = "trigger", .schema_name = schema, .object_name = name, .table_name = table, .number = triggers.u64(i, "number")}));
    }
    const db::Rows events = server.query(fmt::format("SELECT EVENT_NAME AS name FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {} ORDER BY EVENT_NAME", quote_string(schema)));
    for (std::size_t i = 0; i < events.size(); ++i) result.push_back(with_definition(server, {.kind = "event", .schema_name = schema, .object_name = events.text(i, "name")}));
  }
  return result;
}

std::vector<LiveObjectRow> read_carried(const Definition& definition, db::Connection& serving, db::Connection& passive, const std::vector<state::TableRow>& tables) {
  std::vector<LiveTable> there;
  for (const auto& table : tables) there.push_back({.schema = table.source_schema, .name = table.source_table});
  auto rows = read_live_objects(serving, there);
  if (rows.empty()) return rows;
  catalog::Catalog catalog;
  for (const auto& row : rows) {
    catalog.objects.push_back({.kind = row.kind == "trigger" ? catalog::ObjectKind::trigger : catalog::ObjectKind::event, .schema = row.schema_name, .name = row.object_name, .create_sql = row.sql, .sql_mode = row.sql_mode});
  }
  catalog::DdlOptions options{.source = serving.server(), .target = passive.server(), .names = names_of(definition)};
  options.target_collations = catalog::known_collations(passive);
  const auto carried = catalog::target_objects(catalog, options).objects;
  GODWIT_CHECK(carried.size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].table_name = rows[i].table_name.empty() ? "" : options.names.table(rows[i].schema_name, rows[i].table_name).second;
    rows[i].schema_name = carried[i].schema;
    rows[i].sql = carried[i].sql;
    rows[i].sql_mode = carried[i].sql_mode;
    rows[i].collation = catalog::target_collation_name(rows[i].collation, options).value_or("");
    if (!rows[i].time_zone.empty() && !knows_time_zone(passive, rows[i].time_zone)) rows[i].time_zone.clear();
    rows[i].state = state::kCopiedObject;
  }
  return rows;
}

}  // namespace godwit::workflow
