// Target definitions from source definitions. SHOW CREATE TABLE is parsed line by line into its elements, each is kept
// (same flavour) or translated (across flavours), and secondary keys and foreign keys are set aside for after the copy.
// Pure; any thread. Anything that cannot be carried is an Issue by name, never dropped silently.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/catalog/catalog.h"
#include "godwit/util/error.h"

namespace godwit::catalog {

enum class Severity { note, warning, blocker };  // note: carried in another form that holds the same data

struct Issue {
  Severity severity = Severity::note;
  Code code = Code::unsupported_feature;
  std::string object;  // `shop`.`orders`.`geo`
  std::string cause;
  std::string remedy;
};

enum class PostCopyKind { keys, unique_keys, foreign_keys, view, procedure, function, trigger, event };
std::string_view to_string(PostCopyKind kind);

// One statement to be run after the rows are there. keys: one ALTER per table with all its non-unique secondary keys;
// unique_keys: one with all its unique ones (past the overlap only); foreign_keys: one with all constraints.
struct PostCopy {
  PostCopyKind kind = PostCopyKind::keys;
  std::string schema;  // on the target
  std::string name;    // table or object on the target
  std::string sql;
  std::string sql_mode;  // a routine keeps the mode it was written under; empty: the session's own
  std::vector<std::string> creates;  // names of what it creates, so that a repeated run can see what is there already
};

struct TargetTable {
  std::string schema;  // on the target
  std::string name;
  std::string create_sql;  // CREATE TABLE `schema`.`name` (…) without what is deferred
  std::vector<PostCopy> deferred;
  std::vector<Issue> issues;
};

struct DdlOptions {
  db::Server source;
  db::Server target;
  NameMap names;
  std::map<std::string, SchemaDefaults> schemas;  // of the source
  std::map<std::string, std::string> collation_map;  // --collation-map old=new, before the built-in map
  std::vector<std::string> target_collations;        // what the target knows (information_schema.collations)
  std::set<std::string> left_out_keys;               // foreign keys that the target does without: "`shop`.`orders`.`fk_customer`"
};

// What a collation of the source becomes: from collation_map, itself, or the nearest; nothing when there is none.
std::optional<std::string> target_collation_name(const std::string& collation, const DdlOptions& options);

// The row key stays in create_sql (even when it is not the primary key); with auto_increment the key that column needs too.
TargetTable target_table(const Table& table, const DdlOptions& options);

// The same definition in its clauses, for what makes another kind of table of them (a Spider head): each as it stands between the parentheses of
// CREATE TABLE. Keys are those of the catalog; foreign keys are left out.
struct TargetClauses {
  std::string schema;  // on the target
  std::string name;
  std::vector<std::string> columns;
  std::vector<std::string> checks;
  std::vector<std::string> fulltext_keys;
  std::string charset;  // the table's default: DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
};
TargetClauses target_clauses(const Table& table, const DdlOptions& options);

// CREATE DATABASE IF NOT EXISTS with the source's default character set and collation, translated.
std::string target_schema_sql(std::string_view source_schema, const DdlOptions& options);
// Views and routines as PostCopy; triggers, events as PostCopy that only the switch may run. Issues for what cannot go.
struct TargetObjects {
  std::vector<PostCopy> objects;  // views may use each other: the runner tries those that failed again
  std::vector<Issue> issues;
};
TargetObjects target_objects(const Catalog& catalog, const DdlOptions& options);

// How one column's bytes travel. select: the expression that reads it on the source, under SET NAMES binary.
// set_expression: empty where LOAD DATA or a parameter stores the bytes straight into the column, else how it makes the value of them.
struct Transfer {
  std::string column;  // the same on both sides
  std::string select;
  std::string set_expression;  // empty, or in terms of {v}: "CAST({v} AS UNSIGNED)"
  bool does_zero_warn = false;  // ENUM: its error value 0 can be stored, but each such row counts as a warning
};
// One per writable column, in ordinal order. The same expressions serve inserts. Charsets that agree travel as raw bytes,
// mojibake too; where they differ the conversion is explicit, on the target; FLOAT as DOUBLE, whose text has all its digits;
// JSON as utf8mb4 text; BIT as a number; geometry as SRID + WKB bytes. Throws Error(schema_differs) when the target lacks a column.
std::vector<Transfer> transfers(const Table& source_table, const Table& target_table, const DdlOptions& options);

// --schema existing: what keeps the target's table from taking the source's rows.
std::vector<Issue> compare_tables(const Table& source_table, const Table& target_table, const DdlOptions& options);

}  // namespace godwit::catalog
