#include "record.h"

#include <fmt/format.h>

#include "godwit/sql/quote.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "read_only.h"

namespace godwit::fence {
namespace {

using sql::quote_string;

constexpr unsigned kNoSuchDatabase = 1049;
constexpr unsigned kNoSuchTable = 1146;

std::optional<std::string> cell(const db::Rows& rows, std::string_view column) {
  if (rows.is_null(0, column)) return std::nullopt;
  return rows.text(0, column);
}

std::string literal(const std::optional<std::string>& value) { return value ? quote_string(*value) : "NULL"; }

}  // namespace

std::string record_table() { return sql::quote_table(state::kSidecarSchema, "fence"); }

std::string record_key(const Plan& plan) { return fmt::format("workflow = {} AND side = {}", quote_string(plan.workflow), quote_string(db::to_string(plan.side))); }

std::optional<Record> read_record(db::Connection& server, const Plan& plan) {
  db::Rows rows;
  try {
    rows = server.query(fmt::format("SELECT kind, is_set, read_only_before, persisted_before, events_before FROM {} WHERE {}", record_table(), record_key(plan)));
  } catch (const Error&) {
    if (server.last_errno() != kNoSuchTable && server.last_errno() != kNoSuchDatabase) throw;
  }
  if (rows.empty()) return std::nullopt;
  return Record{.kind = rows.text(0, "kind"),
                .is_set = rows.u64(0, "is_set") != 0,
                .read_only_before = cell(rows, "read_only_before"),
                .persisted_before = cell(rows, "persisted_before"),
                .events_before = cell(rows, "events_before")};
}

Record ensure_record(db::Connection& server, const Plan& plan) {
  if (auto record = read_record(server, plan)) return *record;
  state::Sidecar(server).create();
  Record made{.kind = std::string(to_string(plan.kind))};
  if (plan.kind == Kind::read_only) {
    made.read_only_before = is_read_only(server) ? "ON" : "OFF";
    made.persisted_before = persisted_read_only(server);
  }
  server.execute(fmt::format("INSERT INTO {} (workflow, side, kind, is_set, read_only_before, persisted_before, changed) VALUES ({}, {}, {}, 0, {}, {}, UTC_TIMESTAMP(3))",
                             record_table(),
                             quote_string(plan.workflow),
                             quote_string(db::to_string(plan.side)),
                             quote_string(made.kind),
                             literal(made.read_only_before),
                             literal(made.persisted_before)));
  return made;
}

void set_record(db::Connection& server, const Plan& plan, const std::string& assignment) {
  server.execute(fmt::format("UPDATE {} SET {}, changed = UTC_TIMESTAMP(3) WHERE {}", record_table(), assignment, record_key(plan)));
}

void drop_record(db::Connection& server, const Plan& plan) { server.execute(fmt::format("DELETE FROM {} WHERE {}", record_table(), record_key(plan))); }

std::string other_holder(db::Connection& server, const Plan& plan) {
  return server.scalar(fmt::format("SELECT workflow FROM {} WHERE kind = 'read_only' AND is_set = 1 AND NOT ({}) LIMIT 1", record_table(), record_key(plan)));
}

}  // namespace godwit::fence
