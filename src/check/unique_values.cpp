// Unique keys whose collation becomes another: values that it holds equal would be duplicates on the target.
//
// Where the source knows the target's collation, the source answers. Where it does not (utf8mb4_0900_ai_ci on MariaDB, the
// uca1400 and nopad ones on MySQL), a broad collation that it knows finds the candidates, trailing spaces ignored, and the target
// compares those under its own. What the stand-in tells apart and the target would not is left to the building of the key.
#include <fmt/format.h>

#include <algorithm>

#include "context.h"
#include "godwit/sql/quote.h"
#include "godwit/util/text.h"
#include "unique_values.h"

namespace godwit::check {
namespace {

constexpr std::size_t kCandidatesMax = 200;  // groups of values that the target is asked about, per key

struct Part {
  std::string source_term;  // what the source groups by
  std::string value;        // the column, or its prefix
  std::string charset;      // empty: no text
  std::string target_collation;
  bool is_nullable = false;
};

struct Question {
  std::vector<Part> parts;
  bool has_other_collation = false;
  bool has_stand_in = false;
};

bool knows(const std::vector<std::string>& collations, const std::string& name) {
  return std::find(collations.begin(), collations.end(), name) != collations.end();
}

Part part_of(const catalog::Column& column, const catalog::KeyPart& key_part, const Context& c, const std::vector<std::string>& known, Question& question) {
  Part part{.value = sql::quote_identifier(column.name), .is_nullable = column.is_nullable};
  if (key_part.prefix_length) part.value = fmt::format("LEFT({}, {})", part.value, *key_part.prefix_length);
  part.source_term = part.value;
  if (column.collation.empty()) return part;
  const auto target = catalog::target_collation_name(column.collation, c.ddl);
  if (!target || *target == column.collation) return part;
  question.has_other_collation = true;
  part.charset = column.charset;
  part.target_collation = *target;
  const bool can_ask_here = knows(known, *target);
  question.has_stand_in = question.has_stand_in || !can_ask_here;
  part.source_term = fmt::format("{} COLLATE {}", part.value, can_ask_here ? *target : column.charset + "_unicode_ci");
  return part;
}

std::optional<Question> question_of(const catalog::Table& table, const catalog::Key& key, const Context& c, const std::vector<std::string>& known) {
  Question question;
  for (const auto& key_part : key.parts) {
    if (key_part.column.empty()) return std::nullopt;  // an expression: the building of the key decides
    question.parts.push_back(part_of(table.column(key_part.column), key_part, c, known, question));
  }
  return question.has_other_collation ? std::optional(question) : std::nullopt;
}

// NULLs are different from each other in a unique key.
std::string not_null(const Question& question) {
  std::vector<std::string> terms{"1 = 1"};
  for (const auto& part : question.parts) {
    if (part.is_nullable) terms.push_back(part.value + " IS NOT NULL");
  }
  return join(terms, " AND ");
}

std::string groups(const std::string& from, const Question& question) {
  std::vector<std::string> terms;
  for (const auto& part : question.parts) terms.push_back(part.source_term);
  return fmt::format("SELECT 1 FROM {} WHERE {} GROUP BY {} HAVING COUNT(*) > 1", from, not_null(question), join(terms, ", "));
}

// The rows of the candidate groups, their key values in hexadecimal.
db::Rows candidates(db::Connection& source, const std::string& from, const Question& question) {
  std::vector<std::string> names;
  std::vector<std::string> shown;
  std::vector<std::string> matches;
  for (std::size_t i = 0; i < question.parts.size(); ++i) {
    const Part& part = question.parts[i];
    names.push_back(fmt::format("{} AS g{}", part.source_term, i));
    shown.push_back(fmt::format("HEX({}) AS v{}", part.value, i));
    matches.push_back(fmt::format("{} = d.g{}", part.source_term, i));
  }
  std::vector<std::string> terms;
  for (const auto& part : question.parts) terms.push_back(part.source_term);
  return source.query(fmt::format("SELECT {} FROM {} JOIN (SELECT {} FROM {} WHERE {} GROUP BY {} HAVING COUNT(*) > 1 LIMIT {}) d ON {}",
                                  join(shown, ", "), from, join(names, ", "), from, not_null(question), join(terms, ", "), kCandidatesMax, join(matches, " AND ")));
}

// Whether two of these rows are one key under the target's collations.
bool do_collide_there(db::Connection& target, const db::Rows& rows, const Question& question) {
  std::vector<std::string> selects;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::vector<std::string> values;
    for (std::size_t i = 0; i < question.parts.size(); ++i) {
      const Part& part = question.parts[i];
      const std::string literal = sql::quote_string(rows.text(r, fmt::format("v{}", i)));
      values.push_back(part.charset.empty() ? fmt::format("{} AS k{}", literal, i)
                                            : fmt::format("CONVERT(UNHEX({}) USING {}) COLLATE {} AS k{}", literal, part.charset, part.target_collation, i));
    }
    selects.push_back("SELECT " + join(values, ", "));
  }
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < question.parts.size(); ++i) keys.push_back(fmt::format("k{}", i));
  return !target.query(fmt::format("SELECT COUNT(*) AS n FROM ({}) v GROUP BY {} HAVING n > 1 LIMIT 1", join(selects, " UNION ALL "), join(keys, ", "))).empty();
}

std::string collations_of(const Question& question) {
  std::vector<std::string> names;
  for (const auto& part : question.parts) {
    if (!part.target_collation.empty()) names.push_back(part.target_collation);
  }
  return join(names, ", ");
}

std::optional<Finding> ask(const catalog::Table& table, const catalog::Key& key, const Question& question, const Context& c) {
  const std::string name = sql::quote_table(table.schema, table.name);
  try {
    const db::Rows found = c.source.connection.query(groups(name, question) + " LIMIT 1");
    if (found.empty()) return std::nullopt;
    if (question.has_stand_in) {
      const db::Rows rows = candidates(c.source.connection, name, question);
      if (!do_collide_there(c.target.connection, rows, question)) return std::nullopt;
    }
    return blocker(Code::values_collide, name, fmt::format("key {} would have duplicates under the target's collation {}", key.name, collations_of(question)),
                   "--collation-map to a collation that tells the values apart, or change them");
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
    return warning(Code::values_collide, name, fmt::format("whether key {} stays unique under {} cannot be asked: {}", key.name, collations_of(question), error.cause()),
                   "if it does not, building the key will say so");
  }
}

}  // namespace

Findings unique_values(const Context& c) {
  Findings findings;
  const auto known = catalog::known_collations(c.source.connection);
  for (const auto& table : c.catalog.tables) {
    for (const auto& key : table.keys) {
      const auto question = key.is_unique ? question_of(table, key, c, known) : std::nullopt;
      if (!question) continue;
      if (const auto finding = ask(table, key, *question, c)) findings.push_back(*finding);
    }
  }
  if (findings.empty()) findings.push_back(ok("unique keys stay unique"));
  return findings;
}

}  // namespace godwit::check
