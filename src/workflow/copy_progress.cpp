#include "copy_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"

namespace godwit::workflow {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

CopyProgress::CopyProgress(const std::string& workflow, const std::vector<copy::TableTask>& tasks,
                           const std::vector<copy::TableProgress>& progress, const copy::Throttle& throttle,
                           KeyBuilder& keys, state::StateFile& state)
    : workflow_(workflow),
      tasks_(tasks),
      progress_(progress),
      throttle_(throttle),
      keys_(keys),
      state_(state),
      thread_([this] { run(); }) {}

CopyProgress::~CopyProgress() {
  ended_.request();
  thread_.join();
  log::show_progress("");
}

CopyProgress::Sample CopyProgress::sample() const {
  Sample now;
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    const std::uint64_t bytes = progress_[i].bytes;
    now.rows += progress_[i].rows;
    now.bytes += bytes;
    now.tables_done += progress_[i].is_done ? 1U : 0U;
    // An estimate that is exceeded was too low; a table that is done needs none.
    now.bytes_estimate += progress_[i].is_done ? bytes : std::max(bytes, tasks_[i].bytes_estimate);
  }
  return now;
}

void CopyProgress::run() {
  Sample before = sample();
  auto at = Clock::now();
  unsigned ticks = 0;
  while (ended_.sleep_for(std::chrono::seconds(1))) {
    const Sample now = sample();
    const double seconds = std::chrono::duration<double>(Clock::now() - at).count();
    const double rate = static_cast<double>(now.bytes - std::min(now.bytes, before.bytes)) / seconds;
    log::show_progress(line(now, rate));
    if (++ticks % 10 != 0) continue;
    // Rates over ten seconds are steadier than over one.
    if (!log::is_terminal()) log::info("{}", line(now, rate));
    try {
      state_.set_progress(workflow_, "copy", json(now, rate));
    } catch (const Error& error) {
      log::warning("progress is not recorded: {}", error.what());  // status will be older; the copy goes on
    }
    before = now;
    at = Clock::now();
  }
}

std::string CopyProgress::line(const Sample& now, double bytes_per_s) {
  const double share = now.bytes_estimate == 0 ? 0 : 100.0 * static_cast<double>(now.bytes) / static_cast<double>(now.bytes_estimate);
  std::string text = fmt::format("copy {:.0f} %  {} / ~{}  {}/s  {} rows  {}/{} tables",
                                 std::min(share, 100.0),
                                 format_bytes(now.bytes),
                                 format_bytes(now.bytes_estimate),
                                 format_bytes(static_cast<std::uint64_t>(bytes_per_s)),
                                 format_count(now.rows),
                                 now.tables_done,
                                 tasks_.size());
  if (const auto left = time_left({.done = now.bytes, .total = now.bytes_estimate, .per_s = bytes_per_s})) {
    text += "  ETA " + format_duration(*left);
  }
  if (const auto building = keys_.at_work(); !building.empty()) text += "  keys: " + join(building, ", ");
  if (const auto reason = throttle_.reason()) text += "  throttled: " + *reason;
  return text;
}

std::string CopyProgress::json(const Sample& now, double bytes_per_s) {
  nlohmann::json document{{"rows", now.rows},
                          {"bytes", now.bytes},
                          {"bytes_estimate", now.bytes_estimate},
                          {"bytes_per_s", static_cast<std::uint64_t>(bytes_per_s)},
                          {"tables", tasks_.size()},
                          {"tables_done", now.tables_done},
                          {"keys_building", keys_.at_work()},
                          {"throttle", throttle_.reason().value_or("")},
                          {"elapsed_s", std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - began_).count()}};
  if (const auto left = time_left({.done = now.bytes, .total = now.bytes_estimate, .per_s = bytes_per_s})) document["eta_s"] = left->count();
  return document.dump();
}

}  // namespace godwit::workflow
