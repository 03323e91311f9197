#include <algorithm>
#include <array>

#include "godwit/util/text.h"
#include "translate.h"

namespace godwit::catalog {
namespace {

struct Near {
  std::string_view from;
  std::string_view to;  // the first of several that the target knows is taken
};

// Nearest counterparts, best first: the same strength, and where it exists the same padding rule (0900 and nopad do not
// pad; what differs is reported with the column).
constexpr std::array<Near, 27> kNearest{{
    {"utf8mb4_0900_ai_ci", "utf8mb4_uca1400_nopad_ai_ci"},
    {"utf8mb4_0900_ai_ci", "utf8mb4_unicode_520_nopad_ci"},
    {"utf8mb4_0900_as_ci", "utf8mb4_uca1400_nopad_as_ci"},
    {"utf8mb4_0900_as_cs", "utf8mb4_uca1400_nopad_as_cs"},
    {"utf8mb4_0900_bin", "utf8mb4_nopad_bin"},
    {"utf8mb4_uca1400_ai_ci", "utf8mb4_0900_ai_ci"},
    {"utf8mb4_uca1400_ai_ci", "utf8mb4_unicode_520_ci"},
    {"utf8mb4_uca1400_as_ci", "utf8mb4_0900_as_ci"},
    {"utf8mb4_uca1400_as_cs", "utf8mb4_0900_as_cs"},
    {"utf8mb4_uca1400_ai_cs", "utf8mb4_0900_as_cs"},
    {"utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_0900_ai_ci"},
    {"utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_unicode_520_nopad_ci"},
    {"utf8mb4_uca1400_nopad_as_ci", "utf8mb4_0900_as_ci"},
    {"utf8mb4_uca1400_nopad_as_cs", "utf8mb4_0900_as_cs"},
    {"utf8mb4_unicode_nopad_ci", "utf8mb4_0900_ai_ci"},
    {"utf8mb4_unicode_520_nopad_ci", "utf8mb4_0900_ai_ci"},
    {"utf8mb4_nopad_bin", "utf8mb4_0900_bin"},
    {"utf8mb3_uca1400_ai_ci", "utf8mb3_unicode_520_ci"},
    {"utf8mb3_uca1400_as_ci", "utf8mb3_unicode_520_ci"},
    {"utf16_uca1400_ai_ci", "utf16_unicode_520_ci"},
    {"utf32_uca1400_ai_ci", "utf32_unicode_520_ci"},
    {"ucs2_uca1400_ai_ci", "ucs2_unicode_520_ci"},
    {"utf8mb4_tr_0900_ai_ci", "utf8mb4_turkish_ci"},
    {"utf8mb4_sv_0900_ai_ci", "utf8mb4_swedish_ci"},
    {"utf8mb4_de_pb_0900_ai_ci", "utf8mb4_german2_ci"},
    {"utf8mb4_pl_0900_ai_ci", "utf8mb4_polish_ci"},
    {"utf8mb4_es_0900_ai_ci", "utf8mb4_spanish_ci"},
}};

bool knows(const DdlOptions& options, std::string_view collation) {
  const auto& known = options.target_collations;
  return std::find(known.begin(), known.end(), collation) != known.end();
}

// utf8_general_ci ↔ utf8mb3_general_ci
std::string other_utf8_name(const std::string& name) {
  if (name.starts_with("utf8_")) return "utf8mb3_" + name.substr(5);
  if (name.starts_with("utf8mb3_")) return "utf8_" + name.substr(8);
  return name;
}

}  // namespace

std::optional<std::string> target_collation_name(const std::string& collation, const DdlOptions& options) {
  if (const auto mapped = options.collation_map.find(collation); mapped != options.collation_map.end()) {
    return mapped->second;
  }
  if (collation.empty() || knows(options, collation)) return collation;
  if (const std::string other = other_utf8_name(collation); knows(options, other)) return other;
  for (const auto& near : kNearest) {
    if (near.from == collation && knows(options, near.to)) return std::string(near.to);
  }
  return std::nullopt;
}

std::string target_charset(const std::string& charset, const DdlOptions& options) {
  const bool has_utf8mb3 = knows(options, "utf8mb3_general_ci");
  if (charset == "utf8" && has_utf8mb3) return "utf8mb3";
  if (charset == "utf8mb3" && !has_utf8mb3) return "utf8";
  return charset;
}

}  // namespace godwit::catalog
