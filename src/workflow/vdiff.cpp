#include "godwit/workflow/vdiff.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "godwit/sql/quote.h"
#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/vdiff/differ.h"
#include "godwit/workflow/shards.h"
#include "preparation.h"
#include "stream_hold.h"
#include "stream_turn.h"
#include "vdiff_difference.h"
#include "vdiff_pair.h"
#include "vdiff_progress.h"
#include "vdiff_recheck.h"
#include "vdiff_report.h"
#include "vdiff_selection.h"
#include "vdiff_shards.h"

namespace godwit::workflow {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr unsigned kPostponedMax = 2;    // times that a table of too many suspects is not cut yet
constexpr std::uint64_t kKeylessRowsPerPass = 500'000;

// Steps, each of which can be repeated after a kill. What passes by itself (a server that restarts, a stream that did not stand) is met in one
// place: all of it is begun again from what the sidecar holds, as another process would do.
//   begin    the comparison and its tables are in the sidecar
//   pairs    a pair of snapshot groups, and from it as many ranges as its age allows; what is settled moves each table's bound, and what is
//            suspected is recorded with it, in one transaction
//   keyless  a pair for each table without a key, at one exact instant
//   settle   every suspected row is looked at by itself, at one exact instant: it goes, or is confirmed
//   repair   if asked: confirmed rows are rewritten, and looked at again
//   end      the verdict is in the sidecar, from where `switch` takes it
class VdiffRun {
 public:
  // recorded: the forward definition. direction, tuning: as the direction that runs sees it.
  VdiffRun(const Definition& recorded, Direction direction, const VdiffTuning& tuning, state::StateFile& state, const Stop& stop)
      : recorded_(recorded),
        layout_(is_sharded(recorded) ? std::optional(layout_of(recorded)) : std::nullopt),
        shards_(vdiff_shards(recorded, direction)),
        definition_(shards_[0].definition),
        names_(names_of(shards_)),
        tuning_(tuning),
        state_(state),
        stop_(stop),
        throttle_(tuning.throttle),
        sources_(workflow::connect(shards_, db::Side::source)),
        targets_(workflow::connect(shards_, db::Side::target)) {}

  VdiffReport run();

 private:
  VdiffReport attempt();
  void connect();
  std::uint64_t settled_so_far() const;
  void require_turn();
  void find_streams();
  bool find_stream(std::size_t shard);
  void lock_out_others();
  void begin();
  std::optional<state::VdiffRow> unfinished();
  void plan_tables(VdiffSelection& selection);
  SnapshotPair open_pair(std::size_t sessions, const std::vector<std::string>& exact_tables);
  void count_suspected();
  bool is_keyed_pending() const;
  void compare_keyed();
  bool settled(const vdiff::Settled& settled);
  void compare_keyless_tables();
  void compare_keyless_table(VdiffTarget& table);
  void settle_and_repair();
  VdiffReport report();
  void record_verdict(const VdiffReport& report);
  state::VdiffTableRow& row(std::size_t table) { return tables_[table].row; }

  db::Connection& target() { return targets_[0]; }  // its sidecar has the comparison
  std::uint64_t stream() const { return shards_[0].stream.id; }

  const Definition& recorded_;
  const std::optional<shard::Layout> layout_;
  VdiffShards shards_;
  const Definition& definition_;  // the first shard's
  const std::vector<std::string> names_;
  const VdiffTuning& tuning_;
  state::StateFile& state_;
  const Stop& stop_;
  copy::Throttle throttle_;
  std::vector<db::Connection> sources_;  // with each server
  std::vector<db::Connection> targets_;
  std::unique_ptr<Recheck> recheck_;
  std::uint64_t vdiff_ = 0;
  bool was_resumed_ = false;
  bool is_waiting_ = false;
  bool is_begun_anew_ = false;  // after a failure
  std::vector<VdiffTarget> tables_;
  std::map<std::uint64_t, std::uint64_t> suspected_;  // by table id, with those confirmed
  std::map<std::uint64_t, unsigned> postponed_;       // by table id
  bool has_postponed_ = false;
  VdiffCounts counts_;
  Clock::time_point began_ = Clock::now();
  std::vector<Clock::time_point> table_began_;
  std::string position_;
  unsigned pairs_ = 0;
  std::chrono::microseconds held_max_{0};
  std::chrono::microseconds writes_held_{0};
};

// A comparison is of the sides as they are while it runs: one that serves, one that follows.
void VdiffRun::require_turn() {
  const Definition first = shard_definitions(recorded_)[0];
  const auto turn = StreamTurn(first, stop_).look();
  if (turn.direction == definition_.direction && !turn.is_frozen) return;
  const bool is_switched = turn.direction != definition_.direction;
  throw Error(is_switched ? Code::stream_not_ready : Code::hold_lost,
              {.object = fmt::format("workflow {}", definition_.name),
               .cause = is_switched ? fmt::format("the {} serves by now, and did not when the comparison began", db::to_string(serving_side(turn.direction))) : "a switch has frozen the stream",
               .remedy = is_switched ? "run the same command again: it compares anew" : "it is tried again"});
}

void VdiffRun::find_streams() {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    while (!find_stream(i)) {
      is_waiting_ = true;
      if (!stop_.sleep_for(std::chrono::seconds(1))) stop_.throw_if_requested();
    }
  }
}

