#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "godwit/vdiff/plan.h"

namespace godwit::vdiff {
namespace {

// 1.50 → 1.5, 2.00 → 2, -0.00 → 0; 12:00:00.500000 → 12:00:00.5
std::string_view without_trailing_zeros(std::string_view value) {
  if (value.find('.') == std::string_view::npos) return value;
  while (value.ends_with('0')) value.remove_suffix(1);
  if (value.ends_with('.')) value.remove_suffix(1);
  return value == "-0" ? "0" : value;
}

std::string_view number(const Column& column, std::string_view value, std::string& room) {
  double parsed = 0;
  const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), parsed);
  if (failure != std::errc() || end != value.data() + value.size()) return value;  // as it is: then it differs from whatever is a number
  room = fmt::format("{:.17g}", parsed == 0 && column.folds_minus_zero ? 0.0 : parsed);
  return room;
}

// Integers and doubles stay apart: the servers keep them so. An integer beyond 64 bits is a double to both.
std::string_view json(std::string_view value, std::string& room) {
  const auto document = nlohmann::json::parse(value.begin(), value.end(), nullptr, false);
  if (document.is_discarded()) return value;
  room = document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return room;
}

std::string_view without_padding(std::string_view value) {
  while (value.ends_with('\0')) value.remove_suffix(1);
  return value;
}

}  // namespace

std::string_view normalize(const Column& column, std::string_view value, std::string& room) {
  switch (column.normal) {
    case Normal::none:
      return value;
    case Normal::decimal:
    case Normal::fraction:
      return without_trailing_zeros(value);
    case Normal::number:
      return number(column, value, room);
    case Normal::json:
      return json(value, room);
    case Normal::padding:
      return without_padding(value);
  }
  return value;
}

}  // namespace godwit::vdiff
