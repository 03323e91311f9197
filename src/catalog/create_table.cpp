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

// The names in the parentheses at `open`.
std::vector<std::string> names_in_parentheses(const Tokens& tokens, std::size_t open) {
  std::vector<std::string> names;
  for (std::size_t i = open; i < past_parentheses(tokens, open); ++i) {
    if (tokens[i].kind == TokenKind::identifier) names.push_back(unquoted(tokens[i]));
  }
  return names;
}

// ON DELETE SET NULL: the words up to the next ON.
std::string rule_of(const Tokens& tokens, std::string_view action) {
  std::string rule;
  for (std::size_t i = 0; i + 2 < tokens.size(); ++i) {
    if (!tokens[i].is("ON") || !tokens[i + 1].is(action)) continue;
    for (std::size_t k = i + 2; k < tokens.size() && tokens[k].kind == TokenKind::word && !tokens[k].is("ON"); ++k) {
      rule += (rule.empty() ? "" : " ") + tokens[k].text;
    }
  }
  return rule.empty() ? "RESTRICT" : rule;
}

// CONSTRAINT `name` FOREIGN KEY (`a`, `b`) REFERENCES [`schema`.]`table` (`c`, `d`) [ON DELETE …] [ON UPDATE …]
ForeignKey foreign_key(const Table& table, const Element& element) {
  const auto find = [&](std::string_view word, std::size_t from) {
    for (std::size_t i = from; i < element.tokens.size(); ++i) {
      if (element.tokens[i].is(word)) return i;
    }
    unreadable(table, "its foreign key " + element.name + " is not written as expected");
  };
  const std::size_t references = find("REFERENCES", 0);
  const std::size_t open = find("(", references);
  std::vector<std::string> path;
  for (std::size_t i = references; i < open; ++i) {
    if (element.tokens[i].kind == TokenKind::identifier) path.push_back(unquoted(element.tokens[i]));
  }
  if (path.empty() || path.size() > 2) unreadable(table, "its foreign key " + element.name + " names no table");
  ForeignKey key{.name = element.name,
                 .columns = names_in_parentheses(element.tokens, find("(", 0)),
                 .referenced_schema = path.size() == 2 ? path[0] : table.schema,
                 .referenced_table = path.back(),
                 .referenced_columns = names_in_parentheses(element.tokens, open),
                 .on_update = rule_of(element.tokens, "UPDATE"),
                 .on_delete = rule_of(element.tokens, "DELETE")};
  if (key.columns.empty() || key.columns.size() != key.referenced_columns.size()) unreadable(table, "its foreign key " + element.name + " names not as many columns as it refers to");
  return key;
}

}  // namespace

std::vector<ForeignKey> parse_foreign_keys(const Table& table) {
  std::vector<ForeignKey> keys;
  for (const auto& element : parse_create_table(table).elements) {
    if (element.kind == ElementKind::foreign_key) keys.push_back(foreign_key(table, element));
  }
  std::sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return keys;
}

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
