// Writes a row with this machine's time on the source at a steady pace, so that its arrival on the target measures the whole way. A
// thread of its own from construction to destruction. Where the account may not write, it says so once and ends: lag is then
// told from positions and event times.
#pragma once

#include <atomic>
#include <thread>

#include "godwit/db/connection.h"
#include "godwit/util/stop.h"

namespace godwit::workflow {

class Heartbeat {
 public:
  Heartbeat(const db::Endpoint& source, std::chrono::milliseconds interval);
  ~Heartbeat();
  bool is_beating() const { return is_beating_; }

 private:
  void run();
  bool prepare(db::Connection& connection);

  const db::Endpoint source_;
  const std::chrono::milliseconds interval_;
  std::atomic<bool> is_beating_{false};
  Stop ended_;
  std::thread thread_;
};

}  // namespace godwit::workflow
