// Which partition a row belongs to, just as MariaDB's PARTITION BY HASH, RANGE and LIST over an integer column put it (docs/sharding.md): the head of a
// sharded target may be partitioned so. Pure; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::shard {

// Any value of a signed or unsigned BIGINT. Ordered by value.
struct Integer {
  bool is_negative = false;  // not of zero
  std::uint64_t magnitude = 0;

  bool operator==(const Integer& other) const = default;
  std::strong_ordering operator<=>(const Integer& other) const;
};
std::optional<Integer> parse_integer(std::string_view text);
std::string to_string(const Integer& integer);

enum class SchemeKind : std::uint8_t { hash, range, list };

struct Scheme {
  SchemeKind kind = SchemeKind::hash;
  std::string column;
  std::size_t partitions = 0;
  std::vector<std::optional<Integer>> less_than;  // range: a bound per partition, each above the one before; nothing: MAXVALUE
  std::map<Integer, std::size_t> members;         // list: value to partition
  std::optional<std::size_t> null_partition;      // list: that has NULL among its values
  std::optional<std::size_t> default_partition;   // list: that takes what no other has
};

// "HASH(id)", "RANGE(id) 1000, 2000, MAXVALUE", "LIST(id) (1, 3, NULL), (2, 4), DEFAULT": a partition per shard, in the order of the shards.
// Throws Error(bad_placement); `flag` is how the operator gave it.
struct SchemeSpec {
  std::string_view text;
  std::size_t partitions = 0;
};
Scheme parse_scheme(const SchemeSpec& spec, std::string_view flag);

// The first is 0. No value: NULL. Nothing: MariaDB refuses such a row.
std::optional<std::size_t> partition_of(const Scheme& scheme, const std::optional<Integer>& value);

}  // namespace godwit::shard
