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
//
// With shards each step is done on all of them, one after the other or at once, and what it leaves is in that shard's own sidecar; a step begins when the one before
// it is done on all. So killed within one, some have done a step and others have not, and that each is right by itself is all that is needed:
//   2.  two godwits may each own some shards for a moment. Each chunk, position and state is guarded by its own shard's epoch, so each shard has one owner; and
//       the one that comes to its end claims all of them, or is itself fenced out on one, and ends.
//   4.  no row of a snapshot is on any shard before all shards have stored where their streams begin, and how far the overlap of this snapshot reaches. One that has
//       a position from before keeps it: it is earlier, and a stream that begins earlier has more overlap, not less of the changes. One for which the snapshot was
//       announced and never read has an overlap that is too long, in which every change is applied in its idempotent form all the same.
//   5.  a chunk is done on the shards whose transactions have committed, and pending on the others: copy/copier.h.
//   6-8. a shard may have its keys while another one still copies: it gets no more rows but by the stream. A row that moves from shard to shard meanwhile is a change
//       of two streams, each of which knows its own position.
#include "godwit/workflow/copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "copy_catch_up.h"
#include "copy_progress.h"
#include "godwit/apply/cascades.h"
#include "godwit/gtid/set.h"
#include "godwit/sql/quote.h"
#include "godwit/state/authority.h"
#include "godwit/util/crew.h"
#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"
#include "bindings.h"
#include "patience.h"
#include "preparation.h"
#include "target_copy.h"
#include "target_schema.h"

namespace godwit::workflow {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kXaPatience{10'000};
constexpr milliseconds kXaInterval{100};

std::string object_of(const check::Finding& finding) { return finding.shard.empty() ? finding.object : fmt::format("shard {}: {}", finding.shard, finding.object); }

void refuse_blockers(const std::vector<check::Finding>& findings) {
  std::vector<std::string> blockers;
  const check::Finding* first = nullptr;
  for (const auto& finding : findings) {
    if (finding.verdict == check::Verdict::warning) {
      log::warning("{}: {}: {} => {}", finding.check, object_of(finding), finding.cause, finding.remedy);
    }
    if (finding.verdict != check::Verdict::blocker) continue;
    if (first == nullptr) first = &finding;
    blockers.push_back(finding.check);
    log::error("{} {}: {}: {} => {}", info(finding.code).id, finding.check, object_of(finding), finding.cause, finding.remedy);
  }
  if (first == nullptr) return;
  throw Error(first->code,
              {.object = object_of(*first),
               .cause = blockers.size() == 1 ? first->cause
                                             : fmt::format("{} (and {} more: {})", first->cause, blockers.size() - 1, join(blockers, ", ")),
               .remedy = first->remedy});
}

// What a copy would write to serves, or is about to.
void refuse_switched(const std::string& workflow, const std::optional<state::Route>& route) {
  const bool is_switched = route && route->serving == db::Side::target;
  if (!is_switched && !(route && route->is_switching)) return;
  throw Error(Code::switch_refused,
              {.object = fmt::format("workflow {}", workflow),
               .cause = is_switched ? "the target serves: there is nothing to copy" : "a switch is under way, or was killed",
               .remedy = is_switched ? fmt::format("godwit replicate {0} follows it; godwit reverse {0} goes back", workflow) : fmt::format("run the switch of {} again: it finishes or undoes what it began", workflow)});
}

class CopyRun {
 public:
  CopyRun(const Definition& definition, const CopyTuning& tuning, state::StateFile& state, const Stop& stop)
      : definition_(definition),
        tuning_(tuning),
        state_(state),
        stop_(stop),
        patience_{.attempts_max = tuning.limits.attempts_max, .stop = stop},
        source_endpoint_(source_endpoint(definition)),
        throttle_(tuning.throttle),
        catch_up_(tuning.apply, stop) {
    if (is_sharded(definition)) layout_ = layout_of(definition);
    for (const auto& one : shard_definitions(definition)) targets_.push_back(std::make_unique<TargetCopy>(one, tuning, stop));
  }