bool VdiffRun::find_stream(std::size_t shard) {
  db::Connection& target = targets_[server_of(shards_, shard, db::Side::target)];
  const Definition& definition = shards_[shard].definition;
  const auto found = state::Sidecar::exists(target) ? state::Sidecar(target).find(stream_key(definition)) : std::nullopt;
  const bool is_there = found && is_copied(*found);
  if (is_there) shards_[shard].stream = *found;
  if (!is_there && !tuning_.does_wait) refuse_uncopied(definition, found, "; or godwit vdiff --wait, which waits for it");
  return is_there;
}

// Two would move each other's hold.
void VdiffRun::lock_out_others() {
  const std::string name = sql::quote_string(vdiff_lock(stream()));
  while (target().scalar(fmt::format("SELECT GET_LOCK({}, 1)", name)) != "1") {
    if (is_begun_anew_) {
      // It may be a session of this process that the target has not missed yet.
      throw Error(Code::lock_contention, {.object = fmt::format("workflow {}", definition_.name), .cause = "a session of a comparison of it has not ended on the target", .remedy = "KILL it there, if it does not end by itself"});
    }
    if (!tuning_.does_wait) {
      throw Error(Code::stream_fenced,
                  {.object = fmt::format("workflow {}", definition_.name), .cause = "another vdiff is at work on it", .remedy = "let it end; or godwit vdiff --wait, which waits for it"});
    }
    stop_.throw_if_requested();
  }
}

std::optional<state::VdiffRow> VdiffRun::unfinished() {
  auto newest = state::VdiffStore(target()).newest(definition_.name);
  if (!newest || newest->state != "running" || tuning_.does_restart) return std::nullopt;
  if (newest->options == selection_text(tuning_)) return newest;
  throw Error(Code::workflow_differs,
              {.object = fmt::format("workflow {}", definition_.name),
               .cause = fmt::format("a comparison with other options is not finished: {}", newest->options),
               .remedy = "give it the same --tables and --only-keys; or --restart, which forgets it"});
}

void VdiffRun::begin() {
  if (is_begun_anew_ && vdiff_ != 0) return;
  state::VdiffStore store(target());
  if (const auto before = unfinished()) {
    vdiff_ = before->id;
    position_ = before->position;
    was_resumed_ = true;
    log::info("going on with the comparison begun at {} UTC", before->started);
  } else {
    vdiff_ = store.begin(definition_.name, selection_text(tuning_));
    if (!tuning_.does_resume) store.forget_others(definition_.name, vdiff_);
  }
  if (!state_.find_workflow(definition_.name)) state_.record_workflow(definition_.name, to_options(recorded_));  // its state file is elsewhere
  state_.add_event(definition_.name, "info", "vdiff_started", selection_text(tuning_));
  failpoint(Fp::vdiff_begun);
}

void VdiffRun::plan_tables(VdiffSelection& selection) {
  tables_ = selection.plan(vdiff_);
  counts_.rows = 0;
  counts_.rows_estimate = 0;
  for (const auto& table : tables_) {
    counts_.rows_estimate += table.plan.rows_estimate;
    counts_.rows += table.row.source_rows;
  }
  counts_.tables = tables_.size();
  table_began_.assign(tables_.size(), Clock::now());
  count_suspected();
}

void VdiffRun::count_suspected() {
  suspected_.clear();
  for (const char* kind : {"suspected", "confirmed"}) {
    for (const auto& difference : state::VdiffStore(target()).differences(vdiff_, kind)) ++suspected_[difference.table_id];
  }
}

