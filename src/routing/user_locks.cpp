#include "godwit/routing/user_locks.h"

#include <algorithm>

#include "tokens.h"

namespace godwit::routing {
namespace {

constexpr std::size_t kNamesMax = 32;
constexpr std::size_t kNameBytesMax = 200;  // the servers allow 64 characters

// Letters and digits alone mean the same in every character set and sql_mode; double quotes may become a column's name.
bool is_plain(std::string_view literal) {
  return literal.size() <= kNameBytesMax && literal.front() == '\'' &&
         std::all_of(literal.begin(), literal.end(), [](char c) { return c > 0 && c != '\\'; });
}

}  // namespace

void UserLocks::saw(std::string_view sql, bool has_backslash_escapes) {
  Tokens tokens(sql, has_backslash_escapes);
  for (Token token = tokens.next(); token.kind != Token::Kind::end; token = tokens.next()) {
    if (!token.is("GET_LOCK")) continue;
    const bool is_call = tokens.next().is_sign('(');
    const Token name = tokens.next();
    const bool is_literal = is_call && name.kind == Token::Kind::string && is_plain(name.text) && tokens.next().is_sign(',');
    if (!is_literal || names_.size() >= kNamesMax) {
      has_unknown_ = true;
    } else if (std::find(names_.begin(), names_.end(), name.text) == names_.end()) {
      names_.emplace_back(name.text);
    }
  }
}

void UserLocks::clear() { *this = UserLocks(); }

}  // namespace godwit::routing
