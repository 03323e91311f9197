// One definition in another flavour's words: types, collations, attributes, options. Pure. Private to catalog.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "create_table.h"
#include "godwit/catalog/ddl.h"

namespace godwit::catalog {

class Translator {
 public:
  Translator(const Table& table, const DdlOptions& options, std::vector<Issue>& issues)
      : table_(table), options_(options), issues_(issues) {}

  // False: the element is left out (an issue says so).
  bool translate(Element& element);
  Tokens translate_options(Tokens options);

 private:
  bool is_cross() const { return options_.source.flavour != options_.target.flavour; }
  bool is_to_mysql() const { return is_cross() && !options_.target.is_mariadb(); }
  bool is_to_mariadb() const { return is_cross() && options_.target.is_mariadb(); }
  void report(Severity severity, Code code, const std::string& object, std::string cause, std::string remedy);
  std::string column_object(const std::string& column) const;

  void translate_column(Element& element);
  void translate_type(Element& element);
  void translate_json(Element& element);
  void replace_type(Element& element, std::string_view type, std::string_view because);
  void translate_default(Tokens& tokens);
  bool translate_key(Element& element);
  bool translate_check(Element& element);
  void translate_collations(Tokens& tokens, const std::string& object);
  void unwrap_comments(Tokens& tokens, const std::string& object);

  const Table& table_;
  const DdlOptions& options_;
  std::vector<Issue>& issues_;
};

// utf8 and utf8mb3 are one thing under two names.
std::string target_charset(const std::string& charset, const DdlOptions& options);

}  // namespace godwit::catalog
