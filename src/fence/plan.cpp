#include "godwit/fence/plan.h"

#include <fmt/format.h>

#include <set>

#include "godwit/sql/quote.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::fence {
namespace {

std::vector<state::TableRow> tables_of(db::Connection& target, const std::string& workflow) {
  state::Sidecar sidecar(target);
  const auto stream = sidecar.find({.workflow = workflow});
  return stream ? sidecar.tables(stream->id) : std::vector<state::TableRow>{};
}

Table table_on(const state::TableRow& row, db::Side side) {
  return side == db::Side::source ? Table{.schema = row.source_schema, .name = row.source_table} : Table{.schema = row.target_schema, .name = row.target_table};
}

// Tables of anybody else, whom a fence around the whole server would keep from writing.
bool has_others(db::Connection& server, const std::vector<state::TableRow>& rows) {
  std::set<std::pair<std::string, std::string>> ours;
  for (const auto& row : rows) {
    const Table table = table_on(row, server.endpoint().side);
    ours.emplace(lower(table.schema), lower(table.name));
  }
  const db::Rows all = server.query(
      "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND "
      "TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', '_godwit', '_godwit_proxy')");
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (ours.count({lower(all.text(i, "s")), lower(all.text(i, "t"))}) == 0) return true;
  }
  return false;
}

}  // namespace

Plan read_plan(db::Connection& target, const std::string& workflow, db::Side side, const std::string& kind) {
  const auto known = kind_of(kind);
  GODWIT_CHECK(known.has_value());
  Plan plan{.workflow = workflow, .side = side, .kind = *known};
  if (plan.kind != Kind::triggers) return plan;
  for (const auto& row : tables_of(target, workflow)) plan.tables.push_back(table_on(row, side));
  return plan;
}

std::string fitting_kind(db::Connection& source, db::Connection& target, const std::string& workflow) {
  const auto rows = tables_of(target, workflow);
  return has_others(source, rows) || has_others(target, rows) ? "triggers" : "read_only";
}

}  // namespace godwit::fence
