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

// How far the target is behind. A heartbeat measures the whole way: what it took to arrive, or, when the next is overdue, how long ago the
// last one was sent. Without heartbeats: nothing when the source says that there is no more, else the age of what was applied last.
std::pair<std::optional<milliseconds>, std::string> lag_of(const apply::ApplyProgress& progress) {
  const std::uint64_t now = apply::now_us();
  const std::uint64_t sent = progress.heartbeat_us;
  const std::uint64_t seen = progress.heartbeat_seen_us;
  if (sent != 0 && now - sent < kHeartbeatStaleUs) {
    const std::uint64_t on_the_way = seen > sent ? seen - sent : 0;
    const std::uint64_t silent = now - seen;
    constexpr std::uint64_t kOverdueUs = 3'000'000;
    return {us_to_ms(silent < kOverdueUs ? on_the_way : now - sent), "heartbeat"};
  }
  if (progress.is_caught_up && now - progress.caught_up_us < kHeartbeatStaleUs) return {milliseconds(0), "idle"};
  const std::uint64_t applied = progress.applied_source_us;
  if (applied == 0) return {std::nullopt, ""};
  return {us_to_ms(now > applied ? now - applied : 0), "event_time"};
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

}  // namespace

std::string to_prometheus(const StreamFigures& f) {
  std::string text;
  const auto put = [&](std::string_view name, std::string_view type, std::string_view help, const auto& value) {
    text += fmt::format("# HELP godwit_{0} {1}\n# TYPE godwit_{0} {2}\ngodwit_{0}{{workflow=\"{3}\",direction=\"{4}\"}} {5}\n", name, help, type, f.workflow, f.direction, value);
  };
  put("stream_transactions_total", "counter", "Source transactions applied by this process.", f.transactions);
  put("stream_rows_total", "counter", "Row changes applied by this process.", f.rows);
  put("stream_target_transactions_total", "counter", "Transactions on the target that held them.", f.target_transactions);
  put("stream_read_bytes_total", "counter", "Bytes of binlog read from the source.", f.bytes_read);
  put("stream_retries_total", "counter", "Times the stream began again at its stored position.", f.retries);
  put("stream_transactions_per_second", "gauge", "Source transactions applied per second, of the last second.", fmt::format("{:.1f}", f.transactions_per_s));
  put("stream_rows_per_second", "gauge", "Row changes applied per second, of the last second.", fmt::format("{:.1f}", f.rows_per_s));
  put("stream_caught_up", "gauge", "1 when the source has nothing that is not applied.", f.is_caught_up ? 1 : 0);
  if (f.lag) put("stream_lag_seconds", "gauge", "How far the target is behind the source.", fmt::format("{:.3f}", static_cast<double>(f.lag->count()) / 1000.0));
  if (f.retention_left) put("stream_retention_left_seconds", "gauge", "Until the source purges what is still needed, by its settings.", f.retention_left->count());
  put("stream_throttled", "gauge", "1 while the stream holds back.", f.throttle.empty() ? 0 : 1);
  return text;
}

StreamWatch::StreamWatch(WatchOptions options, const apply::ApplyProgress& progress, const copy::Throttle& throttle, state::StateFile& state)
    : options_(std::move(options)), progress_(progress), throttle_(throttle), state_(state) {
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

std::string StreamWatch::metrics() {
  std::lock_guard lock(mutex_);
  return to_prometheus(figures_);
}

void StreamWatch::run() {
  unsigned ticks = 0;
  while (true) {
    look();
    StreamFigures now;
    {
      std::lock_guard lock(mutex_);
      now = figures_;
    }
    log::show_progress(line(now));
    if (ticks % kTicksPerLogLine == 0 && ticks > 0 && !log::is_terminal()) log::info("{}", line(now));
    try {
      state_.set_progress(options_.workflow, "replicate", json(now));
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
  const std::uint64_t transactions = progress_.transactions;
  const std::uint64_t rows = progress_.rows;
  const auto [lag, lag_source] = lag_of(progress_);
  std::lock_guard lock(mutex_);
  figures_.workflow = options_.workflow;
  figures_.direction = options_.direction;
  figures_.transactions = transactions;
  figures_.rows = rows;
  figures_.target_transactions = progress_.target_transactions;
  figures_.bytes_read = progress_.bytes_read;
  figures_.retries = progress_.retries;
  figures_.transactions_per_s = static_cast<double>(transactions - transactions_before_) / passed_s;
  figures_.rows_per_s = static_cast<double>(rows - rows_before_) / passed_s;
  figures_.is_caught_up = progress_.is_caught_up;
  figures_.lag = lag;
  figures_.lag_source = lag_source;
  figures_.throttle = throttle_.reason().value_or("");
  if (retention_ && retention_->count() > 0) figures_.retention_left = *retention_ - std::chrono::duration_cast<seconds>(lag.value_or(milliseconds(0)));
  transactions_before_ = transactions;
  rows_before_ = rows;
  looked_ = now;
}

void StreamWatch::look_at_retention() {
  try {
    db::Connection connection = db::Connection::open(options_.source);
    retention_ = retention_of(connection);
  } catch (const Error& error) {
    log::debug("retention is not known: {}", error.what());
    return;
  }
  std::lock_guard lock(mutex_);
  const bool is_short = figures_.retention_left && *figures_.retention_left < *retention_ / 4;
  if (is_short && !has_warned_) {
    log::warning("the source purges its binlog after {}; in {} it may purge what is still to be applied => raise binlog_expire_logs_seconds there",
                 format_duration(*retention_),
                 format_duration(std::max(*figures_.retention_left, seconds(0))));
  }
  has_warned_ = is_short;
}

std::string StreamWatch::line(const StreamFigures& f) const {
  std::string text = fmt::format("replicate{} {}  {:.0f} transactions/s  {:.0f} rows/s  {} transactions",
                                 f.direction == "reverse" ? " (reverse)" : "",
                                 f.lag ? "lag " + format_duration(*f.lag) : "lag unknown",
                                 f.transactions_per_s,
                                 f.rows_per_s,
                                 format_count(f.transactions));
  if (f.is_caught_up) text += "  caught up";
  if (!f.throttle.empty()) text += "  throttled: " + f.throttle;
  return text;
}

std::string StreamWatch::json(const StreamFigures& f) const {
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
  return document.dump();
}

}  // namespace godwit::workflow
