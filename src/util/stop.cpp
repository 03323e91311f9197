#include "godwit/util/stop.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "godwit/util/error.h"

namespace godwit {

void Stop::request() {
  {
    std::lock_guard lock(mutex_);
    requested_.store(true, std::memory_order_relaxed);
  }
  changed_.notify_all();
}

bool Stop::sleep_for(std::chrono::milliseconds duration) const {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, duration, [this] { return is_requested(); });
}

void Stop::throw_if_requested() const {
  if (!is_requested()) return;
  throw Error(Code::interrupted,
              {.object = "godwit", .cause = "a stop was requested", .remedy = "run the same command again"});
}

Stop& stop_on_signals() {
  static Stop stop;
  static bool started = [] {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    signal(SIGPIPE, SIG_IGN);
    std::thread([signals] {
      int which = 0;
      sigwait(&signals, &which);
      stop.request();
      sigwait(&signals, &which);
      _exit(130);
    }).detach();
    return true;
  }();
  static_cast<void>(started);
  return stop;
}

}  // namespace godwit
