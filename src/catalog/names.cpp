#include <fmt/format.h>

#include "godwit/catalog/catalog.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::catalog {
namespace {

[[noreturn]] void refuse(const std::string& rule, std::string cause) {
  throw Error(Code::bad_mapping,
              {.object = "--map " + rule,
               .cause = std::move(cause),
               .remedy = "--map shop=store for a schema, --map shop.orders=store.purchases for a table"});
}

}  // namespace

NameMap::NameMap(const std::vector<std::string>& rules) {
  for (const auto& rule : rules) {
    const auto equals = rule.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == rule.size()) refuse(rule, "it is not old=new");
    const std::string from = rule.substr(0, equals);
    const std::string to = rule.substr(equals + 1);
    const bool is_table = from.find('.') != std::string::npos;
    if (is_table != (to.find('.') != std::string::npos)) refuse(rule, "one side names a table, the other a schema");
    auto& rules_of_kind = is_table ? tables_ : schemas_;
    if (!rules_of_kind.emplace(from, to).second) refuse(rule, "the same name is mapped twice");
  }
}

std::string NameMap::schema(std::string_view source_schema) const {
  const auto found = schemas_.find(std::string(source_schema));
  return found == schemas_.end() ? std::string(source_schema) : found->second;
}

std::pair<std::string, std::string> NameMap::table(std::string_view source_schema, std::string_view source_table) const {
  const auto found = tables_.find(fmt::format("{}.{}", source_schema, source_table));
  if (found == tables_.end()) return {schema(source_schema), std::string(source_table)};
  const auto dot = found->second.find('.');
  return {found->second.substr(0, dot), found->second.substr(dot + 1)};
}

void NameMap::set_default(std::string_view source_schema, std::string_view target_schema) {
  if (source_schema != target_schema) schemas_.emplace(source_schema, target_schema);
}

}  // namespace godwit::catalog
