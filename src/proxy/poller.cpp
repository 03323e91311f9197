#include "poller.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <asio/executor_work_guard.hpp>
#include <chrono>
#include <utility>

#include "godwit/util/error.h"

namespace godwit::proxy {
namespace {

// How long Asio may have to wait while there is traffic, and how long the set is waited at after the last of it.
constexpr std::chrono::nanoseconds kTick = std::chrono::milliseconds(2);
constexpr std::uint64_t kClockPlace = ~std::uint64_t{0};

std::uint64_t packed(Poller::Place place) { return std::uint64_t{place.generation} << 32 | place.slot; }

epoll_event event_of(std::uint32_t events, std::uint64_t data) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  return event;
}

void set_clock(int clock, std::chrono::nanoseconds after) {
  itimerspec time{};
  time.it_value.tv_nsec = after.count();
  ::timerfd_settime(clock, 0, &time, nullptr);
}

}  // namespace

Poller::Poller(asio::execution_context& context)
    : asio::execution_context::service(context), loop_(static_cast<asio::io_context&>(context)), set_(::epoll_create1(EPOLL_CLOEXEC)), doorway_(loop_),
      clock_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  // Edge-triggered: a tick is told of once, and never read.
  epoll_event event = event_of(EPOLLIN | EPOLLET, kClockPlace);
  GODWIT_CHECK(::epoll_ctl(set_, EPOLL_CTL_ADD, clock_, &event) == 0);
}

Poller::~Poller() {
  ::close(clock_);
  ::close(set_);
}

Poller& Poller::of(const asio::any_io_executor& executor) { return asio::use_service<Poller>(asio::query(executor, asio::execution::context)); }

void Poller::shutdown() noexcept {
  is_shut_ = true;
  if (doorway_.is_open()) doorway_.release();
}

Poller::Place Poller::add(int socket, Polled& polled, std::uint32_t events) {
  Place place;
  if (free_.empty()) {
    place.slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    place.slot = free_.back();
    free_.pop_back();
  }
  slots_[place.slot].polled = &polled;
  place.generation = slots_[place.slot].generation;
  epoll_event event = event_of(events, packed(place));
  GODWIT_CHECK(::epoll_ctl(set_, EPOLL_CTL_ADD, socket, &event) == 0);
  ++sockets_;
  if (!doorway_.is_open() && !is_serving_) await();
  return place;
}

void Poller::change(int socket, Place place, std::uint32_t events) {
  epoll_event event = event_of(events, packed(place));
  GODWIT_CHECK(::epoll_ctl(set_, EPOLL_CTL_MOD, socket, &event) == 0);
}

void Poller::remove(int socket, Place place) {
  ::epoll_ctl(set_, EPOLL_CTL_DEL, socket, nullptr);
  Slot& slot = slots_[place.slot];
  slot.polled = nullptr;
  ++slot.generation;
  free_.push_back(place.slot);
  if (--sockets_ > 0) return;
  std::error_code ignored;
  doorway_.cancel(ignored);  // a loop that has nothing else to do may end
}

void Poller::stay_alert(bool is_alert) {
  is_alert_ = is_alert;
  ring();
}

void Poller::ring() { set_clock(clock_, std::chrono::nanoseconds(1)); }

// The set lies in Asio's only while it is waited at there: each event of a socket would be told to both.
void Poller::await() {
  doorway_.assign(set_);
  doorway_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const std::error_code& error) {
    if (is_shut_) return;
    doorway_.release();
    is_ready_ = !error;
    if (!is_ready_ && sockets_ > 0) await();  // it was called off, and there are others by now
  });
}

// The sockets are served here, not in the handler: Asio's loops are not nested, a loop of one thread would miscount its work and end.
void Poller::run() {
  while (loop_.run_one() > 0) {
    if (std::exchange(is_ready_, false)) serve();
  }
}

// Waiting is without a limit of time, and what ends it in the end is the tick: the limit would be a timer of the system's, set and taken back for each
// statement, which can cost more than all else that a wait does (on a virtual machine it is a call to its host).
void Poller::serve() {
  const auto work = asio::make_work_guard(loop_);
  is_serving_ = true;
  served_ = 0;
  set_clock(clock_, kTick);
  while (sockets_ > 0 && !loop_.stopped()) {
    const bool is_alert = is_alert_.load(std::memory_order_relaxed);
    const int ready = ::epoll_wait(set_, events_.data(), kAtOnce, is_alert ? 0 : -1);
    if (ready < 0) continue;  // a signal
    const bool is_tick = dispatch_some(static_cast<std::size_t>(ready));
    if (is_tick || is_alert || is_turn_due_) {
      loop_.poll();
      is_turn_due_ = false;  // also of what it has asked for itself meanwhile: that has run by now
    }
    if (is_alert && ready == 0) break;
    if (!is_tick) continue;
    if (std::exchange(served_, 0) == 0) break;
    set_clock(clock_, kTick);
  }
  is_serving_ = false;
  if (sockets_ > 0) await();
}

// Whether the tick was among it.
bool Poller::dispatch_some(std::size_t ready) {
  bool is_tick = false;
  for (std::size_t i = 0; i < ready; ++i) {
    const std::uint64_t data = events_[i].data.u64;
    if (data == kClockPlace) {
      is_tick = true;
      continue;
    }
    ++served_;
    const Place place{.slot = static_cast<std::uint32_t>(data), .generation = static_cast<std::uint32_t>(data >> 32)};
    const Slot& slot = slots_[place.slot];
    if (slot.polled != nullptr && slot.generation == place.generation) slot.polled->on_ready(events_[i].events);
  }
  return is_tick;
}

}  // namespace godwit::proxy
