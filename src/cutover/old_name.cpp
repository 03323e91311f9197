#include "godwit/cutover/old_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace godwit::cutover {
namespace {

constexpr std::size_t kNameMax = 64;                     // characters
constexpr std::size_t kMarkSize = sizeof "_0123abcd" - 1;  // '_' and the hash

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

std::string_view first_characters(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    if (begins_character(text[at]) && count-- == 0) break;
  }
  return text.substr(0, at);
}

std::uint32_t hash_of(std::string_view text) {  // FNV-1a
  std::uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

}  // namespace

std::string old_name(std::string_view table) {
  const auto characters = static_cast<std::size_t>(std::count_if(table.begin(), table.end(), begins_character));
  if (characters + kOldSuffix.size() <= kNameMax) return fmt::format("{}{}", table, kOldSuffix);
  return fmt::format("{}_{:08x}{}", first_characters(table, kNameMax - kOldSuffix.size() - kMarkSize), hash_of(table), kOldSuffix);
}

}  // namespace godwit::cutover
