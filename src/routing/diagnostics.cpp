#include "godwit/routing/diagnostics.h"

#include <algorithm>
#include <array>

#include "godwit/util/text.h"
#include "tokens.h"

namespace godwit::routing {
namespace {

bool is_end(const Token& token) { return token.kind == Token::Kind::end; }

// [LIMIT [offset,] count] [;]
bool read_limit(Tokens& tokens, Token token, DiagnosticQuestion& question) {
  if (token.is("LIMIT")) {
    const auto first = parse_u64(tokens.next().text);
    if (!first) return false;
    question.count = *first;
    token = tokens.next();
    if (token.is_sign(',')) {
      const auto second = parse_u64(tokens.next().text);
      if (!second) return false;
      question.offset = *first;
      question.count = *second;
      token = tokens.next();
    }
  }
  if (token.is_sign(';')) token = tokens.next();
  return is_end(token);
}

std::optional<DiagnosticQuestion> read_show(Tokens& tokens) {
  DiagnosticQuestion question;
  Token token = tokens.next();
  const bool is_count = token.is("COUNT");
  if (is_count) {
    for (const char sign : {'(', '*', ')'}) {
      if (!tokens.next().is_sign(sign)) return std::nullopt;
    }
    token = tokens.next();
  }
  const bool is_errors = token.is("ERRORS");
  if (!is_errors && !token.is("WARNINGS")) return std::nullopt;
  question.question = is_count ? (is_errors ? Question::count_errors : Question::count_warnings) : (is_errors ? Question::show_errors : Question::show_warnings);
  if (is_count) question.column = is_errors ? "@@session.error_count" : "@@session.warning_count";
  return read_limit(tokens, tokens.next(), question) ? std::optional(question) : std::nullopt;
}

struct Name {
  std::string_view text;
  Question question;
};
constexpr std::array<Name, 6> kNames{{{"found_rows", Question::found_rows},
                                      {"row_count", Question::row_count},
                                      {"warning_count", Question::warning_count},
                                      {"error_count", Question::error_count},
                                      {"@@warning_count", Question::warning_count},
                                      {"@@error_count", Question::error_count}}};

std::optional<Question> question_named(std::string_view name) {
  for (const Name& each : kNames) {
    if (equals_ignoring_case(each.text, name)) return each.question;
  }
  return std::nullopt;
}

// FOUND_ROWS(), ROW_COUNT(), @@warning_count, @@session.warning_count: leaves the token behind it.
std::optional<Question> read_expression(Tokens& tokens, const Token& first, std::string_view sql, DiagnosticQuestion& question, Token& after) {
  std::optional<Question> asked = question_named(first.text);
  if (!asked && first.kind == Token::Kind::system_variable && (equals_ignoring_case(first.text, "@@session") || equals_ignoring_case(first.text, "@@local"))) {
    if (!tokens.next().is_sign('.')) return std::nullopt;
    asked = question_named(tokens.next().text);
    if (asked == Question::found_rows || asked == Question::row_count) return std::nullopt;
  } else if (first.kind == Token::Kind::word) {
    const bool is_call = asked && (*asked == Question::found_rows || *asked == Question::row_count) && tokens.next().is_sign('(') && tokens.next().is_sign(')');
    if (!is_call) return std::nullopt;
  }
  question.column = sql.substr(first.offset, tokens.offset() - first.offset);
  after = tokens.next();
  return asked;
}

std::optional<DiagnosticQuestion> read_select(Tokens& tokens, std::string_view sql) {
  DiagnosticQuestion question;
  Token after;
  const auto asked = read_expression(tokens, tokens.next(), sql, question, after);
  if (!asked) return std::nullopt;
  question.question = *asked;
  const bool has_as = after.is("AS");
  if (has_as) after = tokens.next();
  const bool is_word = after.kind == Token::Kind::word && !after.is("FROM") && !after.is("LIMIT") && !after.is("INTO") && !after.is("UNION");
  if (is_word) {
    question.column = after.text;
    after = tokens.next();
  } else if (after.kind == Token::Kind::quoted_name && after.text.size() > 2 && after.text.find('`', 1) == after.text.size() - 1) {
    question.column = after.text.substr(1, after.text.size() - 2);
    after = tokens.next();
  } else if (has_as) {
    return std::nullopt;
  }
  if (after.is_sign(';')) after = tokens.next();
  return is_end(after) ? std::optional(question) : std::nullopt;
}

std::string level_of(const Warning& warning) {
  std::string level = warning.level;
  std::erase(level, '\0');
  return level;
}

db::Rows list(const DiagnosticQuestion& question, const Diagnostics& diagnostics) {
  db::Rows rows;
  rows.columns = {"Level", "Code", "Message"};
  std::uint64_t at = 0;
  for (const Warning& warning : diagnostics.warnings) {
    if (question.question == Question::show_errors && level_of(warning) != "Error") continue;
    if (at++ < question.offset) continue;
    if (rows.rows.size() >= question.count) break;
    rows.rows.push_back({warning.level, warning.code, warning.message});
  }
  return rows;
}

std::string number_for(Question question, const Diagnostics& diagnostics) {
  switch (question) {
    case Question::found_rows:
      return std::to_string(diagnostics.found_rows);
    case Question::row_count:
      return std::to_string(diagnostics.row_count);
    case Question::count_warnings:
    case Question::warning_count:
      return std::to_string(diagnostics.warning_count);
    case Question::count_errors:
    case Question::error_count:
      return std::to_string(diagnostics.error_count);
    case Question::show_warnings:
    case Question::show_errors:
      break;
  }
  return "0";
}

bool is_list(Question question) { return question == Question::show_warnings || question == Question::show_errors; }

bool is_select(Question question) { return !is_list(question) && question != Question::count_warnings && question != Question::count_errors; }

// MySQL clears the warnings at a SELECT without a table, and FOUND_ROWS() leaves one about itself; MariaDB keeps them.
void clear_warnings(Question question, Flavour flavour, Diagnostics& diagnostics) {
  if (flavour == Flavour::mariadb || !is_select(question)) return;
  diagnostics.warnings.clear();
  diagnostics.warning_count = diagnostics.error_count = 0;
  if (question != Question::found_rows) return;
  diagnostics.warnings.push_back({"Warning", "1287", "FOUND_ROWS() is deprecated and will be removed in a future release. Consider using COUNT(*) instead."});
  diagnostics.warning_count = 1;
}

}  // namespace

std::optional<DiagnosticQuestion> asks_for_diagnostics(std::string_view sql) {
  Tokens tokens(sql);
  const Token first = tokens.next();
  if (first.is("SHOW")) return read_show(tokens);
  if (first.is("SELECT")) return read_select(tokens, sql);
  return std::nullopt;
}

Answer answer(const DiagnosticQuestion& question, Flavour flavour, Diagnostics& diagnostics) {
  Answer result;
  if (is_list(question.question)) {
    result.rows = list(question, diagnostics);
  } else {
    result.rows.columns = {std::string(question.column)};
    result.rows.rows = {{number_for(question.question, diagnostics)}};
    diagnostics.found_rows = 1;
    diagnostics.is_of_warnings_alone = false;
  }
  diagnostics.row_count = -1;
  clear_warnings(question.question, flavour, diagnostics);
  if (is_select(question.question) && flavour == Flavour::mysql) result.warnings = static_cast<unsigned>(diagnostics.warning_count);
  return result;
}

bool uses_tables(std::string_view sql) {
  Tokens tokens(sql);
  if (!tokens.next().is("SELECT")) return true;
  for (Token token = tokens.next(); token.kind != Token::Kind::end; token = tokens.next()) {
    if (token.is("FROM") || token.is("TABLE") || token.is_sign(';')) return true;
  }
  return false;
}

bool may_read_diagnostics(std::string_view sql) {
  Tokens tokens(sql);
  Token token = tokens.next();
  if (token.is("GET") || (token.is("SHOW"))) {
    const bool is_get = token.is("GET");
    token = tokens.next();
    return is_get || token.is("WARNINGS") || token.is("ERRORS") || token.is("COUNT");
  }
  for (; token.kind != Token::Kind::end; token = tokens.next()) {
    const bool is_name = token.kind == Token::Kind::word || token.kind == Token::Kind::system_variable;
    if (is_name && question_named(token.text)) return true;
  }
  return false;
}

}  // namespace godwit::routing
