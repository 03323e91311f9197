// Reads what the operator wrote in a flag, token by token. One thread. Private to shard. Blanks between tokens do not count.
#pragma once

#include <string>
#include <string_view>

namespace godwit::shard {

class SpecReader {
 public:
  // `form` is shown as the remedy: how the flag is to be written.
  SpecReader(std::string_view text, std::string_view flag, std::string_view form) : left_(text), flag_(flag), form_(form) {}

  bool accept(char token);
  void expect(char token);
  bool accept_word(std::string_view word);  // in either case
  std::string name();                       // `a.b` in backquotes, or what stands before one of .,=() or a blank
  std::string number();                     // digits, with or without a minus
  std::string_view rest();
  void finish();
  // Throws Error(bad_placement).
  [[noreturn]] void refuse(const std::string& cause) const;

 private:
  void skip_blanks();
  std::string quoted_name();

  std::string_view left_;
  std::string_view flag_;
  std::string_view form_;
};

}  // namespace godwit::shard
