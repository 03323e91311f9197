// The order of the steps, and why it is safe to be killed between any two of them:
//   1. the definition is in the state file           nothing on the servers yet
//   2. sidecar created, stream claimed (I3)           from here on any other godwit of this workflow is fenced out
//   3. each table: recorded, then created             a recorded table that is there is ours; one that is not recorded is not (target_schema.cpp)
//   4. each cycle: snapshot opened, position stored   before the first cycle, and before any row of it (I2)
//   5. each chunk: rows and record in one transaction (I1)
//   6. a table proved complete (I4), then its keys    keys are seen by name, so a repeated ALTER is none
//   7. caught up to high, the end of the overlap      the stream's own steps, src/apply
//   8. unique and foreign keys, views, routines       as 6; before 7 two rows may still hold one unique value
//   9. accounts, where asked for: recorded, created   likewise; their grants may be repeated
#include "godwit/workflow/copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "accounts.h"
#include "bindings.h"
#include "copy_progress.h"
#include "godwit/apply/cascades.h"
#include "godwit/sql/quote.h"
#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/seam.h"
#include "post_copy.h"
#include "preparation.h"
#include "sidecar_checkpoint.h"
#include "sidecar_ledger.h"
#include "target_schema.h"

namespace godwit::workflow {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kXaPatience{10'000};
constexpr milliseconds kXaInterval{100};

void refuse_blockers(const std::vector<check::Finding>& findings) {
  std::vector<std::string> blockers;
  const check::Finding* first = nullptr;
  for (const auto& finding : findings) {
    if (finding.verdict == check::Verdict::warning) {
      log::warning("{}: {}: {} => {}", finding.check, finding.object, finding.cause, finding.remedy);
    }
    if (finding.verdict != check::Verdict::blocker) continue;
    if (first == nullptr) first = &finding;
    blockers.push_back(finding.check);
    log::error("{} {}: {}: {} => {}", info(finding.code).id, finding.check, finding.object, finding.cause, finding.remedy);
  }
  if (first == nullptr) return;
  throw Error(first->code,
              {.object = first->object,
               .cause = blockers.size() == 1 ? first->cause
                                             : fmt::format("{} (and {} more: {})", first->cause, blockers.size() - 1, join(blockers, ", ")),
               .remedy = first->remedy});
}

// Applies the stream between two cycles, and after the last one.
class BinlogCatchUp : public CatchUp {
 public:
  BinlogCatchUp(const Definition& definition, const apply::ApplyOptions& options, const state::StreamRow& stream, const Stop& stop)
      : definition_(definition), options_(options), stream_(stream), stop_(stop) {}

  void reach(const gtid::Position& position) override {
    db::Connection source = db::Connection::open(source_endpoint(definition_));
    db::Connection target = db::Connection::open(target_endpoint(definition_));
    const Preparation prepared = prepare(definition_, source, target);
    const auto bindings = bind_tables(prepared, source, target, stream_.id, Definitions::recorded);
    SidecarCheckpoint checkpoint(source.server().flavour, stream_.id, stream_.epoch);
    apply::Applier applier(source_endpoint(definition_), target_endpoint(definition_), bindings, options_, checkpoint, progress, stop_);
    applier.on_connected = [&](const db::Server& server) { require_same_server(stream_, server); };
    switch (applier.run(gtid::Set::parse(position))) {
      case apply::ApplyEnd::reached:
        return;
      case apply::ApplyEnd::stopped:
        stop_.throw_if_requested();
        return;
      case apply::ApplyEnd::definitions_changed:
        throw Error(Code::table_changed,
                    {.object = "source", .cause = "a DDL statement came during the copy", .remedy = "let DDL wait until the copy is done: godwit cancel, and copy again"});
    }
  }

  apply::ApplyProgress progress;

