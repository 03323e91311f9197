// Keyspace ids and ranges of them, as Vitess names its shards: "-80", "80-c0", "-". Pure; any thread.
// A range holds its lower bound and not its upper one; an empty bound is no bound. Ids and bounds are compared as bytes, without the zeros at
// their end: "-80" and "-8000" are one range. A range prints as it was written.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::shard {

using KeyspaceId = std::string;  // bytes

std::string to_hex(std::string_view bytes);  // lower case
std::optional<std::string> from_hex(std::string_view digits);

struct KeyRange {
  std::string lower;
  std::string upper;

  bool contains(std::string_view id) const;
  bool begins_after(std::string_view id) const;
  bool is_everything() const;
};

// "-", "0", "-80", "80-c0", "c0-". Throws Error(key_range_unreadable); `flag` is how the operator gave it, "--shard".
KeyRange parse_key_range(std::string_view text, std::string_view flag);
std::string to_string(const KeyRange& range);

bool is_same(const KeyRange& a, const KeyRange& b);
bool intersects(const KeyRange& a, const KeyRange& b);
// The two as one, where one begins as the other ends.
std::optional<KeyRange> joined(const KeyRange& a, const KeyRange& b);
// All ids that begin with the prefix.
KeyRange range_of_prefix(std::string_view prefix);

// The names of so many equal ranges, with bounds of so many hexadecimal digits; 0: two up to 256 ranges, else four.
// Throws Error(key_range_unreadable) where those digits do not tell so many bounds apart.
std::vector<std::string> even_ranges(std::size_t count, std::size_t digits = 0);

// Where each range stands in the order of their bounds: the first names the range that begins it all. Throws Error(shards_leave_gap) or
// Error(shards_overlap), naming what, unless together they are everything and no id is in two.
std::vector<std::size_t> require_partition(std::span<const KeyRange> ranges);

}  // namespace godwit::shard
