#include "godwit/state/live_objects.h"

#include <fmt/format.h>

#include <algorithm>

#include "sidecar_tables.h"

namespace godwit::state {
namespace {

using sql::quote_string;

LiveObjectRow row_of(const db::Rows& rows, std::size_t i) {
  return {.id = rows.u64(i, "id"),
          .kind = rows.text(i, "kind"),
          .schema_name = rows.text(i, "schema_name"),
          .object_name = rows.text(i, "object_name"),
          .table_name = rows.text(i, "table_name"),
          .number = rows.u64(i, "number"),
          .sql = rows.text(i, "statement"),
          .sql_mode = rows.text(i, "sql_mode"),
          .collation = rows.text(i, "collation_name"),
          .time_zone = rows.text(i, "time_zone"),
          .state = rows.text(i, "state")};
}

}  // namespace

bool is_same(const LiveObjectRow& a, const LiveObjectRow& b) { return a.kind == b.kind && a.schema_name == b.schema_name && a.object_name == b.object_name; }

std::string to_string(const LiveObjectRow& row) { return fmt::format("{} {}", row.kind, sql::quote_table(row.schema_name, row.object_name)); }

std::vector<LiveObjectRow> LiveObjects::all() {
  return rows_of(db_.query(fmt::format("SELECT * FROM {} WHERE stream = {} ORDER BY kind DESC, schema_name, table_name, number, id", name("live_object"), stream_)), row_of);
}

void LiveObjects::put(const LiveObjectRow& row, bool is_replacing) {
  db_.execute(fmt::format(
      "INSERT {}INTO {} (stream, kind, schema_name, object_name, table_name, number, statement, sql_mode, collation_name, time_zone, state, changed) "
      "VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, UTC_TIMESTAMP(3)){}",
      is_replacing ? "" : "IGNORE ",
      name("live_object"),
      stream_,
      quote_string(row.kind),
      quote_string(row.schema_name),
      quote_string(row.object_name),
      quote_string(row.table_name),
      row.number,
      quote_string(row.sql),
      quote_string(row.sql_mode),
      quote_string(row.collation),
      quote_string(row.time_zone),
      quote_string(row.state),
      is_replacing ? " ON DUPLICATE KEY UPDATE table_name = VALUES(table_name), number = VALUES(number), statement = VALUES(statement), sql_mode = VALUES(sql_mode), "
                     "collation_name = VALUES(collation_name), time_zone = VALUES(time_zone), state = VALUES(state), changed = VALUES(changed)"
                   : ""));
}

void LiveObjects::record(const std::vector<LiveObjectRow>& present) {
  db_.execute("START TRANSACTION");
  const auto rows = all();
  for (const auto& known : rows) {
    const bool is_gone = known.state == "there" && std::none_of(present.begin(), present.end(), [&](const LiveObjectRow& row) { return is_same(row, known); });
    if (is_gone) db_.execute(fmt::format("DELETE FROM {} WHERE id = {}", name("live_object"), known.id));
  }
  for (auto row : present) {
    const bool is_copied = std::any_of(rows.begin(), rows.end(), [&](const LiveObjectRow& known) { return known.state == kCopiedObject && is_same(known, row); });
    row.state = is_copied ? kCopiedObject : "aside";
    put(row, true);
  }
  db_.execute("COMMIT");
}

std::vector<LiveObjectRow> LiveObjects::kept() {
  const db::Rows rows = db_.query(
      fmt::format("SELECT kind, schema_name, object_name, statement, sql_mode FROM {} WHERE stream = {} AND kind IN ('trigger', 'event') AND state = 'switch' ORDER BY id", name("post_copy"), stream_));
  std::vector<LiveObjectRow> result;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    result.push_back({.kind = rows.text(i, "kind"),
                      .schema_name = rows.text(i, "schema_name"),
                      .object_name = rows.text(i, "object_name"),
                      .number = i + 1,  // as they were read: by table, in the order in which they fire
                      .sql = rows.text(i, "statement"),
                      .sql_mode = rows.text(i, "sql_mode"),
                      .state = std::string(kCopiedObject)});
  }
  return result;
}

void LiveObjects::take_over_kept() {
  const auto rows = kept();
  if (rows.empty()) return;
  db_.execute("START TRANSACTION");
  for (const auto& row : rows) put(row, false);
  db_.execute(fmt::format("UPDATE {} SET state = 'done' WHERE stream = {} AND kind IN ('trigger', 'event') AND state = 'switch'", name("post_copy"), stream_));
  db_.execute("COMMIT");
}

void LiveObjects::replace_copied(const std::vector<LiveObjectRow>& rows, const std::function<bool(const LiveObjectRow&)>& is_covered) {
  db_.execute("START TRANSACTION");
  for (const auto& known : all()) {
    if (known.state == kCopiedObject && is_covered(known)) db_.execute(fmt::format("DELETE FROM {} WHERE id = {}", name("live_object"), known.id));
  }
  for (const auto& row : rows) put(row, false);
  db_.execute("COMMIT");
}

void LiveObjects::set_there(std::uint64_t id) { db_.execute(fmt::format("UPDATE {} SET state = 'there', changed = UTC_TIMESTAMP(3) WHERE id = {}", name("live_object"), id)); }

}  // namespace godwit::state
