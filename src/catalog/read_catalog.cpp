#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "create_table.h"
#include "godwit/catalog/catalog.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "read_objects.h"

namespace godwit::catalog {
namespace {

using db::Connection;
using db::Rows;
using sql::quote_string;

constexpr std::array<std::string_view, 7> kSystemSchemas{
    "information_schema", "performance_schema", "mysql", "sys", "_godwit", "_godwit_proxy", "ndbinfo"};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::vector<std::string> expand_schemas(Connection& connection, const Selection& selection) {
  const Rows rows = connection.query("SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA ORDER BY 1");
  std::vector<std::string> present;
  for (std::size_t i = 0; i < rows.size(); ++i) present.push_back(rows.text(i, "name"));
  std::vector<std::string> result;
  for (const auto& wanted : selection.schemas) {
    if (wanted == "*") {
      std::copy_if(present.begin(), present.end(), std::back_inserter(result), [](const std::string& name) {
        return std::find(kSystemSchemas.begin(), kSystemSchemas.end(), lower(name)) == kSystemSchemas.end();
      });
      continue;
    }
    if (std::find(present.begin(), present.end(), wanted) == present.end()) {
      throw Error(Code::no_such_schema,
                  {.object = sql::quote_identifier(wanted),
                   .cause = fmt::format("{} has no schema of that name that this account may see", describe(connection.endpoint())),
                   .remedy = fmt::format("name an existing schema in the DSN or with --databases; if there is one, GRANT SELECT ON {}.* to the account", sql::quote_identifier(wanted))});
    }
    result.push_back(wanted);
  }
  return result;
}

Generated generated_of(const std::string& extra) {
  if (contains(extra, "VIRTUAL GENERATED")) return Generated::virtual_column;
  if (contains(extra, "STORED GENERATED") || contains(extra, "PERSISTENT")) return Generated::stored;
  return Generated::no;
}

Column column_of(const Rows& rows, std::size_t i) {
  const std::string extra = rows.text(i, "EXTRA");
  const std::string type = rows.text(i, "COLUMN_TYPE");
  return {.name = rows.text(i, "COLUMN_NAME"),
          .data_type = lower(rows.text(i, "DATA_TYPE")),
          .column_type = type,
          .charset = rows.text(i, "CHARACTER_SET_NAME"),
          .collation = rows.text(i, "COLLATION_NAME"),
          .is_nullable = rows.text(i, "IS_NULLABLE") == "YES",
          .is_unsigned = contains(type, "unsigned"),
          .is_invisible = contains(extra, "INVISIBLE"),
          .is_auto_increment = contains(extra, "auto_increment"),
          .sets_itself = contains(lower(extra), "on update current_timestamp"),
          .generated = generated_of(extra),
          .ordinal = rows.u64(i, "ORDINAL_POSITION")};
}

using TableIndex = std::map<std::pair<std::string, std::string>, Table*>;

Table* find(const TableIndex& index, const Rows& rows, std::size_t i) {
  const auto found = index.find({rows.text(i, "TABLE_SCHEMA"), rows.text(i, "TABLE_NAME")});
  return found == index.end() ? nullptr : found->second;
}

void read_columns(Connection& connection, const std::string& where, const TableIndex& index) {
  const Rows rows = connection.query(
      "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, IS_NULLABLE, DATA_TYPE, COLUMN_TYPE, "
      "CHARACTER_SET_NAME, COLLATION_NAME, EXTRA FROM information_schema.COLUMNS WHERE " +
      where + " ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (Table* table = find(index, rows, i)) table->columns.push_back(column_of(rows, i));
  }
}

void read_keys(Connection& connection, const std::string& where, const TableIndex& index) {
  const Rows rows = connection.query(
      "SELECT TABLE_SCHEMA, TABLE_NAME, NON_UNIQUE, INDEX_NAME, COLUMN_NAME, COLLATION, SUB_PART, INDEX_TYPE "
      "FROM information_schema.STATISTICS WHERE " +
      where + " ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Table* table = find(index, rows, i);
    if (table == nullptr) continue;
    const std::string name = rows.text(i, "INDEX_NAME");
    if (table->keys.empty() || table->keys.back().name != name) {
      const std::string type = rows.text(i, "INDEX_TYPE");
      table->keys.push_back({.name = name,
                             .is_unique = rows.u64(i, "NON_UNIQUE") == 0,
                             .is_hash = type == "HASH",
                             .index_type = type,
                             .parts = {}});
    }
    KeyPart part{.column = rows.text(i, "COLUMN_NAME"),
                 .prefix_length = std::nullopt,
                 .is_descending = rows.text(i, "COLLATION") == "D"};
    if (!rows.is_null(i, "SUB_PART")) part.prefix_length = rows.u64(i, "SUB_PART");
    table->keys.back().parts.push_back(part);
  }
}

// False when the table was dropped since it was listed.
bool read_definition(Connection& connection, Table& table) {
  try {
    const Rows rows = connection.query("SHOW CREATE TABLE " + sql::quote_table(table.schema, table.name));
    table.create_sql = rows.rows.at(0).at(1).value_or("");
    return true;
  } catch (const Error& error) {
    if (error.code() == Code::no_such_table) return false;
    throw;
  }
}

std::vector<Table> list_tables(Connection& connection, const std::string& where) {
  const Rows rows = connection.query(
      "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, TABLE_COLLATION, TABLE_ROWS, DATA_LENGTH, AVG_ROW_LENGTH, "
      "AUTO_INCREMENT, CREATE_OPTIONS, TABLE_TYPE FROM information_schema.TABLES WHERE " +
      where + " AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY TABLE_SCHEMA, TABLE_NAME");
  std::vector<Table> tables;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string collation = rows.text(i, "TABLE_COLLATION");
    tables.push_back({.schema = rows.text(i, "TABLE_SCHEMA"),
                      .name = rows.text(i, "TABLE_NAME"),
                      .engine = rows.text(i, "ENGINE"),
                      .charset = collation.substr(0, collation.find('_')),
                      .collation = collation,
                      .rows_estimate = rows.u64(i, "TABLE_ROWS"),
                      .bytes_estimate = rows.u64(i, "DATA_LENGTH"),
                      .row_bytes_avg = rows.u64(i, "AVG_ROW_LENGTH"),
                      .auto_increment = rows.u64(i, "AUTO_INCREMENT"),
                      .is_system_versioned = rows.text(i, "TABLE_TYPE") == "SYSTEM VERSIONED",
                      .is_partitioned = contains(rows.text(i, "CREATE_OPTIONS"), "partitioned")});
  }
  return tables;
}

// Estimates of a table that was just loaded may be 0: a floor keeps the chunks small rather than huge.
void read_details(Connection& connection, const std::string& where, std::vector<Table>& tables) {
  TableIndex index;
  for (auto& table : tables) index[{table.schema, table.name}] = &table;
  read_columns(connection, where, index);
  read_keys(connection, where, index);
  std::vector<Table> kept;
  for (auto& table : tables) {
    if (!read_definition(connection, table)) continue;
    // Not from information_schema: MariaDB 10.11.19 crashed twice in its view of foreign keys.
    table.foreign_keys = parse_foreign_keys(table);
    kept.push_back(std::move(table));
  }
  tables = std::move(kept);
}

bool is_selected(const Table& table, const Selection& selection) {
  const auto names = [&](const std::string& pattern) { return matches_table(pattern, table.schema, table.name); };
  const bool is_wanted =
      selection.tables.empty() || std::any_of(selection.tables.begin(), selection.tables.end(), names);
  return is_wanted && std::none_of(selection.exclude_tables.begin(), selection.exclude_tables.end(), names);
}

void refuse_idle_patterns(const std::vector<Table>& tables, const Selection& selection) {
  for (const auto& pattern : selection.tables) {
    const bool is_used = std::any_of(tables.begin(), tables.end(), [&](const Table& table) {
      return matches_table(pattern, table.schema, table.name);
    });
    if (is_used) continue;
    throw Error(Code::no_such_table,
                {.object = "--tables " + pattern,
                 .cause = "no table in the selected schemas has such a name",
                 .remedy = "check the spelling; a view is not a table"});
  }
}

}  // namespace



