// SQL text as tokens that print back to the same text. Pure, total: any input gives tokens. Private to catalog.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace godwit::catalog {

enum class TokenKind { word, identifier, string, symbol, comment };

struct Token {
  TokenKind kind = TokenKind::word;
  std::string text;          // as written, with its quotes
  bool has_space_before = false;

  bool is(std::string_view word) const;   // a word or symbol, ignoring case
};

using Tokens = std::vector<Token>;

Tokens tokenize(std::string_view sql);
std::string to_sql(const Tokens& tokens);
std::string unquoted(const Token& identifier);  // `a``b` → a`b
// The index past the parenthesis that closes the one at `open`; tokens.size() when none does.
std::size_t past_parentheses(const Tokens& tokens, std::size_t open);
// The body of /*!80016 NOT ENFORCED */ or /*M!100201 … */ without the marks; "" for an ordinary comment.
std::string versioned_body(const Token& comment);

}  // namespace godwit::catalog
