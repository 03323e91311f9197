#include "godwit/shard/partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "spec_reader.h"

namespace godwit::shard {
namespace {

constexpr std::string_view kForm = "HASH(column), RANGE(column) 1000, 2000, MAXVALUE or LIST(column) (1, 3, NULL), (2, 4), DEFAULT, with a partition per shard";

Integer read_integer(SpecReader& in) {
  const std::string text = in.number();
  const auto integer = parse_integer(text);
  if (!integer) in.refuse(fmt::format("{} is beyond BIGINT", text));
  return *integer;
}

void read_bounds(Scheme& scheme, SpecReader& in) {
  do {
    if (!scheme.less_than.empty() && !scheme.less_than.back()) in.refuse("a bound follows MAXVALUE");
    if (in.accept_word("MAXVALUE")) {
      scheme.less_than.emplace_back();
      continue;
    }
    const Integer bound = read_integer(in);
    if (!scheme.less_than.empty() && !(*scheme.less_than.back() < bound)) in.refuse(fmt::format("{} is not above the bound before it", to_string(bound)));
    scheme.less_than.emplace_back(bound);
  } while (in.accept(','));
  scheme.partitions = scheme.less_than.size();
}

void read_member(Scheme& scheme, SpecReader& in) {
  if (in.accept_word("NULL")) {
    if (scheme.null_partition) in.refuse("NULL is there twice");
    scheme.null_partition = scheme.partitions;
    return;
  }
  const Integer member = read_integer(in);
  if (!scheme.members.emplace(member, scheme.partitions).second) in.refuse(fmt::format("{} is there twice", to_string(member)));
}

void read_members(Scheme& scheme, SpecReader& in) {
  do {
    if (in.accept_word("DEFAULT")) {
      if (scheme.default_partition) in.refuse("DEFAULT is there twice");
      scheme.default_partition = scheme.partitions;
    } else {
      in.expect('(');
      do read_member(scheme, in);
      while (in.accept(','));
      in.expect(')');
    }
    ++scheme.partitions;
  } while (in.accept(','));
}

SchemeKind read_kind(SpecReader& in) {
  if (in.accept_word("HASH")) return SchemeKind::hash;
  if (in.accept_word("RANGE")) return SchemeKind::range;
  if (in.accept_word("LIST")) return SchemeKind::list;
  in.refuse("it is neither HASH nor RANGE nor LIST");
}

// A signed BIGINT, whatever the column is; NULL counts as the lowest one.
std::size_t hash_partition(const Scheme& scheme, const std::optional<Integer>& value) {
  std::int64_t number = std::numeric_limits<std::int64_t>::min();
  if (value) number = static_cast<std::int64_t>(value->is_negative ? 0 - value->magnitude : value->magnitude);
  const std::int64_t rest = number % static_cast<std::int64_t>(scheme.partitions);
  return static_cast<std::size_t>(rest < 0 ? -rest : rest);
}

// NULL is below every value.
std::optional<std::size_t> range_partition(const Scheme& scheme, const std::optional<Integer>& value) {
  if (!value) return 0;
  const auto& bounds = scheme.less_than;
  const auto found = std::ranges::find_if(bounds, [&](const auto& bound) { return !bound || *value < *bound; });
  if (found == bounds.end()) return std::nullopt;
  return static_cast<std::size_t>(found - bounds.begin());
}

std::optional<std::size_t> list_partition(const Scheme& scheme, const std::optional<Integer>& value) {
  if (!value) return scheme.null_partition ? scheme.null_partition : scheme.default_partition;
  const auto member = scheme.members.find(*value);
  return member != scheme.members.end() ? std::optional(member->second) : scheme.default_partition;
}

}  // namespace

std::strong_ordering Integer::operator<=>(const Integer& other) const {
  if (is_negative != other.is_negative) return is_negative ? std::strong_ordering::less : std::strong_ordering::greater;
  return is_negative ? other.magnitude <=> magnitude : magnitude <=> other.magnitude;
}

std::optional<Integer> parse_integer(std::string_view text) {
  if (const auto number = parse_u64(text)) return Integer{.magnitude = *number};
  const auto number = parse_i64(text);
  if (!number) return std::nullopt;
  return Integer{.is_negative = *number < 0, .magnitude = 0 - static_cast<std::uint64_t>(*number)};
}

std::string to_string(const Integer& integer) { return (integer.is_negative ? "-" : "") + std::to_string(integer.magnitude); }

Scheme parse_scheme(const SchemeSpec& spec, std::string_view flag) {
  SpecReader in(spec.text, flag, kForm);
  Scheme scheme{.kind = read_kind(in)};
  in.expect('(');
  scheme.column = in.name();
  in.expect(')');
  switch (scheme.kind) {
    case SchemeKind::hash: scheme.partitions = spec.partitions; break;
    case SchemeKind::range: read_bounds(scheme, in); break;
    case SchemeKind::list: read_members(scheme, in); break;
  }
  in.finish();
  if (scheme.partitions != spec.partitions) in.refuse(fmt::format("it has {} partitions for {} shards", scheme.partitions, spec.partitions));
  return scheme;
}

std::optional<std::size_t> partition_of(const Scheme& scheme, const std::optional<Integer>& value) {
  switch (scheme.kind) {
    case SchemeKind::hash: return hash_partition(scheme, value);
    case SchemeKind::range: return range_partition(scheme, value);
    case SchemeKind::list: return list_partition(scheme, value);
  }
  return std::nullopt;
}

}  // namespace godwit::shard
