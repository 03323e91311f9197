#include "trigger_head.h"

#include "godwit/sql/quote.h"
#include "sql_words.h"

namespace godwit::workflow {

std::string with_head(const std::string& create_trigger, const TriggerHead& head) {
  Words words(create_trigger);
  if (!skip_past(words, "TRIGGER")) return create_trigger;
  if (is_word(words.peek(), "IF") && !skip_past(words, "EXISTS")) return create_trigger;
  const auto name = take_name(words);
  if (!name || !skip_past(words, "ON")) return create_trigger;
  const auto table = take_name(words);
  if (!table || !skip_past(words, "EACH")) return create_trigger;
  const auto row = words.next();
  if (!is_word(row, "ROW")) return create_trigger;
  const std::string_view text = create_trigger;
  std::string result(text.substr(0, name->begin));
  result += sql::quote_identifier(head.name);
  result += text.substr(name->end, table->begin - name->end);
  result += sql::quote_identifier(head.table(table->text));
  result += text.substr(table->end, row->end - table->end);
  std::size_t rest = row->end;
  if (is_word(words.peek(), "FOLLOWS") || is_word(words.peek(), "PRECEDES")) {
    words.next();
    if (const auto other = take_name(words)) rest = other->end;
  }
  return result.append(text.substr(rest));
}

}  // namespace godwit::workflow
