// What is in the selected schemas of one server, read from information_schema and SHOW CREATE. Plain data: any thread;
// reading: the connection's thread. Names are as the server stores them (no quoting), text is utf8mb4.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/db/connection.h"

namespace godwit::catalog {

enum class Generated { no, virtual_column, stored };

struct Column {
  std::string name;
  std::string data_type;    // lower case, without length: "bigint", "enum", "uuid"
  std::string column_type;  // as the server prints it: "bigint(20) unsigned", "enum('a','b')"
  std::string charset;      // empty when the type has none
  std::string collation;
  bool is_nullable = true;
  bool is_unsigned = false;
  bool is_invisible = false;
  bool is_auto_increment = false;
  bool sets_itself = false;  // ON UPDATE CURRENT_TIMESTAMP
  Generated generated = Generated::no;
  std::uint64_t ordinal = 0;

  bool is_writable() const { return generated == Generated::no; }
};

struct KeyPart {
  std::string column;                         // empty for an expression
  std::optional<std::uint64_t> prefix_length;  // in characters or bytes, when not the whole column
  bool is_descending = false;
};

struct Key {
  std::string name;  // "PRIMARY" for the primary key
  bool is_unique = false;
  bool is_hash = false;  // MariaDB's long unique keys: cannot be walked in order
  std::string index_type;  // BTREE, FULLTEXT, SPATIAL, HASH
  std::vector<KeyPart> parts;
};

struct ForeignKey {
  std::string name;
  std::vector<std::string> columns;
  std::string referenced_schema;
  std::string referenced_table;
  std::vector<std::string> referenced_columns;
  std::string on_update;  // "CASCADE", "SET NULL", "NO ACTION", "RESTRICT", "SET DEFAULT"
  std::string on_delete;
};

struct Table {
  std::string schema;
  std::string name;
  std::string engine;
  std::string charset;    // the table's default
  std::string collation;
  std::uint64_t rows_estimate = 0;
  std::uint64_t bytes_estimate = 0;  // data, without secondary keys
  std::uint64_t row_bytes_avg = 0;
  std::uint64_t auto_increment = 0;  // next value, 0 when there is none
  bool is_system_versioned = false;
  bool is_partitioned = false;
  std::vector<Column> columns;  // in ordinal order, invisible ones and the GIPK included, hidden functional-key columns not
  std::vector<Key> keys;
  std::vector<ForeignKey> foreign_keys;
  std::string create_sql;  // SHOW CREATE TABLE

  const Column& column(std::string_view column_name) const;
};

enum class ObjectKind { view, procedure, function, trigger, event, sequence, package, package_body };
std::string_view to_string(ObjectKind kind);

struct Object {
  ObjectKind kind = ObjectKind::view;
  std::string schema;
  std::string name;
  std::string definer;     // user@host
  std::string table;       // of a trigger
  std::string create_sql;  // SHOW CREATE …, with the sql_mode and charsets it needs beside it
  std::string sql_mode;
  std::string character_set_client;
  std::string collation_connection;
  std::string time_zone;  // of an event
};

// Patterns are "schema.table" or "table" (any selected schema); * and ? are wildcards.
struct Selection {
  std::vector<std::string> schemas;  // empty is a usage error; "*" is all but the system's and _godwit
  std::vector<std::string> tables;   // empty: all
  std::vector<std::string> exclude_tables;
};

// Whether a pattern of a selection means the table.
bool matches_table(std::string_view pattern, std::string_view schema, std::string_view table);

struct SchemaDefaults {
  std::string charset;
  std::string collation;
};

struct Catalog {
  db::Server server;
  std::map<std::string, SchemaDefaults> schemas;
  std::vector<Table> tables;  // by schema and name
  std::vector<Object> objects;
};

// Throws Error: no_such_schema, no_such_table (a pattern of --tables that matches nothing), nothing_selected,
// privilege_missing. Base tables only; views and the rest are in objects. A table dropped meanwhile is left out.
Catalog read_catalog(db::Connection& connection, const Selection& selection);
Table read_table(db::Connection& connection, std::string_view schema, std::string_view table);

// Names of all collations the server knows, each in full ("utf8mb4_uca1400_ai_ci").
std::vector<std::string> known_collations(db::Connection& connection);

// The key a table is copied and matched by: the primary key, else the cheapest unique key whose columns are all not
// null and whole (costs as in reference: integers before dates before strings), else nothing. FLOAT and DOUBLE keys, HASH
// keys and prefix keys never serve.
const Key* row_key(const Table& table);

// --map old=new, for schemas ("shop=store") and tables ("shop.orders=store.purchases").
class NameMap {
 public:
  NameMap() = default;
  // Throws Error(bad_mapping).
  explicit NameMap(const std::vector<std::string>& rules);
  std::string schema(std::string_view source_schema) const;
  std::pair<std::string, std::string> table(std::string_view source_schema, std::string_view source_table) const;
  bool empty() const { return schemas_.empty() && tables_.empty(); }
  // The default schema of the target DSN replaces the source DSN's: set before any rule is used.
  void set_default(std::string_view source_schema, std::string_view target_schema);

 private:
  std::map<std::string, std::string> schemas_;
  std::map<std::string, std::string> tables_;  // "schema.table" → "schema.table"
};

}  // namespace godwit::catalog
