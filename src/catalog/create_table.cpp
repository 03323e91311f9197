#include "create_table.h"

#include <algorithm>
#include <utility>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"

namespace godwit::catalog {
namespace {

[[noreturn]] void unreadable(const Table& table, std::string cause) {
  throw Error(Code::ddl_unreadable,
              {.object = sql::quote_table(table.schema, table.name),
               .cause = std::move(cause),
               .remedy = "keep the output of SHOW CREATE TABLE for a report, and exclude the table with --exclude-tables"});
}

bool starts_with(const Tokens& tokens, std::initializer_list<std::string_view> words) {
  std::size_t i = 0;
  for (const auto word : words) {
    if (i >= tokens.size() || !tokens[i++].is(word)) return false;
  }
  return true;
}

std::string name_at(const Tokens& tokens, std::size_t i) {
  const bool is_name = i < tokens.size() && tokens[i].kind == TokenKind::identifier;
  return is_name ? unquoted(tokens[i]) : std::string();
}

Element constraint(Tokens tokens) {
  Element element{.kind = ElementKind::other, .name = name_at(tokens, 1), .tokens = {}};
  const std::size_t at = element.name.empty() ? 1 : 2;
  if (at < tokens.size() && tokens[at].is("FOREIGN")) element.kind = ElementKind::foreign_key;
  if (at < tokens.size() && tokens[at].is("CHECK")) element.kind = ElementKind::check;
  element.tokens = std::move(tokens);
  return element;
}

Element classify(Tokens tokens) {
  const auto named = [&](ElementKind kind, std::size_t name_index) {
    return Element{.kind = kind, .name = name_at(tokens, name_index), .tokens = tokens};
  };
  if (!tokens.empty() && tokens[0].kind == TokenKind::identifier) return named(ElementKind::column, 0);
  if (starts_with(tokens, {"PRIMARY", "KEY"})) {
    return {.kind = ElementKind::primary_key, .name = "PRIMARY", .tokens = std::move(tokens)};
  }
  if (starts_with(tokens, {"UNIQUE", "KEY"})) return named(ElementKind::unique_key, 2);
  if (starts_with(tokens, {"FULLTEXT", "KEY"})) return named(ElementKind::fulltext_key, 2);
  if (starts_with(tokens, {"SPATIAL", "KEY"})) return named(ElementKind::spatial_key, 2);
  if (starts_with(tokens, {"VECTOR", "KEY"})) return named(ElementKind::vector_key, 2);
  if (starts_with(tokens, {"KEY"})) return named(ElementKind::key, 1);
  if (starts_with(tokens, {"CHECK"})) return named(ElementKind::check, 0);
  if (starts_with(tokens, {"CONSTRAINT"})) return constraint(std::move(tokens));
  return {.kind = ElementKind::other, .name = {}, .tokens = std::move(tokens)};
}

}  // namespace

CreateTable parse_create_table(const Table& table) {
  const Tokens tokens = tokenize(table.create_sql);
  const auto open = std::find_if(tokens.begin(), tokens.end(), [](const Token& token) { return token.is("("); });
  if (open == tokens.end()) unreadable(table, "its definition has no parenthesis");
  const auto begin = static_cast<std::size_t>(open - tokens.begin());
  const std::size_t end = past_parentheses(tokens, begin);
  if (!tokens[end - 1].is(")")) unreadable(table, "its definition has no closing parenthesis");

  CreateTable result;
  Tokens element;
  int depth = 0;
  for (std::size_t i = begin + 1; i + 1 < end; ++i) {
    if (tokens[i].is("(")) ++depth;
    if (tokens[i].is(")")) --depth;
    if (depth == 0 && tokens[i].is(",")) {
      result.elements.push_back(classify(std::exchange(element, {})));
      continue;
    }
    element.push_back(tokens[i]);
  }
  if (!element.empty()) result.elements.push_back(classify(std::move(element)));
  result.options.assign(tokens.begin() + static_cast<std::ptrdiff_t>(end), tokens.end());
  const bool has_column = std::any_of(result.elements.begin(), result.elements.end(), [](const Element& e) {
    return e.kind == ElementKind::column;
  });
  if (!has_column) unreadable(table, "its definition names no column");
  return result;
}

}  // namespace godwit::catalog