 private:
  const Definition& definition_;
  const apply::ApplyOptions& options_;
  const state::StreamRow& stream_;
  const Stop& stop_;
};

void refuse_switched(const std::string& workflow, const std::optional<state::Route>& route, const std::optional<state::StreamRow>& row);

class CopyRun {
 public:
  CopyRun(const Definition& definition, const CopyTuning& tuning, state::StateFile& state, const Stop& stop)
      : definition_(definition),
        tuning_(tuning),
        state_(state),
        stop_(stop),
        source_endpoint_(source_endpoint(definition)),
        target_endpoint_(target_endpoint(definition)),
        throttle_(tuning.throttle),
        catch_up_(definition, tuning.apply, stream_, stop) {}

  CopyReport run();

 private:
  bool is_replicating();
  CopyReport report_done(Clock::time_point began);
  void record();
  void claim();
  void make_tasks();
  void copy_cycles(KeyBuilder& keys);
  void catch_up(const gtid::Position& position);
  void note_begun_tables();
  void build_unique_keys();
  void refuse_changed_tables();
  template <typename Work>
  auto until_source_answers(std::string_view what, Work work);
  db::Snapshot next_snapshot();
  std::set<std::string> prepared_xa();
  void store_begin();
  void store_positions(const db::Snapshot& snapshot);
  void add_copied_tables(KeyBuilder& keys);
  void build_constraints();
  void create_objects();
  void finish();
  std::vector<state::PostCopyRow> statements(std::initializer_list<catalog::PostCopyKind> kinds);
  std::vector<state::PostCopyRow> open_statements();
  void report_tables();

  const Definition& definition_;
  const CopyTuning& tuning_;
  state::StateFile& state_;
  const Stop& stop_;
  const db::Endpoint source_endpoint_;
  const db::Endpoint target_endpoint_;
  copy::Throttle throttle_;

