// `replicate` in one direction: claims its stream (with shards: the streams of all of them, or none), follows it, and gives it back when its goal is reached, a stop is requested, or a switch takes it away.
// Runs in the caller's thread and threads of its own, which have ended when it returns.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "godwit/apply/binding.h"
#include "bindings.h"
#include "godwit/workflow/replicate.h"
#include "godwit/workflow/shards.h"
#include "heartbeat.h"
#include "parked_watch.h"
#include "stream_watch.h"
#include "stream_turn.h"

namespace godwit::workflow {

class StreamRun {
 public:
  // definition: the forward one. throttle: for both directions, one after the other. All live longer.
  StreamRun(const Definition& definition, StreamTurn& turn, const ReplicateTuning& tuning, state::StateFile& state, copy::Throttle& throttle, const Stop& stop)
      : recorded_(definition), shards_(shard_definitions(definition)), turn_(turn), tuning_(tuning), state_(state), throttle_(throttle), stop_(stop) {
    if (is_sharded(definition)) layout_ = layout_of(definition);
  }

  enum class End { reached, stopped, out_of_turn };
  // Throws as run_replicate() does.
  End run(const StreamTurn::Turn& turn);
  bool has_begun() const { return has_begun_; }  // a stream was claimed: what fails now and passes by itself is tried again
  // At the end: position, and how much was applied in this direction. Adds to what the report has.
  void add_to(ReplicateReport& report, End end);

 private:
  using Goal = std::optional<gtid::Set>;
  // One of the direction's streams: the only one, or that of a shard.
  struct Stream {
    Definition definition;  // as the direction sees it
    std::unique_ptr<db::Connection> source;  // until it is followed
    std::unique_ptr<db::Connection> target;
    state::StreamRow row;
    apply::ApplyProgress progress;
  };

  bool follows_moved_source() const;
  bool is_forward() const { return streams_.front()->definition.direction == Direction::forward; }
  void begin(Direction direction);
  void claim();
  void claim(Stream& stream);
  void move_source(const Stream& stream, state::Sidecar& sidecar);
  void require_history(const Stream& stream, Code code);
  void require_alone(const Stream& stream);
  bool settle_objects();
  Goal goal(const Stream& stream);
  std::optional<RoutedBindings> bind(const Stream& stream, const Stop& stop, std::optional<catalog::Catalog>& known);
  End follow_all(const std::vector<Goal>& goals);
  apply::ApplyEnd follow_forward(const std::vector<Goal>& goals);
  apply::ApplyEnd follow_alone(Stream& stream, const Goal& goal, const Stop& stop);
  apply::ApplyOptions options() const;
  std::vector<ParkedWatch::Other> others(const Stream& stream) const;
  std::vector<std::unique_ptr<Heartbeat>> heartbeats() const;
  copy::SampledServers sampled() const;
  std::vector<WatchedStream> watched() const;
  void record_error(const Error& error);
  std::string position_at_end(const Stream& stream, bool was_stopped);
  db::Endpoint impatient(db::Endpoint endpoint) const;

  const Definition& recorded_;
  const std::vector<Definition> shards_;  // or the only one; forward
  StreamTurn& turn_;
  const ReplicateTuning& tuning_;
  state::StateFile& state_;
  copy::Throttle& throttle_;
  const Stop& stop_;
  std::optional<shard::Layout> layout_;
  std::vector<std::unique_ptr<Stream>> streams_;
  bool has_begun_ = false;
};

}  // namespace godwit::workflow
