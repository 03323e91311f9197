// What all checks look at: both sessions, both servers' variables, the catalog. Read once. Private to check.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/check/check.h"
#include "godwit/db/privileges.h"

namespace godwit::check {

struct ServerView {
  explicit ServerView(const db::Endpoint& endpoint);

  // "" when the server has no such variable.
  std::string variable(const std::string& name) const;
  bool is_on(const std::string& name) const;  // ON or 1
  std::uint64_t number(const std::string& name) const;
  bool is_mariadb() const { return connection.server().is_mariadb(); }
  std::string name() const { return db::describe(connection.endpoint()); }

  mutable db::Connection connection;
  db::Privileges privileges;

 private:
  std::map<std::string, std::string> variables_;
};

// With shards, one for the contexts of all of them.
struct SourceView {
  explicit SourceView(const Request& request);

  ServerView server;
  catalog::Catalog catalog;
};

struct Context {
  // read: outlives it.
  Context(const Request& request, const SourceView& read);

  const Request& request;
  const ServerView& source;
  ServerView target;
  catalog::Catalog catalog;
  catalog::DdlOptions ddl;
};

using Findings = std::vector<Finding>;

// Short forms for the checks.
Finding ok(std::string cause);
Finding warning(Code code, std::string object, std::string cause, std::string remedy);
Finding blocker(Code code, std::string object, std::string cause, std::string remedy);

enum class Scope { migration, target };  // with shards: looked at once, or for each of them

struct Check {
  std::string_view name;
  std::string_view what;
  Findings (*run)(const Context&);
  Scope scope = Scope::migration;
};

std::vector<Check> source_checks();
std::vector<Check> target_checks();
std::vector<Check> schema_checks();
std::vector<Check> switch_checks();
std::vector<Check> shard_checks();
Findings shard_versions(const std::vector<std::pair<std::string, std::string>>& versions);  // range and version

// Whether the account could still write to this server when it is read-only.
bool passes_read_only(const ServerView& server);

// Whether the binlog holds the rows that foreign keys change.
bool are_cascades_logged(const ServerView& source);

}  // namespace godwit::check
