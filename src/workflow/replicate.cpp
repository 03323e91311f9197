#include "godwit/workflow/replicate.h"

#include <fmt/format.h>

#include "godwit/fence/reconciler.h"
#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/workflow/shards.h"
#include "preparation.h"
#include "stream_run.h"
#include "stream_turn.h"

namespace godwit::workflow {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kEndPatience{3};        // of a stream that was taken away: until it is another process that has taken it
constexpr std::chrono::milliseconds kEndLook{50};

// One direction after the other, as the authority says, each from its own claim to the switch that takes it away.
class ReplicateRun {
 public:
  ReplicateRun(const Definition& definition, const ReplicateTuning& tuning, state::StateFile& state, const Stop& stop)
      : definition_(definition), tuning_(tuning), state_(state), stop_(stop), throttle_(tuning.throttle), turn_(definition, stop) {}

  ReplicateReport run();

 private:
  void start_reconciler();
  StreamRun::End run_turn();
  StreamRun::End attempt(StreamRun& stream, const StreamTurn::Turn& turn);
  bool comes_to_its_end();

  const Definition& definition_;
  ReplicateTuning tuning_;
  state::StateFile& state_;
  const Stop& stop_;
  copy::Throttle throttle_;
  StreamTurn turn_;
  std::unique_ptr<fence::Reconciler> reconciler_;
  ReplicateReport report_;
  bool has_begun_ = false;
};

// What fails before anything was followed is told at once; later, servers that come back are waited for, as the stream itself does.
StreamRun::End ReplicateRun::attempt(StreamRun& stream, const StreamTurn::Turn& turn) {
  try {
    return stream.run(turn);
  } catch (const Error& error) {
    if (error.code() == Code::stream_fenced && turn.is_routed && turn_.is_by_switch(turn.direction)) return StreamRun::End::out_of_turn;
    // `complete` and `cancel` end the streams first: whoever looks in between has been fenced out by them, and finds nothing a moment later. Or it has met what they took away.
    const bool is_taken = error.code() == Code::stream_fenced || error.code() == Code::stream_not_ready;
    const bool may_be_ended = is_taken && (turn.is_routed || stream.has_begun());
    if (may_be_ended ? comes_to_its_end() : turn_.has_ended()) return StreamRun::End::out_of_turn;
    if (!has_begun_ || !error.is_retryable()) throw;
    log::warning("the stream is taken up again in 1 s: {}", error.what());
  }
  return stop_.sleep_for(std::chrono::seconds(1)) ? StreamRun::End::out_of_turn : StreamRun::End::stopped;
}

bool ReplicateRun::comes_to_its_end() {
  const auto deadline = Clock::now() + kEndPatience;
  while (!turn_.has_ended()) {
    if (Clock::now() >= deadline) return false;
    if (!stop_.sleep_for(kEndLook)) return true;  // whoever took it away, it ends by request
  }
  return true;
}

// Whoever died: as long as a replicate runs, the side that does not serve is fenced and the one that serves is not (R5).
void ReplicateRun::start_reconciler() {
  if (reconciler_) return;
  fence::ReconcilerOptions options;
  options.workflow = definition_.name;
  options.source = source_endpoint(definition_);
  options.target = authority_endpoint(definition_);
  try {
    const Definition first = shard_definitions(definition_).front();
    db::Connection target = db::Connection::open(target_endpoint(first));
    const auto stream = state::Sidecar::exists(target) ? state::Sidecar(target).find(stream_key(first)) : std::nullopt;
    if (!stream) return;
    for (const auto& table : state::Sidecar(target).tables(stream->id)) {
      options.source_tables.push_back({.schema = table.source_schema, .name = table.source_table});
      options.target_tables.push_back({.schema = table.target_schema, .name = table.target_table});
    }
  } catch (const Error& error) {
    log::debug("the fences are not looked after yet: {}", error.what());  // whoever needs the target next says it louder
    return;
  }
  for (const auto& server : other_servers(definition_)) options.others.push_back({.server = server, .tables = options.target_tables});
  options.on_window = [this](const fence::Window& window) {
    state_.add_event(definition_.name, "warning", window.is_closed ? "fence_closed_again" : "fence_found_open", db::to_string(window.side));
  };
  reconciler_ = std::make_unique<fence::Reconciler>(std::move(options));
}

StreamRun::End ReplicateRun::run_turn() {
  start_reconciler();
  const auto turn = turn_.await();
  if (!turn) {
    report_.was_stopped = true;
    return StreamRun::End::stopped;
  }
  if (!turn->over.empty()) {
    log::info("{}", turn->over);
    return StreamRun::End::reached;
  }
  if (has_begun_) log::info("following the {} from now on", turn->direction == Direction::forward ? "source" : "target");
  StreamRun stream(definition_, turn_, tuning_, state_, throttle_, stop_);
  const auto end = attempt(stream, *turn);
  has_begun_ = has_begun_ || stream.has_begun();
  // It was said of the stream that began, which has recorded its source by now. A later turn may lead back, and would refuse it.
  if (has_begun_) tuning_.is_source_moved = false;
  if (stream.has_begun()) stream.add_to(report_, end);
  return end;
}

ReplicateReport ReplicateRun::run() {
  const auto began = Clock::now();
  while (run_turn() == StreamRun::End::out_of_turn) {
  }
  report_.duration = since(began);
  state_.add_event(definition_.name, "info", "replicate_ended", report_.position);
  return report_;
}

}  // namespace

ReplicateReport run_replicate(const Definition& definition, const ReplicateTuning& tuning, state::StateFile& state, const Stop& stop) {
  return ReplicateRun(definition, tuning, state, stop).run();
}

}  // namespace godwit::workflow
