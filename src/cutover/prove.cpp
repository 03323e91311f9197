#include "prove.h"

#include <fmt/format.h>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/vdiff/compare.h"
#include "godwit/workflow/shards.h"

namespace godwit::cutover {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t kRows = 50;  // of each table

db::Endpoint endpoint_of(db::Side side, const db::Dsn& dsn, bool is_shard = false) { return {.side = side, .dsn = dsn, .read_timeout = std::chrono::seconds(20), .has_database = is_shard}; }

std::optional<vdiff::Bound> bound_before_newest(db::Connection& connection, const vdiff::TablePlan& plan, db::Side side) {
  const db::Rows rows = connection.query(vdiff::select_tail(plan, side, kRows));
  if (rows.empty()) return std::nullopt;
  vdiff::Bound bound;
  for (const auto& cell : rows.rows[0]) bound.push_back(cell.value_or(""));
  return bound;
}

}  // namespace

NewestRows::NewestRows(const workflow::Definition& definition)
    : plans_(workflow::comparison_plans(definition)), source_(db::Connection::open(endpoint_of(db::Side::source, definition.source), db::Encoding::bytes)) {
  for (const auto& shard : workflow::shard_definitions(definition)) targets_.push_back(db::Connection::open(endpoint_of(db::Side::target, shard.target, workflow::is_sharded(definition)), db::Encoding::bytes));
}

std::string NewestRows::prove(std::chrono::milliseconds time_max) {
  const auto deadline = Clock::now() + time_max;
  std::uint64_t compared = 0;
  std::size_t tables = 0;
  vdiff::Sessions sessions{.source = {&source_}, .target = {}};
  for (auto& target : targets_) sessions.target.push_back(&target);
  vdiff::Comparer comparer(sessions, {});
  for (const auto& plan : plans_.tables) {
    if (plan.key.empty() || !plan.are_ranges_exact) continue;
    if (tables > 0 && Clock::now() >= deadline) break;
    const auto result = comparer.compare(plan, {.lower = bound_before_newest(source_, plan, db::Side::source), .upper = std::nullopt});
    compared += result.source_rows;
    ++tables;
    if (result.suspects.empty()) continue;
    const auto& suspect = result.suspects.front();
    throw Error(Code::sides_differ, {.object = sql::quote_table(plan.source_schema, plan.source_table),
                                     .cause = fmt::format("a row among its newest is {} on the target: {}", vdiff::to_string(suspect.kind), vdiff::to_text(suspect.key)),
                                     .remedy = "godwit vdiff says what differs, and --repair mends it"});
  }
  return fmt::format("{} rows of {} of {} tables", compared, tables, plans_.tables.size());
}

}  // namespace godwit::cutover
