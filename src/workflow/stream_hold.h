// Makes a stream stand still for a moment, at a position, so that snapshots of its target can be taken there. Where a replicate runs, it is asked
// through the sidecar; where none does, the stream stands anyway, and is moved forward by an applier of this process. One thread.
#pragma once

#include <chrono>
#include <memory>

#include "godwit/state/sidecar.h"
#include "godwit/state/vdiff_store.h"
#include "godwit/workflow/vdiff.h"

namespace godwit::workflow {

class StreamHold {
 public:
  // Both live longer.
  StreamHold(const Definition& definition, const apply::ApplyOptions& apply, state::StateFile& state, const state::StreamRow& stream, const Stop& stop);

  // Until the target has all of it; the stream is not held.
  void reach(const gtid::Position& position);

  // While one lives the stream stands still, or is on its way from one standing to the next.
  class Standing {
   public:
    explicit Standing(StreamHold& hold);  // where it is
    ~Standing();
    Standing(const Standing&) = delete;
    void advance(const gtid::Position& goal);
    // Locks the note that it stands until the transaction of this session ends: nothing is applied before that. Throws Error(hold_lost).
    void lock(db::Connection& target);
    // It stood still until now, or Error(hold_lost). Gives for how long, the way to the goal included.
    std::chrono::microseconds release();

   private:
    void wait();
    void forget();
    StreamHold& hold_;
    bool is_followed_ = false;
    bool is_released_ = false;
    std::uint64_t number_ = 0;
    std::uint64_t epoch_ = 0;  // where nobody follows: whoever begins to raises it
    std::chrono::steady_clock::time_point began_;
  };

 private:
  bool is_followed();
  void apply(const gtid::Position& goal);
  state::StreamRow row();

  const Definition& definition_;
  const apply::ApplyOptions options_;
  state::StateFile& state_;
  state::StreamRow stream_;
  const Stop& stop_;
  db::Connection control_;
  bool is_claimed_ = false;
  apply::ApplyProgress progress_;
};

}  // namespace godwit::workflow
