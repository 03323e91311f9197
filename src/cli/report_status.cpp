// `godwit status`: what the state file knows of the workflows, and which side serves, which the target alone knows.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <future>
#include <nlohmann/json.hpp>

#include "godwit/util/text.h"
#include "godwit/workflow/direction.h"
#include "report.h"
#include "serving.h"
#include "terminal.h"

namespace godwit::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kHang = 10;  // where what is said of a workflow begins

// Phases in which a stream is to be at work.
constexpr std::array<std::string_view, 3> kStreaming{"replicating", "switched", "reversed"};

void add_serving(json& document, const Serving& serving) {
  document["serving"] = serving.side ? json(db::to_string(*serving.side)) : json();
  document["epoch"] = serving.route ? json(serving.route->epoch) : json();
  document["is_switching"] = serving.route && serving.route->is_switching;
  if (!serving.side) document["serving_unknown"] = serving.why_unknown;
}

// The stream that is to run, by who serves; nothing where that is not known.
void add_stream_direction(json& document, const Serving& serving) {
  if (serving.side) document["stream_direction"] = workflow::to_string(workflow::direction_serving(*serving.side));
}

json to_json(state::StateFile& state, const state::Workflow& workflow, const Serving& serving, bool with_history) {
  json document{{"name", workflow.name}, {"phase", workflow.phase}, {"created", workflow.created}, {"updated", workflow.updated}, {"definition", workflow.definition}};
  add_serving(document, serving);
  add_stream_direction(document, serving);
  for (const char* command : {"copy", "replicate", "vdiff", "complete"}) {
    if (const auto progress = state.progress(workflow.name, command)) document[command] = json::parse(*progress, nullptr, false);
  }
  if (!with_history) return document;
  json events = json::array();
  for (const auto& event : state.events(workflow.name, 200)) {
    events.push_back({{"at", event.at}, {"level", event.level}, {"what", event.what}, {"detail", event.detail}});
  }
  document["events"] = events;
  return document;
}

// All are asked at once, so that those whose targets are away cost no more than one.
json documents_of(state::StateFile& state, const StatusOptions& options) {
  std::vector<state::Workflow> workflows = state.workflows();
  std::erase_if(workflows, [&](const state::Workflow& workflow) { return !options.only.empty() && workflow.name != options.only; });
  std::vector<std::future<Serving>> asked;
  for (const auto& workflow : workflows) {
    asked.push_back(std::async(std::launch::async, [&workflow, &options] { return ask_who_serves(workflow, options.target_defaults_file); }));
  }
  json documents = json::array();
  for (std::size_t i = 0; i < workflows.size(); ++i) documents.push_back(to_json(state, workflows[i], asked[i].get(), options.with_history));
  return documents;
}

std::string throttled(const json& progress) {
  const std::string reason = progress.value("throttle", "");
  return reason.empty() ? "" : ", throttled: " + reason;
}

void print_serving(const json& document) {
  if (document["serving"].is_null()) return print_line(fmt::format("  serving unknown: {}", document.value("serving_unknown", "")), kHang);
  const std::string side = document["serving"].get<std::string>();
  if (document["epoch"].is_null()) return print_line(fmt::format("  serving {}", side), kHang);
  print_line(fmt::format("  serving {}, epoch {}{}", side, document["epoch"].get<std::uint64_t>(), document["is_switching"].get<bool>() ? ", a switch is under way" : ""), kHang);
}

void print_copying(const json& copy) {
  print_line(fmt::format("  copy    {} of ~{}, {}/s, {} of {} tables{}",
             format_bytes(copy.value("bytes", std::uint64_t{0})),
             format_bytes(copy.value("bytes_estimate", std::uint64_t{0})),
             format_bytes(copy.value("bytes_per_s", std::uint64_t{0})),
             copy.value("tables_done", std::uint64_t{0}),
             copy.value("tables", std::uint64_t{0}),
             throttled(copy)), kHang);
  for (const auto& shard : copy.value("shards", json::array())) {
    print_line(fmt::format("    shard {}: {}, {} rows, {} of {} tables", shard.value("shard", ""), format_bytes(shard.value("bytes", std::uint64_t{0})), format_count(shard.value("rows", std::uint64_t{0})),
                           shard.value("tables_done", std::uint64_t{0}), shard.value("tables", std::uint64_t{0})), kHang);
  }
}

