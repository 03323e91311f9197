#include "godwit/copy/throttle.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"

namespace godwit::copy {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::uint64_t threads_running(db::Connection& connection) {
  return connection.query("SHOW GLOBAL STATUS LIKE 'Threads_running'").u64(0, "Value");
}

// The purge lag, where the account may see it (PROCESS); 0 otherwise.
std::uint64_t history_list(db::Connection& connection) {
  if (connection.server().is_mariadb()) {
    const db::Rows rows = connection.query("SHOW GLOBAL STATUS LIKE 'Innodb_history_list_length'");
    return rows.empty() ? 0 : rows.u64(0, "Value");
  }
  const db::Rows rows = connection.query(
      "SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'");
  return rows.empty() ? 0 : rows.u64(0, "COUNT");
}

std::optional<milliseconds> replica_lag(db::Connection& connection) {
  const bool is_mariadb = connection.server().is_mariadb();
  const db::Rows rows = connection.query(is_mariadb ? "SHOW SLAVE STATUS" : "SHOW REPLICA STATUS");
  if (rows.empty()) return std::nullopt;
  const char* column = is_mariadb ? "Seconds_Behind_Master" : "Seconds_Behind_Source";
  // NULL: replication does not run, which is as far behind as can be.
  if (rows.is_null(0, column)) return milliseconds(std::chrono::hours(24));
  return milliseconds(std::chrono::seconds(rows.u64(0, column)));
}

// One server's session for sampling; reopened after an error, at the next sample.
class Probe {
 public:
  explicit Probe(const db::Endpoint& endpoint) : endpoint_(endpoint) {}

  template <typename Sample>
  void sample(Sample take) {
    try {
      if (!connection_) connection_ = std::make_unique<db::Connection>(db::Connection::open(endpoint_));
      take(*connection_);
    } catch (const Error& error) {
      log::debug("throttle: {}", error.what());
      if (error.is_retryable()) connection_.reset();
    }
  }

 private:
  db::Endpoint endpoint_;
  std::unique_ptr<db::Connection> connection_;
};

}  // namespace

std::optional<std::string> throttle_reason(const Load& load, const ThrottleLimits& limits) {
  const auto running = [](const char* side, std::uint64_t now, std::uint64_t max) -> std::optional<std::string> {
    if (max == 0 || now < max) return std::nullopt;
    return fmt::format("{} Threads_running={} >= {}", side, now, max);
  };
  if (limits.replica_lag_max.count() > 0 && load.replica_lag && *load.replica_lag >= limits.replica_lag_max) {
    return fmt::format("replica lag {} >= {}", format_duration(*load.replica_lag), format_duration(limits.replica_lag_max));
  }
  if (auto reason = running("source", load.source_threads_running, limits.source_threads_running_max)) return reason;
  if (auto reason = running("target", load.target_threads_running, limits.target_threads_running_max)) return reason;
  if (limits.commit_latency_max.count() > 0 && load.commit_latency >= limits.commit_latency_max) {
    return fmt::format("target commit latency {} >= {}",
                       format_duration(load.commit_latency),
                       format_duration(limits.commit_latency_max));
  }
  return std::nullopt;
}

void Throttle::sample(const SampledServers& servers, const Stop& ended) {
  Probe source_probe(servers.source);
  std::vector<Probe> target_probes;
  target_probes.emplace_back(servers.target);
  for (const auto& target : servers.more_targets) target_probes.emplace_back(target);
  std::optional<Probe> replica_probe;
  if (servers.replica) replica_probe.emplace(*servers.replica);
  do {
    Load seen = load();
    source_probe.sample([&](db::Connection& c) {
      seen.source_threads_running = threads_running(c);
      seen.history_list = history_list(c);
    });
    std::optional<std::uint64_t> running;  // where none answers, what was seen before holds
    for (auto& probe : target_probes) probe.sample([&](db::Connection& c) { running = std::max(running.value_or(0), threads_running(c)); });
    seen.target_threads_running = running.value_or(seen.target_threads_running);
    if (replica_probe) replica_probe->sample([&](db::Connection& c) { seen.replica_lag = replica_lag(c); });
    std::lock_guard lock(mutex_);
    // A commit latency that nobody confirms any more fades, or a pause would never end.
    seen.commit_latency = std::min(load_.commit_latency, seen.commit_latency) / 2;
    load_ = seen;
  } while (ended.sleep_for(std::chrono::seconds(1)));
}

void Throttle::note_commit(milliseconds latency) {
  std::lock_guard lock(mutex_);
  load_.commit_latency = std::max(load_.commit_latency, latency);
}

void Throttle::wait(const Stop& stop) {
  while (reason()) {
    if (!stop.sleep_for(milliseconds(100))) break;
  }
  stop.throw_if_requested();
}

void Throttle::pace(std::uint64_t bytes, const Stop& stop) {
  if (limits_.rate_bytes_per_s == 0) return;
  const auto cost = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
      static_cast<double>(bytes) / static_cast<double>(limits_.rate_bytes_per_s)));
  Clock::time_point free;
  {
    std::lock_guard lock(mutex_);
    next_free_ = std::max(next_free_, Clock::now()) + cost;
    free = next_free_;
  }
  const auto pause = std::chrono::duration_cast<milliseconds>(free - Clock::now());
  if (pause.count() > 0) stop.sleep_for(pause);
}

std::optional<std::string> Throttle::reason() const { return throttle_reason(load(), limits_); }

bool Throttle::is_history_too_long() const {
  return limits_.history_list_max != 0 && load().history_list >= limits_.history_list_max;
}

Load Throttle::load() const {
  std::lock_guard lock(mutex_);
  return load_;
}

Sampler::Sampler(Throttle& throttle, SampledServers servers)
    : throttle_(throttle), servers_(std::move(servers)), thread_([this] { throttle_.sample(servers_, ended_); }) {}

Sampler::~Sampler() {
  ended_.request();
  thread_.join();
}

}  // namespace godwit::copy