  std::unique_ptr<db::Connection> source_;
  std::unique_ptr<db::Connection> target_;
  Preparation prepared_;
  std::vector<catalog::AccountPlan> accounts_;
  std::unique_ptr<SidecarLedger> ledger_;
  state::StreamRow stream_;
  BinlogCatchUp catch_up_;
  std::vector<copy::TableTask> tasks_;      // those not yet copied
  std::vector<std::string> task_definitions_;  // of each task's table, as definition_hash gives it
  std::set<std::string> exact_tables_;      // those of them without a key; and all that unlogged cascades tie together
  CopyReport report_;
};

void CopyRun::record() {
  state_.record_workflow(definition_.name, to_options(definition_));
  state_.add_event(definition_.name, "info", "copy_started", "");
  failpoint(Fp::copy_recorded);
}

void CopyRun::claim() {
  state::Sidecar sidecar(*target_);
  sidecar.create();
  failpoint(Fp::copy_sidecar_created);
  const db::Server& server = source_->server();
  stream_ = sidecar.claim(stream_key(definition_),
                          gtid::to_string(server.flavour),
                          server.identity,
                          server.version_text);
  ledger_ = std::make_unique<SidecarLedger>(target_endpoint_, stream_.id, stream_.epoch);
  failpoint(Fp::copy_stream_claimed);
}

void CopyRun::make_tasks() {
  const auto recorded = state::Sidecar(*target_).tables(stream_.id);
  const auto families = logs_cascades(*source_) ? std::set<std::string>() : apply::cascading_tables(prepared_.source);
  for (std::size_t i = 0; i < prepared_.tables.size(); ++i) {
    const catalog::Table& source = prepared_.source.tables[i];
    const catalog::TargetTable& target = prepared_.tables[i];
    const auto row = std::find_if(recorded.begin(), recorded.end(), [&](const state::TableRow& r) {
      return r.source_schema == source.schema && r.source_table == source.name;
    });
    if (row != recorded.end() && row->state != "pending") continue;
    const catalog::Key* key = catalog::row_key(source);
    const catalog::Table there = catalog::read_table(*target_, target.schema, target.name);
    copy::TableTask task{.source = {.schema = source.schema, .name = source.name},
                         .target_schema = target.schema,
                         .target_table = target.name,
                         .key = std::nullopt,
                         .transfers = catalog::transfers(source, there, prepared_.ddl),
                         .rows_estimate = source.rows_estimate,
                         .bytes_estimate = source.bytes_estimate,
                         .row_bytes_avg = source.row_bytes_avg};
    if (key != nullptr) task.key = copy::key_spec(source, *key);
    const std::string name = sql::quote_table(source.schema, source.name);
    if (key == nullptr) exact_tables_.insert(name);
    // A change that is found done already would not fire again what is in no event.
    if (families.count(name) != 0) exact_tables_.insert(families.begin(), families.end());
    tasks_.push_back(std::move(task));
    task_definitions_.push_back(definition_hash(source));
  }
}

// The source may be restarting: that ends a snapshot, not the copy.
template <typename Work>
auto CopyRun::until_source_answers(std::string_view what, Work work) {
  for (unsigned attempt = 1;; ++attempt) {
    try {
      return work();
    } catch (const Error& error) {
      if (!error.is_retryable() || error.code() == Code::lock_unavailable) throw;
      if (attempt >= tuning_.limits.attempts_max) {
        throw Error(Code::retries_used_up,
                    {.object = error.object(),
                     .cause = fmt::format("no {} after {} attempts, the last with {}", what, attempt, error.what()),
                     .remedy = "mend the cause, then run the same command again: it goes on where it stopped"});
      }
      log::warning("no {} yet (attempt {} of {}): {}", what, attempt, tuning_.limits.attempts_max, error.what());
      if (!stop_.sleep_for(std::min(milliseconds(200) * (1U << attempt), milliseconds(10'000)))) stop_.throw_if_requested();
    }
  }
}

db::Snapshot CopyRun::next_snapshot() {
  return until_source_answers("snapshot", [&] {
    const db::SnapshotOptions options{.readers = tuning_.readers, .exact_tables = {exact_tables_.begin(), exact_tables_.end()}};
    return db::open_snapshot(source_endpoint_, options, stop_);
  });
}

std::set<std::string> CopyRun::prepared_xa() {
  std::set<std::string> ids;
  try {
    const db::Rows rows = source_->query("XA RECOVER");
    for (std::size_t i = 0; i < rows.size(); ++i) ids.insert(fmt::format("{}:{}:{}", rows.text(i, "formatID"), rows.text(i, "gtrid_length"), rows.text(i, "data")));
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
    log::debug("prepared XA transactions are not seen: {}", error.cause());
  }
  return ids;
}

// The stream begins before the first snapshot, and at an instant of which no XA transaction is left that was prepared and not decided: the
// rows of one that is decided later must have been seen. Up to the snapshot it reads what has been prepared, and applies nothing.
void CopyRun::store_begin() {
  const gtid::Position begin = until_source_answers("snapshot", [&] { return db::open_snapshot(source_endpoint_, {.readers = 1}, stop_).low; });
  const std::set<std::string> old = prepared_xa();
  for (auto waited = milliseconds(0); waited < kXaPatience; waited += kXaInterval) {
    const std::set<std::string> now = prepared_xa();
    const auto is_undecided = [&](const std::string& id) { return now.count(id) != 0; };
    const auto left = std::count_if(old.begin(), old.end(), is_undecided);
    if (left == 0) break;
    if (waited == milliseconds(0)) log::info("{} XA transactions are prepared: the copy waits for their outcome", left);
    if (waited + kXaInterval >= kXaPatience) log::warning("{} XA transactions stay prepared: if one is committed, the stream will stop there", left);
    if (!stop_.sleep_for(kXaInterval)) stop_.throw_if_requested();
  }
  ledger_->guarded([&](state::Sidecar& sidecar) { sidecar.set_position(stream_.id, stream_.epoch, begin); });
  stream_.position = begin;
}

// Position before rows (I2): with the first one stored, no change can fall between the snapshot and the stream.
void CopyRun::store_positions(const db::Snapshot& snapshot) {
  failpoint(Fp::copy_snapshot_opened);
  until_source_answers("answer", [&] { refuse_changed_tables(); });  // before the position is: what is undone by then is not in the stream
  ledger_->guarded([&](state::Sidecar& sidecar) {
    sidecar.set_overlap_end(stream_.id, stream_.epoch, snapshot.high);
    sidecar.set_state(stream_.id, stream_.epoch, "copying");
  });
  stream_.overlap_end = snapshot.high;
  report_.high = snapshot.high.text;
  failpoint(Fp::copy_position_stored);
}

void CopyRun::catch_up(const gtid::Position& position) {
  log::info("the target catches up to {}", position.text.empty() ? "(the beginning)" : position.text);
  const auto began = Clock::now();
  until_source_answers("stream", [&] {
    // These have been idle for as long as the rows took.
    source_ = std::make_unique<db::Connection>(db::Connection::open(source_endpoint_));
    target_ = std::make_unique<db::Connection>(db::Connection::open(target_endpoint_));
    catch_up_.reach(position);
  });
  log::info("caught up in {}: {} transactions, {} rows so far",
            format_duration(since(began)),
            format_count(catch_up_.progress.transactions),
            format_count(catch_up_.progress.rows));
  target_ = std::make_unique<db::Connection>(db::Connection::open(target_endpoint_));
  stream_ = state::Sidecar(*target_).find(stream_.key).value();
}

// What was applied between two cycles may have put rows of chunks to come where they will be written.
void CopyRun::note_begun_tables() {
  const auto begun = state::Sidecar(*target_).begun_tables(stream_.id);
  for (auto& task : tasks_) task.overwrites = begun.count({task.source.schema, task.source.name}) != 0;
}

// A column that DDL adds while its table is copied is in none of the column lists, and some DDL (ALGORITHM=INSTANT) leaves an open
// snapshot readable: so definitions are compared when the snapshot is open, and again before what it gave counts as copied.
void CopyRun::refuse_changed_tables() {
  db::Connection source = db::Connection::open(source_endpoint_);
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    const std::string name = sql::quote_table(tasks_[i].source.schema, tasks_[i].source.name);
    const db::Rows rows = source.query("SHOW CREATE TABLE " + name);
    const catalog::Table now{.create_sql = rows.text(0, "Create Table")};
    if (definition_hash(now) != task_definitions_[i]) refuse_changed_table(definition_.name, name);
  }
}

void CopyRun::copy_cycles(KeyBuilder& keys) {
  std::vector<copy::TableProgress> progress(tasks_.size());
  CopyProgress shown(definition_.name, tasks_, progress, throttle_, keys, state_);
  if (!stream_.position) store_begin();
  copy::Copier copier(target_endpoint_, tuning_.writer, tuning_.limits, *ledger_, throttle_, stop_);
  while (true) {
    while (throttle_.is_history_too_long()) {
      log::warning("the source's history list is too long ({}): no new snapshot until it shrinks", throttle_.load().history_list);
      if (!stop_.sleep_for(std::chrono::seconds(10))) stop_.throw_if_requested();
    }
    db::Snapshot snapshot = next_snapshot();
    ++report_.cycles;
    report_.writes_held = std::max(report_.writes_held, snapshot.writes_held);
    if (snapshot.writes_held.count() > 0) {
      log::info("writes to {} were held for {:.1f} ms", join(std::vector<std::string>(exact_tables_.begin(), exact_tables_.end()), ", "),
                static_cast<double>(snapshot.writes_held.count()) / 1000.0);
    }
    catch_up(snapshot.low);
    note_begun_tables();
    if (report_.low.empty()) report_.low = snapshot.low.text;
    store_positions(snapshot);
    const auto end = [&] {
      db::Connection planner = until_source_answers("session", [&] {
        db::Connection session = db::Connection::open(source_endpoint_, db::Encoding::bytes);
        db::prepare_snapshot(session);
        db::begin_snapshot(session);
        return session;
      });
      return copier.copy_from(snapshot, planner, tasks_, progress, [&](const copy::TableTask& task) {
        keys.add(task.target_schema, task.target_table);
      });
    }();
    snapshot.readers.clear();
    failpoint(Fp::copy_cycle_ended);
    if (end != copy::CycleEnd::snapshot_lost) until_source_answers("answer", [&] { refuse_changed_tables(); });
    switch (end) {
      case copy::CycleEnd::all_copied:
        return;
      case copy::CycleEnd::snapshot_too_old:
        log::info("cycle {} ends: its snapshot is too old, or the source's history list too long", report_.cycles);
        break;
      case copy::CycleEnd::snapshot_lost:
        log::warning("cycle {} ended early; the next one goes on with what is left", report_.cycles);
        break;
    }
  }
}

std::vector<state::PostCopyRow> CopyRun::statements(std::initializer_list<catalog::PostCopyKind> kinds) {
  std::vector<state::PostCopyRow> result;
  for (auto& row : state::Sidecar(*target_).post_copy(stream_.id)) {
    const bool is_wanted = std::any_of(kinds.begin(), kinds.end(), [&](catalog::PostCopyKind kind) {
      return row.kind == catalog::to_string(kind);
    });
    if (is_wanted && row.state != "done") result.push_back(std::move(row));
  }
  return result;
}

// By what is recorded, not by what this run has seen: a table may have been proved by a run, or a cycle, that failed right after.
void CopyRun::add_copied_tables(KeyBuilder& keys) {
  for (const auto& row : state::Sidecar(*target_).tables(stream_.id)) {
    if (row.state == "copied") keys.add(row.target_schema, row.target_table);
  }
}

void CopyRun::build_constraints() {
  if (tuning_.writer.skip_binlog) target_->execute("SET SESSION sql_log_bin = 0");
  for (const auto& row : statements({catalog::PostCopyKind::foreign_keys})) {
    stop_.throw_if_requested();
    const auto why = run_post_copy(*target_, *ledger_, row);
    if (why) report_.pending.push_back({row.kind, sql::quote_table(row.schema_name, row.object_name), *why});
  }
}

void CopyRun::build_unique_keys() {
  KeyBuilder keys(target_endpoint_, tuning_, *ledger_, catalog::PostCopyKind::unique_keys);
  for (const auto& row : statements({catalog::PostCopyKind::unique_keys})) keys.add(row.schema_name, row.object_name);
  keys.finish();
  for (auto& waiting : keys.pending()) report_.pending.push_back(std::move(waiting));
}

// Views use views and functions, functions use views: what fails is tried again as long as something else succeeds.
void CopyRun::create_objects() {
  failpoint(Fp::copy_objects_creating);
  auto waiting = statements({catalog::PostCopyKind::procedure, catalog::PostCopyKind::function, catalog::PostCopyKind::view});
  while (!waiting.empty()) {
    std::vector<state::PostCopyRow> failed;
    std::vector<PendingStatement> why;
    for (const auto& row : waiting) {
      stop_.throw_if_requested();
      const std::string object = sql::quote_table(row.schema_name, row.object_name);
      if (const auto error = run_post_copy(*target_, *ledger_, row)) {
        failed.push_back(row);
        why.push_back({row.kind, object, *error});
      } else {
        report_.created_objects.push_back(row.kind + " " + object);
        failpoint(Fp::copy_object_created);
      }
    }
    if (failed.size() == waiting.size()) {
      report_.pending.insert(report_.pending.end(), why.begin(), why.end());
      return;
    }
    waiting = std::move(failed);
  }
}

void CopyRun::finish() {
  ledger_->guarded([&](state::Sidecar& sidecar) { sidecar.set_state(stream_.id, stream_.epoch, "copied"); });
  failpoint(Fp::copy_finished);
  state_.set_phase(definition_.name, "copied");
  state_.add_event(definition_.name, "info", "copy_finished", fmt::format("{} tables", report_.tables.size()));
}

void CopyRun::report_tables() {
  for (const auto& row : state::Sidecar(*target_).tables(stream_.id)) {
    report_.tables.push_back({.source = row.source_schema + "." + row.source_table,
                              .target = row.target_schema + "." + row.target_table,
                              .rows = row.rows,
                              .bytes = row.bytes,
                              .copy = milliseconds(row.copy_ms),
                              .keys = milliseconds(row.keys_ms)});
  }
}

// What a copy would write to serves, or is about to.
void refuse_switched(const std::string& workflow, const std::optional<state::Route>& route, const std::optional<state::StreamRow>& row) {
  const bool is_switched = route && route->serving == db::Side::target;
  const bool is_at_it = (route && route->is_switching) || (row && row->state == "frozen");
  if (!is_switched && !is_at_it) return;
  throw Error(Code::switch_refused,
              {.object = fmt::format("workflow {}", workflow),
               .cause = is_switched ? "the target serves: there is nothing to copy" : "a switch is under way, or was killed",
               .remedy = is_switched ? fmt::format("godwit replicate {0} follows it; godwit reverse {0} goes back", workflow) : fmt::format("run the switch of {} again: it finishes or undoes what it began", workflow)});
}

// The stream is past its copy and belongs to `replicate`, which may be at work: it is looked at, not claimed. What the copy could not create
// (post_copy) is tried again as long as no replicate is running.
bool CopyRun::is_replicating() {
  if (!state::Sidecar::exists(*target_)) return false;
  const auto row = state::Sidecar(*target_).find(stream_key(definition_));
  const auto route = state::Authority(*target_, definition_.name).read();
  refuse_switched(definition_.name, route, row);
  const bool is_begun = row && (row->state == "running" || (row->state == "copied" && route));  // a switch that came back, or was undone, leaves it "copied"
  if (!is_begun) return false;
  stream_ = *row;
  return open_statements().empty() || state::has_sessions(*target_, row->id);
}

std::vector<state::PostCopyRow> CopyRun::open_statements() {
  return statements({catalog::PostCopyKind::keys, catalog::PostCopyKind::unique_keys, catalog::PostCopyKind::foreign_keys,
                     catalog::PostCopyKind::procedure, catalog::PostCopyKind::function, catalog::PostCopyKind::view});
}

CopyReport CopyRun::report_done(Clock::time_point began) {
  state_.record_workflow(definition_.name, to_options(definition_));  // refuses other options
  state_.set_phase(definition_.name, "replicating");
  log::info("the copy is done, and the stream runs on from it: godwit replicate {}", definition_.name);
  report_.was_done_before = true;
  report_tables();
  for (const auto& row : open_statements()) {
    report_.pending.push_back({row.kind, sql::quote_table(row.schema_name, row.object_name), row.error + " (tried again by a copy while no replicate runs)"});
  }
  report_.position = report_.low = stream_.position->text;
  report_.duration = since(began);
  return report_;
}

CopyReport CopyRun::run() {
  const auto began = Clock::now();
  target_ = std::make_unique<db::Connection>(db::Connection::open(target_endpoint_));
  if (is_replicating()) return report_done(began);
  refuse_blockers(check::run_checks(check_request(definition_, tuning_)));
  source_ = std::make_unique<db::Connection>(db::Connection::open(source_endpoint_));
  target_ = std::make_unique<db::Connection>(db::Connection::open(target_endpoint_));
  prepared_ = prepare(definition_, *source_, *target_);
  report_.issues = prepared_.issues;
  accounts_ = plan_accounts(*source_, *target_, prepared_, tuning_.accounts);
  record();
  claim();
  report_.was_done_before = stream_.state == "copied" && statements({catalog::PostCopyKind::keys,
                                                                     catalog::PostCopyKind::unique_keys,
                                                                     catalog::PostCopyKind::foreign_keys})
                                                             .empty();
  create_target_schema(definition_, prepared_, *target_, *ledger_, stream_.id);
  failpoint(Fp::copy_schema_created);
  make_tasks();
  state_.set_phase(definition_.name, "copying");

  copy::SampledServers sampled{.source = source_endpoint_, .target = target_endpoint_, .replica = std::nullopt};
  if (!tuning_.throttle_replica.empty()) sampled.replica = replica_endpoint(source_endpoint_, tuning_.throttle_replica, "--throttle-replica");
  const copy::Sampler sampler(throttle_, sampled);
  KeyBuilder keys(target_endpoint_, tuning_, *ledger_, catalog::PostCopyKind::keys);
  add_copied_tables(keys);
  for (const auto& row : statements({catalog::PostCopyKind::keys})) {
    if (row.state == "failed") keys.add(row.schema_name, row.object_name);
  }
  if (!tasks_.empty()) copy_cycles(keys);
  stop_.throw_if_requested();
  // This session has been idle for as long as the copy took.
  target_ = std::make_unique<db::Connection>(db::Connection::open(target_endpoint_));
  add_copied_tables(keys);
  keys.finish();
  report_.pending = keys.pending();
  if (stream_.overlap_end) catch_up(*stream_.overlap_end);
  build_unique_keys();
  target_ = std::make_unique<db::Connection>(db::Connection::open(target_endpoint_));
  build_constraints();
  create_objects();
  if (!accounts_.empty()) report_.accounts = carry_accounts(*target_, *ledger_, accounts_);
  report_tables();
  finish();
  if (stream_.position) report_.position = stream_.position->text;
  if (report_.low.empty()) report_.low = report_.position;
  report_.transactions = catch_up_.progress.transactions;
  report_.duration = since(began);
  return report_;
}

}  // namespace

std::vector<check::Finding> check_workflow(const Definition& definition, const CopyTuning& tuning) {
  return check::run_checks(check_request(definition, tuning));
}

CopyPlan plan_copy(const Definition& definition, const CopyTuning& tuning) {
  CopyPlan plan;
  plan.findings = check_workflow(definition, tuning);
  db::Connection source = db::Connection::open(source_endpoint(definition));
  db::Connection target = db::Connection::open(target_endpoint(definition));
  const Preparation prepared = prepare(definition, source, target);
  plan.issues = prepared.issues;
  plan.accounts = show_accounts(target, plan_accounts(source, target, prepared, tuning.accounts));
  std::vector<std::string> later;
  for (std::size_t i = 0; i < prepared.tables.size(); ++i) {
    const auto& table = prepared.tables[i];
    plan.tables.push_back({.source = prepared.source.tables[i].schema + "." + prepared.source.tables[i].name,
                           .target = table.schema + "." + table.name,
                           .rows = prepared.source.tables[i].rows_estimate,
                           .bytes = prepared.source.tables[i].bytes_estimate});
    if (!definition.is_schema_created) continue;
    plan.statements.push_back(table.create_sql);
    for (const auto& deferred : table.deferred) later.push_back(deferred.sql);
  }
  if (definition.is_schema_created) {
    for (const auto& object : prepared.objects.objects) {
      const bool is_for_switch =
          object.kind == catalog::PostCopyKind::trigger || object.kind == catalog::PostCopyKind::event;
      if (!is_for_switch) later.push_back(object.sql);
    }
  }
  plan.statements.insert(plan.statements.end(), later.begin(), later.end());
  return plan;
}

CopyReport run_copy(const Definition& definition, const CopyTuning& tuning, state::StateFile& state, const Stop& stop) {
  return CopyRun(definition, tuning, state, stop).run();
}

}  // namespace godwit::workflow
