#include "godwit/db/privileges.h"

#include <algorithm>
#include <cctype>

#include "godwit/util/text.h"

namespace godwit::db {
namespace {

std::string upper(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) {
    return static_cast<char>(std::toupper(c));
  });
  return result;
}

// The index past a `quoted` or 'quoted' word that begins at `at`, its content appended to `content`.
std::size_t read_quoted(std::string_view line, std::size_t at, std::string& content) {
  const char quote = line[at++];
  while (at < line.size()) {
    if (line[at] == quote) {
      if (at + 1 >= line.size() || line[at + 1] != quote) return at + 1;
      ++at;
    }
    content.push_back(line[at++]);
  }
  return at;
}

bool is_quote(char c) { return c == '`' || c == '\'' || c == '"'; }

// "*", "`shop`" or shop; the index past it.
std::size_t read_name(std::string_view line, std::size_t at, std::string& name) {
  if (at < line.size() && is_quote(line[at])) return read_quoted(line, at, name);
  while (at < line.size() && line[at] != '.' && line[at] != ' ') name.push_back(line[at++]);
  return at;
}

// The words between the commas of "SELECT, INSERT (a, b), REPLICATION SLAVE"; column lists are dropped.
std::vector<std::string> read_privileges(std::string_view text) {
  std::vector<std::string> result;
  std::string word;
  int depth = 0;
  bool has_columns = false;
  const auto end_word = [&] {
    // A privilege on some columns is none on the table.
    if (!has_columns && !trim(word).empty()) result.push_back(upper(trim(word)));
    word.clear();
    has_columns = false;
  };
  for (const char c : text) {
    if (c == '(') ++depth, has_columns = true;
    if (depth == 0 && c == ',') {
      end_word();
    } else if (depth == 0) {
      word.push_back(c);
    }
    if (c == ')') --depth;
  }
  end_word();
  return result;
}

bool lists(const std::vector<std::string>& privileges, std::string_view wanted) {
  return std::any_of(privileges.begin(), privileges.end(), [&](const std::string& held) {
    return held == wanted || held == "ALL PRIVILEGES" || held == "ALL";
  });
}

}  // namespace

bool matches_grant(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '%') {
    for (std::size_t skip = 0; skip <= name.size(); ++skip) {
      if (matches_grant(pattern.substr(1), name.substr(skip))) return true;
    }
    return false;
  }
  if (name.empty()) return false;
  if (pattern[0] == '_') return matches_grant(pattern.substr(1), name.substr(1));
  if (pattern[0] == '\\' && pattern.size() > 1) pattern.remove_prefix(1);
  return pattern[0] == name[0] && matches_grant(pattern.substr(1), name.substr(1));
}

bool Privileges::parse(std::string_view line, Grant& grant) {
  constexpr std::string_view kGrant = "GRANT ";
  const auto on = line.find(" ON ");
  if (!line.starts_with(kGrant) || on == std::string_view::npos) return false;  // a role
  grant.privileges = read_privileges(line.substr(kGrant.size(), on - kGrant.size()));
  std::size_t at = on + 4;
  for (const std::string_view kind : {"PROCEDURE ", "FUNCTION ", "PACKAGE ", "TABLE "}) {
    if (line.substr(at).starts_with(kind)) at += kind.size();
  }
  at = read_name(line, at, grant.schema);
  std::string object;
  if (at < line.size() && line[at] == '.') read_name(line, at + 1, object);
  grant.whole_schema = object == "*";
  return true;
}

Privileges Privileges::read(Connection& connection) {
  Privileges result;
  const std::string current = connection.scalar("SELECT CURRENT_USER()");
  const auto at = current.rfind('@');
  result.account_ = "'" + current.substr(0, at) + "'@'" + current.substr(at + 1) + "'";
  const Rows rows = connection.query("SHOW GRANTS");
  for (const auto& row : rows.rows) {
    Grant grant;
    if (parse(row.at(0).value_or(""), grant)) result.grants_.push_back(std::move(grant));
  }
  return result;
}

bool Privileges::has_global(std::string_view privilege) const {
  return std::any_of(grants_.begin(), grants_.end(), [&](const Grant& grant) {
    return grant.schema == "*" && lists(grant.privileges, privilege);
  });
}

bool Privileges::has_on_schema(std::string_view privilege, std::string_view schema) const {
  if (has_global(privilege)) return true;
  return std::any_of(grants_.begin(), grants_.end(), [&](const Grant& grant) {
    return grant.whole_schema && lists(grant.privileges, privilege) && matches_grant(grant.schema, schema);
  });
}

}  // namespace godwit::db
