// Tells the channels and listeners of one event loop when their sockets can be read or written. Beside Asio's own reactor, which asks each socket once more
// after every read and would be waited at by way of a handler each time. The sockets are in an epoll set of their own, level-triggered, which Asio waits
// at while there is little to do. While there is traffic the set itself is waited at, and Asio (timers, coroutines, what other
// threads post) has its turn in between: when something here asks for it, and at every tick. All in the loop's thread, but where it says otherwise.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <asio/any_io_executor.hpp>
#include <asio/execution_context.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <atomic>
#include <cstdint>
#include <vector>

namespace godwit::proxy {

// Has a socket in the set.
class Polled {
 public:
  virtual void on_ready(std::uint32_t events) = 0;  // of epoll; it may remove itself, or others

 protected:
  ~Polled() = default;
};

class Poller : public asio::execution_context::service {
 public:
  using key_type = Poller;
  static inline asio::execution_context::id id;
  explicit Poller(asio::execution_context& context);
  ~Poller() override;
  // Of the loop that the executor belongs to.
  static Poller& of(const asio::any_io_executor& executor);

  // Of a socket. What the system has told already of one that is gone since is of another generation.
  struct Place {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
  };
  Place add(int socket, Polled& polled, std::uint32_t events);
  void change(int socket, Place place, std::uint32_t events);
  void remove(int socket, Place place);

  // Runs the loop, in the calling thread, until it is stopped or has nothing to do. In the place of Asio's own run(), which serves no socket of the set.
  void run();
  // Something has been done that Asio has to go on with: a timer was cancelled, or a deed posted.
  void give_turn() { is_turn_due_ = true; }
  // Any thread: whether what other threads post is to be heard of at once, at a price to the traffic; else it may wait for the next tick.
  void stay_alert(bool is_alert);
  void ring();  // any thread: the next tick is now

 private:
  static constexpr std::size_t kAtOnce = 64;
  struct Slot {
    Polled* polled = nullptr;
    std::uint32_t generation = 0;
  };
  void shutdown() noexcept override;
  void await();
  void serve();
  bool dispatch_some(std::size_t ready);

  asio::io_context& loop_;
  const int set_;
  asio::posix::stream_descriptor doorway_;  // the set, as Asio has it
  const int clock_;  // a timer in the set, whose expiry is the tick
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::array<epoll_event, kAtOnce> events_{};
  std::size_t sockets_ = 0;
  std::size_t served_ = 0;  // since the last tick
  std::atomic<bool> is_alert_{false};
  bool is_shut_ = false;
  bool is_serving_ = false;
  bool is_ready_ = false;
  bool is_turn_due_ = false;
};

}  // namespace godwit::proxy
