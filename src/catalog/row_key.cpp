#include <algorithm>
#include <array>
#include <limits>

#include "godwit/catalog/catalog.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::catalog {
namespace {

constexpr unsigned kNever = std::numeric_limits<unsigned>::max();

struct TypeCost {
  std::string_view type;
  unsigned cost;
};

// How dear it is to compare and to carry a value of the type. FLOAT and DOUBLE are missing on purpose: they are no identity.
constexpr std::array<TypeCost, 24> kCosts{{
    {"tinyint", 1},   {"year", 2},     {"smallint", 3},   {"date", 4},      {"mediumint", 5}, {"time", 6},
    {"int", 7},       {"bit", 8},      {"timestamp", 9},  {"bigint", 10},   {"enum", 12},     {"set", 12},
    {"decimal", 13},  {"datetime", 14}, {"uuid", 20},     {"inet4", 20},    {"inet6", 22},    {"binary", 30},
    {"char", 31},     {"varbinary", 60}, {"varchar", 61}, {"tinyblob", 80}, {"tinytext", 81}, {"blob", 90},
}};

unsigned cost_of(const Column& column) {
  if (column.is_nullable) return kNever;
  for (const auto& [type, cost] : kCosts) {
    if (type == column.data_type) return cost;
  }
  return kNever;
}

unsigned cost_of(const Table& table, const Key& key) {
  if (!key.is_unique || key.is_hash || key.index_type != "BTREE") return kNever;
  unsigned sum = 0;
  for (const auto& part : key.parts) {
    if (part.column.empty() || part.prefix_length) return kNever;  // an expression, or only the beginning of a value
    const unsigned cost = cost_of(table.column(part.column));
    if (cost == kNever) return kNever;
    sum += cost;
  }
  return sum;
}

}  // namespace

const Key* row_key(const Table& table) {
  const Key* best = nullptr;
  unsigned best_cost = kNever;
  for (const auto& key : table.keys) {
    const unsigned cost = cost_of(table, key);
    if (cost == kNever) continue;
    if (key.name == "PRIMARY") return &key;
    if (cost < best_cost) {
      best = &key;
      best_cost = cost;
    }
  }
  return best;
}

}  // namespace godwit::catalog
