#include "stream_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"

namespace godwit::workflow {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr unsigned kTicksPerLogLine = 10;
constexpr unsigned kTicksPerRetention = 30;
constexpr std::uint64_t kHeartbeatStaleUs = 15'000'000;  // after that the heartbeat is not taken for a measure

milliseconds us_to_ms(std::uint64_t us) { return milliseconds(static_cast<std::int64_t>(us / 1000)); }

// None where the source's clock is ahead of ours.
std::uint64_t since_us(std::uint64_t then, std::uint64_t now) { return now > then ? now - then : 0; }

// How far the target is behind. A heartbeat measures the whole way: what it took to arrive, or, when the next is overdue, how long ago the
// last one was sent. Without heartbeats: nothing when the source says that there is no more, else the age of what was applied last.
std::pair<std::optional<milliseconds>, std::string> lag_of(const apply::ApplyProgress& progress) {
  const std::uint64_t sent = progress.heartbeat_us;
  const std::uint64_t seen = progress.heartbeat_seen_us;
  const std::uint64_t caught_up = progress.caught_up_us;
  const std::uint64_t applied = progress.applied_source_us;
  const std::uint64_t now = apply::now_us();  // the last: what is of our clock is not later
  if (sent != 0 && since_us(sent, now) < kHeartbeatStaleUs) {
    constexpr std::uint64_t kOverdueUs = 3'000'000;
    return {us_to_ms(since_us(sent, since_us(seen, now) < kOverdueUs ? seen : now)), "heartbeat"};
  }
  if (progress.is_caught_up && since_us(caught_up, now) < kHeartbeatStaleUs) return {milliseconds(0), "idle"};
  if (applied == 0) return {std::nullopt, ""};
  return {us_to_ms(since_us(applied, now)), "event_time"};
}

seconds retention_of(db::Connection& connection) {
  const db::Rows rows = connection.query("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('binlog_expire_logs_seconds', 'expire_logs_days')");
  double longest = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool is_days = rows.text(i, "Variable_name") == "expire_logs_days";
    longest = std::max(longest, std::atof(rows.text(i, "Value").c_str()) * (is_days ? 86400 : 1));
  }
  return seconds(static_cast<std::int64_t>(longest));
}

std::string labels_of(const StreamFigures& f) {
  return fmt::format("workflow=\"{}\",direction=\"{}\"{}", f.workflow, f.direction, f.shard.empty() ? "" : fmt::format(",shard=\"{}\"", f.shard));
}

// What is said of all shards together: of the slowest, or of the sum. Each of them has all transactions of the one source that is read for them; on the
// way back each has its own.
StreamFigures together(const std::vector<StreamFigures>& all) {
  StreamFigures sum = all.front();
  sum.shard.clear();
  const bool is_reverse = sum.direction == "reverse";
  for (std::size_t i = 1; i < all.size(); ++i) {
    const StreamFigures& f = all[i];
    sum.transactions = is_reverse ? sum.transactions + f.transactions : std::min(sum.transactions, f.transactions);
    sum.transactions_per_s = is_reverse ? sum.transactions_per_s + f.transactions_per_s : std::max(sum.transactions_per_s, f.transactions_per_s);
    sum.rows += f.rows;
    sum.rows_per_s += f.rows_per_s;
    sum.target_transactions += f.target_transactions;
    sum.bytes_read += f.bytes_read;
    sum.retries += f.retries;
    sum.parked += f.parked;
    sum.is_caught_up = sum.is_caught_up && f.is_caught_up;
    if (f.retention_left && (!sum.retention_left || *f.retention_left < *sum.retention_left)) sum.retention_left = f.retention_left;
    if (sum.lag && (!f.lag || *f.lag > *sum.lag)) {
      sum.lag = f.lag;
      sum.lag_source = f.lag_source;
    }
  }
  return sum;
}