  CopyReport run();

 private:
  bool is_replicating();
  CopyReport report_done(Clock::time_point began);
  void prepare();
  void claim();
  void make_tasks();
  std::optional<copy::RowRoute> route_of(const catalog::Table& table);
  void note_exact_tables();
  copy::Sampler sample();
  void copy_rows();
  void copy_cycles(std::vector<copy::Target>& targets);
  std::vector<copy::Target> copy_targets();
  copy::CycleEnd copy_from(db::Snapshot& snapshot, copy::Copier& copier);
  void catch_up(const gtid::Position& position);
  void catch_up_to_overlap_end();
  void refuse_changed_tables();
  db::Snapshot next_snapshot();
  std::set<std::string> prepared_xa();
  void wait_for_prepared_xa();
  void store_begin();
  void store_positions(const db::Snapshot& snapshot);
  void reconnect();
  void finish();
  CopyReport report(Clock::time_point began);
  template <typename Step>
  void on_each(Step step) {
    for (auto& target : targets_) step(*target);
  }
  void on_all(const std::function<void(std::size_t)>& step);

  const Definition& definition_;
  const CopyTuning& tuning_;
  state::StateFile& state_;
  const Stop& stop_;
  const Patience patience_;
  const db::Endpoint source_endpoint_;
  copy::Throttle throttle_;

