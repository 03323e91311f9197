// Transactions between the reader and the applier, bounded in bytes. The applier takes all that has come, up to its own limit: so windows
// grow with the backlog, and are single transactions when there is none. Private to apply.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <mutex>
#include <vector>

#include "godwit/apply/change.h"

namespace godwit::apply {

class Inbox {
 public:
  explicit Inbox(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Waits for room. False when nobody will take any more.
  bool push(Transaction transaction) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return is_closed_ || waiting_.empty() || bytes_ + transaction.bytes <= bytes_max_; });
    if (is_closed_) return false;
    bytes_ += transaction.bytes;
    waiting_.push_back(std::move(transaction));
    filled_.notify_one();
    return true;
  }

  // What has come, in order; nothing after `patience`. Rethrows the reader's failure when all before it was taken.
  std::vector<Transaction> take(std::size_t transactions_max, std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    filled_.wait_for(lock, patience, [&] { return is_closed_ || failure_ || !waiting_.empty(); });
    if (waiting_.empty() && failure_) std::rethrow_exception(failure_);
    std::vector<Transaction> taken;
    while (!waiting_.empty() && taken.size() < transactions_max) {
      bytes_ -= waiting_.front().bytes;
      taken.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    room_.notify_one();
    return taken;
  }

  void fail(std::exception_ptr failure) {
    std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
    filled_.notify_one();
  }

  void close() {
    std::lock_guard lock(mutex_);
    is_closed_ = true;
    room_.notify_all();
    filled_.notify_all();
  }

  bool is_empty() {
    std::lock_guard lock(mutex_);
    return waiting_.empty();
  }

  std::size_t bytes() {
    std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  const std::size_t bytes_max_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable filled_;
  std::deque<Transaction> waiting_;
  std::size_t bytes_ = 0;
  std::exception_ptr failure_;
  bool is_closed_ = false;
};

}  // namespace godwit::apply
