#include "godwit/shard/vindex.h"

#include <algorithm>

#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "hashes.h"
#include "loose.h"

namespace godwit::shard {
namespace {

bool is_integer(const Value& value) { return value.kind == ValueKind::signed_integer || value.kind == ValueKind::unsigned_integer; }

// A zero-filled column's zeros come with a SELECT and not with the binlog: the number is one.
std::string_view text_of(const Value& value, std::string& room) {
  if (!is_integer(value)) return value.text;
  const bool is_negative = value.text.starts_with('-');
  std::string_view digits = value.text.substr(is_negative ? 1 : 0);
  const std::size_t first = digits.find_first_not_of('0');
  if (first == 0 || digits.size() < 2) return value.text;
  digits = digits.substr(std::min(first, digits.size() - 1));
  room = (is_negative ? "-" : "") + std::string(digits);
  return room;
}

// Nothing is a number but digits, all of them: no sign, no blank, no fraction.
std::optional<std::uint64_t> number_of(const Value& value) { return value.kind == ValueKind::null ? std::nullopt : parse_u64(value.text); }

// For `hash` alone, -1 is 18446744073709551615.
std::optional<std::uint64_t> wrapped_number_of(const Value& value) {
  if (value.kind != ValueKind::signed_integer) return number_of(value);
  const auto number = parse_i64(value.text);
  return number ? std::optional(static_cast<std::uint64_t>(*number)) : std::nullopt;
}

std::uint64_t reversed(std::uint64_t bits) {
  std::uint64_t result = 0;
  for (int i = 0; i < 64; ++i) result |= ((bits >> i) & 1U) << (63 - i);
  return result;
}

template <typename Hash>
std::optional<KeyspaceId> hashed(std::optional<std::uint64_t> number, Hash hash) {
  return number ? std::optional(hash(*number)) : std::nullopt;
}

template <typename Hash>
std::optional<KeyspaceId> loosely(std::string_view text, Hash hash) {
  const auto key = loose_key(text);
  return key ? std::optional(hash(*key)) : std::nullopt;
}

std::optional<KeyspaceId> mapped(const Vindex& vindex, const Value& value) {
  const auto number = number_of(value);
  if (!number) return std::nullopt;
  const auto other = vindex.numbers.find(*number);
  if (other != vindex.numbers.end()) return big_endian(other->second);
  return vindex.parts.empty() ? std::optional(big_endian(*number)) : keyspace_id(vindex.parts.front(), {&value, 1});
}

std::optional<std::string> region_prefix(const Vindex& vindex, const Value& region) {
  const auto number = number_of(region);
  return number ? std::optional(big_endian(*number).substr(8 - vindex.region_bytes)) : std::nullopt;
}

std::optional<KeyspaceId> in_region(const Vindex& vindex, std::span<const Value> values) {
  auto id = region_prefix(vindex, values[0]);
  const auto hash = hashed(number_of(values[1]), des_of_zero_key);
  return id && hash ? std::optional(*id + *hash) : std::nullopt;
}

// The first bytes of each column's id. One that is shorter is filled with zeros, unless it is the last.
std::optional<KeyspaceId> joined_ids(const Vindex& vindex, std::span<const Value> values) {
  KeyspaceId id;
  std::size_t used = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto part = keyspace_id(vindex.parts[i], values.subspan(i, 1));
    if (!part) return std::nullopt;
    id.resize(used, '\0');
    id += part->substr(0, vindex.part_bytes[i]);
    used += vindex.part_bytes[i];
  }
  return id;
}

std::optional<KeyspaceId> id_of_prefix(const Vindex& vindex, std::span<const Value> values) {
  if (vindex.function == Function::multicol) return joined_ids(vindex, values);
  if (vindex.function == Function::region_experimental) return region_prefix(vindex, values[0]);
  return std::nullopt;
}

}  // namespace

std::optional<KeyspaceId> keyspace_id(const Vindex& vindex, std::span<const Value> values) {
  GODWIT_CHECK(values.size() == vindex.columns);
  std::string room;
  const auto text = [&] { return text_of(values[0], room); };
  switch (vindex.function) {
    case Function::hash: return hashed(wrapped_number_of(values[0]), des_of_zero_key);
    case Function::numeric: return hashed(number_of(values[0]), big_endian);
    case Function::reverse_bits: return hashed(number_of(values[0]), [](std::uint64_t number) { return big_endian(reversed(number)); });
    case Function::xxhash: return xxh64(text());
    case Function::binary_md5: return md5(text());
    case Function::binary: return std::string(text());
    case Function::null: return std::string(1, '\0');
    case Function::unicode_loose_md5: return loosely(text(), md5);
    case Function::unicode_loose_xxhash: return loosely(text(), xxh64);
    case Function::numeric_static_map: return mapped(vindex, values[0]);
    case Function::region_experimental: return in_region(vindex, values);
    case Function::multicol: return joined_ids(vindex, values);
  }
  return std::nullopt;
}

std::optional<KeyRange> range_of(const Vindex& vindex, std::span<const Value> first_values) {
  GODWIT_CHECK(!first_values.empty() && first_values.size() < std::max<std::size_t>(vindex.columns, 2));
  const auto prefix = id_of_prefix(vindex, first_values);
  return prefix ? std::optional(range_of_prefix(*prefix)) : std::nullopt;
}

}  // namespace godwit::shard
