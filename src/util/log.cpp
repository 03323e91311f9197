#include "godwit/util/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
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

// What does not fit into the line is left out: a line that went over could not be erased any more.
std::string_view fitting(std::string_view line) {
  winsize size{};
  const bool is_known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  std::size_t columns = is_known ? size.ws_col - 1U : 79U;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool begins_character = (static_cast<unsigned char>(line[i]) & 0xC0U) != 0x80U;
    if (begins_character && columns-- == 0) return line.substr(0, i);
  }
  return line;
}

void paint_progress() {
  const std::string_view shown = fitting(progress);
  std::fwrite(shown.data(), 1, shown.size(), stderr);
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
