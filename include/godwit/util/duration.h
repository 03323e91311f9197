// The time that work takes: so far, and still to come. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace godwit {

inline std::chrono::milliseconds since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
}

struct Pace {
  std::uint64_t done = 0;
  std::uint64_t total = 0;  // an estimate
  double per_s = 0;
};
// At the present rate; nothing before there is a rate worth the name. Pure.
std::optional<std::chrono::seconds> time_left(const Pace& pace);

}  // namespace godwit
