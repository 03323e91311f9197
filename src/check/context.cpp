#include "context.h"

#include "godwit/util/text.h"

namespace godwit::check {
namespace {

std::map<std::string, std::string> read_variables(db::Connection& connection) {
  std::map<std::string, std::string> variables;
  const db::Rows rows = connection.query("SHOW GLOBAL VARIABLES");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    variables.emplace(lower(rows.text(i, "Variable_name")), rows.text(i, "Value"));
  }
  return variables;
}

}  // namespace

ServerView::ServerView(const db::Endpoint& endpoint)
    : connection(db::Connection::open(endpoint)),
      privileges(db::Privileges::read(connection)),
      variables_(read_variables(connection)) {}

std::string ServerView::variable(const std::string& name) const {
  const auto found = variables_.find(name);
  return found == variables_.end() ? "" : found->second;
}

bool ServerView::is_on(const std::string& name) const {
  const std::string value = variable(name);
  return value == "ON" || value == "1";
}

std::uint64_t ServerView::number(const std::string& name) const { return parse_u64(variable(name)).value_or(0); }

SourceView::SourceView(const Request& request) : server(request.source), catalog(catalog::read_catalog(server.connection, request.selection)) {}

Context::Context(const Request& wanted, const SourceView& read) : request(wanted), source(read.server), target(wanted.target), catalog(read.catalog) {
  const auto is_elsewhere = [&](const catalog::Table& table) { return wanted.layout != nullptr && !shard::has_place(*wanted.layout, table, wanted.shard); };
  std::erase_if(catalog.tables, is_elsewhere);
  ddl = {.source = source.connection.server(),
         .target = target.connection.server(),
         .names = wanted.names,
         .schemas = catalog.schemas,
         .collation_map = wanted.collation_map,
         .target_collations = catalog::known_collations(target.connection)};
}

// From 9.6 on MySQL's server makes these changes itself and logs them, unless InnoDB is told to; before, and in
// MariaDB, the engine makes them and the binlog holds the parent's change alone.
bool are_cascades_logged(const ServerView& source) {
  if (source.is_mariadb()) return source.is_on("rpl_use_binlog_events_for_fk_cascade");
  return source.connection.server().version >= db::Version{9, 6, 0} && !source.is_on("innodb_native_foreign_keys");
}

}  // namespace godwit::check
