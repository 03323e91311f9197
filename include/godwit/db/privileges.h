// What an account may do, read from SHOW GRANTS. One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "godwit/db/connection.h"

namespace godwit::db {

// The grant tables' LIKE: % and _ match, a backslash takes the next character as it is.
bool matches_grant(std::string_view pattern, std::string_view name);

class Privileges {
 public:
  static Privileges read(Connection& connection);

  // "SELECT", "REPLICATION SLAVE", "BINLOG MONITOR" …; upper case. Roles that are active count.
  bool has_global(std::string_view privilege) const;
  // Globally, or on the schema (its wildcards respected).
  bool has_on_schema(std::string_view privilege, std::string_view schema) const;
  // As the server names it in GRANT statements: 'godwit'@'%'
  const std::string& account() const { return account_; }

 private:
  struct Grant {
    std::vector<std::string> privileges;  // upper case; "ALL PRIVILEGES" stands for every static one
    std::string schema;                   // "*" for global, else the pattern as printed, unquoted
    bool whole_schema = true;             // false: one table or routine only
  };
  static bool parse(std::string_view line, Grant& grant);
  std::string account_;
  std::vector<Grant> grants_;
};

}  // namespace godwit::db
