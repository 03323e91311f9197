// A request to stop, set by a signal or by a failing sibling; any thread may ask or set it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace godwit {

class Stop {
 public:
  void request();
  bool is_requested() const { return requested_.load(std::memory_order_relaxed); }
  // Sleeps, but not past a request. True when the time passed without one.
  bool sleep_for(std::chrono::milliseconds duration) const;
  // Throws Error(interrupted) when a stop was requested.
  void throw_if_requested() const;

 private:
  std::atomic<bool> requested_{false};
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
};

// While it lives, a stop that is requested ends the process within `grace`, whatever hangs: after it `last_word` is said, and the status
// is 130. For work that may be killed at any instant; what ends by itself in time is never cut short.
class StopGrace {
 public:
  StopGrace(const Stop& stop, std::chrono::milliseconds grace, std::function<void()> last_word);
  ~StopGrace();

 private:
  Stop ended_;
  std::thread thread_;
};

// SIGINT and SIGTERM request this one. The first asks for a clean end; the second ends the process at once.
// Call before any thread is started: the signals are blocked in all threads and awaited in one of their own.
Stop& stop_on_signals();

}  // namespace godwit
