// SHOW CREATE TABLE as its elements. Pure. Throws Error(ddl_unreadable). Private to catalog.
#pragma once

#include <string>
#include <vector>

#include "godwit/catalog/catalog.h"
#include "lexer.h"

namespace godwit::catalog {

enum class ElementKind { column, primary_key, unique_key, key, fulltext_key, spatial_key, vector_key, foreign_key, check, other };

struct Element {
  ElementKind kind = ElementKind::other;
  std::string name;  // of the column, key or constraint
  Tokens tokens;     // the whole element, its name included
};

struct CreateTable {
  std::vector<Element> elements;
  Tokens options;  // ENGINE=… and PARTITION BY …
};

CreateTable parse_create_table(const Table& table);

// The foreign keys of table.create_sql, by name. A rule that is not printed is the default, which does what RESTRICT does.
std::vector<ForeignKey> parse_foreign_keys(const Table& table);

}  // namespace godwit::catalog
