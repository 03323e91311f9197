// The server's named lock (R1): held by the session in which it acts, gone with it. Whoever loses the session has lost the lock, and can then do
// nothing there. Private to fence.
#pragma once

#include "godwit/db/connection.h"
#include "patience.h"

namespace godwit::fence {

class ServerLock {
 public:
  // Throws Error(lock_contention).
  ServerLock(db::Connection& server, const Patience& patience);
  ~ServerLock();
  ServerLock(const ServerLock&) = delete;
  ServerLock& operator=(const ServerLock&) = delete;

 private:
  db::Connection& server_;
};

}  // namespace godwit::fence
