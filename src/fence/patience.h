// How long the server may be waited for. A statement that is at it when the time is over is ended, and its Error becomes lock_contention. The
// servers' own limits on waits are whole seconds, too coarse for a pause that is to be unnoticed. Private to fence.
#pragma once

#include <chrono>
#include <functional>

#include "godwit/db/connection.h"

namespace godwit::fence {

class Patience {
 public:
  explicit Patience(std::chrono::milliseconds limit) : limit_(limit), end_(std::chrono::steady_clock::now() + limit) {}
  std::chrono::milliseconds left() const;
  // Runs what waits for locks of `server`, for as long as is left. `what` names it in messages.
  void run(db::Connection& server, const char* what, const std::function<void()>& act) const;
  [[noreturn]] void give_up(const db::Connection& server, const char* what, const std::string& cause) const;

 private:
  std::chrono::milliseconds limit_;
  std::chrono::steady_clock::time_point end_;
};

}  // namespace godwit::fence