std::string line(const StreamFigures& f, std::size_t shards) {
  std::string text = fmt::format("replicate{}{} {}  {:.0f} transactions/s  {:.0f} rows/s  {} transactions",
                                 f.direction == "reverse" ? " (reverse)" : "",
                                 shards > 1 ? fmt::format(" {} shards", shards) : "",
                                 f.lag ? "lag " + format_duration(*f.lag) : "lag unknown",
                                 f.transactions_per_s,
                                 f.rows_per_s,
                                 format_count(f.transactions));
  if (f.is_caught_up) text += "  caught up";
  if (f.parked != 0) text += fmt::format("  {} rows wait for another shard's", f.parked);
  if (!f.throttle.empty()) text += "  throttled: " + f.throttle;
  return text;
}

nlohmann::json json(const StreamFigures& f) {
  nlohmann::json document{{"direction", f.direction},
                          {"transactions", f.transactions},
                          {"rows", f.rows},
                          {"transactions_per_s", f.transactions_per_s},
                          {"rows_per_s", f.rows_per_s},
                          {"is_caught_up", f.is_caught_up},
                          {"lag_source", f.lag_source},
                          {"retries", f.retries},
                          {"throttle", f.throttle},
                          {"at_us", apply::now_us()}};
  if (f.lag) document["lag_ms"] = f.lag->count();
  if (f.retention_left) document["retention_left_s"] = f.retention_left->count();
  if (f.parked != 0) document["parked"] = f.parked;
  if (!f.shard.empty()) document["shard"] = f.shard;
  return document;
}

}  // namespace

std::string to_prometheus(const std::vector<StreamFigures>& figures) {
  std::string text;
  const auto put = [&](std::string_view name, std::string_view type, std::string_view help, const auto& value) {
    std::string samples;
    for (const auto& f : figures) {
      const std::string text_of_value = value(f);
      if (!text_of_value.empty()) samples += fmt::format("godwit_{}{{{}}} {}\n", name, labels_of(f), text_of_value);
    }
    if (!samples.empty()) text += fmt::format("# HELP godwit_{0} {1}\n# TYPE godwit_{0} {2}\n{3}", name, help, type, samples);
  };
  using F = StreamFigures;
  put("stream_transactions_total", "counter", "Source transactions applied by this process.", [](const F& f) { return fmt::format("{}", f.transactions); });
  put("stream_rows_total", "counter", "Row changes applied by this process.", [](const F& f) { return fmt::format("{}", f.rows); });
  put("stream_target_transactions_total", "counter", "Transactions on the target that held them.", [](const F& f) { return fmt::format("{}", f.target_transactions); });
  put("stream_read_bytes_total", "counter", "Bytes of binlog read from the source.", [](const F& f) { return fmt::format("{}", f.bytes_read); });
  put("stream_retries_total", "counter", "Times the stream began again at its stored position.", [](const F& f) { return fmt::format("{}", f.retries); });
  put("stream_transactions_per_second", "gauge", "Source transactions applied per second, of the last second.", [](const F& f) { return fmt::format("{:.1f}", f.transactions_per_s); });
  put("stream_rows_per_second", "gauge", "Row changes applied per second, of the last second.", [](const F& f) { return fmt::format("{:.1f}", f.rows_per_s); });
  put("stream_caught_up", "gauge", "1 when the source has nothing that is not applied.", [](const F& f) { return std::string(f.is_caught_up ? "1" : "0"); });
  put("stream_lag_seconds", "gauge", "How far the target is behind the source.", [](const F& f) { return f.lag ? fmt::format("{:.3f}", static_cast<double>(f.lag->count()) / 1000.0) : ""; });
  put("stream_retention_left_seconds", "gauge", "Until the source purges what is still needed, by its settings.", [](const F& f) { return f.retention_left ? fmt::format("{}", f.retention_left->count()) : ""; });
  put("stream_throttled", "gauge", "1 while the stream holds back.", [](const F& f) { return std::string(f.throttle.empty() ? "0" : "1"); });
  put("stream_parked_rows", "gauge", "Rows that wait for another shard's row to go.", [](const F& f) { return f.shard.empty() ? "" : fmt::format("{}", f.parked); });
  return text;
}

