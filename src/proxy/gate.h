// Which side serves, and whether statements are held. One for the whole proxy; the sessions read it at each statement, the admin alone changes it. Any thread.
//
//   open ──PAUSE──▶ closing ──all held──▶ closed ──MOVE──▶ closed, on the other side ──RESUME──▶ open
//                      └── drain time-out ──▶ open          └── MOVE back, or the lease ends ──▶ … on the old side
//
// A switch's hold has the number of the authority's epoch that it was begun in (PAUSE HOLD e); it ends on the side that the authority names.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "godwit/db/connection.h"

namespace godwit::proxy {

class Gate {
 public:
  explicit Gate(db::Side serving) : serving_(serving) {}
  db::Side serving() const { return serving_.load(std::memory_order_acquire); }
  bool is_closed() const { return is_closed_.load(std::memory_order_relaxed); }
  // The number of the hold; 0 while open.
  std::uint64_t hold() const { return hold_.load(std::memory_order_acquire); }

  std::uint64_t close() { return close(++holds_); }
  std::uint64_t close(std::uint64_t number) {
    is_closed_.store(true, std::memory_order_release);
    hold_.store(number, std::memory_order_release);
    return number;
  }
  void open() {
    hold_.store(0, std::memory_order_release);
    is_closed_.store(false, std::memory_order_release);
  }
  void serve(db::Side side) { serving_.store(side, std::memory_order_release); }

 private:
  std::atomic<db::Side> serving_;
  std::atomic<bool> is_closed_{false};
  std::atomic<std::uint64_t> hold_{0};
  std::atomic<std::uint64_t> holds_{0};
};

inline db::Side other(db::Side side) { return side == db::Side::source ? db::Side::target : db::Side::source; }

}  // namespace godwit::proxy
