// What a logged statement is, by its first words. Comments and blanks before them do not count.
#include <algorithm>
#include <array>
#include <string>

#include "godwit/apply/assembler.h"
#include "godwit/util/text.h"

namespace godwit::apply {
namespace {

std::string_view skip_blanks_and_comments(std::string_view sql) {
  while (true) {
    sql = trim(sql);
    if (sql.starts_with("/*!") || sql.starts_with("/*M!")) {
      // What a versioned comment holds is executed: it counts.
      const auto body = sql.find_first_not_of("0123456789", sql.find('!') + 1);
      sql = body == std::string_view::npos ? std::string_view() : sql.substr(body);
    } else if (sql.starts_with("/*")) {
      const auto end = sql.find("*/");
      sql = end == std::string_view::npos ? std::string_view() : sql.substr(end + 2);
    } else if (sql.starts_with("--") || sql.starts_with("#")) {
      const auto end = sql.find('\n');
      sql = end == std::string_view::npos ? std::string_view() : sql.substr(end + 1);
    } else {
      return sql;
    }
  }
}

// "create temporary table …" → "create temporary table", at most three words.
std::string first_words(std::string_view sql) {
  std::string words;
  for (int i = 0; i < 3; ++i) {
    sql = skip_blanks_and_comments(sql);
    const auto end = std::find_if(sql.begin(), sql.end(), [](char c) { return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'); });
    const auto length = static_cast<std::size_t>(end - sql.begin());
    if (length == 0) break;
    words += (words.empty() ? "" : " ") + lower(sql.substr(0, length));
    sql.remove_prefix(length);
  }
  return words;
}

bool begins_with(const std::string& words, std::string_view head) {
  return words.starts_with(head) && (words.size() == head.size() || words[head.size()] == ' ');
}

template <std::size_t N>
bool begins_with_any(const std::string& words, const std::array<std::string_view, N>& heads) {
  return std::any_of(heads.begin(), heads.end(), [&](std::string_view head) { return begins_with(words, head); });
}

constexpr std::array<std::string_view, 8> kControl{"begin", "commit", "rollback", "savepoint", "release savepoint", "xa", "start transaction", "set transaction"};
constexpr std::array<std::string_view, 8> kData{"insert", "update", "delete", "replace", "load", "call", "with", "do"};
// Change no row and no table's shape.
constexpr std::array<std::string_view, 27> kHarmless{
    "grant", "revoke", "create user", "alter user", "drop user", "rename user", "create role", "drop role", "set password", "set default role",
    "flush", "analyze", "optimize", "repair", "check", "create temporary", "drop temporary", "create server", "alter server", "drop server",
    "install", "uninstall", "create resource", "alter resource", "drop resource", "set", "alter instance"};

constexpr std::array<std::string_view, 3> kCodeVerbs{"create", "alter", "drop"};

bool is_word(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || byte >= 0x80;
}

// The length of a quoted piece at the front; its content goes to `content`.
std::size_t read_quoted(std::string_view sql, std::string& content) {
  const char quote = sql[0];
  std::size_t at = 1;
  while (at < sql.size()) {
    if (sql[at] == '\\' && quote != '`' && at + 1 < sql.size()) {
      ++at;
    } else if (sql[at] == quote) {
      if (at + 1 >= sql.size() || sql[at + 1] != quote) return at + 1;
      ++at;
    }
    content.push_back(sql[at++]);
  }
  return sql.size();
}

// CREATE [OR REPLACE] [DEFINER = …] [UNIQUE] … {TABLE | VIEW | …}: the first of these words decides. What names neither is taken
// for the graver kind.
bool names_table(std::string_view sql) {
  constexpr std::array<std::string_view, 6> kTables{"table", "database", "schema", "index", "sequence", "tablespace"};
  constexpr std::array<std::string_view, 6> kCode{"view", "procedure", "function", "trigger", "event", "package"};
  for (const auto& name : names_in(sql)) {
    const auto is = [&](std::string_view word) { return name.schema.empty() && equals_ignoring_case(name.name, word); };
    if (std::any_of(kTables.begin(), kTables.end(), is)) return true;
    if (std::any_of(kCode.begin(), kCode.end(), is)) return false;
  }
  return true;
}

}  // namespace

StatementKind classify(std::string_view sql) {
  const std::string words = first_words(sql);
  if (begins_with_any(words, kControl)) return StatementKind::transaction_control;
  if (begins_with_any(words, kData)) return StatementKind::data_change;
  if (begins_with_any(words, kHarmless)) return StatementKind::harmless;
  const bool is_code = begins_with_any(words, kCodeVerbs) && !names_table(sql);
  return is_code ? StatementKind::code_definition : StatementKind::table_definition;
}

bool keeps_tables(std::string_view sql) {
  constexpr std::array<std::string_view, 7> kKeeping{"truncate", "create index", "create unique index", "create fulltext index", "create spatial index", "drop index", "alter table"};
  if (!begins_with_any(first_words(sql), kKeeping)) return false;
  const auto names = names_in(sql);
  const auto is = [&](std::size_t i, std::string_view word) { return i < names.size() && equals_ignoring_case(names[i].name, word); };
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (is(i, "exchange") || is(i, "tablespace")) return false;
    const bool is_of_part = is(i + 1, "column") || is(i + 1, "index") || is(i + 1, "key");
    if (is(i, "rename") && !is_of_part) return false;
  }
  return true;
}

std::vector<MentionedName> names_in(std::string_view sql) {
  std::vector<MentionedName> names;
  bool is_after_dot = false;
  while (true) {
    sql = skip_blanks_and_comments(sql);
    if (sql.empty()) return names;
    std::string word;
    if (sql[0] == '`' || sql[0] == '"') {
      sql.remove_prefix(read_quoted(sql, word));
    } else if (sql[0] == '\'') {
      sql.remove_prefix(read_quoted(sql, word));
      is_after_dot = false;
      continue;
    } else if (is_word(sql[0])) {
      while (!sql.empty() && is_word(sql[0])) word.push_back(sql[0]), sql.remove_prefix(1);
    } else {
      is_after_dot = sql[0] == '.' && !names.empty();
      sql.remove_prefix(1);
      continue;
    }
    if (is_after_dot) {
      names.back() = {.schema = names.back().name, .name = word};
    } else {
      names.push_back({.schema = "", .name = word});
    }
    is_after_dot = false;
  }
}

}  // namespace godwit::apply
