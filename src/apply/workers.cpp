#include "workers.h"

#include "godwit/util/failpoint.h"

namespace godwit::apply {

Workers::Workers(const db::Endpoint& target, const Checkpoint& checkpoint, ApplyProgress& progress, std::size_t count, const Stop& stop) {
  for (std::size_t i = 0; i < count; ++i) {
    sessions_.push_back(std::make_unique<Session>(target, checkpoint, progress, stop));
    checkpoint.begin_session(sessions_.back()->connection(), i + 1);
  }
  for (auto& session : sessions_) threads_.emplace_back([this, &session] { work(*session); });
}

Workers::~Workers() {
  {
    std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Workers::run(const std::vector<Job>& jobs) {
  std::unique_lock lock(mutex_);
  jobs_ = &jobs;
  next_ = 0;
  failure_ = nullptr;
  changed_.notify_all();
  changed_.wait(lock, [&] { return running_ == 0 && (next_ >= jobs.size() || failure_); });
  jobs_ = nullptr;
  if (failure_) std::rethrow_exception(failure_);
}

void Workers::work(Session& session) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return is_ending_ || (jobs_ != nullptr && next_ < jobs_->size() && !failure_); });
    if (is_ending_) return;
    const Job& job = (*jobs_)[next_++];
    ++running_;
    lock.unlock();
    std::exception_ptr failure;
    try {
      session.apply(job, "");
      failpoint(Fp::apply_job_committed);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    --running_;
    if (failure && !failure_) failure_ = failure;
    changed_.notify_all();
  }
}

}  // namespace godwit::apply
