// What the commands of the gate share (coordinator.cpp, gate_pause.cpp, authority_watch.cpp): there is one at a time, and it asks all workers at once.
// First worker's thread. Private to the coordinator.
#pragma once

#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <chrono>
#include <string>

#include "coordinator.h"
#include "godwit/util/error.h"

namespace godwit::proxy {

constexpr std::chrono::seconds kMoveMax{10};  // for sessions to be made on the other side

inline std::chrono::microseconds since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - then);
}

inline Error refused(std::string cause, std::string remedy) {
  return Error(Code::gate_refused, {.object = "the gate", .cause = std::move(cause), .remedy = std::move(remedy)});
}

// While it lives, a command of the gate is under way. Throws Error(gate_refused) where there is another.
class Proxy::Turn {
 public:
  explicit Turn(Proxy& proxy);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  void set_alert(bool is_alert);
  Proxy& proxy_;
};

// On every worker at once, in its own thread.
template <typename Deed>
asio::awaitable<void> Proxy::each(Deed deed) {
  std::size_t under_way = workers_.size();
  std::exception_ptr failure;
  asio::steady_timer done(loop(), Deadline::max());
  for (const auto& worker : workers_) {
    asio::co_spawn(worker->loop(), [&deed, it = worker.get()]() -> asio::awaitable<void> { co_await deed(*it); },
                   asio::bind_executor(loop().get_executor(), [&](std::exception_ptr error) {
                     if (error) failure = error;
                     --under_way;
                     done.cancel();
                   }));
  }
  while (under_way > 0) {
    std::error_code ignored;
    co_await done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace godwit::proxy