  std::unique_ptr<db::Connection> source_;
  catalog::Catalog catalog_;
  std::optional<shard::Layout> layout_;
  std::vector<shard::Route> routes_;          // one per table of the catalog, where there is a layout
  std::vector<std::unique_ptr<TargetCopy>> targets_;  // the only one, or the shards by number
  BinlogCatchUp catch_up_;
  std::vector<const catalog::Table*> tables_;  // those that one of the targets lacks
  std::vector<std::vector<copy::TableTask>> tasks_;  // by target; of each of these tables
  std::set<std::string> exact_tables_;      // those of them without a key; and all that unlogged cascades tie together
  CopyReport report_;
};

// What takes its time there, and uses nothing but that target: on all servers at once. Shards that are databases of one server share its sidecar, and take turns.
void CopyRun::on_all(const std::function<void(std::size_t)>& step) {
  std::map<std::string, std::vector<std::size_t>> by_server;
  for (std::size_t i = 0; i < targets_.size(); ++i) by_server[db::address(targets_[i]->endpoint().dsn)].push_back(i);
  std::vector<std::vector<std::size_t>> servers;
  for (auto& [address, numbers] : by_server) servers.push_back(std::move(numbers));
  const auto on_server = [&](std::size_t server) {
    for (const std::size_t i : servers[server]) step(i);
  };
  if (servers.size() == 1) return on_server(0);
  run_crew(servers.size(), stop_, [&](std::size_t server, const Stop&) { on_server(server); });
}

void CopyRun::reconnect() {
  on_all([&](std::size_t i) { targets_[i]->connect(); });
}

void CopyRun::prepare() {
  source_ = std::make_unique<db::Connection>(db::Connection::open(source_endpoint_));
  reconnect();
  catalog_ = read_source(definition_, *source_);
  if (layout_) routes_ = shard::make_routes(*layout_, catalog_.tables);
  on_all([&](std::size_t i) { targets_[i]->prepare(catalog_, *source_); });
  on_each([&](TargetCopy& target) { target.plan_accounts(*source_); });
  report_.issues = targets_.front()->prepared().issues;
}

void CopyRun::claim() {
  state_.record_workflow(definition_.name, to_options(definition_));
  state_.add_event(definition_.name, "info", "copy_started", "");
  failpoint(Fp::copy_recorded);
  on_all([&](std::size_t i) { targets_[i]->claim(source_->server()); });
}

// Positions are among what is read of the table: its writable columns.
std::optional<copy::RowRoute> CopyRun::route_of(const catalog::Table& table) {
  if (!layout_) return std::nullopt;
  const auto& route = routes_[static_cast<std::size_t>(&table - catalog_.tables.data())];
  if (route.columns().empty()) return std::nullopt;
  copy::RowRoute result{.route = &route, .positions = {}};
  for (const std::size_t column : route.columns()) {
    const auto end = table.columns.begin() + static_cast<std::ptrdiff_t>(column);
    result.positions.push_back(static_cast<std::size_t>(std::count_if(table.columns.begin(), end, [](const catalog::Column& c) { return c.is_writable(); })));
  }
  return result;
}

void CopyRun::make_tasks() {
  tasks_.resize(targets_.size());
  std::vector<std::vector<copy::TableTask>> all(targets_.size());  // of each table
  on_all([&](std::size_t i) {
    for (const auto& table : catalog_.tables) all[i].push_back(targets_[i]->task_of(table));
  });
  for (std::size_t t = 0; t < catalog_.tables.size(); ++t) {
    if (std::ranges::none_of(all, [&](const auto& of_target) { return of_target[t].is_wanted; })) continue;
    tables_.push_back(&catalog_.tables[t]);
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      tasks_[i].push_back(std::move(all[i][t]));
      tasks_[i].back().route = route_of(catalog_.tables[t]);
    }
  }
  note_exact_tables();
}

void CopyRun::note_exact_tables() {
  const auto families = logs_cascades(*source_) ? std::set<std::string>() : apply::cascading_tables(catalog_);
  for (const catalog::Table* table : tables_) {
    const std::string name = sql::quote_table(table->schema, table->name);
    if (catalog::row_key(*table) == nullptr) exact_tables_.insert(name);
    // A change that is found done already would not fire again what is in no event.
    if (families.count(name) != 0) exact_tables_.insert(families.begin(), families.end());
  }
}

db::Snapshot CopyRun::next_snapshot() {
  return patience_.until_done("snapshot", [&] {
    const db::SnapshotOptions options{.readers = tuning_.readers, .must_be_exact = !exact_tables_.empty(), .exact_tables = {exact_tables_.begin(), exact_tables_.end()}};
    return db::open_snapshot(source_endpoint_, options, stop_);
  });
}

std::set<std::string> CopyRun::prepared_xa() {
  try {
    return db::prepared_xa(*source_);
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
    log::debug("prepared XA transactions are not seen: {}", error.cause());
  }
  return {};
}

void CopyRun::wait_for_prepared_xa() {
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
}

// The stream begins before the first snapshot, and at an instant of which no XA transaction is left that was prepared and not decided: the
// rows of one that is decided later must have been seen. Up to the snapshot it reads what has been prepared, and applies nothing.
void CopyRun::store_begin() {
  const auto has_begun = [](const auto& target) { return target->stream().position.has_value(); };
  if (std::ranges::all_of(targets_, has_begun)) return;
  const gtid::Position begin = patience_.until_done("snapshot", [&] { return db::open_snapshot(source_endpoint_, {.readers = 1}, stop_).low; });
  wait_for_prepared_xa();
  for (auto& target : targets_) {
    if (!has_begun(target)) target->store_begin(begin);
  }
}

// Position before rows (I2): with the first one stored, no change can fall between the snapshot and the stream.
void CopyRun::store_positions(const db::Snapshot& snapshot) {
  failpoint(Fp::copy_snapshot_opened);
  patience_.until_done("answer", [&] { refuse_changed_tables(); });  // before the position is: what is undone by then is not in the stream
  // The sessions of the ledgers may have been lost meanwhile.
  on_each([&](TargetCopy& target) { patience_.until_done("answer", [&] { target.store_cycle(snapshot); }); });
  report_.high = snapshot.high.text;
  failpoint(Fp::copy_position_stored);
}

// The furthest of all: one position for the whole migration.
void CopyRun::catch_up_to_overlap_end() {
  gtid::Set end(source_->server().flavour);
  bool is_any = false;
  for (const auto& target : targets_) {
    const auto& overlap_end = target->stream().overlap_end;
    is_any = is_any || overlap_end;
    if (overlap_end) end.add(gtid::Set::parse(*overlap_end));
  }
  if (is_any) catch_up(end.position());
}

void CopyRun::catch_up(const gtid::Position& position) {
  const auto began = Clock::now();
  std::vector<CatchUp::Part> parts;
  for (const auto& target : targets_) parts.push_back({.definition = target->definition(), .stream = target->stream()});
  log::info("the target catches up to {}", position.text.empty() ? "(the beginning)" : position.text);
  patience_.until_done("stream", [&] { catch_up_.reach(parts, position); });
  log::info("caught up in {}: {} transactions, {} rows so far", format_duration(since(began)), format_count(catch_up_.transactions()), format_count(catch_up_.rows()));
  // These have been idle for as long as the rows took.
  source_ = std::make_unique<db::Connection>(db::Connection::open(source_endpoint_));
  reconnect();
  on_each([](TargetCopy& target) { target.read_stream(); });
}

// A column that DDL adds while its table is copied is in none of the column lists, and some DDL (ALGORITHM=INSTANT) leaves an open
// snapshot readable: so definitions are compared when the snapshot is open, and again before what it gave counts as copied.
void CopyRun::refuse_changed_tables() {
  db::Connection source = db::Connection::open(source_endpoint_);
  for (const catalog::Table* table : tables_) {
    const std::string name = sql::quote_table(table->schema, table->name);
    const db::Rows rows = source.query("SHOW CREATE TABLE " + name);
    const catalog::Table now{.create_sql = rows.text(0, "Create Table")};
    if (definition_hash(now) != definition_hash(*table)) refuse_changed_table(definition_.name, name);
  }
}

std::vector<copy::Target> CopyRun::copy_targets() {
  std::vector<copy::Target> result;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    result.push_back({.endpoint = targets_[i]->endpoint(), .ledger = targets_[i]->ledger(), .tasks = tasks_[i], .progress = std::vector<copy::TableProgress>(tasks_[i].size())});
  }
  return result;
}

