// `replicate` in one direction: claims its stream, follows it, and gives it back when its goal is reached, a stop is requested, or a switch takes it away.
// Runs in the caller's thread and threads of its own, which have ended when it returns.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "godwit/apply/binding.h"
#include "godwit/workflow/replicate.h"
#include "stream_turn.h"

namespace godwit::workflow {

class StreamRun {
 public:
  // definition: the forward one. throttle: for both directions, one after the other. All live longer.
  StreamRun(const Definition& definition, StreamTurn& turn, const ReplicateTuning& tuning, state::StateFile& state, copy::Throttle& throttle, const Stop& stop)
      : recorded_(definition), turn_(turn), tuning_(tuning), state_(state), throttle_(throttle), stop_(stop) {}

  enum class End { reached, stopped, out_of_turn };
  // Throws as run_replicate() does.
  End run(const StreamTurn::Turn& turn);
  bool has_begun() const { return has_begun_; }  // a stream was claimed: what fails now and passes by itself is tried again
  // At the end: position, and how much was applied in this direction. Adds to what the report has.
  void add_to(ReplicateReport& report, End end);

 private:
  bool follows_moved_source() const;
  void claim();
  void move_source(state::Sidecar& sidecar, const state::StreamRow& row);
  void require_history(const state::StreamRow& row, Code code);
  void require_alone();
  bool settle_objects();
  std::optional<gtid::Set> goal();
  std::optional<std::vector<apply::TableBinding>> bind();
  End follow_to_its_end(const std::optional<gtid::Set>& until);
  apply::ApplyEnd follow(const std::optional<gtid::Set>& until);
  void record_error(const Error& error);
  std::string position_at_end(bool was_stopped);
  db::Endpoint impatient(db::Endpoint endpoint) const;

  const Definition& recorded_;
  StreamTurn& turn_;
  const ReplicateTuning& tuning_;
  state::StateFile& state_;
  copy::Throttle& throttle_;
  const Stop& stop_;
  Definition definition_;  // as the direction sees it
  std::unique_ptr<db::Connection> source_;
  std::unique_ptr<db::Connection> target_;
  state::StreamRow stream_;
  apply::ApplyProgress progress_;
  bool has_begun_ = false;
};

}  // namespace godwit::workflow
