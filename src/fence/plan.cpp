#include "godwit/fence/plan.h"

#include <fmt/format.h>

#include <set>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::fence {
namespace {

Table table_on(const state::TableRow& row, db::Side side) {
  return side == db::Side::source ? Table{.schema = row.source_schema, .name = row.source_table} : Table{.schema = row.target_schema, .name = row.target_table};
}

}  // namespace

Plan read_plan(db::Connection& target, const state::StreamKey& stream, db::Side side, const std::string& kind) {
  const auto known = kind_of(kind);
  GODWIT_CHECK(known.has_value());
  Plan plan{.workflow = stream.workflow, .side = side, .kind = *known};
  if (plan.kind != Kind::triggers) return plan;
  state::Sidecar sidecar(target);
  const auto found = sidecar.find(stream);
  if (!found) return plan;
  for (const auto& row : sidecar.tables(found->id)) plan.tables.push_back(table_on(row, side));
  return plan;
}

bool has_others(db::Connection& server, const std::vector<Table>& tables) {
  std::set<std::pair<std::string, std::string>> ours;
  for (const auto& table : tables) ours.emplace(lower(table.schema), lower(table.name));
  const db::Rows all = server.query(
      "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND "
      "TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', '_godwit', '_godwit_head', '_godwit_proxy')");
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (ours.count({lower(all.text(i, "s")), lower(all.text(i, "t"))}) == 0) return true;
  }
  return false;
}

}  // namespace godwit::fence