// What was last said of a stream that does not run any more says nothing of the one that is to run now.
void print_stream(const json& document) {
  const bool is_known = document.contains("replicate") && document["replicate"].is_object();
  const json stream = is_known ? document["replicate"] : json::object();
  const std::string last = stream.value("direction", "");
  const std::string wanted = document.value("stream_direction", last);
  const char* prefix = wanted == "reverse" ? "reverse, " : "";
  if (last.empty() || last != wanted) return print_line(fmt::format("  stream  {}nothing is known of it yet: does godwit replicate run, with this state file?", prefix), kHang);
  const auto lag = stream.contains("lag_ms") ? format_duration(std::chrono::milliseconds(stream["lag_ms"].get<std::int64_t>())) : "unknown";
  print_line(fmt::format("  stream  {}lag {}, {:.0f} transactions/s, {:.0f} rows/s{}{}",
             prefix,
             lag,
             stream.value("transactions_per_s", 0.0),
             stream.value("rows_per_s", 0.0),
             stream.value("is_caught_up", false) ? ", caught up" : "",
             throttled(stream)), kHang);
  for (const auto& shard : stream.value("shards", json::array())) {
    print_line(fmt::format("          shard {}: lag {}, {:.0f} rows/s{}{}",
               shard.value("shard", ""),
               shard.contains("lag_ms") ? format_duration(std::chrono::milliseconds(shard["lag_ms"].get<std::int64_t>())) : "unknown",
               shard.value("rows_per_s", 0.0),
               shard.value("is_caught_up", false) ? ", caught up" : "",
               shard.contains("parked") ? fmt::format(", {} rows wait for another shard's", shard["parked"].get<std::uint64_t>()) : ""), kHang + 2);
  }
}

void print_comparison(const json& vdiff) {
  const std::string verdict = vdiff.value("verdict", "");
  if (!verdict.empty()) {
    return print_line(fmt::format("  vdiff   {}: {} tables, {} rows at {}, ended {}", verdict, vdiff.value("tables", std::uint64_t{0}), format_count(vdiff.value("rows", std::uint64_t{0})),
                      vdiff.value("position", ""), vdiff.value("ended", "") + " UTC"), kHang);
  }
  print_line(fmt::format("  vdiff   {} of ~{} rows, {}/s, {} suspected",
             format_count(vdiff.value("rows", std::uint64_t{0})),
             format_count(vdiff.value("rows_estimate", std::uint64_t{0})),
             format_count(vdiff.value("rows_per_s", std::uint64_t{0})),
             format_count(vdiff.value("suspected", std::uint64_t{0}))), kHang);
}

void print_workflow(const json& document) {
  const std::string phase = document["phase"].get<std::string>();
  print_line(fmt::format("{}  {}  since {}", document["name"].get<std::string>(), phase, document["updated"].get<std::string>()), kHang);
  for (const char* side : {"source", "target"}) print_line(fmt::format("  {}  {}", side, document["definition"].value(side, "")), kHang);
  print_serving(document);
  if (document.contains("copy") && phase == "copying") print_copying(document["copy"]);
  if (std::find(kStreaming.begin(), kStreaming.end(), phase) != kStreaming.end()) print_stream(document);
  if (document.contains("vdiff")) print_comparison(document["vdiff"]);
  for (const auto& event : document.value("events", json::array())) {
    print_line(fmt::format("  {}  {:<7} {} {}", event["at"].get<std::string>(), event["level"].get<std::string>(), event["what"].get<std::string>(), event["detail"].get<std::string>()), kHang);
  }
}

}  // namespace

void print_workflows(state::StateFile& state, const StatusOptions& options, bool is_json) {
  const json documents = documents_of(state, options);
  if (is_json) return print_json("status", {{"workflows", documents}});
  if (documents.empty()) print_line(fmt::format("no workflow is recorded"), kHang);
  for (const auto& document : documents) print_workflow(document);
}

}  // namespace godwit::cli
