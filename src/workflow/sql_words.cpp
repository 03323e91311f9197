#include "sql_words.h"

#include <algorithm>

#include "godwit/util/text.h"

namespace godwit::workflow {
namespace {

bool is_name_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || byte >= 0x80;
}

}  // namespace

std::optional<Word> Words::next() {
  skip();
  if (at_ >= sql_.size()) return std::nullopt;
  Word word{.begin = at_};
  const char c = sql_[at_];
  if (c == '`' || c == '"' || c == '\'') {
    word.is_quoted = true;
    word.text = quoted(c);
  } else if (is_name_byte(c)) {
    while (at_ < sql_.size() && is_name_byte(sql_[at_])) word.text.push_back(sql_[at_++]);
  } else {
    word.text.push_back(sql_[at_++]);
  }
  word.end = at_;
  return word;
}

std::optional<Word> Words::peek() {
  const std::size_t before = at_;
  auto word = next();
  at_ = before;
  return word;
}

void Words::skip_to(std::string_view end) {
  const auto found = sql_.find(end, at_);
  at_ = found == std::string_view::npos ? sql_.size() : found + end.size();
}

void Words::skip() {
  while (at_ < sql_.size()) {
    const std::string_view rest = sql_.substr(at_);
    if (rest.starts_with("/*")) {
      skip_to("*/");
    } else if (rest.starts_with("#") || rest.starts_with("-- ")) {
      skip_to("\n");
    } else if (rest[0] == ' ' || (rest[0] >= '\t' && rest[0] <= '\r')) {
      ++at_;
    } else {
      return;
    }
  }
}

std::string Words::quoted(char quote) {
  std::string text;
  ++at_;
  while (at_ < sql_.size()) {
    const bool is_quote = sql_[at_] == quote;
    if (is_quote && (at_ + 1 >= sql_.size() || sql_[at_ + 1] != quote)) break;
    if (is_quote) ++at_;
    text.push_back(sql_[at_++]);
  }
  at_ = std::min(at_ + 1, sql_.size());
  return text;
}

bool is_word(const std::optional<Word>& word, std::string_view text) { return word && !word->is_quoted && equals_ignoring_case(word->text, text); }

bool skip_past(Words& words, std::string_view text) {
  while (auto word = words.next()) {
    if (is_word(word, text)) return true;
  }
  return false;
}

std::optional<Word> take_name(Words& words) {
  auto name = words.next();
  if (!name || !is_word(words.peek(), ".")) return name;
  words.next();
  auto last = words.next();
  if (last) last->begin = name->begin;
  return last;
}

}  // namespace godwit::workflow
