// Whose turn it is: which direction the authority lets run, and whether its stream may be followed now. One thread.
//
//   authority says d, its stream is frozen    a switch is at work: look again
//   … and no switch is under way             the hold that froze it is over, and its coordinator is gone: the stream is let go of here
//   authority says d, its stream is not       d runs; whoever begins it looks again after the claim (confirm), since what was read may have been of before
//                                             a switch: one that begins after the claim must freeze the stream first, which fences the claim out
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "godwit/state/authority.h"
#include "godwit/util/error.h"
#include "godwit/util/stop.h"
#include "godwit/workflow/copy.h"

namespace godwit::workflow {

class StreamTurn {
 public:
  // definition: the forward one; lives longer.
  StreamTurn(const Definition& definition, const Stop& stop);

  struct Turn {
    Direction direction = Direction::forward;
    bool is_routed = false;  // the authority has a row: a switch has been prepared, at least
    bool is_frozen = false;  // not now
    std::string over;        // never again: why the migration has ended
  };
  // As it is now.
  Turn look();
  // Waits for a turn that is not frozen; nothing when a stop is requested. Servers that cannot be reached are waited for, except at the first look of all.
  std::optional<Turn> await();
  // After the claim of a stream: whether it still is this direction's turn.
  bool confirms(Direction direction);
  // A stream was taken from whoever followed it. By a switch, or by another process of its own kind?
  bool is_by_switch(Direction direction);
  // The migration is completed, or cancelled, or nothing of it is left.
  bool has_ended();

 private:
  struct Seen {
    std::optional<state::Route> route;
    std::vector<std::optional<state::StreamRow>> streams;  // one per shard, or one
    bool has_state(std::string_view state) const;
    bool is_empty() const;
  };
  Seen see(Direction direction);
  std::string why_over(const Seen& seen) const;
  void let_go();
  void forget_sessions();
  db::Connection& session(db::Side side, std::size_t shard = 0);

  const Definition& definition_;
  const std::vector<Definition> shards_;  // whose streams run, and are frozen, together: what is one for all of them stands on the first
  const Stop& stop_;
  std::unique_ptr<db::Connection> source_;
  std::vector<std::unique_ptr<db::Connection>> targets_;
  bool has_looked_ = false;
  bool was_routed_ = false;  // the authority has had a row
  bool was_there_ = false;   // there has been a stream that nobody was cancelling
};

}  // namespace godwit::workflow
