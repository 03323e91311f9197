// W sessions with the target, each with a thread, that work off the jobs of one window. One thread gives the jobs. Private to apply.
#pragma once

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "session.h"

namespace godwit::apply {

class Workers {
 public:
  Workers(const db::Endpoint& target, const Checkpoint& checkpoint, ApplyProgress& progress, std::size_t count, const Stop& stop);
  ~Workers();

  // Each job in a transaction of its own, guarded; returns when all are committed. Throws the first failure, once all have ended.
  void run(const std::vector<Job>& jobs);

 private:
  void work(Session& session);

  std::vector<std::unique_ptr<Session>> sessions_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::vector<Job>* jobs_ = nullptr;
  std::size_t next_ = 0;
  std::size_t running_ = 0;
  std::exception_ptr failure_;
  bool is_ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace godwit::apply
