// Waits until something holds, up to a limit, and says whether it came to that.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "process.h"

namespace godwit::test {

bool holds_within(std::chrono::seconds limit, const std::function<bool()>& holds);
// Whether `text` gives something else than now.
bool changes_within(std::chrono::seconds limit, const std::function<std::string()>& text);
bool has_logged(const Process& process, const std::string& words, std::chrono::seconds limit = std::chrono::seconds(20));

}  // namespace godwit::test
