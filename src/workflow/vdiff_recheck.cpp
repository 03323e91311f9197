#include "vdiff_recheck.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "godwit/db/snapshot.h"
#include "godwit/fence/fence.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "preparation.h"
#include "vdiff_difference.h"

namespace godwit::workflow {
namespace {

using db::Side;
using std::chrono::milliseconds;

constexpr std::size_t kBatch = 100;     // rows looked at while the stream stands still once
constexpr std::size_t kRepairBatch = 50;  // rows rewritten meanwhile
constexpr unsigned kRounds = 40;        // for rows that are locked, or a stream that did not stand
constexpr milliseconds kRoundPause{100};

// A scan counts a missing row on the source, an extra one on the target, a different one on both. A row that has come or gone since is counted
// as it is now, so that the sides of a table which is identical have one number of rows.
state::VdiffStore::Counted uncounted(const state::VdiffDifferenceRow& row, std::size_t source, std::size_t target) {
  if (source > 1 || target > 1) return {};
  return {.source = static_cast<int>(source) - (row.kind == "extra" ? 0 : 1), .target = static_cast<int>(target) - (row.kind == "missing" ? 0 : 1)};
}

}  // namespace

const VdiffTarget& Recheck::table_of(const state::VdiffDifferenceRow& row) const {
  const auto found = std::find_if(tables_.begin(), tables_.end(), [&](const VdiffTarget& t) { return t.row.id == row.table_id; });
  GODWIT_CHECK(found != tables_.end());
  return *found;
}

void Recheck::read_source(db::Connection& source, const state::VdiffDifferenceRow& row, bool for_repair, std::string_view locking, Seen& seen) {
  const VdiffTarget& table = table_of(row);
  const vdiff::Bound key = vdiff::bound_from_text(row.row_key);
  seen.source = vdiff::read_row(source, table.plan, Side::source, key, locking);
  if (for_repair) {
    std::vector<std::string> selects;
    for (const auto& transfer : table.transfers) selects.push_back(transfer.select);
    const db::Rows raw = source.query(fmt::format("SELECT {} FROM {} WHERE {}{}",
                                                  join(selects, ", "),
                                                  sql::quote_table(table.plan.source_schema, table.plan.source_table),
                                                  vdiff::key_equals(table.plan, Side::source, key),
                                                  locking));
    seen.raw = raw.rows;
  }
  seen.is_read = true;
}

gtid::Position Recheck::read_mariadb(const Batch& batch, bool for_repair, std::vector<Seen>& seen) {
  db::Snapshot snapshot = db::open_snapshot(source_endpoint(definition_), {.readers = 1, .exact_tables = {}}, stop_);
  for (std::size_t i = 0; i < batch.size(); ++i) read_source(snapshot.readers[0], batch[i], for_repair, "", seen[i]);
  return snapshot.low;
}

// Whoever has one of the rows locked is not waited for: the stream stands still meanwhile. That row is read in a later round.
gtid::Position Recheck::read_mysql(const Batch& batch, bool for_repair, std::vector<Seen>& seen) {
  db::Connection source = db::Connection::open(source_endpoint(definition_), db::Encoding::bytes);
  source.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  source.execute("START TRANSACTION");
  for (std::size_t i = 0; i < batch.size(); ++i) {
    try {
      read_source(source, batch[i], for_repair, " FOR SHARE NOWAIT", seen[i]);
    } catch (const Error& error) {
      if (error.code() != Code::lock_contention) throw;
    }
  }
  const gtid::Position end = db::end_of_binlog(source);
  source.execute("ROLLBACK");
  return end;
}

// A row of the target alone is just that row: where one side tells keys apart and the other does not, its key finds a neighbour, which is
// another row's counterpart and must be neither compared with it nor deleted for it.
void Recheck::leave_other_spellings(const state::VdiffDifferenceRow& row, Seen& seen) const {
  const vdiff::TablePlan& plan = table_of(row).plan;
  const vdiff::Bound key = vdiff::bound_from_text(row.row_key);
  if (!vdiff::holds_spelling(plan, seen.target, key)) seen.target.clear();
  if (vdiff::holds_spelling(plan, seen.source, key)) return;
  seen.source.clear();
  seen.raw.clear();
}

std::vector<Recheck::Seen> Recheck::read_exact(const Batch& batch, bool for_repair, StreamHold::Standing& standing) {
  std::vector<Seen> seen(batch.size());
  const gtid::Position position = source_.server().is_mariadb() ? read_mariadb(batch, for_repair, seen) : read_mysql(batch, for_repair, seen);
  standing.advance(position);
  db::Connection target = db::Connection::open(target_endpoint(definition_), db::Encoding::bytes);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!seen[i].is_read) continue;
    seen[i].target = vdiff::read_row(target, table_of(batch[i]).plan, Side::target, vdiff::bound_from_text(batch[i].row_key));
    if (batch[i].kind == "extra") leave_other_spellings(batch[i], seen[i]);
  }
  return seen;
}

