// The authority: the one row, `_godwit.route` on the target, that decides which side serves (I8). Every change of it is one statement that
// compares the epoch and the state it was read in, and raises the epoch: whoever acts on an older reading changes nothing.
//
//   begin    serving S, epoch e          → serving S, switching, epoch e+1     the number of the hold: what every later step is done in the name of
//   commit   serving S, switching, e+1   → serving other(S), epoch e+2         the commit point
//   abort    serving S, switching, e+1   → serving S, epoch e+2                makes the commit impossible; anyone may, whose hold's lease has ended
//
// docs/model/ has the protocol as it is checked. One thread per connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "godwit/db/connection.h"

namespace godwit::state {

struct Route {
  std::uint64_t epoch = 0;
  db::Side serving = db::Side::source;
  bool is_switching = false;
  std::string coordinator;  // of the latest switch: "host pid", for messages
  std::string fence;        // how writers are kept off the side that does not serve: "read_only", "triggers", "none"; "" as long as nothing is decided
};

// Throws Error(switch_fenced) unless that hold is under way, and `serving` serves in it: for what is done in its name. To be asked while a lock is held that
// the next switch needs, too, before it can commit.
void require_hold(const std::optional<Route>& route, const std::string& workflow, std::uint64_t hold, db::Side serving);

class Authority {
 public:
  Authority(db::Connection& target, std::string workflow) : db_(target), workflow_(std::move(workflow)) {}

  // The row as it is; nothing where it, or the sidecar, is missing. Locks nothing.
  std::optional<Route> read();
  // The row, made where it is missing: epoch 1, the source serves. The sidecar must be there.
  Route create();
  void set_fence(const std::string& fence);  // no part of the protocol: only while nothing is fenced

  // Nothing, where the row is not in that epoch, or a switch is under way.
  std::optional<Route> begin(std::uint64_t epoch, const std::string& coordinator);
  // False: the hold is over, somebody has aborted it. Throws what the connection throws: the answer is then unknown, and abort() settles it.
  bool commit(std::uint64_t hold);
  // True: that hold can never commit any more. False: it was over already; read() says how it ended.
  bool abort(std::uint64_t hold);
  void forget();  // the row, and the proxies that are registered for it
  // The same, decided by the row itself: only where the source serves and no switch is under way. False: nothing was changed.
  bool forget_unswitched();

 private:
  bool change(std::uint64_t epoch, bool was_switching, const std::string& assignment);

  db::Connection& db_;
  std::string workflow_;
};

}  // namespace godwit::state