SnapshotPair VdiffRun::open_pair(std::size_t sessions, const std::vector<std::string>& exact_tables) {
  SnapshotPair pair = PairOpener(shards_, tuning_, sources_, targets_, stop_).open(sessions, exact_tables);
  held_max_ = std::max(held_max_, pair.held);
  writes_held_ = std::max(writes_held_, pair.writes_held);
  ++pairs_;
  position_ = pair.position;
  state::VdiffStore(target()).set_position(vdiff_, position_);
  log::info("snapshots of both sides at {}; the stream stood still for {:.1f} ms", position_, static_cast<double>(pair.held.count()) / 1000);
  failpoint(Fp::vdiff_paired);
  return pair;
}

// --- tables with a key ------------------------------------------------------------------------------------------------

// Too many suspects need not be too many differences: one large transaction between the source's views makes as many. So a table is left where
// it is once or twice, what is recorded of it is settled, and it goes on from another pair, before it is cut.
bool VdiffRun::settled(const vdiff::Settled& part) {
  state::VdiffTableRow& table = row(part.table);
  std::uint64_t& total = suspected_[table.id];
  const bool is_cut = total + part.suspects.size() > tuning_.differences_max;
  if (is_cut && postponed_[table.id]++ < kPostponedMax) {
    has_postponed_ = true;
    return false;
  }
  table.source_rows += part.source_rows;
  table.target_rows += part.target_rows;
  table.done_upto = part.upto ? vdiff::to_text(*part.upto) : "";
  table.compare_ms = static_cast<std::uint64_t>(since(table_began_[part.table]).count());
  if (!part.upto) table.state = "compared";
  std::vector<state::VdiffDifferenceRow> suspected;
  for (const auto& suspect : part.suspects) {
    suspected.push_back({.state = "suspected", .kind = std::string(to_string(suspect.kind)), .row_key = vdiff::to_text(suspect.key), .detail = describe_suspect(suspect, names_)});
  }
  if (is_cut) {
    suspected.resize(static_cast<std::size_t>(tuning_.differences_max - std::min(total, tuning_.differences_max)));
    table.state = "cut";
    table.why = fmt::format("{} rows may differ, --limit-differences is {}", total + part.suspects.size(), tuning_.differences_max);
  }
  total += suspected.size();
  state::VdiffStore(target()).advance(table, suspected);
  return !is_cut;
}

bool VdiffRun::is_keyed_pending() const {
  return std::any_of(tables_.begin(), tables_.end(), [](const VdiffTarget& table) { return table.row.state == "pending" && !table.plan.key.empty(); });
}

void VdiffRun::compare_keyed() {
  Clock::time_point opened;
  vdiff::DifferHooks hooks;
  hooks.before_chunk = [&] { throttle_.wait(stop_); };
  hooks.is_pair_over = [&] { return Clock::now() - opened > tuning_.snapshot_age_max || throttle_.is_history_too_long(); };
  hooks.on_settled = [&](const vdiff::Settled& part) { return settled(part); };
  hooks.on_compared = [&](std::size_t, const vdiff::RangeResult& result) {
    counts_.rows += result.source_rows;
    counts_.streamed += result.streamed_rows;
    counts_.suspected += result.suspects.size();
  };
  while (is_keyed_pending()) {
    std::vector<vdiff::TableWork> work;
    for (const auto& table : tables_) {
      work.push_back({.plan = table.plan,
                      .done_upto = table.row.done_upto.empty() ? std::nullopt : std::optional(vdiff::bound_from_text(table.row.done_upto)),
                      .is_done = table.row.state != "pending" || table.plan.key.empty()});
    }
    SnapshotPair pair = open_pair(tuning_.lanes, {});
    opened = pair.opened();
    const VdiffProgress progress(definition_.name, counts_, throttle_, state_);
    std::vector<vdiff::Sessions> lanes;
    for (std::size_t i = 0; i < pair.lanes(); ++i) lanes.push_back(pair.lane(i));
    vdiff::Differ(work, tuning_.limits, hooks, stop_).compare(lanes);
    if (!std::exchange(has_postponed_, false)) continue;
    pair = {};  // its views need not live meanwhile
    recheck_->settle(vdiff_, Recheck::Confirmed::left);
    count_suspected();
  }
}

// --- tables without a key ---------------------------------------------------------------------------------------------

void VdiffRun::compare_keyless_tables() {
  for (auto& table : tables_) {
    if (table.plan.key.empty() && table.row.state == "pending") compare_keyless_table(table);
  }
}

