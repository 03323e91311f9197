#include "vdiff_recheck.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "godwit/db/snapshot.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "preparation.h"

namespace godwit::workflow {
namespace {

using db::Side;
using std::chrono::milliseconds;
using vdiff::RowPair;

constexpr std::size_t kBatch = 100;     // rows looked at while the stream stands still once
constexpr unsigned kRounds = 40;        // for rows that are locked, or a stream that did not stand
constexpr milliseconds kRoundPause{100};
constexpr std::size_t kShownMax = 48;   // bytes of a value in a report

// UTF-8 without control characters.
bool is_printable(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xc2) || c > 0xf4) return false;
    const std::size_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (i + size > text.size()) return false;
    for (std::size_t k = 1; k < size; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0U) != 0x80U) return false;
    }
    i += size;
  }
  return true;
}

// Where two long values part.
std::size_t first_difference(const std::optional<std::string>& a, const std::optional<std::string>& b) {
  if (!a || !b) return 0;
  const auto at = std::mismatch(a->begin(), a->end(), b->begin(), b->end()).first - a->begin();
  return static_cast<std::size_t>(at) < kShownMax / 2 ? 0 : static_cast<std::size_t>(at);
}

nlohmann::json values_json(const vdiff::TablePlan& plan, const RowPair::Values* source, const RowPair::Values* target) {
  nlohmann::json result = nlohmann::json::array();
  for (std::size_t i = 0; i < plan.columns.size(); ++i) {
    if (source != nullptr && target != nullptr && (*source)[i] == (*target)[i]) continue;
    const std::size_t from = source != nullptr && target != nullptr ? first_difference((*source)[i], (*target)[i]) : 0;
    nlohmann::json value{{"column", plan.columns[i].name}};
    if (source != nullptr) value["source"] = shown_value((*source)[i], from);
    if (target != nullptr) value["target"] = shown_value((*target)[i], from);
    result.push_back(std::move(value));
  }
  return result;
}

}  // namespace

std::string shown_value(const std::optional<std::string>& value, std::size_t from) {
  if (!value) return "NULL";
  const std::string_view part = std::string_view(*value).substr(from, kShownMax);
  std::string text = is_printable(part) ? "'" + std::string(part) + "'" : "X'" + hex(part) + "'";
  if (from != 0) text = fmt::format("…[{}]{}", from, text);
  if (from + part.size() < value->size()) text += fmt::format("… ({} bytes)", value->size());
  return text;
}

std::string shown_key(const vdiff::TablePlan& plan, const vdiff::Bound& key) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < plan.key.size() && i < key.size(); ++i) {
    const bool is_number = plan.key[i].literal == vdiff::Literal::number || plan.key[i].literal == vdiff::Literal::ordinal;
    parts.push_back(fmt::format("{} = {}", plan.columns[plan.key[i].column].name, is_number ? key[i] : shown_value(key[i])));
  }
  return join(parts, ", ");
}

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
  if (seen.source == seen.target) {
    store.settle(suspected.id);
    return;
  }
  state::VdiffDifferenceRow row = suspected;
  const vdiff::TablePlan& plan = table_of(row).plan;
  const auto* source = seen.source.empty() ? nullptr : &seen.source[0];
  const auto* target = seen.target.empty() ? nullptr : &seen.target[0];
  const bool is_extra = seen.target.size() > seen.source.size();
  row.kind = seen.source.size() == seen.target.size() ? "different" : is_extra ? "extra" : "missing";
  row.detail = nlohmann::json{{"key", shown_key(plan, vdiff::bound_from_text(row.row_key))}, {"values", values_json(plan, source, target)}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  store.confirm(row);
}

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
      if (!error.is_retryable()) throw;
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

std::size_t Recheck::settle(std::uint64_t vdiff) {
  Batch left = state::VdiffStore(control_).differences(vdiff, "suspected");
  for (unsigned round = 0; round < kRounds && !left.empty(); ++round) {
    if (round > 0 && !stop_.sleep_for(kRoundPause)) stop_.throw_if_requested();
    failpoint(Fp::vdiff_rechecking);
    left = look_at(left, [&](const state::VdiffDifferenceRow& row, const Seen& seen) { conclude(row, seen); });
  }
  return left.size();
}

void Recheck::verify_repaired(std::uint64_t vdiff) {
  Batch left = state::VdiffStore(control_).differences(vdiff, "repaired");
  const auto verify = [&](const state::VdiffDifferenceRow& row, const Seen& seen) {
    if (seen.source != seen.target) conclude(row, seen);
  };
  for (unsigned round = 0; round < kRounds && !left.empty(); ++round) {
    if (round > 0 && !stop_.sleep_for(kRoundPause)) stop_.throw_if_requested();
    left = look_at(left, verify);
  }
  // What could not be looked at is not known to be right.
  for (const auto& row : left) state::VdiffStore(control_).confirm(row);
}

// Deleted and inserted: whatever the row was, it becomes the source's. Without foreign_key_checks nothing cascades.
void Recheck::rewrite(db::Connection& writer, const VdiffTarget& table, const state::VdiffDifferenceRow& row, const Seen& seen) {
  const vdiff::TablePlan& plan = table.plan;
  const std::string name = sql::quote_table(plan.target_schema, plan.target_table);
  if (!seen.target.empty()) writer.execute(fmt::format("DELETE FROM {} WHERE {}", name, vdiff::key_equals(plan, Side::target, vdiff::bound_from_text(row.row_key))));
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

void Recheck::repair(std::uint64_t vdiff, const Note& note) {
  state::VdiffStore store(control_);
  const Batch all = store.differences(vdiff, "confirmed");
  for (const auto& row : all) {
    const VdiffTarget& table = table_of(row);
    if (table.plan.key.empty()) continue;  // rows that have no name cannot be rewritten
    note(table, row);
    failpoint(Fp::vdiff_repairing);
    for (unsigned attempt = 1;; ++attempt) {
      stop_.throw_if_requested();
      try {
        db::Connection writer = db::Connection::open(target_endpoint(definition_), db::Encoding::bytes);  // its end rolls back
        StreamHold::Standing standing(hold_);
        const auto seen = read_exact({row}, true, standing);
        if (!seen[0].is_read) throw Error(Code::lock_contention, {.object = shown_key(table.plan, vdiff::bound_from_text(row.row_key)), .cause = "its row is locked on the source", .remedy = ""});
        // The stream's note is locked until the row is committed: nothing of the stream can come in between.
        writer.execute("START TRANSACTION");
        standing.lock(writer);
        rewrite(writer, table, row, seen[0]);
        writer.execute("COMMIT");
        failpoint(Fp::vdiff_repaired);
        held_max_ = std::max(held_max_, standing.release());
        store.set_repaired(row.id);
        break;
      } catch (const Error& error) {
        const bool is_collision = error.code() == Code::duplicate_key;
        if (is_collision) {
          log::warning("{}: not repaired in this round: {}", shown_key(table.plan, vdiff::bound_from_text(row.row_key)), error.cause());
          break;
        }
        if (!error.is_retryable() || attempt == kRounds) throw;
        if (!stop_.sleep_for(kRoundPause)) stop_.throw_if_requested();
      }
    }
  }
}

}  // namespace godwit::workflow