const Column& Table::column(std::string_view column_name) const {
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const Column& column) {
    return equals_ignoring_case(column.name, column_name);
  });
  GODWIT_CHECK(found != columns.end());
  return *found;
}

Catalog read_catalog(Connection& connection, const Selection& selection) {
  Catalog result;
  result.server = connection.server();
  const auto schemas = expand_schemas(connection, selection);
  if (schemas.empty()) {
    throw Error(Code::nothing_selected,
                {.object = describe(connection.endpoint()),
                 .cause = "no schema is named",
                 .remedy = "name one in the DSN (mysql://user@host/schema) or with --databases a,b"});
  }
  for (const auto& schema : schemas) {
    const std::string where = "TABLE_SCHEMA = " + quote_string(schema);
    std::vector<Table> tables = list_tables(connection, where);
    result.tables.insert(
        result.tables.end(), std::make_move_iterator(tables.begin()), std::make_move_iterator(tables.end()));
    const Rows defaults = connection.query(
        "SELECT DEFAULT_CHARACTER_SET_NAME AS charset, DEFAULT_COLLATION_NAME AS collation "
        "FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = " +
        quote_string(schema));
    result.schemas[schema] = {.charset = defaults.text(0, "charset"), .collation = defaults.text(0, "collation")};
  }
  refuse_idle_patterns(result.tables, selection);
  std::erase_if(result.tables, [&](const Table& table) { return !is_selected(table, selection); });
  std::vector<std::string> names;
  for (const auto& schema : schemas) names.push_back(quote_string(schema));
  read_details(connection, fmt::format("TABLE_SCHEMA IN ({})", join(names, ", ")), result.tables);
  if (result.tables.empty()) {
    throw Error(Code::nothing_selected,
                {.object = join(schemas, ", "),
                 .cause = "no table is left to copy",
                 .remedy = "check --databases, --tables and --exclude-tables"});
  }
  result.objects = read_objects(connection, schemas);
  return result;
}

Table read_table(Connection& connection, std::string_view schema, std::string_view table) {
  const std::string where =
      fmt::format("TABLE_SCHEMA = {} AND TABLE_NAME = {}", quote_string(schema), quote_string(table));
  std::vector<Table> tables = list_tables(connection, where);
  if (!tables.empty()) read_details(connection, where, tables);
  if (tables.empty()) {
    throw Error(Code::no_such_table,
                {.object = sql::quote_table(schema, table),
                 .cause = fmt::format("{} has no such table", describe(connection.endpoint())),
                 .remedy = "was it dropped or renamed?"});
  }
  return std::move(tables.front());
}

// MariaDB lists the uca1400 family once for all charsets; its full names are in another table.
std::vector<std::string> known_collations(db::Connection& connection) {
  std::vector<std::string> names;
  const bool has_full_names = connection.server().is_mariadb() && connection.server().version >= db::Version{10, 10, 0};
  const Rows rows = connection.query(
      has_full_names ? "SELECT FULL_COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
                     : "SELECT COLLATION_NAME FROM information_schema.COLLATIONS");
  for (const auto& row : rows.rows) names.push_back(row.at(0).value_or(""));
  return names;
}

}  // namespace godwit::catalog
