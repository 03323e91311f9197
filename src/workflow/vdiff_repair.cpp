// How confirmed differences are rewritten: the rest of Recheck.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "godwit/fence/fence.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "preparation.h"
#include "vdiff_difference.h"
#include "vdiff_recheck.h"

namespace godwit::workflow {
namespace {

using db::Side;
using std::chrono::milliseconds;
using vdiff::Spread;

constexpr std::size_t kRepairBatch = 50;  // rows rewritten while the stream stands still once
constexpr unsigned kRounds = 40;
constexpr milliseconds kRoundPause{100};

}  // namespace

void Recheck::remove(db::Connection& writer, const VdiffTarget& table, const state::VdiffDifferenceRow& row) {
  const vdiff::TablePlan& plan = table.plan;
  writer.execute(fmt::format("DELETE FROM {} WHERE {}", vdiff::table_name(plan, Side::target), vdiff::key_equals(plan, Side::target, vdiff::bound_from_text(row.row_key))));
}

void Recheck::insert(db::Connection& writer, const VdiffTarget& table, const SeenRow& row) {
  const std::string name = vdiff::table_name(table.plan, Side::target);
  std::vector<std::string> columns;
  std::vector<std::string> values;
  for (std::size_t i = 0; i < table.transfers.size(); ++i) {
    const auto& transfer = table.transfers[i];
    columns.push_back(sql::quote_identifier(transfer.column));
    std::string value = row.raw[i] ? sql::quote_string(*row.raw[i]) : "NULL";
    if (!transfer.set_expression.empty() && row.raw[i]) {
      std::string expression = transfer.set_expression;
      if (const auto at = expression.find("{v}"); at != std::string::npos) expression.replace(at, 3, value);
      value = std::move(expression);
    }
    values.push_back(std::move(value));
  }
  const db::Executed done = writer.execute(fmt::format("INSERT INTO {} ({}) VALUES ({})", name, join(columns, ", "), join(values, ", ")));
  const bool has_zero_member = std::any_of(table.transfers.begin(), table.transfers.end(), [](const catalog::Transfer& t) { return t.does_zero_warn; });
  if (done.warnings != 0 && !has_zero_member) throw Error(Code::repair_refused, {.object = name, .cause = writer.warnings_text(), .remedy = "mend the row by hand"});
}

Recheck::Writers Recheck::open_writers() {
  Writers writers;
  for (const Definition* definition : servers_of(shards_, Side::target)) {
    writers.push_back(db::Connection::open(compared_endpoint(*definition, Side::target), db::Encoding::bytes));
    writers.back().execute("SET SESSION unique_checks = 1");
    writers.back().execute(fence::pass_statement());
  }
  return writers;
}

// Which server the row of the source is to be on, or the row of the target is on.
std::size_t Recheck::writer_of(const VdiffTarget& table, const state::VdiffDifferenceRow& row, const SeenRow& seen) const {
  if (reader_.sharded() == Side::source) return 0;
  if (table.plan.spread == Spread::by_key) return seen.belongs.value_or(0);
  return table.plan.spread == Spread::everywhere ? place_of(row).shard.value_or(0) : 0;
}

// Deleted and inserted: whatever the rows were, they become the source's. All are deleted first, so that rows which have each other's unique
// values are in nobody's way. False: some row is to be looked at in another round.
bool Recheck::write_rows(Writers& writers, const VdiffTarget& table, const Batch& batch, std::vector<Seen>& seen) {
  bool is_all = true;
  const bool is_target_sharded = reader_.sharded() == Side::target;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const bool is_by_key = table.plan.spread == Spread::by_key;
    // It belongs nowhere, or the shards that serve have come to disagree about it.
    const bool has_place = !is_by_key || std::all_of(seen[i].source.begin(), seen[i].source.end(), [&](const SeenRow& row) { return is_target_sharded ? row.belongs.has_value() : row.on == row.belongs; });
    seen[i].is_read = seen[i].is_read && has_place && (!is_by_key || seen[i].source.size() <= 1);
    is_all = is_all && seen[i].is_read;  // whoever has it locked on the source is waited for in another round
    if (!seen[i].is_read) continue;
    const auto on = [&](const SeenRow& row) { return is_by_key && is_target_sharded ? row.on : writer_of(table, batch[i], row); };
    for (const auto& row : seen[i].target) remove(writers[on(row)], table, batch[i]);
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!seen[i].is_read) continue;
    for (const auto& row : seen[i].source) insert(writers[writer_of(table, batch[i], row)], table, row);
  }
  return is_all;
}

