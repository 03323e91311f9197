#include "lexer.h"

#include <algorithm>

#include "godwit/util/text.h"

namespace godwit::catalog {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

bool is_word(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || c == '@' ||
         byte >= 0x80;
}

// The index past a quoted piece; a quote is doubled, or in strings escaped by a backslash.
std::size_t past_quoted(std::string_view sql, std::size_t at) {
  const char quote = sql[at++];
  while (at < sql.size()) {
    if (sql[at] == '\\' && quote != '`') {
      at += 2;
    } else if (sql[at] != quote) {
      ++at;
    } else if (at + 1 < sql.size() && sql[at + 1] == quote) {
      at += 2;
    } else {
      return at + 1;
    }
  }
  return sql.size();
}

std::size_t past_word(std::string_view sql, std::size_t at) {
  const bool is_number = sql[at] >= '0' && sql[at] <= '9';
  while (at < sql.size() && (is_word(sql[at]) || (is_number && sql[at] == '.'))) ++at;
  return at;
}

std::size_t past_comment(std::string_view sql, std::size_t at) {
  const auto end = sql.find("*/", at + 2);
  return end == std::string_view::npos ? sql.size() : end + 2;
}

}  // namespace

bool Token::is(std::string_view word) const {
  return (kind == TokenKind::word || kind == TokenKind::symbol) && equals_ignoring_case(text, word);
}

Tokens tokenize(std::string_view sql) {
  Tokens tokens;
  bool has_space = false;
  std::size_t at = 0;
  while (at < sql.size()) {
    const char c = sql[at];
    if (is_space(c)) {
      has_space = true;
      ++at;
      continue;
    }
    TokenKind kind = TokenKind::symbol;
    std::size_t end = at + 1;
    if (c == '`') {
      kind = TokenKind::identifier;
      end = past_quoted(sql, at);
    } else if (c == '\'' || c == '"') {
      kind = TokenKind::string;
      end = past_quoted(sql, at);
    } else if (sql.substr(at, 2) == "/*") {
      kind = TokenKind::comment;
      end = past_comment(sql, at);
    } else if (is_word(c)) {
      kind = TokenKind::word;
      end = past_word(sql, at);
    }
    end = std::min(end, sql.size());
    tokens.push_back({kind, std::string(sql.substr(at, end - at)), has_space});
    has_space = false;
    at = end;
  }
  return tokens;
}

std::string to_sql(const Tokens& tokens) {
  std::string sql;
  for (const auto& token : tokens) {
    if (token.has_space_before && !sql.empty()) sql.push_back(' ');
    sql += token.text;
  }
  return sql;
}

std::string unquoted(const Token& identifier) {
  std::string name;
  const std::string& text = identifier.text;
  if (identifier.kind != TokenKind::identifier || text.size() < 2) return text;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    name.push_back(text[i]);
    if (text[i] == '`') ++i;
  }
  return name;
}

std::size_t past_parentheses(const Tokens& tokens, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < tokens.size(); ++i) {
    if (tokens[i].is("(")) ++depth;
    if (tokens[i].is(")") && --depth == 0) return i + 1;
  }
  return tokens.size();
}

std::string versioned_body(const Token& comment) {
  std::string_view text = comment.text;
  if (text.size() < 5) return {};
  text = text.substr(2, text.size() - 4);
  if (text.starts_with("M!")) text.remove_prefix(1);
  if (!text.starts_with("!")) return {};
  text.remove_prefix(1);
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') text.remove_prefix(1);
  return std::string(trim(text));
}

}  // namespace godwit::catalog
