#include "waiting.h"

#include <thread>

namespace godwit::test {

bool holds_within(std::chrono::seconds limit, const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

bool changes_within(std::chrono::seconds limit, const std::function<std::string()>& text) {
  const std::string before = text();
  return holds_within(limit, [&] { return text() != before; });
}

bool has_logged(const Process& process, const std::string& words, std::chrono::seconds limit) {
  return holds_within(limit, [&] { return process.log().find(words) != std::string::npos; });
}

}  // namespace godwit::test
