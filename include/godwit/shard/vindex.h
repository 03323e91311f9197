// From the values of a row's shard key to its keyspace id, just as Vitess's functions of the same names compute it (docs/sharding.md). Pure; any
// thread. Values are in the form in which rows travel here: what a SELECT under SET NAMES binary gives.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/shard/key_range.h"

namespace godwit::shard {

// Of everything but integers the text counts: "1.50", "2026-01-31", the bytes of a string.
enum class ValueKind : std::uint8_t { null, signed_integer, unsigned_integer, text };

struct Value {
  ValueKind kind = ValueKind::null;
  std::string_view text;  // of an integer: decimal, zeros before it do not count
};

// clang-format off
enum class Function : std::uint8_t {
  hash, xxhash, binary_md5, binary, numeric, reverse_bits, null, unicode_loose_md5, unicode_loose_xxhash,
  numeric_static_map, region_experimental, multicol
};
// clang-format on
std::string_view to_string(Function function);

constexpr std::size_t kColumnsMax = 8;  // of a vindex

struct Vindex {
  Function function = Function::hash;
  std::size_t columns = 1;
  std::map<std::uint64_t, std::uint64_t> numbers;  // numeric_static_map: what is mapped to another number
  std::size_t region_bytes = 0;                    // region_experimental
  std::vector<Vindex> parts;                       // multicol: one per column; numeric_static_map: what numbers not mapped go to, if anything
  std::vector<std::size_t> part_bytes;             // multicol: of each part's id
};

using Parameters = std::map<std::string, std::string>;

// By Vitess's name and parameters. Throws Error(bad_placement); `flag` is how the operator gave it. multicol's column_count is given by `columns`.
struct VindexSpec {
  std::string function;
  Parameters parameters;
  std::size_t columns = 1;
};
Vindex make_vindex(const VindexSpec& spec, std::string_view flag);

// Nothing: the row maps nowhere. An empty id is one that no shard's range was made for either: see Route. One value per column.
std::optional<KeyspaceId> keyspace_id(const Vindex& vindex, std::span<const Value> values);

// Where rows are whose first columns have these values. Nothing: nowhere, or the function takes one column only.
std::optional<KeyRange> range_of(const Vindex& vindex, std::span<const Value> first_values);

}  // namespace godwit::shard
