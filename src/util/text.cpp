#include "godwit/util/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace godwit {
namespace {

char lower_char(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

// Splits "12.5MiB" into its number and its unit.
struct Measured {
  double number;
  std::string unit;
};

std::optional<Measured> parse_measured(std::string_view text) {
  Measured result{};
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, result.number);
  if (error != std::errc() || result.number < 0) return std::nullopt;
  result.unit = lower(trim(std::string_view(stop, static_cast<std::size_t>(end - stop))));
  return result;
}

}  // namespace

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (true) {
    const auto end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower_char);
  return result;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return lower_char(x) == lower_char(y);
  });
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string result;
  result.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    result.push_back(kDigits[byte >> 4]);
    result.push_back(kDigits[byte & 15]);
  }
  return result;
}

std::optional<std::uint64_t> parse_u64(std::string_view text) { return parse_number<std::uint64_t>(text); }
std::optional<std::int64_t> parse_i64(std::string_view text) { return parse_number<std::int64_t>(text); }

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  const auto measured = parse_measured(text);
  if (!measured) return std::nullopt;
  constexpr std::array<std::string_view, 5> kScales{"", "k", "m", "g", "t"};
  double factor = 1;
  for (const auto scale : kScales) {
    const std::string unit(scale);
    if (measured->unit == unit || measured->unit == unit + "b" || measured->unit == unit + "ib") {
      const double bytes = measured->number * factor;
      if (bytes > 9e18) return std::nullopt;
      return static_cast<std::uint64_t>(bytes);
    }
    factor *= 1024;
  }
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto measured = parse_measured(text);
  if (!measured || measured->number > 1e9) return std::nullopt;
  const auto of = [&](double ms) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(measured->number * ms));
  };
  if (measured->unit == "ms") return of(1);
  if (measured->unit.empty() || measured->unit == "s") return of(1000);
  if (measured->unit == "m" || measured->unit == "min") return of(60'000);
  if (measured->unit == "h") return of(3'600'000);
  if (measured->unit == "d") return of(86'400'000);
  return std::nullopt;
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string format_count(std::uint64_t count) {
  std::string digits = fmt::format("{}", count);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return digits;
}

std::string format_duration(std::chrono::milliseconds duration) {
  const auto ms = duration.count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 60'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000.0);
  const auto seconds = ms / 1000;
  if (seconds < 3600) return fmt::format("{} m {:02} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {:02} m", seconds / 3600, seconds % 3600 / 60);
}

}  // namespace godwit