// Rows without a name cannot be looked at again one by one: both sides are read at one exact instant instead. Where
// db/snapshot finds none, the table is locked for the milliseconds in which the view begins.
void VdiffRun::compare_keyless_table(VdiffTarget& table) {
  const auto began = Clock::now();
  SnapshotPair pair = open_pair(1, {vdiff::table_name(table.plan, db::Side::source)});
  const auto on_block = [&] {
    stop_.throw_if_requested();
    throttle_.wait(stop_);
  };
  const vdiff::KeylessResult result = vdiff::compare_keyless(pair.lane(0), table.plan, {.rows_per_pass = kKeylessRowsPerPass, .samples_max = kSamplesMax}, on_block);
  table.row.source_rows = result.source_rows;
  table.row.target_rows = result.target_rows;
  table.row.state = "compared";
  table.row.compare_ms = static_cast<std::uint64_t>(since(began).count());
  state::VdiffStore(target()).advance(table.row, keyless_differences(table.plan, result, names_));
  counts_.rows += result.source_rows;
}

// --- the end ----------------------------------------------------------------------------------------------------------

// A comparison that goes on knows of differences from before: they may be gone, and what was rewritten may not have been looked at.
void VdiffRun::settle_and_repair() {
  const bool is_continued = was_resumed_ || is_begun_anew_;
  recheck_->settle(vdiff_, is_continued ? Recheck::Confirmed::looked_at_again : Recheck::Confirmed::left);
  if (!tuning_.does_repair) return recheck_->verify_repaired(vdiff_);
  constexpr unsigned kRounds = 3;  // rows may be locked, or stand in each other's way by a unique key
  for (unsigned round = 0; round < kRounds; ++round) {
    const bool is_all = recheck_->repair(vdiff_, [&](const VdiffTarget& table, const Recheck::Batch& batch) {
      std::string text = sql::quote_table(table.plan.target_schema, table.plan.target_table);
      for (const auto& difference : batch) text += fmt::format("\n{}: {}", difference.kind, difference.detail);
      const auto step = state_.start_step(definition_.name, "vdiff", "repair");
      state_.end_step(step, "started", text);
    });
    recheck_->verify_repaired(vdiff_);
    if (is_all) return;
  }
}

VdiffReport VdiffRun::report() {
  VdiffReport report{.position = position_, .shards = names_, .tables = {}, .pairs = pairs_, .held_max = held_max_, .writes_held = writes_held_, .duration = since(began_), .only_keys = tuning_.only_keys, .was_resumed = was_resumed_};
  state::VdiffStore store(target());
  const auto counted = store.tables(vdiff_);  // what was settled has changed the numbers of rows
  for (auto& table : tables_) {
    for (const auto& row : counted) {
      if (row.id == table.row.id) table.row = row;
    }
  }
  report.tables = report_tables(store, vdiff_, tables_);
  report.verdict = verdict_on(report.tables);
  return report;
}

void VdiffRun::record_verdict(const VdiffReport& report) {
  constexpr const char* kStates[] = {"equal", "different", "partial"};
  const char* state = kStates[static_cast<int>(report.verdict)];
  state::VdiffStore store(target());
  store.end(vdiff_, state);
  state_.add_event(definition_.name, report.verdict == Verdict::identical ? "info" : "warning", "vdiff_ended", fmt::format("{} at {}", state, report.position));
  const auto stored = store.newest(definition_.name);
  state_.set_progress(definition_.name,
                      "vdiff",
                      nlohmann::json{{"verdict", state}, {"position", report.position}, {"tables", report.tables.size()}, {"rows", counts_.rows.load()}, {"ended", stored ? stored->ended : ""}}.dump());
}

// --- attempts ---------------------------------------------------------------------------------------------------------

void VdiffRun::connect() {
  sources_ = workflow::connect(shards_, db::Side::source);
  targets_ = workflow::connect(shards_, db::Side::target);
}

std::uint64_t VdiffRun::settled_so_far() const {
  std::uint64_t total = 0;
  for (const auto& table : tables_) total += table.row.source_rows + table.row.target_rows + (table.row.state == "pending" ? 0U : 1U);
  return total;
}

