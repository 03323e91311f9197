#include "target_copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "accounts.h"
#include "godwit/sql/quote.h"
#include "godwit/state/authority.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/workflow/shards.h"
#include "target_schema.h"

namespace godwit::workflow {
namespace {

using catalog::PostCopyKind;

bool is_of(const catalog::Table& table, const catalog::Table& other) { return table.schema == other.schema && table.name == other.name; }

}  // namespace

void TargetCopy::connect() { session_ = std::make_unique<db::Connection>(db::Connection::open(endpoint_)); }

std::optional<state::Route> TargetCopy::route() {
  if (!state::Sidecar::exists(*session_)) return std::nullopt;
  return state::Authority(*session_, definition_.name).read();
}

bool TargetCopy::is_past_copy() {
  if (!state::Sidecar::exists(*session_)) return false;
  const auto row = state::Sidecar(*session_).find(stream_key(definition_));
  // "copied", and there is an authority: a switch that came back, or was undone, leaves it so.
  const bool is_begun = row && (row->state == "running" || (row->state == "copied" && route()));
  if (row && row->state == "frozen") {
    throw Error(Code::switch_refused,
                {.object = fmt::format("workflow {}", definition_.name),
                 .cause = "a switch is under way, or was killed",
                 .remedy = fmt::format("run the switch of {} again: it finishes or undoes what it began", definition_.name)});
  }
  if (!is_begun) return false;
  stream_ = *row;
  return open_statements().empty() || state::has_sessions(*session_, row->id);
}

std::vector<state::PostCopyRow> TargetCopy::open_statements() {
  return statements({PostCopyKind::keys, PostCopyKind::unique_keys, PostCopyKind::foreign_keys, PostCopyKind::procedure, PostCopyKind::function, PostCopyKind::view});
}

std::vector<state::PostCopyRow> TargetCopy::statements(std::initializer_list<PostCopyKind> kinds) {
  std::vector<state::PostCopyRow> result;
  for (auto& row : state::Sidecar(*session_).post_copy(stream_.id)) {
    const bool is_wanted = std::any_of(kinds.begin(), kinds.end(), [&](PostCopyKind kind) { return row.kind == catalog::to_string(kind); });
    if (is_wanted && row.state != "done") result.push_back(std::move(row));
  }
  return result;
}

// --- before the first row -----------------------------------------------------------------------------------------

void TargetCopy::prepare(const catalog::Catalog& catalog, db::Connection& source) { prepared_ = workflow::prepare(definition_, catalog, source, *session_); }

void TargetCopy::plan_accounts(db::Connection& source) { account_plans_ = workflow::plan_accounts(source, *session_, prepared_, tuning_.accounts); }

void TargetCopy::claim(const db::Server& source) {
  state::Sidecar sidecar(*session_);
  sidecar.create();
  failpoint(Fp::copy_sidecar_created);
  stream_ = sidecar.claim(stream_key(definition_), gtid::to_string(source.flavour), source.identity, source.version_text);
  ledger_ = std::make_unique<SidecarLedger>(endpoint_, stream_.id, stream_.epoch);
  failpoint(Fp::copy_stream_claimed);
}

bool TargetCopy::was_done_before() {
  return stream_.state == "copied" && statements({PostCopyKind::keys, PostCopyKind::unique_keys, PostCopyKind::foreign_keys}).empty();
}

void TargetCopy::create_schema() { create_target_schema(definition_, prepared_, *session_, *ledger_, stream_.id); }

copy::TableTask TargetCopy::task_of(const catalog::Table& source) {
  if (!std::exchange(has_recorded_, true)) recorded_ = state::Sidecar(*session_).tables(stream_.id);
  const catalog::Key* key = catalog::row_key(source);
  copy::TableTask task{.source = {.schema = source.schema, .name = source.name},
                       .rows_estimate = source.rows_estimate,
                       .bytes_estimate = source.bytes_estimate,
                       .row_bytes_avg = source.row_bytes_avg};
  if (key != nullptr) task.key = copy::key_spec(source, *key);
  task.is_counting = std::any_of(source.columns.begin(), source.columns.end(), [](const catalog::Column& column) { return column.is_auto_increment; });
  const auto& tables = prepared_.source.tables;
  const auto at = std::find_if(tables.begin(), tables.end(), [&](const catalog::Table& table) { return is_of(table, source); });
  const auto row = std::find_if(recorded_.begin(), recorded_.end(), [&](const state::TableRow& r) { return r.source_schema == source.schema && r.source_table == source.name; });
  const bool is_copied = row != recorded_.end() && row->state != "pending";
  task.is_wanted = at != tables.end() && !is_copied;
  if (!task.is_wanted) return task;
  const auto& target = prepared_.tables[static_cast<std::size_t>(at - tables.begin())];
  task.target_schema = target.schema;
  task.target_table = target.name;
  task.transfers = catalog::transfers(source, catalog::read_table(*session_, target.schema, target.name), prepared_.ddl);
  return task;
}

// What was applied between two cycles may have put rows of chunks to come where they will be written.
void TargetCopy::note_begun_tables(std::vector<copy::TableTask>& tasks) {
  const auto begun = state::Sidecar(*session_).begun_tables(stream_.id);
  for (auto& task : tasks) task.overwrites = begun.count({task.source.schema, task.source.name}) != 0;
}

// --- positions ----------------------------------------------------------------------------------------------------

void TargetCopy::store_begin(const gtid::Position& begin) {
  ledger_->guarded([&](state::Sidecar& sidecar) { sidecar.set_position(stream_.id, stream_.epoch, begin); });
  stream_.position = begin;
}

void TargetCopy::store_cycle(const db::Snapshot& snapshot) {
  ledger_->guarded([&](state::Sidecar& sidecar) {
    sidecar.set_overlap_end(stream_.id, stream_.epoch, snapshot.high);
    sidecar.set_state(stream_.id, stream_.epoch, "copying");
  });
  stream_.overlap_end = snapshot.high;
}

void TargetCopy::read_stream() { stream_ = state::Sidecar(*session_).find(stream_.key).value(); }

// --- after the rows -----------------------------------------------------------------------------------------------

void TargetCopy::begin_keys() {
  keys_ = std::make_unique<KeyBuilder>(endpoint_, tuning_, *ledger_, PostCopyKind::keys);
  add_copied_tables();
  for (const auto& row : statements({PostCopyKind::keys})) {
    if (row.state == "failed") keys_->add(row.schema_name, row.object_name);
  }
}

// By what is recorded, not by what this run has seen: a table may have been proved by a run, or a cycle, that failed right after.
void TargetCopy::add_copied_tables() {
  for (const auto& row : state::Sidecar(*session_).tables(stream_.id)) {
    if (row.state == "copied") keys_->add(row.target_schema, row.target_table);
  }
}

void TargetCopy::finish_keys() {
  add_copied_tables();
  keys_->finish();
  pending_ = keys_->pending();
}

void TargetCopy::build_unique_keys() {
  KeyBuilder keys(endpoint_, tuning_, *ledger_, PostCopyKind::unique_keys);
  for (const auto& row : statements({PostCopyKind::unique_keys})) keys.add(row.schema_name, row.object_name);
  keys.finish();
  for (auto& waiting : keys.pending()) pending_.push_back(std::move(waiting));
}

void TargetCopy::wait_for(const state::PostCopyRow& row, const std::string& why) {
  pending_.push_back({.kind = row.kind, .object = sql::quote_table(row.schema_name, row.object_name), .error = why, .shard = {}});
}

void TargetCopy::build_constraints() {
  if (tuning_.writer.skip_binlog) session_->execute("SET SESSION sql_log_bin = 0");
  for (const auto& row : statements({PostCopyKind::foreign_keys})) {
    stop_.throw_if_requested();
    if (const auto why = run_post_copy(*session_, *ledger_, row)) wait_for(row, *why);
  }
}

// Views use views and functions, functions use views: what fails is tried again as long as something else succeeds.
void TargetCopy::create_objects() {
  failpoint(Fp::copy_objects_creating);
  auto waiting = statements({PostCopyKind::procedure, PostCopyKind::function, PostCopyKind::view});
  while (!waiting.empty()) {
    std::vector<std::pair<state::PostCopyRow, std::string>> failed;
    for (const auto& row : waiting) {
      stop_.throw_if_requested();
      if (const auto why = run_post_copy(*session_, *ledger_, row)) {
        failed.emplace_back(row, *why);
        continue;
      }
      created_.push_back(row.kind + " " + sql::quote_table(row.schema_name, row.object_name));
      failpoint(Fp::copy_object_created);
    }
    if (failed.size() == waiting.size()) {
      for (const auto& [row, why] : failed) wait_for(row, why);
      return;
    }
    waiting.clear();
    for (auto& [row, why] : failed) waiting.push_back(std::move(row));
  }
}

void TargetCopy::carry_accounts() {
  if (!account_plans_.empty()) accounts_ = workflow::carry_accounts(*session_, *ledger_, account_plans_);
}

void TargetCopy::finish() {
  ledger_->guarded([&](state::Sidecar& sidecar) { sidecar.set_state(stream_.id, stream_.epoch, "copied"); });
  failpoint(Fp::copy_finished);
}

void TargetCopy::report(CopyReport& report) {
  const std::string shard = is_sharded(definition_) ? definition_.shard : "";
  for (const auto& row : state::Sidecar(*session_).tables(stream_.id)) {
    report.tables.push_back({.source = row.source_schema + "." + row.source_table,
                             .target = row.target_schema + "." + row.target_table,
                             .rows = row.rows,
                             .bytes = row.bytes,
                             .copy = std::chrono::milliseconds(row.copy_ms),
                             .keys = std::chrono::milliseconds(row.keys_ms),
                             .shard = shard});
  }
  for (auto& statement : pending_) report.pending.push_back({statement.kind, statement.object, statement.error, shard});
  for (const auto& object : created_) report.created_objects.push_back(object);
  for (auto& account : accounts_) {
    account.shard = shard;
    report.accounts.push_back(account);
  }
  const std::string position = stream_.position ? stream_.position->text : "";
  if (!shard.empty()) report.shards.push_back({.shard = shard, .position = position});
  if (report.position.empty()) report.position = position;
}

}  // namespace godwit::workflow
