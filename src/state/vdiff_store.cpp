#include "godwit/state/vdiff_store.h"

#include <fmt/format.h>

#include "godwit/util/text.h"
#include "sidecar_tables.h"

namespace godwit::state {
namespace {

using sql::quote_string;

std::string text_or_null(const std::string& text) { return text.empty() ? "NULL" : quote_string(text); }

VdiffTableRow table_of(const db::Rows& rows, std::size_t row) {
  return {.id = rows.u64(row, "id"),
          .source_schema = rows.text(row, "source_schema"),
          .source_table = rows.text(row, "source_table"),
          .target_schema = rows.text(row, "target_schema"),
          .target_table = rows.text(row, "target_table"),
          .state = rows.text(row, "state"),
          .why = rows.text(row, "why"),
          .done_upto = rows.text(row, "done_upto"),
          .source_rows = rows.u64(row, "source_rows"),
          .target_rows = rows.u64(row, "target_rows"),
          .compare_ms = rows.u64(row, "compare_ms"),
          .definition_hash = rows.text(row, "definition_hash")};
}

VdiffDifferenceRow difference_of(const db::Rows& rows, std::size_t row) {
  return {.id = rows.u64(row, "id"),
          .table_id = rows.u64(row, "table_id"),
          .state = rows.text(row, "state"),
          .kind = rows.text(row, "kind"),
          .row_key = rows.text(row, "row_key"),
          .detail = rows.text(row, "detail")};
}

}  // namespace

void forget_vdiffs(db::Connection& target, const std::string& condition) {
  const std::string vdiffs = fmt::format("SELECT id FROM {} WHERE {}", name("vdiff"), condition);
  target.execute(fmt::format("DELETE FROM {} WHERE table_id IN (SELECT id FROM {} WHERE vdiff IN ({}))", name("vdiff_difference"), name("vdiff_table"), vdiffs));
  target.execute(fmt::format("DELETE FROM {} WHERE vdiff IN ({})", name("vdiff_table"), vdiffs));
  target.execute(fmt::format("DELETE FROM {} WHERE {}", name("vdiff"), condition));
}

std::optional<VdiffRow> VdiffStore::newest(std::string_view workflow) {
  const db::Rows rows = db_.query(fmt::format("SELECT * FROM {} WHERE workflow = {} ORDER BY id DESC LIMIT 1", name("vdiff"), quote_string(workflow)));
  if (rows.empty()) return std::nullopt;
  return VdiffRow{.id = rows.u64(0, "id"),
                  .state = rows.text(0, "state"),
                  .options = rows.text(0, "options"),
                  .position = rows.text(0, "position"),
                  .started = rows.text(0, "started"),
                  .ended = rows.text(0, "ended")};
}

std::optional<FinishedVdiff> VdiffStore::finished_before(std::uint64_t vdiff, const Like& like) {
  const db::Rows rows = db_.query(fmt::format(
      "SELECT id, TIMESTAMPDIFF(SECOND, started, UTC_TIMESTAMP()) AS elapsed FROM {} WHERE workflow = {} AND id < {} AND state IN ('equal', 'different') AND options = {} ORDER BY id DESC LIMIT 1",
      name("vdiff"),
      quote_string(like.workflow),
      vdiff,
      quote_string(like.options)));
  if (rows.empty()) return std::nullopt;
  return FinishedVdiff{.id = rows.u64(0, "id"), .elapsed_s = rows.u64(0, "elapsed")};
}

std::uint64_t VdiffStore::begin(std::string_view workflow, std::string_view options) {
  db_.execute(fmt::format("INSERT INTO {} (workflow, state, options, started) VALUES ({}, 'running', {}, UTC_TIMESTAMP(3))",
                          name("vdiff"),
                          quote_string(workflow),
                          quote_string(options)));
  return parse_u64(db_.scalar("SELECT LAST_INSERT_ID()")).value_or(0);
}

void VdiffStore::set_position(std::uint64_t vdiff, std::string_view position) {
  db_.execute(fmt::format("UPDATE {} SET position = {} WHERE id = {}", name("vdiff"), quote_string(position), vdiff));
}

void VdiffStore::end(std::uint64_t vdiff, std::string_view state) {
  db_.execute(fmt::format("UPDATE {} SET state = {}, ended = UTC_TIMESTAMP(3) WHERE id = {}", name("vdiff"), quote_string(state), vdiff));
}

void VdiffStore::reopen(std::uint64_t vdiff, std::string_view state) {
  db_.execute(fmt::format("UPDATE {} SET state = {}, ended = NULL WHERE id = {}", name("vdiff"), quote_string(state), vdiff));
}

void VdiffStore::forget_others(std::string_view workflow, std::uint64_t vdiff) {
  db_.execute("START TRANSACTION");
  forget_vdiffs(db_, fmt::format("workflow = {} AND id <> {}", quote_string(workflow), vdiff));
  db_.execute("COMMIT");
}

std::vector<VdiffTableRow> VdiffStore::tables(std::uint64_t vdiff) {
  return rows_of(db_.query(fmt::format("SELECT * FROM {} WHERE vdiff = {} ORDER BY id", name("vdiff_table"), vdiff)), table_of);
}

void VdiffStore::add_table(std::uint64_t vdiff, const VdiffTableRow& table) {
  db_.execute(fmt::format("INSERT IGNORE INTO {} (vdiff, source_schema, source_table, target_schema, target_table, state, why, definition_hash) "
                          "VALUES ({}, {}, {}, {}, {}, {}, {}, {})",
                          name("vdiff_table"),
                          vdiff,
                          quote_string(table.source_schema),
                          quote_string(table.source_table),
                          quote_string(table.target_schema),
                          quote_string(table.target_table),
                          quote_string(table.state),
                          quote_string(table.why),
                          quote_string(table.definition_hash)));
}

void VdiffStore::advance(const VdiffTableRow& table, const std::vector<VdiffDifferenceRow>& suspected) {
  db_.execute("START TRANSACTION");
  db_.execute(fmt::format("UPDATE {} SET state = {}, why = {}, done_upto = {}, source_rows = {}, target_rows = {}, compare_ms = {} WHERE id = {}",
                          name("vdiff_table"),
                          quote_string(table.state),
                          quote_string(table.why),
                          text_or_null(table.done_upto),
                          table.source_rows,
                          table.target_rows,
                          table.compare_ms,
                          table.id));
  for (const auto& row : suspected) {
    db_.execute(fmt::format("INSERT INTO {} (table_id, state, kind, row_key, detail) VALUES ({}, {}, {}, {}, {})",
                            name("vdiff_difference"),
                            table.id,
                            quote_string(row.state),
                            quote_string(row.kind),
                            quote_string(row.row_key),
                            quote_string(row.detail)));
  }
  db_.execute("COMMIT");
}

std::vector<VdiffDifferenceRow> VdiffStore::differences(std::uint64_t vdiff, std::string_view state) {
  return rows_of(db_.query(fmt::format("SELECT * FROM {} WHERE state = {} AND table_id IN (SELECT id FROM {} WHERE vdiff = {}) ORDER BY id", name("vdiff_difference"), quote_string(state), name("vdiff_table"), vdiff)), difference_of);
}

void VdiffStore::count(std::uint64_t table, Counted more) {
  if (more.source == 0 && more.target == 0) return;
  db_.execute(fmt::format("UPDATE {} SET source_rows = source_rows + ({}), target_rows = target_rows + ({}) WHERE id = {}", name("vdiff_table"), more.source, more.target, table));
}

void VdiffStore::confirm(const VdiffDifferenceRow& difference, Counted more) {
  db_.execute("START TRANSACTION");
  count(difference.table_id, more);
  db_.execute(fmt::format("UPDATE {} SET state = 'confirmed', kind = {}, detail = {} WHERE id = {}",
                          name("vdiff_difference"),
                          quote_string(difference.kind),
                          quote_string(difference.detail),
                          difference.id));
  db_.execute("COMMIT");
}

void VdiffStore::settle(const VdiffDifferenceRow& difference, Counted more) {
  db_.execute("START TRANSACTION");
  count(difference.table_id, more);
  db_.execute(fmt::format("DELETE FROM {} WHERE id = {}", name("vdiff_difference"), difference.id));
  db_.execute("COMMIT");
}

void VdiffStore::set_repaired(const VdiffDifferenceRow& difference, Counted more) {
  count(difference.table_id, more);
  db_.execute(fmt::format("UPDATE {} SET state = 'repaired' WHERE id = {}", name("vdiff_difference"), difference.id));
}

// --- the hold -----------------------------------------------------------------------------------------------------

std::uint64_t HoldStore::ask(const std::optional<std::string>& goal) {
  const std::string goal_literal = goal ? quote_string(*goal) : "NULL";
  // LAST_INSERT_ID(…) makes the number known without asking again.
  db_.execute(fmt::format("INSERT INTO {} (stream, number, goal, state, asked) VALUES ({}, LAST_INSERT_ID(FLOOR(UNIX_TIMESTAMP(NOW(6)) * 1000000)), {}, 'asked', UTC_TIMESTAMP(3)) "
                          "ON DUPLICATE KEY UPDATE number = LAST_INSERT_ID(number + 1), goal = {}, state = 'asked', position = NULL, asked = UTC_TIMESTAMP(3)",
                          name("stream_hold"),
                          stream_,
                          goal_literal,
                          goal_literal));
  return parse_u64(db_.scalar("SELECT LAST_INSERT_ID()")).value_or(0);
}

std::optional<std::string> HoldStore::held_at(std::uint64_t number) {
  const db::Rows rows = db_.query(fmt::format("SELECT position FROM {} WHERE stream = {} AND number = {} AND state = 'held'", name("stream_hold"), stream_, number));
  if (rows.empty()) return std::nullopt;
  return rows.text(0, "position");
}

bool HoldStore::is_given_up(std::uint64_t number) {
  return db_.query(fmt::format("SELECT 1 FROM {} WHERE stream = {} AND number = {} AND state IN ('asked', 'held')", name("stream_hold"), stream_, number)).empty();
}

bool HoldStore::end(std::uint64_t number) {
  return db_.execute(fmt::format("DELETE FROM {} WHERE stream = {} AND number = {} AND state = 'held'", name("stream_hold"), stream_, number)).affected_rows == 1;
}

void HoldStore::drop() { db_.execute(fmt::format("DELETE FROM {} WHERE stream = {}", name("stream_hold"), stream_)); }

}  // namespace godwit::state
