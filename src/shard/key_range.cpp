#include "godwit/shard/key_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::shard {
namespace {

constexpr std::string_view kForm = "RANGE is two hexadecimal bounds, of which either may be left out: -80, 80-c0, c0-, or - for everything";

std::string_view significant(std::string_view bytes) {
  const std::size_t last = bytes.find_last_not_of('\0');
  return last == std::string_view::npos ? std::string_view() : bytes.substr(0, last + 1);
}

// An upper bound that is empty lies behind everything, "00" too: both are no bound.
bool is_before_end(std::string_view id, std::string_view upper) {
  return significant(upper).empty() || significant(id) < significant(upper);
}

bool ends_before(const KeyRange& a, const KeyRange& b) { return !significant(a.upper).empty() && is_before_end(a.upper, b.upper); }

[[noreturn]] void refuse(std::string_view flag, std::string_view text, std::string_view cause) {
  throw Error(Code::key_range_unreadable, {.object = fmt::format("{} {}", flag, text), .cause = std::string(cause), .remedy = std::string(kForm)});
}

std::string parse_bound(std::string_view digits, std::string_view flag, std::string_view text) {
  auto bytes = from_hex(digits);
  if (!bytes) refuse(flag, text, fmt::format("\"{}\" is not a whole number of hexadecimal bytes", digits));
  return *std::move(bytes);
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

[[noreturn]] void refuse_gap(const std::string& lower, const std::string& upper) {
  const std::string gap = to_string({.lower = lower, .upper = upper});
  throw Error(Code::shards_leave_gap, {.object = "--shard",
                                       .cause = fmt::format("no shard holds {}", gap),
                                       .remedy = fmt::format("--shard {}=mysql://…, or another shard's range made to reach over it", gap)});
}

[[noreturn]] void refuse_overlap(const KeyRange& a, const KeyRange& b) {
  const KeyRange both{.lower = a.begins_after(b.lower) ? a.lower : b.lower, .upper = ends_before(a, b) ? a.upper : b.upper};
  throw Error(Code::shards_overlap, {.object = "--shard",
                                     .cause = fmt::format("{} and {} both hold {}", to_string(a), to_string(b), to_string(both)),
                                     .remedy = "let each range end where the next begins"});
}

}  // namespace

std::string to_hex(std::string_view bytes) { return godwit::lower(hex(bytes)); }

std::optional<std::string> from_hex(std::string_view digits) {
  if (digits.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const int high = digit_value(digits[i]);
    const int low = digit_value(digits[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  return bytes;
}

bool KeyRange::contains(std::string_view id) const { return !begins_after(id) && is_before_end(id, upper); }

bool KeyRange::begins_after(std::string_view id) const { return significant(id) < significant(lower); }

bool KeyRange::is_everything() const { return significant(lower).empty() && significant(upper).empty(); }

KeyRange parse_key_range(std::string_view text, std::string_view flag) {
  if (text == "0") return {};
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) refuse(flag, text, "it has no \"-\" between two bounds");
  KeyRange range{.lower = parse_bound(text.substr(0, dash), flag, text), .upper = parse_bound(text.substr(dash + 1), flag, text)};
  if (!is_before_end(range.lower, range.upper)) refuse(flag, text, "its upper bound is not above its lower one");
  return range;
}

std::string to_string(const KeyRange& range) { return to_hex(range.lower) + "-" + to_hex(range.upper); }

bool is_same(const KeyRange& a, const KeyRange& b) {
  return significant(a.lower) == significant(b.lower) && significant(a.upper) == significant(b.upper);
}

bool intersects(const KeyRange& a, const KeyRange& b) { return is_before_end(a.lower, b.upper) && is_before_end(b.lower, a.upper); }

std::optional<KeyRange> joined(const KeyRange& a, const KeyRange& b) {
  const auto leads_to = [](const KeyRange& first, const KeyRange& second) {
    return !significant(first.upper).empty() && significant(first.upper) == significant(second.lower);
  };
  if (leads_to(a, b)) return KeyRange{.lower = a.lower, .upper = b.upper};
  if (leads_to(b, a)) return KeyRange{.lower = b.lower, .upper = a.upper};
  return std::nullopt;
}

KeyRange range_of_prefix(std::string_view prefix) {
  std::string upper(prefix);
  while (!upper.empty() && upper.back() == '\xff') upper.pop_back();  // what follows …ff is the next of the byte before
  if (!upper.empty()) upper.back() = static_cast<char>(static_cast<unsigned char>(upper.back()) + 1);
  return {.lower = std::string(prefix), .upper = upper};
}

std::vector<std::string> even_ranges(std::size_t count, std::size_t digits) {
  constexpr std::size_t kCountMax = 65536;
  if (digits == 0) digits = count <= 256 ? 2 : 4;
  const std::size_t values = std::size_t{1} << (4 * std::min<std::size_t>(digits, 8));
  const std::size_t count_max = std::min(values, kCountMax);
  if (count == 0 || count > count_max) refuse("ranges", std::to_string(count), fmt::format("{} digits tell 1 to {} ranges apart", digits, count_max));
  std::vector<std::string> names;
  const auto bound = [&](std::size_t i) { return i == 0 || i == count ? std::string() : fmt::format("{:0{}x}", i * values / count, digits); };
  for (std::size_t i = 0; i < count; ++i) names.push_back(bound(i) + "-" + bound(i + 1));
  return names;
}

std::vector<std::size_t> require_partition(std::span<const KeyRange> ranges) {
  std::vector<std::size_t> order(ranges.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return significant(ranges[a].lower) < significant(ranges[b].lower); });
  if (ranges.empty()) refuse_gap("", "");
  if (const auto& first = ranges[order.front()]; !significant(first.lower).empty()) refuse_gap("", first.lower);
  for (std::size_t i = 1; i < order.size(); ++i) {
    const KeyRange& before = ranges[order[i - 1]];
    const KeyRange& range = ranges[order[i]];
    if (intersects(before, range)) refuse_overlap(before, range);
    if (significant(before.upper) != significant(range.lower)) refuse_gap(before.upper, range.lower);
  }
  if (const auto& last = ranges[order.back()]; !significant(last.upper).empty()) refuse_gap(last.upper, "");
  return order;
}

}  // namespace godwit::shard
