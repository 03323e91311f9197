#include "godwit/sql/quote.h"

#include "godwit/util/text.h"

namespace godwit::sql {

std::string quote_identifier(std::string_view name) {
  std::string result = "`";
  for (const char c : name) {
    if (c == '`') result.push_back('`');
    result.push_back(c);
  }
  result.push_back('`');
  return result;
}

std::string quote_table(std::string_view schema, std::string_view table) {
  return quote_identifier(schema) + "." + quote_identifier(table);
}

std::string quote_string(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    switch (c) {
      case '\0':
        result += "\\0";
        break;
      case '\n':
        result += "\\n";
        break;
      case '\r':
        result += "\\r";
        break;
      case '\x1a':
        result += "\\Z";
        break;
      case '\'':
      case '\\':
        result.push_back('\\');
        [[fallthrough]];
      default:
        result.push_back(c);
    }
  }
  result.push_back('\'');
  return result;
}

std::string hex_literal(std::string_view bytes) { return "X'" + hex(bytes) + "'"; }

}  // namespace godwit::sql
