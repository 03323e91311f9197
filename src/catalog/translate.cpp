#include "translate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "godwit/sql/quote.h"
#include "godwit/util/text.h"

namespace godwit::catalog {
namespace {

std::ptrdiff_t offset(std::size_t i) { return static_cast<std::ptrdiff_t>(i); }

void insert_sql(Tokens& tokens, std::size_t at, std::string_view sql) {
  Tokens added = tokenize(sql);
  if (!added.empty()) added.front().has_space_before = true;
  tokens.insert(tokens.begin() + offset(at), added.begin(), added.end());
}

void erase(Tokens& tokens, std::size_t from, std::size_t to) {
  tokens.erase(tokens.begin() + offset(from), tokens.begin() + offset(to));
}

std::size_t find_word(const Tokens& tokens, std::string_view word, std::size_t from = 0) {
  for (std::size_t i = from; i < tokens.size(); ++i) {
    if (tokens[i].is(word)) return i;
  }
  return tokens.size();
}

// Removes NAME=value, NAME value or NAME = value.
void drop_option(Tokens& tokens, std::string_view name) {
  const std::size_t at = find_word(tokens, name);
  if (at == tokens.size()) return;
  std::size_t end = at + 1;
  if (end < tokens.size() && tokens[end].is("=")) ++end;
  erase(tokens, at, std::min(end + 1, tokens.size()));
}

constexpr std::array<std::string_view, 9> kMariadbOptions{"PAGE_CHECKSUM",
                                                          "TRANSACTIONAL",
                                                          "ENCRYPTED",
                                                          "ENCRYPTION_KEY_ID",
                                                          "PAGE_COMPRESSED",
                                                          "PAGE_COMPRESSION_LEVEL",
                                                          "IETF_QUOTES",
                                                          "SEQUENCE",
                                                          "INSERT_METHOD"};
constexpr std::array<std::string_view, 7> kMysqlOptions{
    "TABLESPACE", "ENCRYPTION", "COMPRESSION", "AUTOEXTEND_SIZE", "SECONDARY_ENGINE", "START", "ENGINE_ATTRIBUTE"};

bool is_text_or_blob(const std::string& type) {
  return type.find("text") != std::string::npos || type.find("blob") != std::string::npos || type == "json" ||
         type == "geometry" || type == "point";
}

}  // namespace

void Translator::report(Severity severity, Code code, const std::string& object, std::string cause, std::string remedy) {
  issues_.push_back({severity, code, object, std::move(cause), std::move(remedy)});
}

std::string Translator::column_object(const std::string& column) const {
  return sql::quote_table(table_.schema, table_.name) + "." + sql::quote_identifier(column);
}

bool Translator::translate(Element& element) {
  const std::string object = column_object(element.name);
  if (is_cross()) unwrap_comments(element.tokens, object);
  translate_collations(element.tokens, object);
  if (!is_cross()) return true;
  switch (element.kind) {
    case ElementKind::column:
      translate_column(element);
      return true;
    case ElementKind::primary_key:
    case ElementKind::unique_key:
    case ElementKind::key:
    case ElementKind::fulltext_key:
    case ElementKind::spatial_key:
    case ElementKind::vector_key:
      return translate_key(element);
    case ElementKind::check:
      return translate_check(element);
    case ElementKind::foreign_key:
      return true;
    case ElementKind::other:
      report(Severity::blocker,
             Code::unsupported_feature,
             sql::quote_table(table_.schema, table_.name),
             "the target's flavour has no " + to_sql(element.tokens),
             "drop it on the source, or exclude the table with --exclude-tables");
      return true;
  }
  return true;
}

// What stands in version comments counts for the flavour that wrote them; the other one would skip or misread it.
void Translator::unwrap_comments(Tokens& tokens, const std::string& object) {
  for (std::size_t i = 0; i < tokens.size();) {
    if (tokens[i].kind != TokenKind::comment) {
      ++i;
      continue;
    }
    const std::string body = versioned_body(tokens[i]);
    erase(tokens, i, i + 1);
    if (equals_ignoring_case(body, "INVISIBLE") || equals_ignoring_case(body, "NOT ENFORCED") ||
        body.starts_with("PARTITION BY")) {
      insert_sql(tokens, i, body);
    } else if (body.starts_with("SRID")) {
      report(Severity::note,
             Code::unsupported_feature,
             object,
             "the column's SRID restriction is not carried; the values keep theirs",
             "none needed");
    } else if (!body.empty()) {
      report(Severity::note, Code::unsupported_feature, object, "not carried: " + body, "none needed");
    }
  }
}

void Translator::translate_collations(Tokens& tokens, const std::string& object) {
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    const bool is_collate = tokens[i].is("COLLATE");
    const bool is_charset = tokens[i].is("CHARSET") || (tokens[i].is("SET") && i > 0 && tokens[i - 1].is("CHARACTER"));
    if (!is_collate && !is_charset) continue;
    const std::size_t at = tokens[i + 1].is("=") ? i + 2 : i + 1;
    if (at >= tokens.size()) return;
    std::string& name = tokens[at].text;
    if (is_charset) {
      name = target_charset(name, options_);
      continue;
    }
    const auto mapped = target_collation_name(name, options_);
    if (!mapped) {
      report(Severity::blocker,
             Code::unsupported_collation,
             object,
             "the target does not know the collation " + name,
             fmt::format("--collation-map {}=COLLATION_OF_THE_TARGET", name));
    } else if (*mapped != name && mapped->find(name.substr(name.find('_'))) == std::string::npos) {
      report(Severity::warning,
             Code::unsupported_collation,
             object,
             fmt::format("collation {} becomes {}, which sorts and pads differently", name, *mapped),
             fmt::format("--collation-map {}=… names another", name));
    }
    if (mapped) name = *mapped;
  }
}

