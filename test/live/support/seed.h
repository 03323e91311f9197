// The seed of a random test, which prints it: GODWIT_SEED repeats a run. And what a run takes of a walk that is long: all of it with
// GODWIT_LONG=1, else a part that is another one at each run, so that some runs have walked it all.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <random>
#include <vector>

namespace godwit::test {

inline std::uint64_t seed_of_this_run() {
  const char* given = std::getenv("GODWIT_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

inline bool is_long_run() { return std::getenv("GODWIT_LONG") != nullptr; }

// `count` of them, drawn, in their order.
template <typename T>
std::vector<T> drawn(const std::vector<T>& all, std::size_t count, std::mt19937_64& random) {
  if (is_long_run()) return all;
  std::vector<T> some;
  std::sample(all.begin(), all.end(), std::back_inserter(some), static_cast<std::ptrdiff_t>(count), random);
  return some;
}

template <typename T>
std::vector<T> drawn(const std::vector<T>& all, std::size_t count) {
  const std::uint64_t seed = seed_of_this_run();
  if (!is_long_run()) std::cout << "GODWIT_SEED=" << seed << " draws " << count << " of " << all.size() << "\n" << std::flush;
  std::mt19937_64 random(seed);
  return drawn(all, count, random);
}

}  // namespace godwit::test