void CopyRun::copy_rows() {
  std::vector<copy::Target> targets = copy_targets();
  std::vector<std::string> names;
  for (const auto& target : targets_) names.push_back(is_sharded(definition_) ? target->definition().shard : "");
  const auto keys_building = [&] {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      for (const auto& table : targets_[i]->keys_at_work()) all.push_back(names[i].empty() ? table : fmt::format("{} on {}", table, names[i]));
    }
    return all;
  };
  const CopyProgress shown(definition_.name, {.targets = targets, .names = names, .throttle = throttle_, .keys_building = keys_building}, state_);
  store_begin();
  copy_cycles(targets);
}

copy::CycleEnd CopyRun::copy_from(db::Snapshot& snapshot, copy::Copier& copier) {
  db::Connection planner = patience_.until_done("session", [&] {
    db::Connection session = db::Connection::open(source_endpoint_, db::Encoding::bytes);
    db::prepare_snapshot(session);
    db::begin_snapshot(session);
    return session;
  });
  return copier.copy_from(snapshot, planner, [&](std::size_t target, const copy::TableTask& task) { targets_[target]->keys_of_copied_table(task); });
}

void CopyRun::copy_cycles(std::vector<copy::Target>& targets) {
  copy::Copier copier(targets, tuning_.writer, tuning_.limits, throttle_, stop_);
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
    for (std::size_t i = 0; i < targets.size(); ++i) targets_[i]->note_begun_tables(targets[i].tasks);
    if (report_.low.empty()) report_.low = snapshot.low.text;
    store_positions(snapshot);
    const copy::CycleEnd end = copy_from(snapshot, copier);
    snapshot.readers.clear();
    failpoint(Fp::copy_cycle_ended);
    if (end != copy::CycleEnd::snapshot_lost) patience_.until_done("answer", [&] { refuse_changed_tables(); });
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

void CopyRun::finish() {
  on_each([&](TargetCopy& target) { patience_.until_done("answer", [&] { target.finish(); }); });
  state_.set_phase(definition_.name, "copied");
  state_.add_event(definition_.name, "info", "copy_finished", fmt::format("{} tables", report_.tables.size()));
}

// All of them past their copy, and nothing left to do: else whatever is behind is gone on with.
bool CopyRun::is_replicating() {
  refuse_switched(definition_.name, targets_.front()->route());
  std::size_t past = 0;
  for (auto& target : targets_) past += target->is_past_copy() ? 1U : 0U;
  return past == targets_.size();
}

CopyReport CopyRun::report_done(Clock::time_point began) {
  state_.record_workflow(definition_.name, to_options(definition_));  // refuses other options
  state_.set_phase(definition_.name, "replicating");
  log::info("the copy is done, and the stream runs on from it: godwit replicate {}", definition_.name);
  report_.was_done_before = true;
  on_each([&](TargetCopy& target) {
    target.report(report_);
    for (const auto& row : target.open_statements()) {
      report_.pending.push_back({row.kind, sql::quote_table(row.schema_name, row.object_name), row.error + " (tried again by a copy while no replicate runs)", is_sharded(definition_) ? target.definition().shard : ""});
    }
  });
  report_.low = report_.position;
  report_.duration = since(began);
  return report_;
}

CopyReport CopyRun::report(Clock::time_point began) {
  on_each([&](TargetCopy& target) { target.report(report_); });
  finish();
  if (report_.low.empty()) report_.low = report_.position;
  report_.transactions = catch_up_.transactions();
  report_.duration = since(began);
  return report_;
}

copy::Sampler CopyRun::sample() {
  copy::SampledServers sampled{.source = source_endpoint_, .target = targets_.front()->endpoint(), .replica = std::nullopt, .more_targets = {}};
  for (std::size_t i = 1; i < targets_.size(); ++i) sampled.more_targets.push_back(targets_[i]->endpoint());
  if (!tuning_.throttle_replica.empty()) sampled.replica = replica_endpoint(source_endpoint_, tuning_.throttle_replica, "--throttle-replica");
  return {throttle_, sampled};
}

CopyReport CopyRun::run() {
  const auto began = Clock::now();
  reconnect();
  if (is_replicating()) return report_done(began);
  refuse_blockers(check_all(definition_, tuning_));
  prepare();
  claim();
  report_.was_done_before = std::ranges::all_of(targets_, [](auto& target) { return target->was_done_before(); });
  on_all([&](std::size_t i) { targets_[i]->create_schema(); });
  failpoint(Fp::copy_schema_created);
  make_tasks();
  state_.set_phase(definition_.name, "copying");

  const copy::Sampler sampler = sample();
  on_each([](TargetCopy& target) { target.begin_keys(); });
  if (!tables_.empty()) copy_rows();
  stop_.throw_if_requested();
  // These sessions have been idle for as long as the copy took.
  reconnect();
  on_each([](TargetCopy& target) { target.finish_keys(); });
  catch_up_to_overlap_end();
  on_all([&](std::size_t i) { targets_[i]->build_unique_keys(); });
  reconnect();
  on_all([&](std::size_t i) {
    targets_[i]->build_constraints();
    targets_[i]->create_objects();
    targets_[i]->carry_accounts();
  });
  return report(began);
}

}  // namespace

CopyReport run_copy(const Definition& definition, const CopyTuning& tuning, state::StateFile& state, const Stop& stop) {
  return CopyRun(definition, tuning, state, stop).run();
}

}  // namespace godwit::workflow
