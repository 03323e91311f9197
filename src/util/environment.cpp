#include "godwit/util/environment.h"

#include <cstdlib>
#include <string_view>

extern char** environ;

namespace godwit {
namespace {

// What was there before this process set it; nothing: nothing was.
std::map<std::string, std::optional<std::string>>& replaced() {
  static std::map<std::string, std::optional<std::string>> values;
  return values;
}

bool is_password(std::string_view name) { return name.starts_with("GODWIT_") && name.find("PASSWORD") != std::string_view::npos; }

}  // namespace

void set_for_this_process(const std::string& name, const std::string& value) {
  replaced().try_emplace(name, given_environment(name));
  ::setenv(name.c_str(), value.c_str(), 1);
}

std::optional<std::string> given_environment(const std::string& name) {
  const auto before = replaced().find(name);
  if (before != replaced().end()) return before->second;
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& more, Passwords passwords) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    const bool is_left_out = passwords == Passwords::left_out && is_password(name);
    if (!is_left_out && more.count(name) == 0 && replaced().count(name) == 0) result.push_back(text);
  }
  for (const auto& [name, value] : replaced()) {
    if (value && more.count(name) == 0) result.push_back(name + "=" + *value);
  }
  for (const auto& [name, value] : more) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace godwit
