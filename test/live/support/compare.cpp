#include "compare.h"

#include <algorithm>
#include <set>

namespace godwit::test {

std::string hex_expression(const std::string& name, const std::string& type) {
  static const std::set<std::string> strings{"char",     "varchar",  "tinytext",   "text",     "mediumtext", "longtext",
                                             "binary",   "varbinary", "tinyblob",  "blob",     "mediumblob", "longblob",
                                             "json",     "vector"};
  static const std::set<std::string> geometries{"geometry",     "point",           "linestring",   "polygon",           "multipoint",
                                                "multilinestring", "multipolygon", "geometrycollection", "geomcollection"};
  const std::string column = quoted(name);
  if (strings.count(type) != 0) return "HEX(" + column + ")";
  // Not through CAST: MySQL cuts 23-character doubles there. As results they have all their digits.
  if (type == "float" || type == "double") return column + "*1e0";
  if (type == "bit") return "HEX(" + column + "+0)";
  if (type == "enum" || type == "set") return "CONCAT(CAST(" + column + " AS UNSIGNED), ':', HEX(" + column + "))";
  if (geometries.count(type) != 0) return "HEX(CAST(" + column + " AS BINARY))";
  return "HEX(CAST(" + column + " AS CHAR CHARACTER SET utf8mb4))";
}

std::string quoted(const std::string& name) {
  std::string result = "`";
  for (const char c : name) result += c == '`' ? "``" : std::string(1, c);
  return result + "`";
}

std::string literal(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? "''" : c == '\\' ? "\\\\" : std::string(1, c);
  return result + "'";
}

std::vector<std::string> tables_of(Client& client, const std::string& schema) {
  std::vector<std::string> names;
  for (const auto& row : client.query("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA = " + literal(schema))) {
    names.push_back(row[0].value());
  }
  std::sort(names.begin(), names.end());  // servers put '_' in different places
  return names;
}

std::vector<std::string> rendered(Client& client, const std::string& schema, const std::string& table) {
  const auto columns = client.query("SELECT COLUMN_NAME, LOWER(DATA_TYPE) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = " + literal(schema) +
                                    " AND TABLE_NAME = " + literal(table) + " ORDER BY ORDINAL_POSITION");
  std::string sql = "SELECT ";
  for (std::size_t i = 0; i < columns.size(); ++i) {
    sql += (i == 0 ? "" : ", ") + hex_expression(columns[i][0].value(), columns[i][1].value());
  }
  std::vector<std::string> rows;
  for (const auto& row : client.query(sql + " FROM " + quoted(schema) + "." + quoted(table))) {
    std::string text;
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += columns[i][0].value() + "=" + (row[i] ? *row[i] : "NULL") + " ";
    }
    rows.push_back(text);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::string table_difference(Client& source, const std::string& source_schema, Client& target,
                             const std::string& target_schema, const std::string& table) {
  const auto a = rendered(source, source_schema, table);
  const auto b = rendered(target, target_schema, table);
  if (a == b) return "";
  const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return table + ": " + std::to_string(a.size()) + " rows against " + std::to_string(b.size()) + "; first difference\n  source " +
         (x == a.end() ? "(none)" : x->substr(0, 1500)) + "\n  target " + (y == b.end() ? "(none)" : y->substr(0, 1500));
}

std::string difference(Client& source, const std::string& source_schema, Client& target, const std::string& target_schema) {
  const auto tables = tables_of(source, source_schema);
  if (tables != tables_of(target, target_schema)) return "the sides do not have the same tables";
  for (const auto& table : tables) {
    if (const auto text = table_difference(source, source_schema, target, target_schema, table); !text.empty()) return text;
  }
  return "";
}

}  // namespace godwit::test
