#include "traces.h"

namespace godwit::test {
namespace {

const std::string kOwnSchemas = "('information_schema', 'performance_schema', 'sys', 'mysql')";

}  // namespace

std::string text_of(Client& client, const std::string& sql) {
  std::string text;
  for (const auto& row : client.query(sql)) {
    for (const auto& cell : row) text += cell.value_or("NULL") + " ";
    text += "\n";
  }
  return text;
}

std::string picture(const Server& server) {
  Client client = server.client();
  std::string text = "read_only " + client.scalar("SELECT @@GLOBAL.read_only") + "\n";
  if (!server.is_mariadb()) {
    text += "super_read_only " + client.scalar("SELECT @@GLOBAL.super_read_only") + "\n";
    text += text_of(client, "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM performance_schema.persisted_variables ORDER BY 1");
  }
  text += text_of(client, "SELECT 'schema', SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN " + kOwnSchemas + " ORDER BY 2");
  text += text_of(client, "SELECT 'table', TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN " + kOwnSchemas + " ORDER BY 2, 3");
  text += text_of(client, "SELECT 'column', TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA NOT IN " + kOwnSchemas + " ORDER BY 2, 3, ORDINAL_POSITION");
  text += text_of(client, "SELECT 'trigger', TRIGGER_SCHEMA, TRIGGER_NAME, DEFINER, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA NOT IN " + kOwnSchemas + " ORDER BY 2, 3");
  text += text_of(client, "SELECT 'event', EVENT_SCHEMA, EVENT_NAME, DEFINER, EVENT_DEFINITION, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA NOT IN " + kOwnSchemas + " ORDER BY 2, 3");
  text += text_of(client, "SELECT 'routine', ROUTINE_SCHEMA, ROUTINE_NAME, DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA NOT IN " + kOwnSchemas + " ORDER BY 2, 3");
  text += text_of(client, "SELECT 'account', User, Host, plugin, authentication_string FROM mysql.user ORDER BY 2, 3");
  return text;
}

std::string traces(const Server& server) {
  Client client = server.client();
  std::string text;
  const auto look = [&](const std::string& what, const std::string& sql) {
    for (const auto& row : client.query(sql)) text += server.flavour() + ": " + what + " " + row[0].value_or("NULL") + "\n";
  };
  look("schema", "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE '%godwit%'");
  look("table", "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_NAME LIKE '%godwit%'");
  look("trigger", "SELECT CONCAT(TRIGGER_SCHEMA, '.', TRIGGER_NAME) FROM information_schema.TRIGGERS WHERE TRIGGER_NAME LIKE '%godwit%' OR ACTION_STATEMENT LIKE '%godwit%'");
  look("event", "SELECT CONCAT(EVENT_SCHEMA, '.', EVENT_NAME) FROM information_schema.EVENTS WHERE EVENT_NAME LIKE '%godwit%'");
  look("routine", "SELECT CONCAT(ROUTINE_SCHEMA, '.', ROUTINE_NAME) FROM information_schema.ROUTINES WHERE ROUTINE_NAME LIKE '%godwit%'");
  look("account", "SELECT CONCAT(User, '@', Host) FROM mysql.user WHERE User LIKE '%godwit%' AND User <> 'godwit'");
  if (server.is_mariadb()) {
    look("a second way to log in of", "SELECT CONCAT(User, '@', Host) FROM mysql.global_priv WHERE JSON_LENGTH(JSON_EXTRACT(Priv, '$.auth_or')) > 1 AND User NOT IN ('root', 'mysql', 'mariadb.sys')");
  } else {
    look("a second password of", "SELECT CONCAT(User, '@', Host) FROM mysql.user WHERE JSON_EXTRACT(User_attributes, '$.additional_password') IS NOT NULL");
    look("setting", "SELECT VARIABLE_NAME FROM performance_schema.persisted_variables");
  }
  return text;
}

}  // namespace godwit::test
