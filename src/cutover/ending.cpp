#include "ending.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "godwit/util/text.h"

namespace godwit::cutover {
namespace {

using nlohmann::json;

constexpr const char* kCommand = "complete";
constexpr std::size_t kShown = 6;  // of guard triggers there are three a table

std::optional<OldSide> old_side_of(const std::string& name) {
  for (const auto side : {OldSide::read_only, OldSide::writable, OldSide::rename}) {
    if (to_string(side) == name) return side;
  }
  return std::nullopt;
}

std::string statements_of(const std::string& workflow, const Ending& ending) {
  std::vector<std::string> all;
  for (const auto& one : ending.left) all.insert(all.end(), one.statements.begin(), one.statements.end());
  if (all.size() <= kShown) return join(all, "; ");
  const std::vector<std::string> first(all.begin(), all.begin() + kShown);
  return fmt::format("{}; … ({} in all: godwit complete {} --old-side {} says them)", join(first, "; "), all.size(), workflow, to_string(ending.old_side));
}

}  // namespace

std::string_view to_string(OldSide side) {
  switch (side) {
    case OldSide::read_only: return "read-only";
    case OldSide::writable: return "writable";
    case OldSide::rename: return "rename";
  }
  return "";
}

void forget_ending(state::StateFile& state, const std::string& workflow) { state.set_progress(workflow, kCommand, "null"); }

void record_ending(state::StateFile& state, const std::string& workflow, const Ending& ending) {
  json left = json::array();
  for (const auto& one : ending.left) left.push_back({{"what", one.what}, {"statements", one.statements}});
  const json document{{"old_side", to_string(ending.old_side)}, {"left", left}};
  state.set_progress(workflow, kCommand, document.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::optional<Ending> find_ending(state::StateFile& state, const std::string& workflow) {
  const auto text = state.progress(workflow, kCommand);
  const auto document = text ? json::parse(*text, nullptr, false) : json();
  if (!document.is_object()) return std::nullopt;
  const auto side = old_side_of(document.value("old_side", ""));
  if (!side) return std::nullopt;
  Ending ending{.old_side = *side, .left = {}};
  for (const auto& one : document.value("left", json::array())) ending.left.push_back({.what = one.value("what", ""), .statements = one.value("statements", std::vector<std::string>{})});
  return ending;
}

std::string by_hand(const std::string& workflow, const Ending& ending, OldSide wanted) {
  std::vector<std::string> deeds;
  if (ending.old_side == OldSide::rename) deeds.emplace_back("RENAME TABLE each …_godwit_old to its name before");
  if (wanted == OldSide::rename) deeds.emplace_back("RENAME TABLE each of its tables");
  const auto statements = statements_of(workflow, ending);
  if (wanted == OldSide::writable && !statements.empty()) deeds.push_back(statements);
  if (wanted != OldSide::writable && ending.old_side == OldSide::writable) deeds.emplace_back("SET GLOBAL read_only = ON");
  return deeds.empty() ? "nothing keeps writers off the source" : "by hand, on the source: " + join(deeds, "; ");
}

}  // namespace godwit::cutover
