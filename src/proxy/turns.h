// So many of a kind of work at a time; the others wait for their turn. One thread.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <list>
#include <system_error>

namespace godwit::proxy {

class Turns {
 public:
  explicit Turns(std::size_t at_once) : free_(at_once) {}

  asio::awaitable<void> take(asio::any_io_executor executor) {
    while (free_ == 0) {
      asio::steady_timer timer(executor, asio::steady_timer::time_point::max());
      const auto place = waiting_.insert(waiting_.end(), &timer);
      std::error_code ignored;
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      waiting_.erase(place);
    }
    --free_;
    wake_next();
  }
  void give() {
    ++free_;
    wake_next();
  }

  // One that was taken, until the end of its scope.
  class Taken {
   public:
    explicit Taken(Turns& turns) : turns_(turns) {}
    ~Taken() { turns_.give(); }
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;

   private:
    Turns& turns_;
  };

 private:
  // Whoever is woken wakes the next one: two that are given back at once wake two.
  void wake_next() {
    if (free_ != 0 && !waiting_.empty()) waiting_.front()->cancel();
  }

  std::size_t free_;
  std::list<asio::steady_timer*> waiting_;
};

}  // namespace godwit::proxy
