// Keeps the copy within what the servers can bear: named reasons, the first one shown; and a rate in bytes.
// One thread samples (Sampler), any thread waits.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/util/stop.h"

namespace godwit::copy {

struct ThrottleLimits {
  std::uint64_t rate_bytes_per_s = 0;          // 0: no limit
  std::uint64_t source_threads_running_max = 0;  // 0: not looked at
  std::uint64_t target_threads_running_max = 0;
  std::uint64_t history_list_max = 10'000'000;  // on the source; reached: the snapshot is given up (the cycle ends)
  std::chrono::milliseconds commit_latency_max{0};
  std::chrono::milliseconds replica_lag_max{0};  // of --throttle-replica
};

struct Load {  // what was seen at the last sample
  std::uint64_t source_threads_running = 0;
  std::uint64_t target_threads_running = 0;
  std::uint64_t history_list = 0;
  std::chrono::milliseconds commit_latency{0};
  std::optional<std::chrono::milliseconds> replica_lag;
};

// The first reason to hold back, in a fixed order; nothing when there is none. Pure.
std::optional<std::string> throttle_reason(const Load& load, const ThrottleLimits& limits);

struct SampledServers {
  db::Endpoint source;
  db::Endpoint target;
  std::optional<db::Endpoint> replica;
  std::vector<db::Endpoint> more_targets;  // shards: the busiest of all counts
};

class Throttle {
 public:
  explicit Throttle(ThrottleLimits limits) : limits_(limits) {}

  // Samples once a second until a stop is requested on `ended`.
  void sample(const SampledServers& servers, const Stop& ended);
  void note_commit(std::chrono::milliseconds latency);

  // Before a chunk: waits while there is a reason. Throws when stopped.
  void wait(const Stop& stop);
  // After so many bytes were read: waits as --max-rate demands.
  void pace(std::uint64_t bytes, const Stop& stop);

  std::optional<std::string> reason() const;
  bool is_history_too_long() const;
  Load load() const;

 private:
  const ThrottleLimits limits_;
  mutable std::mutex mutex_;
  Load load_;
  std::chrono::steady_clock::time_point next_free_{};  // when the bytes so far are paid for
};

// Samples in a thread of its own from construction to destruction.
class Sampler {
 public:
  Sampler(Throttle& throttle, SampledServers servers);
  ~Sampler();

 private:
  Throttle& throttle_;
  const SampledServers servers_;
  Stop ended_;
  std::thread thread_;
};

}  // namespace godwit::copy
