#include "godwit/routing/text_statements.h"

#include <algorithm>

#include "godwit/sql/quote.h"
#include "godwit/util/text.h"
#include "tokens.h"

namespace godwit::routing {
namespace {

constexpr std::size_t kStatementsMax = 1024;  // a session with more is refused by the server's own max_prepared_stmt_count sooner

std::string unquoted(const Token& token) {
  if (token.kind != Token::Kind::quoted_name) return std::string(token.text);
  std::string name;
  const std::string_view inside = token.text.substr(1, token.text.size() - 2);
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] == '`') ++i;
    name.push_back(inside[i]);
  }
  return name;
}

bool is_name(const Token& token) {
  return token.kind == Token::Kind::word || (token.kind == Token::Kind::quoted_name && token.text.size() >= 2);
}

// One token to the end is a literal or a variable; anything more is an expression, which only MariaDB takes.
void read_source(Tokens& tokens, std::string_view sql, TextPrepare& prepare) {
  const Token first = tokens.next();
  const Token second = tokens.next();
  const bool is_alone = second.kind == Token::Kind::end || second.is_sign(';');
  prepare.source = TextPrepare::Source::expression;
  if (is_alone && first.kind == Token::Kind::string) prepare.source = TextPrepare::Source::literal;
  if (is_alone && first.kind == Token::Kind::variable) prepare.source = TextPrepare::Source::user_variable;
  prepare.source_text = is_alone ? std::string(first.text) : std::string(trim(sql.substr(std::min(first.offset, sql.size()))));
}

std::optional<TextPrepare> with_name(const Token& token, TextPrepare::Action action) {
  if (!is_name(token)) return std::nullopt;
  return TextPrepare{.action = action, .name = unquoted(token)};
}

std::optional<TextPrepare> read_prepare(Tokens& tokens, std::string_view sql) {
  auto prepare = with_name(tokens.next(), TextPrepare::Action::prepare);
  if (!prepare || !tokens.next().is("FROM")) return std::nullopt;
  read_source(tokens, sql, *prepare);
  return prepare;
}

std::optional<TextPrepare> read_execute(Tokens& tokens, std::string_view sql) {
  const Token token = tokens.next();
  if (!token.is("IMMEDIATE")) return with_name(token, TextPrepare::Action::execute);
  TextPrepare prepare{.action = TextPrepare::Action::execute_immediate};
  read_source(tokens, sql, prepare);
  return prepare;
}

// MySQL keeps the text only: it becomes a literal again, quoted so that the context's sql_mode reads it back.
std::string prepare_sql(const std::string& name, const std::string& text, const std::string& sql_mode) {
  const bool has_backslash_escapes = sql_mode.find("NO_BACKSLASH_ESCAPES") == std::string::npos;
  std::string sql = "PREPARE `";
  for (const char c : name) sql.append(c == '`' ? 2 : 1, c);
  sql.append("` FROM '");
  for (const char c : text) sql.append(c == '\'' || (c == '\\' && has_backslash_escapes) ? 2 : 1, c);
  return sql.append("'");
}

}  // namespace

std::optional<TextPrepare> text_prepare_of(std::string_view sql, bool has_backslash_escapes) {
  Tokens tokens(sql, has_backslash_escapes);
  const Token first = tokens.next();
  if (first.is("PREPARE")) return read_prepare(tokens, sql);
  if (first.is("EXECUTE")) return read_execute(tokens, sql);
  if (!first.is("DEALLOCATE") && !first.is("DROP")) return std::nullopt;
  if (!tokens.next().is("PREPARE")) return std::nullopt;
  return with_name(tokens.next(), TextPrepare::Action::deallocate);
}

std::optional<std::string> temporary_table_of(std::string_view sql) {
  Tokens tokens(sql);
  if (!tokens.next().is("CREATE")) return std::nullopt;
  Token token = tokens.next();
  while (token.is("OR") || token.is("REPLACE")) token = tokens.next();
  if (!token.is("TEMPORARY") || !tokens.next().is("TABLE")) return std::nullopt;
  token = tokens.next();
  while (token.is("IF") || token.is("NOT") || token.is("EXISTS")) token = tokens.next();
  if (!is_name(token)) return std::nullopt;
  std::string name = godwit::sql::quote_identifier(unquoted(token));
  if (!tokens.next().is_sign('.')) return name;
  token = tokens.next();
  return is_name(token) ? std::optional(name + "." + godwit::sql::quote_identifier(unquoted(token))) : std::nullopt;
}

void TextStatements::ran(const TextPrepare& prepare, std::string_view sql, const PrepareContext& context) {
  const bool is_prepare = prepare.action == TextPrepare::Action::prepare;
  if (!is_prepare && prepare.action != TextPrepare::Action::deallocate) return;
  std::erase_if(statements_, [&](const TextStatement& statement) { return equals_ignoring_case(statement.name, prepare.name); });
  ++(is_prepare ? prepares_ : deallocates_);
  if (!is_prepare) return;
  const bool is_kept = prepare.source == TextPrepare::Source::literal && statements_.size() < kStatementsMax;
  statements_.push_back({.name = prepare.name, .sql = is_kept ? std::string(sql) : std::string(), .context = context});
}

void TextStatements::complete(const std::vector<NamedStatement>& known) {
  for (const auto& each : known) {
    auto statement = std::find_if(statements_.begin(), statements_.end(), [&](const TextStatement& one) { return equals_ignoring_case(one.name, each.name); });
    if (statement == statements_.end()) statement = statements_.insert(statements_.end(), TextStatement{.name = each.name});
    const bool has_context = !statement->context.sql_mode.empty() || !statement->context.character_set_client.empty();
    const bool is_utf8 = statement->context.character_set_client.starts_with("utf8");
    const bool is_ascii = std::all_of(each.text.begin(), each.text.end(), [](char c) { return c > 0; });
    if (statement->sql.empty() && each.is_whole && has_context && (is_ascii || is_utf8)) {
      statement->sql = prepare_sql(each.name, each.text, statement->context.sql_mode);
    }
  }
}

void TextStatements::clear() { *this = TextStatements(); }

}  // namespace godwit::routing
