#include "event_status.h"

#include <fmt/format.h>

#include <optional>

#include "sql_words.h"

namespace godwit::workflow {
namespace {

struct Status {
  Word word;  // ENABLE or DISABLE
  bool is_on_replica = false;
};

// The words of a schedule are none of these, and the body comes later.
std::optional<Status> status_of(std::string_view create_event) {
  Words words(create_event);
  if (!skip_past(words, "EVENT")) return std::nullopt;
  while (const auto word = words.next()) {
    if (is_word(word, "DO")) return std::nullopt;
    if (is_word(word, "PRESERVE")) break;
  }
  const auto word = words.next();
  if (!is_word(word, "ENABLE") && !is_word(word, "DISABLE")) return std::nullopt;
  return Status{.word = *word, .is_on_replica = is_word(words.peek(), "ON")};
}

std::string_view text_of(bool is_enabled) { return is_enabled ? "ENABLE" : "DISABLE"; }

}  // namespace

bool is_enabled(std::string_view create_event) {
  const auto status = status_of(create_event);
  return status && is_word(status->word, "ENABLE");
}

bool is_disabled(std::string_view create_event) {
  const auto status = status_of(create_event);
  return status && is_word(status->word, "DISABLE") && !status->is_on_replica;
}

std::string with_enabled(const std::string& create_event, bool is_enabled) {
  const auto status = status_of(create_event);
  if (!status || status->is_on_replica) return create_event;
  std::string result = create_event;
  return result.replace(status->word.begin, status->word.end - status->word.begin, text_of(is_enabled));
}

std::string alter_enabled(const std::string& create_event, std::string_view name, bool is_enabled) {
  Words words(create_event);
  std::string definer;
  const auto create = words.next();
  while (const auto word = words.peek()) {
    if (!create || is_word(word, "EVENT")) break;
    words.next();
    definer = create_event.substr(create->end, word->end - create->end) + " ";
  }
  return fmt::format("ALTER{}EVENT {} {}", definer.empty() ? " " : definer, name, text_of(is_enabled));
}

}  // namespace godwit::workflow
