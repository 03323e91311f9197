#include "copy_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"

namespace godwit::workflow {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

CopyProgress::CopyProgress(const std::string& workflow, CopyWatched watched, state::StateFile& state)
    : workflow_(workflow), watched_(std::move(watched)), state_(state), thread_([this] { run(); }) {}

CopyProgress::~CopyProgress() {
  ended_.request();
  thread_.join();
  log::show_progress("");
}

CopyProgress::Sample CopyProgress::sample() const {
  Sample now;
  now.targets.resize(watched_.targets.size());
  for (std::size_t table = 0; table < watched_.targets[0].tasks.size(); ++table) add_table(now, table);
  return now;
}

void CopyProgress::add_table(Sample& sample, std::size_t table) const {
  std::uint64_t bytes = 0;
  std::uint64_t copies = 0;  // of the table's rows: one, or one on each target
  bool is_done = true;
  for (std::size_t i = 0; i < watched_.targets.size(); ++i) {
    const copy::Target& target = watched_.targets[i];
    if (!target.tasks[table].is_wanted) continue;
    const copy::TableProgress& progress = target.progress[table];
    copies = target.tasks[table].route ? 1 : copies + 1;
    bytes += progress.bytes;
    is_done = is_done && progress.is_done;
    sample.rows += progress.rows;
    sample.targets[i].rows += progress.rows;
    sample.targets[i].bytes += progress.bytes;
    ++sample.targets[i].tables;
    sample.targets[i].tables_done += progress.is_done ? 1U : 0U;
  }
  sample.bytes += bytes;
  sample.tables_done += is_done ? 1U : 0U;
  // An estimate that is exceeded was too low; a table that is done needs none.
  sample.bytes_estimate += is_done ? bytes : std::max(bytes, copies * watched_.targets[0].tasks[table].bytes_estimate);
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
                                 watched_.targets[0].tasks.size());
  if (const auto left = time_left({.done = now.bytes, .total = now.bytes_estimate, .per_s = bytes_per_s})) {
    text += "  ETA " + format_duration(*left);
  }
  if (const auto building = watched_.keys_building(); !building.empty()) text += "  keys: " + join(building, ", ");
  if (const auto reason = watched_.throttle.reason()) text += "  throttled: " + *reason;
  return text;
}

std::string CopyProgress::json(const Sample& now, double bytes_per_s) {
  nlohmann::json document{{"rows", now.rows},
                          {"bytes", now.bytes},
                          {"bytes_estimate", now.bytes_estimate},
                          {"bytes_per_s", static_cast<std::uint64_t>(bytes_per_s)},
                          {"tables", watched_.targets[0].tasks.size()},
                          {"tables_done", now.tables_done},
                          {"keys_building", watched_.keys_building()},
                          {"throttle", watched_.throttle.reason().value_or("")},
                          {"elapsed_s", std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - began_).count()}};
  if (const auto left = time_left({.done = now.bytes, .total = now.bytes_estimate, .per_s = bytes_per_s})) document["eta_s"] = left->count();
  for (std::size_t i = 0; i < now.targets.size() && !watched_.names[i].empty(); ++i) {
    const OfTarget& target = now.targets[i];
    document["shards"].push_back({{"shard", watched_.names[i]}, {"rows", target.rows}, {"bytes", target.bytes}, {"tables", target.tables}, {"tables_done", target.tables_done}});
  }
  return document.dump();
}

}  // namespace godwit::workflow
