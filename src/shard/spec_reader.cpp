#include "spec_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::shard {
namespace {

constexpr std::string_view kEndsName = ".,=() \t`";

}  // namespace

void SpecReader::refuse(const std::string& cause) const {
  throw Error(Code::bad_placement, {.object = std::string(flag_), .cause = cause, .remedy = std::string(form_)});
}

void SpecReader::skip_blanks() { left_.remove_prefix(std::min(left_.find_first_not_of(" \t"), left_.size())); }

bool SpecReader::accept(char token) {
  skip_blanks();
  if (!left_.starts_with(token)) return false;
  left_.remove_prefix(1);
  return true;
}

void SpecReader::expect(char token) {
  if (accept(token)) return;
  refuse(left_.empty() ? fmt::format("it ends where \"{}\" is expected", token) : fmt::format("\"{}\" is expected before \"{}\"", token, left_));
}

bool SpecReader::accept_word(std::string_view word) {
  skip_blanks();
  if (!equals_ignoring_case(left_.substr(0, left_.find_first_of(kEndsName)), word)) return false;
  left_.remove_prefix(word.size());
  return true;
}

std::string SpecReader::quoted_name() {
  std::string name;
  for (std::size_t i = 1; i < left_.size(); ++i) {
    if (left_[i] == '`') {
      if (left_.substr(i + 1, 1) != "`") {
        left_.remove_prefix(i + 1);
        return name;
      }
      ++i;
    }
    name.push_back(left_[i]);
  }
  refuse("a name in backquotes does not end");
}

std::string SpecReader::name() {
  skip_blanks();
  const bool is_quoted = left_.starts_with('`');
  std::string name = is_quoted ? quoted_name() : std::string(left_.substr(0, left_.find_first_of(kEndsName)));
  if (name.empty()) refuse(left_.empty() ? "it ends where a name is expected" : fmt::format("a name is expected before \"{}\"", left_));
  if (!is_quoted) left_.remove_prefix(name.size());
  return name;
}

std::string SpecReader::number() {
  skip_blanks();
  const std::size_t digits = left_.starts_with('-') ? 1 : 0;
  const std::size_t end = std::min(left_.find_first_not_of("0123456789", digits), left_.size());
  if (end == digits) refuse(left_.empty() ? "it ends where a number is expected" : fmt::format("a number is expected before \"{}\"", left_));
  std::string number(left_.substr(0, end));
  left_.remove_prefix(end);
  return number;
}

std::string_view SpecReader::rest() { return trim(std::exchange(left_, {})); }

void SpecReader::finish() {
  skip_blanks();
  if (!left_.empty()) refuse(fmt::format("\"{}\" is left over", left_));
}

}  // namespace godwit::shard