VdiffReport VdiffRun::attempt() {
  require_turn();
  find_streams();
  lock_out_others();
  for (auto& server : targets_) state::Sidecar(server).create();  // one of an earlier version is brought up to date
  for (std::size_t i = 0; i < shards_.size(); ++i) require_same_server(shards_[i].stream, sources_[server_of(shards_, i, db::Side::source)].server());
  VdiffSelection selection(shards_, tuning_, sources_, targets_, layout_);
  selection.require_any();  // before anything is recorded: what the last comparison found is not forgotten for one that cannot be
  begin();
  plan_tables(selection);
  if (tuning_.does_resume && !is_begun_anew_) selection.leave_out_unchanged(vdiff_, tables_);
  for (auto& shard : shards_) shard.hold = std::make_unique<StreamHold>(shard.definition, tuning_.apply, state_, shard.stream, stop_);
  recheck_ = std::make_unique<Recheck>(shards_, tables_, sources_, target(), held_max_, stop_);

  const copy::Sampler sampler(throttle_, {.source = scanned_endpoint(definition_, tuning_, db::Side::source), .target = scanned_endpoint(definition_, tuning_, db::Side::target), .replica = std::nullopt});
  compare_keyed();
  compare_keyless_tables();
  settle_and_repair();
  VdiffReport result = report();
  record_verdict(result);
  return result;
}

VdiffReport VdiffRun::run() {
  std::uint64_t settled_before = 0;
  for (unsigned failures = 0;;) {
    try {
      if (is_begun_anew_) connect();
      return attempt();
    } catch (const Error& error) {
      stop_.throw_if_requested();
      const bool is_passing = error.is_retryable() || error.code() == Code::interrupted;  // a KILL on a server
      const bool is_begun = vdiff_ != 0 || is_waiting_;
      if (!is_passing || !is_begun) throw;
      failures = settled_so_far() > settled_before ? 1 : failures + 1;
      settled_before = std::max(settled_before, settled_so_far());
      if (failures >= tuning_.attempts_max) {
        throw Error(Code::retries_used_up,
                    {.object = error.object(),
                     .cause = fmt::format("{} attempts failed, the last with {}", failures, error.what()),
                     .remedy = "mend the cause, then run the same command again: it goes on where it stopped"});
      }
      log::warning("the comparison goes on from what is recorded (attempt {} of {}): {}", failures + 1, tuning_.attempts_max, error.what());
    }
    is_begun_anew_ = true;
    const auto pause = std::min(milliseconds(100) * (1U << std::min(failures, 7U)), milliseconds(10'000));
    if (!stop_.sleep_for(pause)) stop_.throw_if_requested();
  }
}

// Where the target serves, the comparison reads it as the source of the stream.
VdiffTuning in_direction(const VdiffTuning& tuning, Direction direction) {
  VdiffTuning result = tuning;
  if (direction == Direction::reverse) std::swap(result.source_replica, result.target_replica);
  return result;
}

// One address cannot stand for several servers.
void refuse_replica_of_shards(const Definition& definition, const VdiffTuning& tuning) {
  if (!is_sharded(definition) || tuning.target_replica.empty()) return;
  throw Error(Code::bad_usage, {.object = "--target-replica", .cause = "the target is shards", .remedy = "leave it out: the scans run on the shards"});
}

// In the report source and target are the migration's, whichever serves: what one lacks, the other has too much.
void name_sides_as_recorded(VdiffReport& report) {
  for (auto& table : report.tables) {
    std::swap(table.source, table.target);
    std::swap(table.source_rows, table.target_rows);
    std::swap(table.missing, table.extra);
    for (auto& sample : table.samples) {
      if (sample.kind == "missing" || sample.kind == "extra") sample.kind = sample.kind == "missing" ? "extra" : "missing";
      for (auto& value : sample.values) std::swap(value.source, value.target);
    }
  }
}

}  // namespace

std::string vdiff_lock(std::uint64_t stream) { return fmt::format("godwit_vdiff_{}", stream); }

VdiffReport run_vdiff(const Definition& definition, const VdiffTuning& tuning, state::StateFile& state, const Stop& stop) {
  refuse_replica_of_shards(definition, tuning);
  const Definition first = shard_definitions(definition)[0];
  StreamTurn turn(first, stop);
  const auto now = turn.await();
  if (!now) stop.throw_if_requested();
  const VdiffTuning as_seen = in_direction(tuning, now->direction);
  VdiffReport report = VdiffRun(definition, now->direction, as_seen, state, stop).run();
  report.serving = serving_side(now->direction);
  if (now->direction == Direction::reverse) name_sides_as_recorded(report);
  return report;
}

}  // namespace godwit::workflow
