#include "vdiff_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "godwit/util/text.h"

namespace godwit::workflow {
namespace {

using vdiff::RowPair;

constexpr std::size_t kShownMax = 48;  // bytes of a value

// UTF-8 without control characters.
bool is_printable(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xc2) || c > 0xf4) return false;
    const std::size_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (i + size > text.size()) return false;
    for (std::size_t k = 1; k < size; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0U) != 0x80U) return false;
    }
    i += size;
  }
  return true;
}

// Where two long values part.
std::size_t first_difference(const std::optional<std::string>& a, const std::optional<std::string>& b) {
  if (!a || !b) return 0;
  const auto at = std::mismatch(a->begin(), a->end(), b->begin(), b->end()).first - a->begin();
  return static_cast<std::size_t>(at) < kShownMax / 2 ? 0 : static_cast<std::size_t>(at);
}

std::string shown_value(const std::optional<std::string>& value, std::size_t from = 0) {
  if (!value) return "NULL";
  const std::string_view part = std::string_view(*value).substr(from, kShownMax);
  std::string text = is_printable(part) ? "'" + std::string(part) + "'" : "X'" + hex(part) + "'";
  if (from != 0) text = fmt::format("…[{}]{}", from, text);
  if (from + part.size() < value->size()) text += fmt::format("… ({} bytes)", value->size());
  return text;
}

std::string shown_key(const vdiff::TablePlan& plan, const vdiff::Bound& key) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < plan.key.size() && i < key.size(); ++i) {
    const bool is_number = plan.key[i].literal == vdiff::Literal::number || plan.key[i].literal == vdiff::Literal::ordinal;
    parts.push_back(fmt::format("{} = {}", plan.columns[plan.key[i].column].name, is_number ? key[i] : shown_value(key[i])));
  }
  return join(parts, ", ");
}

nlohmann::json values_json(const vdiff::TablePlan& plan, const RowSides& sides) {
  const auto& [source, target] = sides;
  nlohmann::json result = nlohmann::json::array();
  if (source == nullptr && target == nullptr) return result;
  for (std::size_t i = 0; i < plan.columns.size(); ++i) {
    if (source != nullptr && target != nullptr && (*source)[i] == (*target)[i]) continue;
    const std::size_t from = source != nullptr && target != nullptr ? first_difference((*source)[i], (*target)[i]) : 0;
    nlohmann::json value{{"column", plan.columns[i].name}};
    if (source != nullptr) value["source"] = shown_value((*source)[i], from);
    if (target != nullptr) value["target"] = shown_value((*target)[i], from);
    result.push_back(std::move(value));
  }
  return result;
}

// What is_printable() lets through need not be valid UTF-8: overlong forms, surrogates.
std::string text_of(const nlohmann::json& document) { return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

void put_place(nlohmann::json& document, const Placed& placed) {
  const auto& [place, names] = placed;
  if (names.empty()) return;
  nlohmann::json stored{{"source_rows", place.source_rows}, {"target_rows", place.target_rows}};
  if (place.shard) stored["shard"] = *place.shard;
  if (place.shard) document["shard"] = names.at(*place.shard);
  if (place.belongs) document["belongs"] = names.at(*place.belongs);
  document["place"] = std::move(stored);
}

std::uint64_t json_u64(const nlohmann::json& document, const char* name, std::uint64_t otherwise) { return document.contains(name) ? document[name].get<std::uint64_t>() : otherwise; }

}  // namespace

Place place_of(const state::VdiffDifferenceRow& row) {
  Place place{.source_rows = row.kind == "extra" ? 0 : 1, .target_rows = row.kind == "missing" ? 0 : 1};
  const auto detail = nlohmann::json::parse(row.detail, nullptr, false);
  if (!detail.is_object() || !detail.contains("place")) return place;
  const auto& stored = detail["place"];
  place.source_rows = stored.value("source_rows", place.source_rows);
  place.target_rows = stored.value("target_rows", place.target_rows);
  if (stored.contains("shard")) place.shard = stored["shard"].get<std::size_t>();
  return place;
}

std::string describe_suspect(const vdiff::Suspect& suspect, const std::vector<std::string>& names) {
  if (names.empty()) return "";
  nlohmann::json document = nlohmann::json::object();
  put_place(document, {.place = {.shard = suspect.shard, .belongs = {}, .source_rows = suspect.source_rows, .target_rows = suspect.target_rows}, .names = names});
  return text_of(document);
}

std::string describe(const vdiff::TablePlan& plan, const vdiff::Bound& key, const RowSides& sides, const Placed& placed) {
  nlohmann::json document{{"key", shown_key(plan, key)}, {"values", values_json(plan, sides)}};
  put_place(document, placed);
  return text_of(document);
}

std::vector<state::VdiffDifferenceRow> keyless_differences(const vdiff::TablePlan& plan, const vdiff::KeylessResult& result, const std::vector<std::string>& names) {
  std::vector<state::VdiffDifferenceRow> confirmed;
  const auto add = [&](vdiff::Kind kind, std::uint64_t count, const RowSides& sides, const Place& place) {
    nlohmann::json document{{"key", ""}, {"count", count}, {"values", values_json(plan, sides)}};
    put_place(document, {.place = place, .names = names});
    confirmed.push_back({.state = "confirmed", .kind = std::string(to_string(kind)), .row_key = "[]", .detail = text_of(document)});
  };
  std::uint64_t missing = result.missing;
  std::uint64_t extra = result.extra;
  std::uint64_t misplaced = result.misplaced;
  for (const auto& sample : result.samples) {
    const bool is_target = sample.kind != vdiff::Kind::missing;
    const std::optional<std::size_t> belongs = sample.kind == vdiff::Kind::misplaced ? sample.belongs : std::nullopt;
    const Place place{.shard = sample.shard ? sample.shard : sample.belongs, .belongs = belongs};
    add(sample.kind, sample.count, {.source = is_target ? nullptr : &sample.row, .target = is_target ? &sample.row : nullptr}, place);
    (sample.kind == vdiff::Kind::missing ? missing : sample.kind == vdiff::Kind::extra ? extra : misplaced) -= sample.count;
  }
  if (missing > 0) add(vdiff::Kind::missing, missing, {}, {});
  if (extra > 0) add(vdiff::Kind::extra, extra, {}, {});
  if (misplaced > 0) add(vdiff::Kind::misplaced, misplaced, {}, {});
  return confirmed;
}

VdiffDifference difference_of(const state::VdiffDifferenceRow& row) {
  const auto detail = nlohmann::json::parse(row.detail, nullptr, false);
  VdiffDifference result{.kind = row.kind, .key = "", .shard = "", .belongs = "", .count = 1, .values = {}, .is_repaired = row.state == "repaired"};
  if (!detail.is_object()) return result;
  result.key = detail.value("key", "");
  result.shard = detail.value("shard", "");
  result.belongs = detail.value("belongs", "");
  result.count = json_u64(detail, "count", 1);
  for (const auto& value : detail.value("values", nlohmann::json::array())) {
    result.values.push_back({.column = value.value("column", ""), .source = value.value("source", ""), .target = value.value("target", "")});
  }
  return result;
}

}  // namespace godwit::workflow
