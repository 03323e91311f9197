// Triggers and events live on the serving side only: on the other, each change that the stream brings would fire them once more. A switch brings those of
// the new serving side back, and sets those of the other aside, with their definitions in that side's sidecar. One thread.
//
// When each may run, so that no stream reads what it does:
//   bring_back  on the side that will serve, after its stream is frozen and before its end of binlog is read (StreamSwitch::prepare_return): the stream
//               that reads this side begins behind it
//   enable_events  on the side that serves, once that is committed: an event that ran before would change rows of a side that may never serve. Not in the binlog
//   set_aside   on the side that does not serve: nobody reads its binlog until the next switch, which reads from its end
// Where the target is shards, its triggers and events are those of the head over them (shards.h): each fires once there. The shards have none, and without a head nobody has.
// Both hold a named lock of that server and read the authority inside it, so that a process that was asleep does nothing to a side that serves by now.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "godwit/workflow/copy.h"

namespace godwit::workflow {

// Records what that side has, then drops it; gives the names of what was dropped. Does nothing while that side serves, or a switch is under way. To be
// repeated wherever it was killed. Throws Error(lock_contention) when somebody has one of the tables open for longer than a moment.
std::vector<std::string> set_aside(const Definition& definition, db::Side side);

// Creates what is recorded for that side, and not there; gives the names. Before the target has ever served: what the source has now. Events are disabled as yet.
// hold: the epoch of the switch that does it. To be repeated wherever it was killed. Throws Error(switch_fenced) when that hold is over, and what the server says
// to a statement.
std::vector<std::string> bring_back(const Definition& definition, db::Side side, std::uint64_t hold);

// Where the head over shards keeps them: its sidecar, and in it what a stream's row is elsewhere. Nothing where there is no head. To be repeated at will; before the first
// bring_back on it.
void announce_head(const Definition& recorded);

// The same in two: sessions are opened ahead, so that nothing is connected while clients are held. The lock, once run() has it, ends with this.
class BringBack {
 public:
  BringBack(const Definition& definition, db::Side side);
  ~BringBack();
  std::vector<std::string> run(std::uint64_t hold);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Enables the events of the side that serves that a switch has made there; gives the names. Does nothing while it does not serve, or a switch is under way. To be
// repeated at will, by whoever knows that the switch is committed.
std::vector<std::string> enable_events(const Definition& definition, db::Side side);

// For a target, and an authority, that are gone for good: what was set aside on the source is made again there, events at work; gives the names. To be repeated
// wherever it was killed.
std::vector<std::string> bring_back_to_source_alone(const Definition& definition);

// What bring_back would create there now, by name. Changes nothing.
std::vector<std::string> to_bring_back(const Definition& definition, db::Side side);

// What set_aside would drop there, once the other side serves, by name. Changes nothing.
std::vector<std::string> to_set_aside(const Definition& definition, db::Side side);

// Accounts that the definitions of what is to be brought back there name, and that side does not have: what would be created could not run. Changes nothing.
struct MissingDefiner {
  std::string account;  // `app`@`%`
  std::string object;   // the first that needs it: trigger `shop`.`audit`
};
std::vector<MissingDefiner> missing_definers(const Definition& definition, db::Side side);

}  // namespace godwit::workflow
