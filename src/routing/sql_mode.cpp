#include "sql_mode.h"

#include <algorithm>
#include <array>
#include <set>

#include "godwit/util/text.h"

namespace godwit::routing {
namespace {

using Words = std::set<std::string>;

Words words_of(std::string_view mode) {
  Words words;
  for (const auto& word : split(mode, ',')) {
    if (!word.empty()) words.insert(word);
  }
  return words;
}

std::string text_of(const Words& words) { return join({words.begin(), words.end()}, ","); }

// What MySQL 8.0 and later know. Both flavours know these, except TIME_TRUNCATE_FRACTIONAL, which MariaDB does not.
bool does_mysql_know(const std::string& word) {
  static const Words kKnown = words_of(
      "REAL_AS_FLOAT,PIPES_AS_CONCAT,ANSI_QUOTES,IGNORE_SPACE,ONLY_FULL_GROUP_BY,NO_UNSIGNED_SUBTRACTION,NO_DIR_IN_CREATE,ANSI,NO_AUTO_VALUE_ON_ZERO,"
      "NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ALLOW_INVALID_DATES,ERROR_FOR_DIVISION_BY_ZERO,TRADITIONAL,"
      "HIGH_NOT_PRECEDENCE,NO_ENGINE_SUBSTITUTION,PAD_CHAR_TO_FULL_LENGTH,TIME_TRUNCATE_FRACTIONAL");
  return kKnown.contains(word);
}

// Words that change what is stored or how statements are read: without a counterpart nothing may be moved, whoever chose them.
bool is_essential(const std::string& word) { return word == "ORACLE" || word == "EMPTY_STRING_IS_NULL" || word == "SIMULTANEOUS_ASSIGNMENT"; }

// Setting ANSI on MySQL means ONLY_FULL_GROUP_BY too, on MariaDB it does not: the word goes unless its parts are all there.
void drop_ansi_with_other_parts(Words& words, const ServerFacts& to) {
  if (!to.is_mariadb() && !words.contains("ONLY_FULL_GROUP_BY")) words.erase("ANSI");
}

// Excess digits of a second: MariaDB cuts them unless TIME_ROUND_FRACTIONAL, MySQL rounds them unless TIME_TRUNCATE_FRACTIONAL.
void keep_rounding(Words& words, const ServerFacts& to) {
  const bool is_from_mariadb = !to.is_mariadb();
  if (is_from_mariadb) {
    if (words.erase("TIME_ROUND_FRACTIONAL") == 0) words.insert("TIME_TRUNCATE_FRACTIONAL");
  } else if (words.erase("TIME_TRUNCATE_FRACTIONAL") == 0) {
    words.insert("TIME_ROUND_FRACTIONAL");
  }
}

}  // namespace

SqlMode translated_sql_mode(std::string_view mode, std::string_view old_global, const ServerFacts& from, const ServerFacts& to) {
  if (from.flavour == to.flavour) return {.value = std::string(mode)};
  Words words = words_of(mode);
  keep_rounding(words, to);
  drop_ansi_with_other_parts(words, to);
  SqlMode result;
  if (!to.is_mariadb()) {
    const Words defaults = words_of(old_global);
    words.erase("NO_AUTO_CREATE_USER");  // MySQL behaves so always
    for (auto word = words.begin(); word != words.end();) {
      if (does_mysql_know(*word)) {
        ++word;
        continue;
      }
      if (is_essential(*word) || !defaults.contains(*word)) result.refused.push_back(*word);
      word = words.erase(word);
    }
  }
  result.value = text_of(words);
  return result;
}

bool are_same_modes(std::string_view a, std::string_view b) { return words_of(a) == words_of(b); }

}  // namespace godwit::routing
