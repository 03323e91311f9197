#include "godwit/util/stop.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <thread>
#include <utility>

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

StopGrace::StopGrace(const Stop& stop, std::chrono::milliseconds grace, std::function<void()> last_word)
    : thread_([this, &stop, grace, last_word = std::move(last_word)] {
        constexpr std::chrono::milliseconds kLook{50};
        while (!stop.is_requested()) {
          if (!ended_.sleep_for(kLook)) return;
        }
        if (!ended_.sleep_for(grace)) return;
        last_word();
        std::fflush(stdout);
        _exit(130);
      }) {}

StopGrace::~StopGrace() {
  ended_.request();
  thread_.join();
}

Stop& stop_on_signals() {
  static Stop& stop = *new Stop;  // never destroyed: the thread below may still be on its way out of request() when main() returns
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
