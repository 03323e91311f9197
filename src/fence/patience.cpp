#include "patience.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "godwit/util/error.h"
#include "godwit/util/stop.h"

namespace godwit::fence {
namespace {

// Ends the server's statement from a thread of its own when the time is over.
class Alarm {
 public:
  Alarm(const db::Connection& server, std::chrono::milliseconds after) : thread_([this, &server, after] { ring(server, after); }) {}
  ~Alarm() { stop(); }
  // From here on it does not ring any more. True: it has.
  bool stop() {
    ended_.request();
    if (thread_.joinable()) thread_.join();
    return has_rung_;
  }

 private:
  void ring(const db::Connection& server, std::chrono::milliseconds after) {
    if (!ended_.sleep_for(after)) return;
    has_rung_ = true;
    server.cancel();
  }

  Stop ended_;
  std::atomic<bool> has_rung_{false};
  std::thread thread_;
};

}  // namespace

std::chrono::milliseconds Patience::left() const {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

void Patience::give_up(const db::Connection& server, const char* what, const std::string& cause) const {
  throw Error(Code::lock_contention,
              {.object = db::describe(server.endpoint()),
               .cause = fmt::format("{} took longer than {} ms: {}", what, limit_.count(), cause),
               .remedy = "SHOW PROCESSLIST there: what runs for long, or holds locks, stands in the way; run this again when it has ended"});
}

void Patience::run(db::Connection& server, const char* what, const std::function<void()>& act) const {
  Alarm alarm(server, left());
  std::string cause;
  try {
    act();
  } catch (const Error& error) {
    cause = error.cause();
    if (error.code() != Code::lock_contention && !(alarm.stop() && error.code() == Code::interrupted)) throw;
  }
  // The KILL QUERY may have come when the statement had ended: it must not meet the next one.
  if (alarm.stop()) {
    try {
      server.execute("DO 0");
    } catch (const Error& error) {
      if (error.code() != Code::interrupted) throw;
    }
  }
  if (!cause.empty()) give_up(server, what, cause);
}

}  // namespace godwit::fence
