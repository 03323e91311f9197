// What a rehearsal says at its end: how long each phase took, how long clients waited, and whether the migration may begin.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "godwit/util/text.h"
#include "grid.h"
#include "report.h"
#include "terminal.h"

namespace godwit::cli {
namespace {

using nlohmann::json;

template <typename Number>
json or_null(const std::optional<Number>& number) {
  return number ? json(*number) : json();
}

json phases_of(const rehearsal::Report& report) {
  json phases = json::array();
  for (const auto& phase : report.phases) phases.push_back({{"name", phase.name}, {"state", phase.state}, {"ms", phase.took.count()}, {"detail", phase.detail}});
  return phases;
}

json to_json(const rehearsal::Report& report) {
  json warnings = json::array();
  for (const auto& one : report.warnings) warnings.push_back({{"code", one.code}, {"object", one.object}, {"cause", one.cause}, {"remedy", one.remedy}});
  json moves = json::array();
  for (const auto& move : report.moves) moves.push_back({{"command", move.command}, {"held_ms", move.held_ms}, {"client_ms_p50", move.p50_ms}, {"client_ms_max", move.longest_ms}});
  const json data{{"tables", report.tables}, {"rows", report.rows}, {"bytes", report.bytes}, {"copy_ms", report.copy.count()}, {"catch_up_ms", report.catch_up.count()}, {"vdiff_ms", report.compare.count()},
                  {"verdict", report.verdict}, {"lag_ms_p50", or_null(report.lag_ms)}, {"lag_ms_max", or_null(report.lag_ms_max)}};
  const json client{{"acknowledged", report.acknowledged}, {"lost", report.lost}, {"errors", report.errors}, {"usual_ms", report.usual_ms}};
  const json estimate{{"until_switch_ms", report.until_switch().count()}, {"pause_ms", report.moves.empty() ? json() : json(report.pause_ms())}};
  return {{"code", report.status}, {"ready", report.is_ready()}, {"dry_run", report.is_dry_run}, {"why", report.why}, {"phases", phases_of(report)}, {"warnings", warnings}, {"data", data},
          {"moves", moves}, {"client", client}, {"estimate", estimate}, {"created", report.created}, {"left", report.left}};
}

void print_estimate(const rehearsal::Report& report) {
  if (report.copy.count() == 0) return;
  print_line(fmt::format("estimate: {} until the switch (copy {}, catch up {}, vdiff {})", format_duration(report.until_switch()), format_duration(report.copy), format_duration(report.catch_up), format_duration(report.compare)));
  if (report.moves.empty()) return;
  print_line(fmt::format("estimate: clients wait {:.0f} ms at the switch (most of {}); else {:.1f} ms", report.pause_ms(), report.moves.size(), report.usual_ms));
}

}  // namespace

void print_rehearsal(const std::string& name, const rehearsal::Report& report, bool is_json) {
  if (is_json) {
    json body = to_json(report);
    body["workflow"] = name;
    return print_json("rehearse", body);
  }
  Grid grid({"phase", "state", "took", "what"}, 4);
  for (const auto& phase : report.phases) grid.add({phase.name, phase.state, phase.state == "left out" ? "" : format_duration(phase.took), phase.detail});
  grid.print();
  for (const auto& one : report.warnings) {
    print_line(fmt::format("{} {}{}{}: {}", coloured(Colour::yellow, "warning"), one.code, one.code.empty() ? "" : " ", one.object, one.cause));
    print_line("  => " + one.remedy, 5);
  }
  if (report.is_dry_run && report.is_ready()) {
    for (const auto& what : report.created) print_line("would create: " + what);
    return fmt::print("nothing was changed (--dry-run)\n");
  }
  print_estimate(report);
  for (const auto& what : report.left) print_line("left: " + what);
  if (!report.left.empty()) fmt::print("godwit rehearse {} --clean takes it back\n", name);
  for (const auto& why : report.why) print_line(fmt::format("{}: {}", coloured(Colour::red, "not ready"), why));
  if (report.is_ready()) print_line(coloured(Colour::green, "ready"));
}

void print_cleaned(const std::string& name, const std::vector<std::string>& dropped, bool is_json) {
  if (is_json) return print_json("rehearse", {{"workflow", name}, {"code", 0}, {"dropped", dropped}});
  for (const auto& what : dropped) print_line("dropped: " + what);
  if (dropped.empty()) print_line(fmt::format("nothing of a rehearsal of {} is there", name));
}

}  // namespace godwit::cli