void Translator::translate_column(Element& element) {
  translate_type(element);
  translate_default(element.tokens);
  if (is_to_mysql()) drop_option(element.tokens, "REF_SYSTEM_ID");
}

void Translator::translate_type(Element& element) {
  if (element.tokens.size() < 2) return;
  const std::string type = lower(element.tokens[1].text);
  if (is_to_mysql()) {
    if (type == "uuid") replace_type(element, "char(36) CHARACTER SET ascii COLLATE ascii_general_ci", "UUID");
    if (type == "inet6") replace_type(element, "varchar(39) CHARACTER SET ascii COLLATE ascii_general_ci", "INET6");
    if (type == "inet4") replace_type(element, "varchar(15) CHARACTER SET ascii COLLATE ascii_general_ci", "INET4");
    if (find_word(element.tokens, "ROW") < element.tokens.size() && table_.is_system_versioned) {
      report(Severity::blocker,
             Code::unsupported_feature,
             column_object(element.name),
             "MySQL has no system versioning",
             "ALTER TABLE … DROP SYSTEM VERSIONING, or exclude the table");
    }
    return;
  }
  if (type == "json") translate_json(element);
  if (type == "geomcollection") element.tokens[1].text = "geometrycollection";
  const bool has_vector = options_.target.version >= db::Version{11, 7, 0};
  if (type == "vector" && !has_vector) {
    report(Severity::blocker,
           Code::unsupported_type,
           column_object(element.name),
           "this MariaDB has no VECTOR (from 11.7 on)",
           "exclude the table with --exclude-tables, or choose a newer target");
  }
}

void Translator::replace_type(Element& element, std::string_view type, std::string_view because) {
  erase(element.tokens, 1, 2);
  insert_sql(element.tokens, 1, type);
  report(Severity::note,
         Code::unsupported_type,
         column_object(element.name),
         fmt::format("{} becomes {}: the same text, sorted as text", because, type),
         "none needed");
}

