#include "trigger_head.h"

#include <algorithm>
#include <optional>

#include "godwit/sql/quote.h"
#include "godwit/util/text.h"

namespace godwit::workflow {
namespace {

struct Word {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string text;  // without its quotes
  bool is_quoted = false;
};

bool is_name_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || byte >= 0x80;
}

// Words, quoted names and single signs, one after the other; blanks and comments between them do not count.
class Scanner {
 public:
  explicit Scanner(std::string_view sql) : sql_(sql) {}

  std::optional<Word> next() {
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
  std::optional<Word> peek() {
    const std::size_t before = at_;
    auto word = next();
    at_ = before;
    return word;
  }

 private:
  void skip_to(std::string_view end) {
    const auto found = sql_.find(end, at_);
    at_ = found == std::string_view::npos ? sql_.size() : found + end.size();
  }
  void skip() {
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
  std::string quoted(char quote) {
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

  const std::string_view sql_;
  std::size_t at_ = 0;
};

bool is_word(const std::optional<Word>& word, std::string_view text) { return word && !word->is_quoted && equals_ignoring_case(word->text, text); }

bool skip_past(Scanner& scanner, std::string_view text) {
  while (auto word = scanner.next()) {
    if (is_word(word, text)) return true;
  }
  return false;
}

// name or schema.name; the text is that of the name.
std::optional<Word> take_name(Scanner& scanner) {
  auto name = scanner.next();
  if (!name || !is_word(scanner.peek(), ".")) return name;
  scanner.next();
  auto last = scanner.next();
  if (last) last->begin = name->begin;
  return last;
}

}  // namespace

std::string with_head(const std::string& create_trigger, const TriggerHead& head) {
  Scanner scanner(create_trigger);
  if (!skip_past(scanner, "TRIGGER")) return create_trigger;
  if (is_word(scanner.peek(), "IF") && !skip_past(scanner, "EXISTS")) return create_trigger;
  const auto name = take_name(scanner);
  if (!name || !skip_past(scanner, "ON")) return create_trigger;
  const auto table = take_name(scanner);
  if (!table || !skip_past(scanner, "EACH")) return create_trigger;
  const auto row = scanner.next();
  if (!is_word(row, "ROW")) return create_trigger;
  const std::string_view text = create_trigger;
  std::string result(text.substr(0, name->begin));
  result += sql::quote_identifier(head.name);
  result += text.substr(name->end, table->begin - name->end);
  result += sql::quote_identifier(head.table(table->text));
  result += text.substr(table->end, row->end - table->end);
  std::size_t rest = row->end;
  if (is_word(scanner.peek(), "FOLLOWS") || is_word(scanner.peek(), "PRECEDES")) {
    scanner.next();
    if (const auto other = take_name(scanner)) rest = other->end;
  }
  return result.append(text.substr(rest));
}

}  // namespace godwit::workflow
