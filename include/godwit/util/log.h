// The log: lines on stderr, for operators. Any thread. spdlog stays in log.cpp.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace godwit::log {

enum class Level { debug, info, warning, error };

// Call once, before threads. quiet shows warnings and errors only; verbose adds debug lines.
void start(Level least);
void write(Level level, std::string_view line);
// Text shown below the log on a terminal, repainted in place; empty text removes it. Nothing when stderr is no terminal.
void show_progress(std::string_view line);
bool is_terminal();

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace godwit::log