void Recheck::conclude(const state::VdiffDifferenceRow& suspected, const Seen& seen) {
  state::VdiffStore store(control_);
  const auto more = uncounted(suspected, seen.source.size(), seen.target.size());
  if (seen.source == seen.target) {
    store.settle(suspected, more);
    return;
  }
  state::VdiffDifferenceRow row = suspected;
  const RowSides sides{.source = seen.source.empty() ? nullptr : &seen.source[0], .target = seen.target.empty() ? nullptr : &seen.target[0]};
  const bool is_extra = seen.target.size() > seen.source.size();
  row.kind = seen.source.size() == seen.target.size() ? "different" : is_extra ? "extra" : "missing";
  row.detail = describe(table_of(row).plan, vdiff::bound_from_text(row.row_key), sides);
  store.confirm(row, more);
}

// The stream did not stand, or a lock was another's: a moment later it may be otherwise. A session that is lost is not for here to mend.
bool is_of_the_moment(const Error& error) { return error.code() == Code::hold_lost || error.code() == Code::lock_contention; }

// In batches; gives those that could not be looked at.
Recheck::Batch Recheck::look_at(const Batch& all, const Conclude& conclude) {
  Batch left;
  hold_.reach(db::end_of_binlog(source_));
  for (std::size_t at = 0; at < all.size(); at += kBatch) {
    stop_.throw_if_requested();
    const Batch batch(all.begin() + static_cast<std::ptrdiff_t>(at), all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), at + kBatch)));
    std::vector<Seen> seen(batch.size());
    try {
      StreamHold::Standing standing(hold_);
      seen = read_exact(batch, false, standing);
      held_max_ = std::max(held_max_, standing.release());
    } catch (const Error& error) {
      if (!is_of_the_moment(error)) throw;
      log::warning("suspected rows are read again: {}", error.what());
      seen.assign(batch.size(), {});
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (seen[i].is_read) conclude(batch[i], seen[i]);
      if (!seen[i].is_read) left.push_back(batch[i]);
    }
  }
  return left;
}

// Again and again; gives those that could not be looked at in the end.
Recheck::Batch Recheck::look_over(Batch rows, const Conclude& conclude) {
  for (unsigned round = 0; round < kRounds && !rows.empty(); ++round) {
    if (round > 0 && !stop_.sleep_for(kRoundPause)) stop_.throw_if_requested();
    failpoint(Fp::vdiff_rechecking);
    rows = look_at(rows, conclude);
  }
  return rows;
}

std::size_t Recheck::settle(std::uint64_t vdiff, Confirmed confirmed) {
  state::VdiffStore store(control_);
  Batch rows = store.differences(vdiff, "suspected");
  if (confirmed == Confirmed::looked_at_again) {
    for (auto& row : store.differences(vdiff, "confirmed")) {
      if (!table_of(row).plan.key.empty()) rows.push_back(std::move(row));
    }
  }
  return look_over(std::move(rows), [&](const state::VdiffDifferenceRow& row, const Seen& seen) { conclude(row, seen); }).size();
}

void Recheck::verify_repaired(std::uint64_t vdiff) {
  const auto verify = [&](const state::VdiffDifferenceRow& row, const Seen& seen) {
    if (seen.source != seen.target) conclude(row, seen);
  };
  const Batch left = look_over(state::VdiffStore(control_).differences(vdiff, "repaired"), verify);
  // What could not be looked at is not known to be right.
  for (const auto& row : left) state::VdiffStore(control_).confirm(row, {});
}

