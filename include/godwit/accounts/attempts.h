// How often a client may fail to log in before it is refused without asking a server: each failure that a proxy passes on counts at the server
// against the proxy's own address (max_connect_errors). Counted for an address, and for a user from an address: one who guesses does not lock out
// the rest. Any thread; time comes in. Bounded: what is forgotten early is forgotten in the client's favour.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace godwit::accounts {

struct AttemptLimits {
  std::chrono::seconds window{60};
  unsigned failures_per_user_max = 5;  // from one address, within a window
  unsigned failures_per_address_max = 20;
  std::size_t entries_max = 20000;
};

class Attempts {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit Attempts(AttemptLimits limits) : limits_(limits) {}

  bool is_refused(std::string_view user, std::string_view address, Time now);
  void failed(std::string_view user, std::string_view address, Time now);
  // A login forgives the user's own failures.
  void succeeded(std::string_view user, std::string_view address);

 private:
  using Counts = std::unordered_map<std::string, unsigned>;

  void turn(Time now);
  unsigned count(const std::string& key) const;

  AttemptLimits limits_;
  std::mutex mutex_;
  Counts current_;   // of this window
  Counts previous_;  // of the one before, which counts still
  Time began_{};
};

}  // namespace godwit::accounts
