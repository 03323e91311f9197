#include "godwit/util/redact.h"

#include <algorithm>

namespace godwit {
namespace {

// Where the password ends that begins at `from`: at the last @ of the word that has one, since it may hold blanks and others of them. A port is none.
std::size_t end_of_password(const std::string& text, std::size_t from) {
  constexpr const char* kBlanks = " \n\t";
  const std::size_t at = text.find('@', from);
  const std::size_t word_ends = std::min(text.find_first_of(kBlanks, from), text.size());
  const std::size_t digits_end = std::min(text.find_first_not_of("0123456789", from), text.size());
  const bool is_port = digits_end > from && at > word_ends;
  if (at == std::string::npos || is_port) return std::string::npos;
  return text.rfind('@', std::min(text.find_first_of(kBlanks, at), text.size()));
}

}  // namespace

std::string without_passwords(std::string text) {
  constexpr const char* kInstead = "***";
  for (std::size_t at = text.find("://"); at != std::string::npos; at = text.find("://", at + 3)) {
    const std::size_t user_ends = text.find_first_of(":@/ \n\t", at + 3);
    if (user_ends == std::string::npos || text[user_ends] != ':') continue;
    const std::size_t end = end_of_password(text, user_ends + 1);
    if (end != std::string::npos) text.replace(user_ends + 1, end - user_ends - 1, kInstead);
  }
  return text;
}

}  // namespace godwit