// What is recorded as repaired is: the first server's sidecar, which has the record, comes last. Killed in between, the rows of some shards are rewritten and
// those of others are not, all of them are confirmed differences still, and are looked at again.
void Recheck::commit(Writers& writers, const Batch& batch, const std::vector<Seen>& seen) {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (seen[i].is_read) state::VdiffStore(writers[0]).set_repaired(batch[i], uncounted(batch[i], {.source = seen[i].source.size(), .target = seen[i].source.size()}));
  }
  for (std::size_t i = 1; i < writers.size(); ++i) writers[i].execute("COMMIT");
  if (writers.size() > 1) failpoint(Fp::vdiff_repaired);
  writers[0].execute("COMMIT");
}

// Without foreign_key_checks nothing cascades. False: some row is in the way still, and nothing is written, or not all of it.
bool Recheck::rewrite_together(const VdiffTarget& table, const Batch& batch) {
  Writers sessions = open_writers();
  Standings standings(shards_);
  auto seen = reader_.read(batch, true, standings);
  // Younger than the standing, so that they end before: their locks would keep the request from being taken back.
  Writers writers = std::move(sessions);
  for (auto& writer : writers) writer.execute("START TRANSACTION");
  // The streams' notes are locked until the rows are committed: nothing of them can come in between.
  for (std::size_t i = 0; i < shards_.size(); ++i) standings.of(i).lock(writers[server_of(shards_, i, Side::target)]);
  bool is_all = true;
  try {
    is_all = write_rows(writers, table, batch, seen);
  } catch (const Error& error) {
    if (error.code() != Code::duplicate_key) throw;
    log::warning("{}: not repaired in this round: {}", sql::quote_table(table.plan.target_schema, table.plan.target_table), error.cause());
    return false;
  }
  commit(writers, batch, seen);
  failpoint(Fp::vdiff_repaired);
  held_max_ = std::max(held_max_, standings.release());
  return is_all;
}

// Rows that have no name cannot be rewritten. And what serves is not godwit's to change: the other side is made what the shards are, where these agree.
bool Recheck::can_be_repaired(const state::VdiffDifferenceRow& row) const {
  const vdiff::TablePlan& plan = table_of(tables_, row).plan;
  if (plan.key.empty()) return false;
  if (reader_.sharded() == Side::target) return true;
  return row.kind != to_string(vdiff::Kind::misplaced) && (plan.spread != Spread::everywhere || place_of(row).shard.value_or(0) == 0);
}

bool Recheck::repair(std::uint64_t vdiff, const Note& note) {
  std::map<std::uint64_t, Batch> by_table;
  for (auto& row : state::VdiffStore(control_).differences(vdiff, "confirmed")) {
    if (can_be_repaired(row)) by_table[row.table_id].push_back(std::move(row));
  }
  bool is_all = true;
  const auto rewrite = [&](const Batch& batch) {
    stop_.throw_if_requested();
    for (unsigned attempt = 1;; ++attempt) {
      try {
        return rewrite_together(table_of(tables_, batch[0]), batch);
      } catch (const Error& error) {
        if (!is_of_the_moment(error) || attempt == kRounds) throw;
      }
      if (!stop_.sleep_for(kRoundPause)) stop_.throw_if_requested();
    }
  };
  for (const auto& [table, rows] : by_table) {
    for (std::size_t at = 0; at < rows.size(); at += kRepairBatch) {
      const Batch batch(rows.begin() + static_cast<std::ptrdiff_t>(at), rows.begin() + static_cast<std::ptrdiff_t>(std::min(rows.size(), at + kRepairBatch)));
      note(table_of(tables_, batch[0]), batch);
      failpoint(Fp::vdiff_repairing);
      is_all = rewrite(batch) && is_all;
    }
  }
  return is_all;
}

}  // namespace godwit::workflow
