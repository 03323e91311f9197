// The words of a statement, one after the other, without allocation. Comments are skipped; what stands in executable ones counts. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace godwit::routing {

struct Token {
  enum class Kind { end, word, number, string, quoted_name, variable, system_variable, sign };
  Kind kind = Kind::end;
  std::string_view text;   // with its quotes; of variables with @
  std::size_t offset = 0;  // in the statement
  bool is(std::string_view word) const;       // a word, whatever its case
  bool is_sign(char sign) const { return kind == Kind::sign && text.front() == sign; }
};

class Tokens {
 public:
  explicit Tokens(std::string_view sql, bool has_backslash_escapes = true) : sql_(sql), has_backslash_escapes_(has_backslash_escapes) {}
  Token next();
  std::size_t offset() const { return at_; }  // behind the last token

 private:
  void skip_blanks();
  bool skip_comment();
  std::size_t end_of_quotes(std::size_t from) const;
  std::size_t end_of_name(std::size_t from) const;
  Token make(Token::Kind kind, std::size_t end);

  std::string_view sql_;
  std::size_t at_ = 0;
  bool has_backslash_escapes_;
};

}  // namespace godwit::routing
