// Small text helpers: splitting, numbers, and figures for people (with unit and scale). Pure; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace godwit {

std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
std::string lower(std::string_view text);  // ASCII only
std::string join(const std::vector<std::string>& parts, std::string_view separator);
bool equals_ignoring_case(std::string_view a, std::string_view b);  // ASCII only
std::string hex(std::string_view bytes);  // upper case, no prefix

// The whole text must be the number.
std::optional<std::uint64_t> parse_u64(std::string_view text);
std::optional<std::int64_t> parse_i64(std::string_view text);
// "50MiB", "64k", "1G", "1024": bytes, powers of 1024.
std::optional<std::uint64_t> parse_bytes(std::string_view text);
// "250ms", "30s", "15m", "2h"; a bare number is seconds.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

std::string format_bytes(std::uint64_t bytes);                       // "12.3 MiB"
std::string format_count(std::uint64_t count);                       // "4,218,334"
std::string format_duration(std::chrono::milliseconds duration);     // "850 ms", "12.3 s", "2 m 05 s", "1 h 04 m"

}  // namespace godwit
