#include "spider_keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::shard {
namespace {

using catalog::Key;
using catalog::KeyPart;
using catalog::Table;

bool is_left_out(const Key& key) {
  if (key.index_type == "FULLTEXT" || key.index_type == "SPATIAL" || key.index_type == "RTREE" || key.index_type == "VECTOR") return true;
  return !key.is_unique && std::ranges::any_of(key.parts, [](const KeyPart& part) { return part.column.empty(); });
}

std::string to_sql(const KeyPart& part) {
  std::string text = sql::quote_identifier(part.column);
  if (part.prefix_length) text += fmt::format("({})", *part.prefix_length);
  return part.is_descending ? text + " DESC" : text;
}

bool holds(const Key& key, const std::string& column) {
  return std::ranges::any_of(key.parts, [&](const KeyPart& part) { return equals_ignoring_case(part.column, column) && !part.prefix_length; });
}

bool is_handed_out(const Table& table, const Key& key) { return key.parts.size() == 1 && !key.parts[0].prefix_length && table.column(key.parts[0].column).is_auto_increment; }

[[noreturn]] void refuse(const Table& table, const Key& key, std::string cause, std::string remedy) {
  throw Error(Code::not_servable, {.object = fmt::format("{} key {}", sql::quote_table(table.schema, table.name), sql::quote_identifier(key.name)), .cause = std::move(cause), .remedy = std::move(remedy)});
}

void require_unique(const Table& table, const Key& key, const std::string& shard_column) {
  const bool has_expression = std::ranges::any_of(key.parts, [](const KeyPart& part) { return part.column.empty(); });
  if (key.is_hash || has_expression) refuse(table, key, "a unique key over a long column or an expression has no Spider form", "a unique key over plain columns");
  if (shard_column.empty() || holds(key, shard_column) || is_handed_out(table, key)) return;
  refuse(table, key, fmt::format("it is unique, and does not hold the shard key {}: a shard cannot refuse what another one has, and Spider would change the wrong row", sql::quote_identifier(shard_column)),
         fmt::format("add {} to the key, make the key one of the AUTO_INCREMENT column alone, or the table --unsharded", sql::quote_identifier(shard_column)));
}

}  // namespace

std::vector<std::string> head_keys(const Table& table, const std::string& shard_column) {
  std::vector<std::string> clauses;
  for (const Key& key : table.keys) {
    if (is_left_out(key)) continue;
    if (key.is_unique) require_unique(table, key, shard_column);
    std::vector<std::string> parts;
    for (const KeyPart& part : key.parts) parts.push_back(to_sql(part));
    if (key.is_unique && !shard_column.empty() && !holds(key, shard_column)) parts.push_back(sql::quote_identifier(shard_column));
    const std::string head = key.name == "PRIMARY" ? "PRIMARY KEY" : fmt::format("{}KEY {}", key.is_unique ? "UNIQUE " : "", sql::quote_identifier(key.name));
    clauses.push_back(fmt::format("{} ({})", head, join(parts, ", ")));
  }
  return clauses;
}

}  // namespace godwit::shard
