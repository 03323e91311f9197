#include "tokens.h"

#include <array>

#include "godwit/util/text.h"

namespace godwit::routing {
namespace {

enum : std::uint8_t { kBlank = 1, kName = 2, kDigit = 4 };

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  for (const char c : std::string_view(" \t\n\r\f\v")) classes[static_cast<unsigned char>(c)] = kBlank;
  for (unsigned c = 'a'; c <= 'z'; ++c) classes[c] = kName;
  for (unsigned c = 'A'; c <= 'Z'; ++c) classes[c] = kName;
  for (unsigned c = '0'; c <= '9'; ++c) classes[c] = kName | kDigit;
  for (unsigned c = 0x80; c <= 0xff; ++c) classes[c] = kName;
  classes['_'] = kName;
  classes['$'] = kName;
  return classes;
}
constexpr auto kClasses = make_classes();

bool is_of(char c, std::uint8_t what) { return (kClasses[static_cast<unsigned char>(c)] & what) != 0; }

bool is_quote(char c) { return c == '\'' || c == '"' || c == '`'; }

}  // namespace

bool Token::is(std::string_view word) const { return kind == Kind::word && equals_ignoring_case(text, word); }

// Behind the closing quote of the one at `from`, or the end.
std::size_t Tokens::end_of_quotes(std::size_t from) const {
  const char quote = sql_[from];
  for (std::size_t i = from + 1; i < sql_.size(); ++i) {
    if (sql_[i] == '\\' && has_backslash_escapes_ && quote != '`') {
      ++i;
    } else if (sql_[i] == quote) {
      const bool is_doubled = i + 1 < sql_.size() && sql_[i + 1] == quote;
      if (!is_doubled) return i + 1;
      ++i;
    }
  }
  return sql_.size();
}

std::size_t Tokens::end_of_name(std::size_t from) const {
  while (from < sql_.size() && is_of(sql_[from], kName)) ++from;
  return from;
}

// "/*!50100 … */" and "/*M! … */" are code: only their ends are skipped.
bool Tokens::skip_comment() {
  const std::string_view rest = sql_.substr(at_);
  if (rest.starts_with("/*!") || rest.starts_with("/*M!")) {
    at_ += rest[2] == '!' ? 3u : 4u;
    while (at_ < sql_.size() && is_of(sql_[at_], kDigit)) ++at_;
    return true;
  }
  if (rest.starts_with("*/")) {
    at_ += 2;
    return true;
  }
  if (rest.starts_with("/*")) {
    const auto end = sql_.find("*/", at_ + 2);
    at_ = end == std::string_view::npos ? sql_.size() : end + 2;
    return true;
  }
  const bool is_dashes = rest.starts_with("--") && (rest.size() == 2 || is_of(rest[2], kBlank));
  if (!is_dashes && !rest.starts_with('#')) return false;
  const auto end = sql_.find('\n', at_);
  at_ = end == std::string_view::npos ? sql_.size() : end + 1;
  return true;
}

void Tokens::skip_blanks() {
  while (at_ < sql_.size()) {
    const char c = sql_[at_];
    if (is_of(c, kBlank)) {
      ++at_;
    } else if ((c != '/' && c != '*' && c != '-' && c != '#') || !skip_comment()) {
      return;
    }
  }
}

Token Tokens::make(Token::Kind kind, std::size_t end) {
  const Token token{kind, sql_.substr(at_, end - at_), at_};
  at_ = end;
  return token;
}

Token Tokens::next() {
  skip_blanks();
  if (at_ >= sql_.size()) return {.kind = Token::Kind::end, .offset = sql_.size()};
  const char c = sql_[at_];
  if (is_of(c, kDigit)) {
    const std::size_t end = end_of_name(at_);
    std::size_t digits = at_;
    while (digits < end && is_of(sql_[digits], kDigit)) ++digits;
    return make(digits == end ? Token::Kind::number : Token::Kind::word, end);
  }
  if (is_of(c, kName)) return make(Token::Kind::word, end_of_name(at_));
  if (is_quote(c)) return make(c == '`' ? Token::Kind::quoted_name : Token::Kind::string, end_of_quotes(at_));
  if (c != '@') return make(Token::Kind::sign, at_ + 1);
  if (at_ + 1 < sql_.size() && sql_[at_ + 1] == '@') return make(Token::Kind::system_variable, end_of_name(at_ + 2));
  const bool is_quoted = at_ + 1 < sql_.size() && is_quote(sql_[at_ + 1]);
  return make(Token::Kind::variable, is_quoted ? end_of_quotes(at_ + 1) : end_of_name(at_ + 1));
}

}  // namespace godwit::routing
