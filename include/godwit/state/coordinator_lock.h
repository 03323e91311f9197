// Coordinators of one workflow, `switch`, `reverse`, `complete` and `cancel`, one at a time: a named lock of the authority's server, gone with the session that has it.
// One thread.
#pragma once

#include <string>

#include "godwit/db/connection.h"

namespace godwit::state {

class CoordinatorLock {
 public:
  // Throws Error(switch_refused) while another coordinator has it.
  CoordinatorLock(const db::Endpoint& authority, const std::string& workflow);
  // Throws Error(switch_fenced) when it is not had any more: the server has ended the session, or was restarted, while this process was asleep, and another
  // coordinator may be at work. To be asked before what the next one could not undo.
  void require();
  // Whether any coordinator has it, by a session of the authority's server.
  static bool is_held(db::Connection& authority, const std::string& workflow);

 private:
  db::Connection session_;
  const std::string workflow_;
  const std::string lock_;  // as SQL
};

}  // namespace godwit::state
