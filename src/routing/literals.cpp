#include "literals.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "godwit/sql/quote.h"
#include "godwit/util/text.h"

namespace godwit::routing {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Letters, digits and signs that no quoting rule touches.
bool is_plain(std::string_view text) {
  static constexpr std::string_view kSigns = " _,=+:/.-@%$*()[]<>;!?&|~^#";
  return std::all_of(text.begin(), text.end(), [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || kSigns.find(c) != std::string_view::npos;
  });
}

// A decimal keeps its scale as a literal with a point; without one it would be an integer.
std::string decimal_literal(std::string_view value) {
  if (value.find('.') != std::string_view::npos) return std::string(value);
  const std::size_t digits = value.size() - (value.starts_with('-') ? 1 : 0);
  return fmt::format("CAST({} AS DECIMAL({},0))", value, std::clamp<std::size_t>(digits, 1, 65));
}

std::string real_literal(std::string_view value) {
  const bool has_exponent = value.find('e') != std::string_view::npos;
  return has_exponent ? std::string(value) : fmt::format("{}e0", value);
}

std::string string_literal(const UserVariable& variable, std::string_view charset, std::string_view collation) {
  const std::string bytes = fmt::format("X'{}'", hex(variable.value));
  if (charset.empty() || charset == "binary") return bytes;
  return fmt::format("_{} {} COLLATE {}", charset, bytes, collation);
}

std::string null_literal(const UserVariable& variable, std::string_view charset, std::string_view collation) {
  if (variable.charset.empty() || variable.charset == "binary") return "NULL";
  return fmt::format("CAST(NULL AS CHAR CHARACTER SET {}) COLLATE {}", charset, collation);
}

int digit_of(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0; });
}

bool is_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty() && (is_digit(text.back()));
}

std::string text_literal(std::string_view text) {
  if (is_plain(text)) return fmt::format("'{}'", text);
  return fmt::format("_utf8mb4 X'{}'", hex(text));
}

std::string setting_literal(std::string_view value, VariableFact::Kind kind) {
  const bool is_bare = kind == VariableFact::Kind::number || (kind == VariableFact::Kind::unknown && is_number(value));
  return is_bare && is_number(value) ? std::string(value) : text_literal(value);
}

std::string user_variable_literal(const UserVariable& variable, std::string_view charset, std::string_view collation) {
  switch (variable.type) {
    case UserVariable::Type::null:
      return null_literal(variable, charset, collation);
    case UserVariable::Type::integer:
      return variable.value;
    case UserVariable::Type::unsigned_integer:
      return fmt::format("CAST({} AS UNSIGNED)", variable.value);
    case UserVariable::Type::decimal:
      return decimal_literal(variable.value);
    case UserVariable::Type::real:
      return real_literal(variable.value);
    case UserVariable::Type::string:
      return string_literal(variable, charset, collation);
  }
  return "NULL";
}

std::string unhex(std::string_view digits) {
  std::string bytes;
  bytes.reserve(digits.size() / 2);
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    const int high = digit_of(digits[i]);
    const int low = digit_of(digits[i + 1]);
    if (high < 0 || low < 0) return {};
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  return bytes;
}

}  // namespace godwit::routing
