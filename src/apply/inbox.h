// Transactions between the reader and the applier, bounded in bytes and number. The applier takes all that has come, up to its own limit: so windows
// grow with the backlog, and are single transactions when there is none. Those without anything for the target become one while they wait.
// Private to apply.
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

struct InboxLimits {
  std::size_t bytes_max = 0;
  std::size_t transactions_max = 0;
};

class Inbox {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Inbox(const InboxLimits& limits) : limits_(limits) {}

  // Waits for room. False when nobody will take any more.
  bool push(Transaction transaction) {
    std::unique_lock lock(mutex_);
    if (transaction.is_without_changes() && !waiting_.empty() && waiting_.back().is_without_changes()) {
      join(waiting_.back(), transaction);
      return !is_closed_;
    }
    const auto has_room = [&] { return bytes_ + transaction.bytes <= limits_.bytes_max && waiting_.size() < limits_.transactions_max; };
    room_.wait(lock, [&] { return is_closed_ || waiting_.empty() || has_room(); });
    if (is_closed_) return false;
    bytes_ += transaction.bytes;
    waiting_.push_back(std::move(transaction));
    filled_.notify_one();
    return true;
  }

  // What has come, in order; nothing after `patience`. Where nothing but the position is to be written, waits until `idle_until` for more. Rethrows
  // the reader's failure when all before it was taken.
  std::vector<Transaction> take(std::size_t transactions_max, std::chrono::milliseconds patience, Clock::time_point idle_until) {
    std::unique_lock lock(mutex_);
    filled_.wait_for(lock, patience, [&] { return is_closed_ || failure_ || !waiting_.empty(); });
    if (is_idle()) filled_.wait_until(lock, idle_until, [&] { return is_closed_ || failure_ || !is_idle(); });
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

  bool is_closed() {
    std::lock_guard lock(mutex_);
    return is_closed_;
  }

  std::size_t bytes() {
    std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  bool is_idle() const { return waiting_.size() == 1 && waiting_.front().is_without_changes(); }

  static void join(Transaction& run, const Transaction& next) {
    if (!run.later) run.later = Transaction::Run{.set = gtid::Set(gtid::flavour_of(next.gtid)), .last = next.gtid};
    next.add_to(run.later->set);
    run.later->last = next.gtid;
    run.later->count += next.count();
    run.committed_us = std::max(run.committed_us, next.committed_us);
    if (next.heartbeat_us != 0) run.heartbeat_us = next.heartbeat_us;
  }

  const InboxLimits limits_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable filled_;
  std::deque<Transaction> waiting_;
  std::size_t bytes_ = 0;
  std::exception_ptr failure_;
  bool is_closed_ = false;
};

}  // namespace godwit::apply
