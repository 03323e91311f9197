// The words of a statement as a server gives it back, one after the other. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace godwit::workflow {

struct Word {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string text;  // without its quotes
  bool is_quoted = false;
};

// Words, quoted names and single signs; blanks and comments between them do not count.
class Words {
 public:
  explicit Words(std::string_view sql) : sql_(sql) {}

  std::optional<Word> next();
  std::optional<Word> peek();

 private:
  void skip_to(std::string_view end);
  void skip();
  std::string quoted(char quote);

  const std::string_view sql_;
  std::size_t at_ = 0;
};

bool is_word(const std::optional<Word>& word, std::string_view text);  // in any case, not quoted
bool skip_past(Words& words, std::string_view text);
// name or schema.name; the text is that of the name.
std::optional<Word> take_name(Words& words);

}  // namespace godwit::workflow
