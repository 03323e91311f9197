#include "godwit/util/crew.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace godwit {
namespace {

constexpr std::chrono::milliseconds kStopLook{20};

class Crew {
 public:
  Crew(std::size_t count, const std::function<void(std::size_t, const Stop&)>& work) : work_(work), running_(count) {
    for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this, i] { run(i); });
  }
  ~Crew() {
    stop_.request();
    for (auto& thread : threads_) thread.join();
  }

  void await(const Stop& stop) {
    std::unique_lock lock(mutex_);
    while (!ended_.wait_for(lock, kStopLook, [&] { return running_ == 0; })) {
      if (stop.is_requested()) stop_.request();
    }
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void run(std::size_t number) {
    std::exception_ptr failure;
    try {
      work_(number, stop_);
    } catch (...) {
      failure = std::current_exception();
      stop_.request();
    }
    std::lock_guard lock(mutex_);
    if (failure && !failure_) failure_ = failure;
    --running_;
    ended_.notify_all();
  }

  const std::function<void(std::size_t, const Stop&)>& work_;
  Stop stop_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t running_;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace

void run_crew(std::size_t count, const Stop& stop, const std::function<void(std::size_t, const Stop&)>& work) { Crew(count, work).await(stop); }

}  // namespace godwit
