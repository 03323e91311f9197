// How long clients waited in a hold: from when their statement had come until it went on. One hold at a time; any thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <vector>

namespace godwit::proxy {

struct HoldSummary {
  std::size_t sessions = 0;  // that were held
  std::size_t waited = 0;    // of these, with a statement waiting
  std::chrono::microseconds p50{0};
  std::chrono::microseconds p99{0};
  std::chrono::microseconds max{0};
};

class HoldFigures {
 public:
  using Duration = std::chrono::steady_clock::duration;

  void begin() {
    const std::lock_guard lock(mutex_);
    sessions_ = 0;
    waits_.clear();
  }
  // Of a session that is let go; zero where its client asked nothing meanwhile.
  void note(Duration waited) {
    const std::lock_guard lock(mutex_);
    ++sessions_;
    if (waited > Duration::zero()) waits_.push_back(std::chrono::duration_cast<std::chrono::microseconds>(waited));
  }
  HoldSummary summary() {
    const std::lock_guard lock(mutex_);
    HoldSummary summary{.sessions = sessions_, .waited = waits_.size()};
    if (waits_.empty()) return summary;
    std::sort(waits_.begin(), waits_.end());
    summary.p50 = waits_[(waits_.size() - 1) / 2];
    summary.p99 = waits_[(waits_.size() - 1) * 99 / 100];
    summary.max = waits_.back();
    return summary;
  }

 private:
  std::mutex mutex_;
  std::size_t sessions_ = 0;
  std::vector<std::chrono::microseconds> waits_;
};

}  // namespace godwit::proxy
