#include "godwit/workflow/replicate.h"

#include <fmt/format.h>

#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "stream_run.h"
#include "stream_turn.h"

namespace godwit::workflow {
namespace {

using Clock = std::chrono::steady_clock;

// One direction after the other, as the authority says, each from its own claim to the switch that takes it away.
class ReplicateRun {
 public:
  ReplicateRun(const Definition& definition, const ReplicateTuning& tuning, state::StateFile& state, const Stop& stop)
      : definition_(definition), tuning_(tuning), state_(state), stop_(stop), throttle_(tuning.throttle), turn_(definition, stop) {}

  ReplicateReport run();

 private:
  StreamRun::End run_turn();
  StreamRun::End attempt(StreamRun& stream, const StreamTurn::Turn& turn);

  const Definition& definition_;
  const ReplicateTuning& tuning_;
  state::StateFile& state_;
  const Stop& stop_;
  copy::Throttle throttle_;
  StreamTurn turn_;
  ReplicateReport report_;
  bool has_begun_ = false;
};

// What fails before anything was followed is told at once; later, servers that come back are waited for, as the stream itself does.
StreamRun::End ReplicateRun::attempt(StreamRun& stream, const StreamTurn::Turn& turn) {
  try {
    return stream.run(turn);
  } catch (const Error& error) {
    if (error.code() == Code::stream_fenced && turn.is_routed && turn_.is_by_switch(turn.direction)) return StreamRun::End::out_of_turn;
    if (!has_begun_ || !error.is_retryable()) throw;
    log::warning("the stream is taken up again in 1 s: {}", error.what());
  }
  return stop_.sleep_for(std::chrono::seconds(1)) ? StreamRun::End::out_of_turn : StreamRun::End::stopped;
}

StreamRun::End ReplicateRun::run_turn() {
  const auto turn = turn_.await();
  if (!turn) {
    report_.was_stopped = true;
    return StreamRun::End::stopped;
  }
  if (turn->is_completed) {
    log::info("the migration is completed");
    return StreamRun::End::reached;
  }
  if (has_begun_) log::info("following the {} from now on", turn->direction == Direction::forward ? "source" : "target");
  StreamRun stream(definition_, turn_, tuning_, state_, throttle_, stop_);
  const auto end = attempt(stream, *turn);
  has_begun_ = has_begun_ || stream.has_begun();
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
