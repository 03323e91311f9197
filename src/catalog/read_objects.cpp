#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "read_objects.h"

#include "godwit/sql/guard.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::catalog {
namespace {

using db::Connection;
using db::Rows;
using sql::quote_string;

constexpr std::array<std::pair<ObjectKind, std::string_view>, 8> kKinds{{
    {ObjectKind::view, "view"},
    {ObjectKind::procedure, "procedure"},
    {ObjectKind::function, "function"},
    {ObjectKind::trigger, "trigger"},
    {ObjectKind::event, "event"},
    {ObjectKind::sequence, "sequence"},
    {ObjectKind::package, "package"},
    {ObjectKind::package_body, "package_body"},
}};

// Which column of SHOW CREATE … holds the statement.
std::string_view statement_column(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::view:
      return "Create View";
    case ObjectKind::procedure:
      return "Create Procedure";
    case ObjectKind::function:
      return "Create Function";
    case ObjectKind::trigger:
      return "SQL Original Statement";
    case ObjectKind::event:
      return "Create Event";
    case ObjectKind::sequence:
      return "Create Table";
    case ObjectKind::package:
      return "Create Package";
    case ObjectKind::package_body:
      return "Create Package Body";
  }
  return "";
}

bool has_column(const Rows& rows, std::string_view name) {
  return std::any_of(rows.columns.begin(), rows.columns.end(), [&](const std::string& column) {
    return equals_ignoring_case(column, name);
  });
}

// An object that may be listed but not read stays in the list without its statement: it is reported, not lost.
void read_statement(Connection& connection, Object& object) {
  std::string kind(to_string(object.kind));
  std::replace(kind.begin(), kind.end(), '_', ' ');
  try {
    const Rows rows = connection.query(fmt::format("SHOW CREATE {} {}", kind, sql::quote_table(object.schema, object.name)));
    const auto column = statement_column(object.kind);
    if (rows.empty() || !has_column(rows, column)) return;
    object.create_sql = rows.text(0, column);
    if (has_column(rows, "sql_mode")) object.sql_mode = rows.text(0, "sql_mode");
    if (has_column(rows, "time_zone")) object.time_zone = rows.text(0, "time_zone");
    if (has_column(rows, "character_set_client")) object.character_set_client = rows.text(0, "character_set_client");
    if (has_column(rows, "collation_connection")) object.collation_connection = rows.text(0, "collation_connection");
  } catch (const Error& error) {
    if (error.is_retryable()) throw;
  }
}

ObjectKind kind_of_routine(const std::string& type) {
  if (type == "FUNCTION") return ObjectKind::function;
  if (type == "PACKAGE") return ObjectKind::package;
  if (type == "PACKAGE BODY") return ObjectKind::package_body;
  return ObjectKind::procedure;
}

}  // namespace

std::string_view to_string(ObjectKind kind) {
  for (const auto& [known, name] : kKinds) {
    if (known == kind) return name;
  }
  return "";
}

std::vector<Object> read_objects(Connection& connection, const std::vector<std::string>& schemas) {
  std::vector<Object> objects;
  for (const auto& schema : schemas) {
    const std::string is_schema = " = " + quote_string(schema);
    const Rows views = connection.query(
        "SELECT TABLE_NAME AS name, DEFINER AS definer FROM information_schema.VIEWS WHERE TABLE_SCHEMA" + is_schema);
    for (std::size_t i = 0; i < views.size(); ++i) {
      objects.push_back({.kind = ObjectKind::view, .schema = schema, .name = views.text(i, "name"), .definer = views.text(i, "definer")});
    }
    const Rows routines = connection.query(
        "SELECT ROUTINE_NAME AS name, ROUTINE_TYPE AS type, DEFINER AS definer FROM information_schema.ROUTINES "
        "WHERE ROUTINE_SCHEMA" +
        is_schema);
    for (std::size_t i = 0; i < routines.size(); ++i) {
      objects.push_back({.kind = kind_of_routine(routines.text(i, "type")),
                         .schema = schema,
                         .name = routines.text(i, "name"),
                         .definer = routines.text(i, "definer")});
    }
    const Rows triggers = connection.query(
        "SELECT TRIGGER_NAME AS name, EVENT_OBJECT_TABLE AS tbl, DEFINER AS definer FROM information_schema.TRIGGERS "
        "WHERE TRIGGER_SCHEMA" +
        is_schema + " ORDER BY EVENT_OBJECT_TABLE, ACTION_ORDER");
    for (std::size_t i = 0; i < triggers.size(); ++i) {
      if (sql::is_guard(triggers.text(i, "name"))) continue;  // of a fence: no part of the application
      objects.push_back({.kind = ObjectKind::trigger,
                         .schema = schema,
                         .name = triggers.text(i, "name"),
                         .definer = triggers.text(i, "definer"),
                         .table = triggers.text(i, "tbl")});
    }
    const Rows events = connection.query(
        "SELECT EVENT_NAME AS name, DEFINER AS definer FROM information_schema.EVENTS WHERE EVENT_SCHEMA" + is_schema);
    for (std::size_t i = 0; i < events.size(); ++i) {
      objects.push_back({.kind = ObjectKind::event, .schema = schema, .name = events.text(i, "name"), .definer = events.text(i, "definer")});
    }
    const Rows sequences = connection.query(
        "SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_TYPE = 'SEQUENCE' AND TABLE_SCHEMA" + is_schema);
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      objects.push_back({.kind = ObjectKind::sequence, .schema = schema, .name = sequences.text(i, "name")});
    }
  }
  for (auto& object : objects) read_statement(connection, object);
  return objects;
}

}  // namespace godwit::catalog
