#include "vdiff_progress.h"

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

VdiffProgress::VdiffProgress(const std::string& workflow, const VdiffCounts& counts, const copy::Throttle& throttle, state::StateFile& state)
    : workflow_(workflow), counts_(counts), throttle_(throttle), state_(state), thread_([this] { run(); }) {}

VdiffProgress::~VdiffProgress() {
  ended_.request();
  thread_.join();
  log::show_progress("");
}

void VdiffProgress::run() {
  constexpr unsigned kTicksPerLogLine = 10;
  std::uint64_t before = counts_.rows;
  auto at = Clock::now();
  for (unsigned ticks = 1; ended_.sleep_for(std::chrono::seconds(1)); ++ticks) {
    const std::uint64_t rows = counts_.rows;
    const double seconds = std::chrono::duration<double>(Clock::now() - at).count();
    const double rate = static_cast<double>(rows - std::min(rows, before)) / seconds;
    log::show_progress(line(rows, rate));
    try {
      state_.set_progress(workflow_, "vdiff", json(rows, rate));
    } catch (const Error& error) {
      log::warning("progress is not recorded: {}", error.what());  // status will be older; the comparison goes on
    }
    if (ticks % kTicksPerLogLine != 0) continue;
    if (!log::is_terminal()) log::info("{}", line(rows, rate));
    before = rows;
    at = Clock::now();
  }
}

std::string VdiffProgress::line(std::uint64_t rows, double rows_per_s) const {
  const double share = counts_.rows_estimate == 0 ? 0 : 100.0 * static_cast<double>(rows) / static_cast<double>(counts_.rows_estimate);
  std::string text = fmt::format("vdiff {:.0f} %  {} / ~{} rows  {}/s", std::min(share, 100.0), format_count(rows), format_count(counts_.rows_estimate), format_count(static_cast<std::uint64_t>(rows_per_s)));
  if (counts_.suspected != 0) text += fmt::format("  {} suspected", format_count(counts_.suspected));
  if (const auto left = time_left({.done = rows, .total = counts_.rows_estimate, .per_s = rows_per_s})) text += "  ETA " + format_duration(*left);
  if (const auto reason = throttle_.reason()) text += "  throttled: " + *reason;
  return text;
}

std::string VdiffProgress::json(std::uint64_t rows, double rows_per_s) const {
  nlohmann::json document{{"rows", rows},
                          {"rows_estimate", counts_.rows_estimate},
                          {"rows_per_s", static_cast<std::uint64_t>(rows_per_s)},
                          {"rows_streamed", counts_.streamed.load()},
                          {"suspected", counts_.suspected.load()},
                          {"tables", counts_.tables},
                          {"throttle", throttle_.reason().value_or("")}};
  if (const auto left = time_left({.done = rows, .total = counts_.rows_estimate, .per_s = rows_per_s})) document["eta_s"] = left->count();
  return document.dump();
}

}  // namespace godwit::workflow
