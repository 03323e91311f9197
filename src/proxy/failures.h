// Failed logins of each client address in the minute that runs: who guesses passwords is turned away for the rest of it. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

namespace godwit::proxy {

class Failures {
 public:
  std::uint64_t count(const std::string& host) {
    const std::lock_guard lock(mutex_);
    begin_minute();
    const auto found = hosts_.find(host);
    return found == hosts_.end() ? 0 : found->second;
  }
  void add(const std::string& host) {
    const std::lock_guard lock(mutex_);
    begin_minute();
    if (hosts_.size() < kHostsMax || hosts_.contains(host)) ++hosts_[host];
  }

 private:
  static constexpr std::size_t kHostsMax = 100'000;
  void begin_minute() {
    const auto now = std::chrono::steady_clock::now();
    if (now - began_ < std::chrono::minutes(1)) return;
    began_ = now;
    hosts_.clear();
  }
  std::mutex mutex_;
  std::chrono::steady_clock::time_point began_{};
  std::unordered_map<std::string, std::uint64_t> hosts_;
};

}  // namespace godwit::proxy
