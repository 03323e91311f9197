#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "godwit/cutover/steps.h"
#include "grid.h"
#include "report.h"
#include "terminal.h"

namespace godwit::cli {
namespace {

using nlohmann::json;

double ms(std::chrono::microseconds time) { return static_cast<double>(time.count()) / 1000; }

json to_json(const cutover::StepReport& step) { return {{"name", step.name}, {"state", step.state}, {"detail", step.detail}, {"ms", ms(step.took)}}; }

json to_json(const cutover::ProxyPause& pause) { return {{"endpoint", pause.endpoint}, {"sessions", pause.sessions}, {"held_ms_p50", pause.p50_ms}, {"held_ms_p99", pause.p99_ms}, {"held_ms_max", pause.max_ms}}; }

json to_json(const cutover::SwitchReport& report, bool is_dry_run) {
  json steps = json::array();
  for (const auto& step : report.steps) steps.push_back(to_json(step));
  json proxies = json::array();
  for (const auto& pause : report.proxies) proxies.push_back(to_json(pause));
  json result{{"serving", db::to_string(report.serving)}, {"epoch", report.epoch}, {"was_done", report.was_done}, {"finished", report.finished}, {"steps", steps},
              {"immovable", report.immovable}, {"objects", report.objects}, {"warnings", report.warnings}};
  if (is_dry_run) {
    result["expected_pause_ms"] = report.expected_pause.count();
  } else {
    result["pause_ms"] = ms(report.pause);
    result["proxies"] = proxies;
  }
  return result;
}

void print_lines(const char* title, const std::vector<std::string>& lines) {
  for (const auto& line : lines) print_line(fmt::format("{} {}", title, line));
}

}  // namespace

void print_switch(const std::string& command, const std::string& name, const cutover::SwitchReport& report, bool is_dry_run, bool is_json) {
  if (is_json) {
    auto body = to_json(report, is_dry_run);
    body["name"] = name;
    return print_json(command, body);
  }
  if (!report.steps.empty()) {
    Grid grid({"step", "state", "ms", is_dry_run ? "what" : "detail"}, 4);
    for (const auto& step : report.steps) grid.add({step.name, step.state, is_dry_run ? "" : fmt::format("{:.1f}", ms(step.took)), step.detail});
    grid.print();
  }
  print_lines("object", report.objects);
  print_lines("session", report.immovable);
  print_lines(is_dry_run ? "first" : "settled", report.finished);
  print_lines("warning", report.warnings);
  for (const auto& pause : report.proxies) {
    print_line(fmt::format("proxy {}: {} sessions; those with a statement waited {:.1f} ms (p50), {:.1f} (p99), {:.1f} (most)", pause.endpoint, pause.sessions, pause.p50_ms, pause.p99_ms, pause.max_ms));
  }
  if (is_dry_run) {
    if (report.was_done && report.finished.empty()) return fmt::print("nothing to do: the {} serves\n", db::to_string(report.serving));
    if (report.was_done) return fmt::print("the {} serves; nothing was changed\n", db::to_string(report.serving));
    return fmt::print("expected pause: about {} ms; nothing was changed\n", report.expected_pause.count());
  }
  if (report.was_done) return fmt::print("the {} serves already, epoch {}\n", db::to_string(report.serving), report.epoch);
  fmt::print("the {} serves, epoch {}; clients were held {:.1f} ms\n", db::to_string(report.serving), report.epoch, ms(report.pause));
}

void print_complete(const std::string& name, const cutover::CompleteReport& report, bool is_json) {
  json left = json::array();
  for (const auto& one : report.left) left.push_back({{"what", one.what}, {"statements", one.statements}});
  if (is_json) return print_json("complete", {{"name", name}, {"done", report.done}, {"left", left}, {"hints", report.hints}, {"was_done", report.was_done}});
  for (const auto& what : report.done) print_line(what);
  for (const auto& one : report.left) {
    print_line(fmt::format("left on the source: {}{}", one.what, one.statements.empty() ? "" : "; to lift it, there:"));
    for (const auto& statement : one.statements) fmt::print("  {};\n", statement);
  }
  print_lines("note", report.hints);
  fmt::print("{}\n", report.was_done ? "it was completed before" : "completed");
}

void print_steps(bool is_json) {
  json documents = json::array();
  Grid grid({"step", "what it does"}, 2);
  for (const auto& step : cutover::switch_steps()) {
    documents.push_back({{"name", step.name}, {"what", step.what}, {"after_commit", step.is_after_commit}});
    grid.add({std::string(step.name), std::string(step.what)});
  }
  if (is_json) return print_json("inspect steps", {{"steps", documents}});
  grid.print();
}

}  // namespace godwit::cli
