// What has happened since the start. Any thread; each figure for itself.
#pragma once

#include <atomic>
#include <cstdint>

namespace godwit::proxy {

struct Stats {
  std::atomic<std::uint64_t> sessions{0};       // that are logged in
  std::atomic<std::uint64_t> connections{0};    // that are open, logins included
  std::atomic<std::uint64_t> sessions_total{0};
  std::atomic<std::uint64_t> logins_failed{0};
  std::atomic<std::uint64_t> refused{0};        // over a limit
  std::atomic<std::uint64_t> statements{0};     // of a session that goes on: what it had at the last look at it, each second
  std::atomic<std::uint64_t> moves{0};
  std::atomic<std::uint64_t> moves_failed{0};
  std::atomic<std::uint64_t> holds{0};
  std::atomic<std::uint64_t> hold_us_last{0};
  std::atomic<std::uint64_t> hold_us_max{0};
  std::atomic<std::uint64_t> stalled{0};
};

}  // namespace godwit::proxy