// --- repair -----------------------------------------------------------------------------------------------------------

void Recheck::remove(db::Connection& writer, const VdiffTarget& table, const state::VdiffDifferenceRow& row) {
  const vdiff::TablePlan& plan = table.plan;
  writer.execute(fmt::format("DELETE FROM {} WHERE {}", sql::quote_table(plan.target_schema, plan.target_table), vdiff::key_equals(plan, Side::target, vdiff::bound_from_text(row.row_key))));
}

void Recheck::insert(db::Connection& writer, const VdiffTarget& table, const Seen& seen) {
  const std::string name = sql::quote_table(table.plan.target_schema, table.plan.target_table);
  for (const auto& raw : seen.raw) {
    std::vector<std::string> columns;
    std::vector<std::string> values;
    for (std::size_t i = 0; i < table.transfers.size(); ++i) {
      const auto& transfer = table.transfers[i];
      columns.push_back(sql::quote_identifier(transfer.column));
      std::string value = raw[i] ? sql::quote_string(*raw[i]) : "NULL";
      if (!transfer.set_expression.empty() && raw[i]) {
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
}

// Deleted and inserted: whatever the rows were, they become the source's. All are deleted first, so that rows which have each other's unique
// values are in nobody's way. Without foreign_key_checks nothing cascades. False: some row is in the way still, and nothing is written.
bool Recheck::rewrite_together(const VdiffTarget& table, const Batch& batch) {
  db::Connection session = db::Connection::open(target_endpoint(definition_), db::Encoding::bytes);
  session.execute("SET SESSION unique_checks = 1");
  session.execute(fence::pass_statement());
  StreamHold::Standing standing(hold_);
  const auto seen = read_exact(batch, true, standing);
  // Younger than the standing, so that it ends before: its lock would keep the request from being taken back.
  db::Connection writer = std::move(session);
  writer.execute("START TRANSACTION");
  // The stream's note is locked until the rows are committed: nothing of the stream can come in between.
  standing.lock(writer);
  bool is_all = true;
  try {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (seen[i].is_read && !seen[i].target.empty()) remove(writer, table, batch[i]);
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (seen[i].is_read) insert(writer, table, seen[i]);
      is_all = is_all && seen[i].is_read;  // whoever has it locked on the source is waited for in another round
    }
  } catch (const Error& error) {
    if (error.code() != Code::duplicate_key) throw;
    log::warning("{}: not repaired in this round: {}", sql::quote_table(table.plan.target_schema, table.plan.target_table), error.cause());
    return false;
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (seen[i].is_read) state::VdiffStore(writer).set_repaired(batch[i], uncounted(batch[i], seen[i].source.size(), seen[i].source.size()));
  }
  writer.execute("COMMIT");
  failpoint(Fp::vdiff_repaired);
  held_max_ = std::max(held_max_, standing.release());
  return is_all;
}

bool Recheck::repair(std::uint64_t vdiff, const Note& note) {
  std::map<std::uint64_t, Batch> by_table;
  for (auto& row : state::VdiffStore(control_).differences(vdiff, "confirmed")) {
    if (!table_of(row).plan.key.empty()) by_table[row.table_id].push_back(std::move(row));  // rows that have no name cannot be rewritten
  }
  bool is_all = true;
  const auto rewrite = [&](const Batch& batch) {
    stop_.throw_if_requested();
    for (unsigned attempt = 1;; ++attempt) {
      try {
        return rewrite_together(table_of(batch[0]), batch);
      } catch (const Error& error) {
        if (!is_of_the_moment(error) || attempt == kRounds) throw;
      }
      if (!stop_.sleep_for(kRoundPause)) stop_.throw_if_requested();
    }
  };
  for (const auto& [table, rows] : by_table) {
    for (std::size_t at = 0; at < rows.size(); at += kRepairBatch) {
      const Batch batch(rows.begin() + static_cast<std::ptrdiff_t>(at), rows.begin() + static_cast<std::ptrdiff_t>(std::min(rows.size(), at + kRepairBatch)));
      note(table_of(batch[0]), batch);
      failpoint(Fp::vdiff_repairing);
      is_all = rewrite(batch) && is_all;
    }
  }
  return is_all;
}

}  // namespace godwit::workflow
