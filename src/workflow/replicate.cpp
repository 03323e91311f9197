#include "godwit/workflow/replicate.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "bindings.h"
#include "godwit/db/snapshot.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "heartbeat.h"
#include "sidecar_checkpoint.h"
#include "stream_watch.h"

namespace godwit::workflow {
namespace {

using Clock = std::chrono::steady_clock;

class ReplicateRun {
 public:
  ReplicateRun(const Definition& definition, const ReplicateTuning& tuning, state::StateFile& state, const Stop& stop)
      : definition_(definition), tuning_(tuning), state_(state), stop_(stop), throttle_(tuning.throttle) {}

  ReplicateReport run();

 private:
  void claim();
  void move_source(state::Sidecar& sidecar, const state::StreamRow& row);
  std::optional<gtid::Set> goal();
  apply::ApplyEnd follow(const std::optional<gtid::Set>& until);
  void record_error(const Error& error);

  const Definition& definition_;
  const ReplicateTuning& tuning_;
  state::StateFile& state_;
  const Stop& stop_;
  copy::Throttle throttle_;
  std::unique_ptr<db::Connection> source_;
  std::unique_ptr<db::Connection> target_;
  state::StreamRow stream_;
  apply::ApplyProgress progress_;
};

void refuse_unready(const Definition& definition, const std::optional<state::StreamRow>& row) {
  const bool is_ready = row && (row->state == "copied" || row->state == "running") && row->position;
  if (is_ready) return;
  throw Error(Code::stream_not_ready,
              {.object = fmt::format("workflow {}", definition.name),
               .cause = row ? fmt::format("its copy is not finished (the stream is {})", row->state) : "the target knows no such workflow",
               .remedy = fmt::format("godwit copy {}: the same command goes on where it stopped", definition.name)});
}

// After a fail-over: the new server must know every transaction that the stream has behind it, or changes would be missed.
void ReplicateRun::move_source(state::Sidecar& sidecar, const state::StreamRow& row) {
  const db::Server& server = source_->server();
  if (server.identity == row.source_identity) return;
  if (!tuning_.is_source_moved) require_same_server(row, server);
  const gtid::Flavour flavour = row.position->flavour;
  if (server.flavour != flavour) require_same_server(row, server);
  const gtid::Set known = gtid::Set::parse(db::end_of_binlog(*source_));
  const gtid::Set behind = gtid::Set::parse(*row.position);
  if (!known.contains(behind)) {
    throw Error(Code::source_behind,
                {.object = db::describe(source_->endpoint()),
                 .cause = fmt::format("it has {}, the stream has applied {}", known.to_string(), behind.to_string()),
                 .remedy = "let it catch up, or name the server that has them; a server that lost them cannot be followed: godwit cancel, and copy again"});
  }
  sidecar.move_source(row.id, server.identity, server.version_text);
  state_.add_event(definition_.name, "info", "source_moved", fmt::format("{} to {}", row.source_identity, server.identity));
  log::info("the stream follows {} from now on", db::describe(source_->endpoint()));
}

void ReplicateRun::claim() {
  state::Sidecar sidecar(*target_);
  const state::StreamKey key{.workflow = definition_.name};
  const auto row = state::Sidecar::exists(*target_) ? sidecar.find(key) : std::nullopt;
  refuse_unready(definition_, row);
  move_source(sidecar, *row);
  const db::Server& server = source_->server();
  // From here on any other godwit on this stream is fenced out (I3).
  stream_ = sidecar.claim(key, gtid::to_string(server.flavour), server.identity, server.version_text);
  sidecar.set_state(stream_.id, stream_.epoch, "running");
  if (tuning_.is_source_moved) state_.move_source(definition_.name, db::to_string(definition_.source));
  state_.record_workflow(definition_.name, to_options(definition_));
  state_.set_phase(definition_.name, "replicating");
  state_.add_event(definition_.name, "info", "replicate_started", stream_.position->text);
}

std::optional<gtid::Set> ReplicateRun::goal() {
  if (tuning_.until_current) return gtid::Set::parse(db::end_of_binlog(*source_));
  if (tuning_.until.empty()) return std::nullopt;
  return gtid::Set::parse(source_->server().flavour, tuning_.until);
}

apply::ApplyEnd ReplicateRun::follow(const std::optional<gtid::Set>& until) {
  db::Connection source = db::Connection::open(source_endpoint(definition_));
  db::Connection target = db::Connection::open(target_endpoint(definition_));
  const Preparation prepared = prepare(definition_, source, target);
  const auto bindings = bind_tables(prepared, source, target, stream_.id, Definitions::present);
  SidecarCheckpoint checkpoint(source.server().flavour, stream_.id, stream_.epoch);
  apply::ApplyOptions options = tuning_.apply;
  options.takes_new_tables = definition_.tables.empty();
  apply::Applier applier(source_endpoint(definition_), target_endpoint(definition_), bindings, options, checkpoint, progress_, stop_);
  applier.on_connected = [&](const db::Server& server) {
    state::StreamRow expected = stream_;
    expected.source_identity = source.server().identity;
    require_same_server(expected, server);
  };
  applier.on_window = [&] {
    if (throttle_.reason()) throttle_.wait(stop_);
  };
  return applier.run(until);
}

void ReplicateRun::record_error(const Error& error) {
  state_.add_event(definition_.name, "error", "replicate_stopped", error.what());
  if (error.code() == Code::stream_fenced) return;  // the row is another's now
  try {
    db::Connection target = db::Connection::open(target_endpoint(definition_));
    state::Sidecar(target).set_error(stream_.id, stream_.epoch, error.what());
  } catch (const Error& second) {
    log::debug("the error is not recorded on the target: {}", second.what());  // it is in the state file and on the way up
  }
}

ReplicateReport ReplicateRun::run() {
  const auto began = Clock::now();
  source_ = std::make_unique<db::Connection>(db::Connection::open(source_endpoint(definition_)));
  target_ = std::make_unique<db::Connection>(db::Connection::open(target_endpoint(definition_)));
  claim();
  const auto until = goal();
  std::unique_ptr<Heartbeat> heartbeat;
  if (tuning_.writes_heartbeat) heartbeat = std::make_unique<Heartbeat>(source_endpoint(definition_), tuning_.heartbeat_interval);

  Stop sampling_ended;
  std::thread sampler([&] { throttle_.run(source_endpoint(definition_), target_endpoint(definition_), nullptr, sampling_ended); });
  struct JoinSampler {
    Stop& ended;
    std::thread& thread;
    ~JoinSampler() {
      ended.request();
      thread.join();
    }
  } join_sampler{sampling_ended, sampler};

  ReplicateReport report;
  try {
    StreamWatch watch({.workflow = definition_.name, .source = source_endpoint(definition_), .metrics_address = tuning_.metrics_address}, progress_, throttle_, state_);
    apply::ApplyEnd end;
    while ((end = follow(until)) == apply::ApplyEnd::definitions_changed) log::info("the tables' definitions are read again");
    report.was_stopped = end == apply::ApplyEnd::stopped;
  } catch (const Error& error) {
    record_error(error);
    throw;
  }
  target_ = std::make_unique<db::Connection>(db::Connection::open(target_endpoint(definition_)));
  report.position = state::Sidecar(*target_).find(stream_.key)->position->text;
  report.transactions = progress_.transactions;
  report.rows = progress_.rows;
  report.duration = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
  state_.add_event(definition_.name, "info", "replicate_ended", report.position);
  return report;
}

}  // namespace

ReplicateReport run_replicate(const Definition& definition, const ReplicateTuning& tuning, state::StateFile& state, const Stop& stop) {
  return ReplicateRun(definition, tuning, state, stop).run();
}

}  // namespace godwit::workflow
