#include "godwit/util/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

namespace godwit::log {
namespace {

std::mutex mutex;
std::string progress;  // what stands on the last line of the terminal now

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = spdlog::stderr_logger_st("godwit");
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %L %v", spdlog::pattern_time_type::utc);
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum level_of(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

void erase_progress() {
  if (!progress.empty()) std::fputs("\r\033[K", stderr);
}

void paint_progress() {
  if (!progress.empty()) std::fputs(progress.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace

bool is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

void start(Level least) { logger().set_level(level_of(least)); }

void write(Level level, std::string_view line) {
  std::lock_guard lock(mutex);
  erase_progress();
  logger().log(level_of(level), fmt::string_view(line.data(), line.size()));
  paint_progress();
}

void show_progress(std::string_view line) {
  if (!is_terminal()) return;
  std::lock_guard lock(mutex);
  erase_progress();
  progress = line;
  paint_progress();
}

}  // namespace godwit::log
