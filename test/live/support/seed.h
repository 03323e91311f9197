// The seed of a random test, which prints it: GODWIT_SEED repeats a run.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>

namespace godwit::test {

inline std::uint64_t seed_of_this_run() {
  const char* given = std::getenv("GODWIT_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

}  // namespace godwit::test
