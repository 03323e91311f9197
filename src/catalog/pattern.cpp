#include "godwit/catalog/catalog.h"

#include <string>

namespace godwit::catalog {
namespace {

bool matches(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*') {
    for (std::size_t skip = 0; skip <= text.size(); ++skip) {
      if (matches(pattern.substr(1), text.substr(skip))) return true;
    }
    return false;
  }
  if (text.empty()) return false;
  return (pattern.front() == '?' || pattern.front() == text.front()) && matches(pattern.substr(1), text.substr(1));
}

}  // namespace

bool matches_table(std::string_view pattern, std::string_view schema, std::string_view table) {
  // A table's own name may hold a dot: the whole pattern is tried on it first.
  return matches(pattern, table) || matches(pattern, std::string(schema) + "." + std::string(table));
}

}  // namespace godwit::catalog
