#include "head_record.h"

#include <fmt/format.h>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"

namespace godwit::workflow {
namespace {

constexpr std::string_view kSchema = "_godwit_head";
constexpr std::string_view kTable = "`_godwit_head`.`object`";

HeadObjectRow row_of(const db::Rows& rows, std::size_t i) {
  return {.kind = rows.text(i, "kind"), .schema_name = rows.text(i, "schema_name"), .object_name = rows.text(i, "object_name"), .fingerprint = rows.text(i, "fingerprint"), .state = rows.text(i, "state")};
}

std::string quoted(const HeadObjectRow& row) {
  const bool stands_alone = row.kind == "server" || row.kind == "schema";
  return stands_alone ? sql::quote_identifier(row.object_name) : sql::quote_table(row.schema_name, row.object_name);
}

bool has(db::Connection& head, const std::string& from, const std::string& condition) { return !head.query(fmt::format("SELECT 1 FROM {} WHERE {} LIMIT 1", from, condition)).empty(); }

bool is_empty_schema(db::Connection& head, const std::string& name) {
  const std::string quoted_name = sql::quote_string(name);
  return !has(head, "information_schema.TABLES", "TABLE_SCHEMA = " + quoted_name) && !has(head, "information_schema.ROUTINES", "ROUTINE_SCHEMA = " + quoted_name) &&
         !has(head, "information_schema.EVENTS", "EVENT_SCHEMA = " + quoted_name);
}

std::string upper(std::string text) {
  for (char& letter : text) letter = static_cast<char>(letter >= 'a' && letter <= 'z' ? letter - 'a' + 'A' : letter);
  return text;
}

}  // namespace

std::string to_string(const HeadObjectRow& row) { return row.kind + " " + quoted(row); }

bool HeadRecord::exists(db::Connection& head) { return has(head, "information_schema.TABLES", fmt::format("TABLE_SCHEMA = {} AND TABLE_NAME = 'object'", sql::quote_string(kSchema))); }

void HeadRecord::create() {
  db_.execute(fmt::format("CREATE DATABASE IF NOT EXISTS {}", sql::quote_identifier(kSchema)));
  db_.execute(fmt::format("CREATE TABLE IF NOT EXISTS {} (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, workflow VARCHAR(64) NOT NULL, kind VARCHAR(16) NOT NULL, schema_name VARCHAR(64) NOT NULL, "
                          "object_name VARCHAR(64) NOT NULL, fingerprint CHAR(16) NOT NULL, state VARCHAR(16) NOT NULL, UNIQUE KEY (workflow, kind, schema_name, object_name)) "
                          "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
                          kTable));
}

std::vector<HeadObjectRow> HeadRecord::all() {
  std::vector<HeadObjectRow> result;
  const db::Rows rows = db_.query(fmt::format("SELECT * FROM {} WHERE workflow = {} ORDER BY id", kTable, sql::quote_string(workflow_)));
  for (std::size_t i = 0; i < rows.size(); ++i) result.push_back(row_of(rows, i));
  return result;
}

std::optional<HeadObjectRow> HeadRecord::find(const HeadObjectRow& like) {
  const db::Rows rows = db_.query(fmt::format("SELECT * FROM {} WHERE {}", kTable, where(like)));
  if (rows.empty()) return std::nullopt;
  return row_of(rows, 0);
}

void HeadRecord::begin(const HeadObjectRow& row) {
  db_.execute(fmt::format("INSERT INTO {} (workflow, kind, schema_name, object_name, fingerprint, state) VALUES ({}, {}, {}, {}, {}, 'creating') ON DUPLICATE KEY UPDATE fingerprint = VALUES(fingerprint), state = 'creating'",
                          kTable, sql::quote_string(workflow_), sql::quote_string(row.kind), sql::quote_string(row.schema_name), sql::quote_string(row.object_name), sql::quote_string(row.fingerprint)));
}

void HeadRecord::finish(const HeadObjectRow& row) { db_.execute(fmt::format("UPDATE {} SET state = 'done' WHERE {}", kTable, where(row))); }
void HeadRecord::forget(const HeadObjectRow& row) { db_.execute(fmt::format("DELETE FROM {} WHERE {}", kTable, where(row))); }
void HeadRecord::forget_all() { db_.execute(fmt::format("DELETE FROM {} WHERE workflow = {}", kTable, sql::quote_string(workflow_))); }

void HeadRecord::drop_unused() {
  if (has(db_, std::string(kTable), "1")) return;
  db_.execute("DROP DATABASE IF EXISTS " + sql::quote_identifier(kSchema));
}

std::string HeadRecord::where(const HeadObjectRow& row) const {
  return fmt::format("workflow = {} AND kind = {} AND schema_name = {} AND object_name = {}", sql::quote_string(workflow_), sql::quote_string(row.kind), sql::quote_string(row.schema_name), sql::quote_string(row.object_name));
}

bool is_on_head(db::Connection& head, const HeadObjectRow& row) {
  const std::string schema = sql::quote_string(row.schema_name);
  const std::string name = sql::quote_string(row.object_name);
  if (row.kind == "server") return has(head, "mysql.servers", "Server_name = " + name);
  if (row.kind == "schema") return has(head, "information_schema.SCHEMATA", "SCHEMA_NAME = " + name);
  if (row.kind == "table" || row.kind == "view") return has(head, "information_schema.TABLES", fmt::format("TABLE_SCHEMA = {} AND TABLE_NAME = {}", schema, name));
  if (row.kind == "trigger") return has(head, "information_schema.TRIGGERS", fmt::format("TRIGGER_SCHEMA = {} AND TRIGGER_NAME = {}", schema, name));
  return has(head, "information_schema.ROUTINES", fmt::format("ROUTINE_SCHEMA = {} AND ROUTINE_NAME = {} AND ROUTINE_TYPE = {}", schema, name, sql::quote_string(upper(row.kind))));
}

bool is_spider_table(db::Connection& head, const HeadObjectRow& row) {
  return has(head, "information_schema.TABLES", fmt::format("TABLE_SCHEMA = {} AND TABLE_NAME = {} AND ENGINE = 'SPIDER'", sql::quote_string(row.schema_name), sql::quote_string(row.object_name)));
}

bool drop_from_head(db::Connection& head, const HeadObjectRow& row) {
  if (!is_on_head(head, row)) return true;
  if (row.kind == "schema" && !is_empty_schema(head, row.object_name)) return false;
  if (row.kind == "table" && !is_spider_table(head, row)) return false;
  head.execute(fmt::format("DROP {} IF EXISTS {}", upper(row.kind), quoted(row)));
  return true;
}

}  // namespace godwit::workflow
