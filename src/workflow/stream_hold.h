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
    // Where it stands.
    const gtid::Position& position() const { return position_; }
    // Throws Error(hold_lost) when it stands beyond the goal already. In two steps for those who hold several streams of one reader: one that stands
    // still takes nothing from it, and none of the others comes on for long. All are asked before one is waited for.
    void begin_advance(const gtid::Position& goal);
    void end_advance();
    void advance(const gtid::Position& goal) {
      begin_advance(goal);
      end_advance();
    }
    // Locks the note that it stands until the transaction of this session ends: nothing is applied before that. Throws Error(hold_lost).
    void lock(db::Connection& target);
    // It stood still until now, or Error(hold_lost). Gives for how long: on the way to the goal it works as ever.
    std::chrono::microseconds release();

   private:
    void ask(const std::optional<std::string>& goal);
    void await();
    void forget();
    StreamHold& hold_;
    bool is_followed_ = false;
    bool is_released_ = false;
    std::uint64_t number_ = 0;
    std::uint64_t epoch_ = 0;  // where nobody follows: whoever begins to raises it
    gtid::Position position_;
    gtid::Position goal_;
    std::chrono::steady_clock::time_point asked_;
    std::chrono::steady_clock::time_point began_;  // to stand, last
    std::chrono::steady_clock::duration stood_{0};  // before that
  };

 private:
  bool is_followed();
  bool is_own();
  void apply(const gtid::Position& goal);
  state::StreamRow row();

  const Definition& definition_;
  const apply::ApplyOptions options_;
  state::StateFile& state_;
  state::StreamRow stream_;
  const Stop& stop_;
  db::Connection control_;
  bool is_claimed_ = false;
  std::uint64_t known_epoch_;  // of the last time that nobody followed
  apply::ApplyProgress progress_;
};

}  // namespace godwit::workflow
