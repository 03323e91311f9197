// What a switch does with the streams: it waits until the one that runs holds the final position, takes it out of everybody's hands, and makes the one
// that leads back. Each step may be repeated by another process, wherever the first was killed; a process that was asleep changes nothing once its hold is
// over: why, is argued at require_hold(). One thread.
//
// The order that matters (docs/replicate.md): the serving side is fenced, its end is read, the stream reaches it, the stream is frozen. From then on
// nothing is written to the passive side, so that its end of binlog, read after that, is where the way back begins: not one of the rows that came through
// the stream lies behind it, and every write of the side that will serve does.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "godwit/gtid/position.h"
#include "godwit/state/authority.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/stop.h"
#include "godwit/workflow/copy.h"

namespace godwit::workflow {

class StreamSwitch {
 public:
  // definition: the forward one; of shards, one of shard_definitions(). running: the direction that runs before the switch. Opens a session with each side, which stay open: in the pause
  // nothing is connected. Throws what connecting throws.
  StreamSwitch(const Definition& definition, Direction running);

  // The stream that runs, as it is; nothing where there is none.
  std::optional<state::StreamRow> row();
  bool is_followed();  // a replicate, or another applier of godwit's, has sessions for it

  // The end of the serving side's binlog: final where nobody can commit there any more.
  gtid::Position end_of_serving();
  // Whether the stream has all of it, before the deadline; of one that comes back from a shard, also that each of its rows is where it belongs. Throws Error(interrupted) when a stop was requested.
  bool reaches(const gtid::Position& position, std::chrono::steady_clock::time_point deadline, const Stop& stop);

  // No transaction of it can commit any more; gives the epoch that names this freezing. hold: the epoch of the switch that does it. Throws
  // Error(switch_fenced) when that is over.
  std::uint64_t freeze(std::uint64_t hold);
  // It goes on, by whichever replicate is there. False: it is not frozen by that freezing (any more).
  bool unfreeze(std::uint64_t frozen_epoch);
  // The same where who froze it is gone: only while no switch is under way, and the side that it leads away from serves.
  bool let_go();

  // Ahead of the pause, so that little is left to write in it. Changes nothing that anybody follows; both sides have a sidecar by then.
  void announce_return();
  // The stream that leads back, made or begun anew at the end of the passive side's binlog: its row is on the side that has served. Only while the one
  // that runs is frozen: throws Error(stream_not_ready); Error(switch_fenced) as above. Gives its position.
  gtid::Position prepare_return(std::uint64_t hold);
  std::optional<gtid::Position> return_begins_at();  // as it is recorded
  // Once the sides are exchanged: a replicate has taken the way back.
  bool is_return_followed();

 private:
  state::StreamRow running_row();
  void require_hold(std::uint64_t hold);
  std::vector<state::TableRow> return_tables(std::uint64_t running);

  const Definition running_;  // as the direction that runs sees it
  const Definition back_;
  db::Connection serving_;
  db::Connection passive_;
  db::Connection authority_;  // a session of its own, so that no transaction of the others' decides which version of the row it sees
  const bool meets_others_;  // of other shards, in one table
  bool is_row_known_ = false;  // then there is a sidecar, and nobody has to look for it while clients wait
};

// A coordinator that was killed leaves its stream frozen: it is let go of where that hold is over. True: it was.
bool let_go(db::Connection& passive, state::Authority& authority, const state::StreamKey& key);

}  // namespace godwit::workflow