StreamWatch::StreamWatch(WatchOptions options, std::vector<WatchedStream> streams, const copy::Throttle& throttle, state::StateFile& state)
    : options_(std::move(options)), throttle_(throttle), state_(state) {
  for (const auto& stream : streams) {
    watched_.push_back({.stream = stream, .figures = {}});
    watched_.back().figures.workflow = options_.workflow;
    watched_.back().figures.direction = options_.direction;
    watched_.back().figures.shard = stream.shard;
  }
  if (!options_.metrics_address.empty()) {
    server_ = std::make_unique<metrics::Server>(options_.metrics_address, [this] { return metrics(); });
    log::info("metrics at http://{}/metrics", server_->address());
  }
  thread_ = std::thread([this] { run(); });
}

StreamWatch::~StreamWatch() {
  ended_.request();
  thread_.join();
  log::show_progress("");
}

std::vector<StreamFigures> StreamWatch::figures() {
  std::lock_guard lock(mutex_);
  std::vector<StreamFigures> result;
  for (const auto& watched : watched_) result.push_back(watched.figures);
  return result;
}

std::string StreamWatch::metrics() { return to_prometheus(figures()); }

void StreamWatch::run() {
  unsigned ticks = 0;
  while (true) {
    look();
    const auto each = figures();
    const StreamFigures now = together(each);
    log::show_progress(line(now, each.size()));
    if (ticks % kTicksPerLogLine == 0 && ticks > 0 && !log::is_terminal()) log::info("{}", line(now, each.size()));
    nlohmann::json document = json(now);
    for (const auto& figures_of_shard : each) {
      if (!figures_of_shard.shard.empty()) document["shards"].push_back(json(figures_of_shard));
    }
    try {
      state_.set_progress(options_.workflow, "replicate", document.dump());
    } catch (const Error& error) {
      log::warning("progress is not recorded: {}", error.what());  // status will be older; the stream goes on
    }
    if (ticks++ % kTicksPerRetention == 0) look_at_retention();
    if (!ended_.sleep_for(seconds(1))) return;
  }
}

void StreamWatch::look() {
  const auto now = Clock::now();
  const double passed_s = std::max(std::chrono::duration<double>(now - looked_).count(), 0.001);
  std::lock_guard lock(mutex_);
  for (auto& watched : watched_) look(watched, passed_s);
  looked_ = now;
}

void StreamWatch::look(Watched& watched, double passed_s) {
  const apply::ApplyProgress& progress = watched.stream.progress;
  StreamFigures& figures = watched.figures;
  const std::uint64_t transactions = progress.transactions;
  const std::uint64_t rows = progress.rows;
  const auto [lag, lag_source] = lag_of(progress);
  figures.transactions = transactions;
  figures.rows = rows;
  figures.target_transactions = progress.target_transactions;
  figures.bytes_read = progress.bytes_read;
  figures.retries = progress.retries;
  figures.parked = progress.parked;
  figures.transactions_per_s = static_cast<double>(transactions - watched.transactions_before) / passed_s;
  figures.rows_per_s = static_cast<double>(rows - watched.rows_before) / passed_s;
  figures.is_caught_up = progress.is_caught_up && progress.parked == 0;
  figures.lag = lag;
  figures.lag_source = lag_source;
  figures.throttle = throttle_.reason().value_or("");
  if (retention_ && retention_->count() > 0) figures.retention_left = *retention_ - std::chrono::duration_cast<seconds>(lag.value_or(milliseconds(0)));
  watched.transactions_before = transactions;
  watched.rows_before = rows;
}

void StreamWatch::look_at_retention() {
  try {
    db::Connection connection = db::Connection::open(options_.source);
    retention_ = retention_of(connection);
  } catch (const Error& error) {
    log::debug("retention is not known: {}", error.what());
    return;
  }
  const StreamFigures now = together(figures());
  const bool is_short = now.retention_left && *now.retention_left < *retention_ / 4;
  if (is_short && !has_warned_) {
    log::warning("the source purges its binlog after {}; in {} it may purge what is still to be applied => raise binlog_expire_logs_seconds there",
                 format_duration(*retention_),
                 format_duration(std::max(*now.retention_left, seconds(0))));
  }
  has_warned_ = is_short;
}

}  // namespace godwit::workflow