void Translator::translate_json(Element& element) {
  erase(element.tokens, 1, 2);
  insert_sql(element.tokens, 1, "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
  // A generated column may have no check; its expression makes JSON anyway.
  if (find_word(element.tokens, "GENERATED") == element.tokens.size()) {
    insert_sql(element.tokens,
               element.tokens.size(),
               fmt::format("CHECK (json_valid({}))", sql::quote_identifier(element.name)));
  }
  report(Severity::note,
         Code::unsupported_type,
         column_object(element.name),
         "JSON becomes LONGTEXT with CHECK (json_valid(…)), as MariaDB's own JSON",
         "none needed");
}

void Translator::translate_default(Tokens& tokens) {
  if (!is_to_mysql()) return;
  const std::size_t at = find_word(tokens, "DEFAULT") + 1;
  if (at >= tokens.size() || tokens[at].is("(")) return;
  const bool is_literal = tokens[at].kind == TokenKind::string || tokens[at].is("NULL") || tokens[at].is("-") ||
                          (tokens[at].text[0] >= '0' && tokens[at].text[0] <= '9') || lower(tokens[at].text) == "b" ||
                          lower(tokens[at].text) == "x";
  const bool needs_parentheses_even_so = is_text_or_blob(lower(tokens[1].text)) && !tokens[at].is("NULL");
  if (tokens[at].is("current_timestamp") || (is_literal && !needs_parentheses_even_so)) return;
  std::size_t end = at + 1;
  if (end < tokens.size() && tokens[end].is("(")) end = past_parentheses(tokens, end);
  tokens.insert(tokens.begin() + offset(end), Token{TokenKind::symbol, ")", false});
  tokens.insert(tokens.begin() + offset(at), Token{TokenKind::symbol, "(", true});
}

bool Translator::translate_key(Element& element) {
  const std::string object = column_object(element.name);
  if (element.kind == ElementKind::vector_key) {
    report(Severity::warning, Code::unsupported_feature, object, "the vector index is not carried", "create it on the target after the switch");
    return false;
  }
  if (is_to_mysql()) {
    const std::size_t ignored = find_word(element.tokens, "IGNORED");
    if (ignored < element.tokens.size()) element.tokens[ignored].text = "INVISIBLE";
    const std::size_t hash = find_word(element.tokens, "HASH");
    if (hash < element.tokens.size() && element.kind == ElementKind::unique_key) {
      report(Severity::blocker,
             Code::unsupported_feature,
             object,
             "MySQL has no unique keys over whole long values (USING HASH)",
             "replace it by a prefix key or a hash column, or exclude the table");
    }
    return true;
  }
  const std::size_t open = find_word(element.tokens, "(");
  for (std::size_t i = open + 1; i < element.tokens.size(); ++i) {
    const bool begins_part = element.tokens[i - 1].is("(") || element.tokens[i - 1].is(",");
    if (!begins_part || !element.tokens[i].is("(")) continue;
    report(Severity::warning,
           Code::unsupported_feature,
           object,
           "MariaDB has no keys over expressions: this key is not carried",
           "index a generated column on the target instead");
    return false;
  }
  const std::size_t invisible = find_word(element.tokens, "INVISIBLE");
  if (invisible < element.tokens.size()) element.tokens[invisible].text = "IGNORED";
  return true;
}

bool Translator::translate_check(Element& element) {
  const std::size_t enforced = find_word(element.tokens, "ENFORCED");
  if (enforced == element.tokens.size()) return true;
  report(Severity::warning,
         Code::unsupported_feature,
         column_object(element.name),
         "MariaDB enforces every check: the one that is NOT ENFORCED is not carried",
         "none needed");
  return false;
}

Tokens Translator::translate_options(Tokens options) {
  const std::string object = sql::quote_table(table_.schema, table_.name);
  if (is_cross()) unwrap_comments(options, object);
  translate_collations(options, object);
  if (is_to_mysql()) {
    for (const auto name : kMariadbOptions) drop_option(options, name);
    if (table_.is_system_versioned) {
      report(Severity::blocker,
             Code::unsupported_feature,
             object,
             "MySQL has no system versioning",
             "ALTER TABLE … DROP SYSTEM VERSIONING, or exclude the table");
    }
  }
  if (is_to_mariadb()) {
    for (const auto name : kMysqlOptions) drop_option(options, name);
  }
  return options;
}

}  // namespace godwit::catalog
