// `godwit status`: one screen for each workflow, of what the state file knows and what the servers say; from another host of the latter alone.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>

#include "answers.h"
#include "godwit/apply/applier.h"
#include "godwit/cutover/cutover.h"
#include "godwit/util/duration.h"
#include "godwit/util/text.h"
#include "godwit/workflow/direction.h"
#include "godwit/workflow/shards.h"
#include "options.h"
#include "report.h"
#include "status_json.h"
#include "terminal.h"

namespace godwit::cli {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::size_t kHang = 10;  // where what is said of a workflow begins
constexpr std::size_t kEventsShown = 200;

// Phases in which a stream is to be at work.
constexpr std::array<std::string_view, 4> kStreaming{"replicating", "switched", "reversed", "error"};

Asked asked_of(const state::Workflow& recorded, const StatusOptions& options) {
  auto definition = workflow::definition_from(recorded);
  workflow::settle_shards(definition, [&](db::Dsn& dsn, const std::string& flag) { fill_password(dsn, "GODWIT_TARGET_PASSWORD", options.target_defaults_file, flag.c_str()); });
  if (!workflow::is_sharded(definition)) fill_password(definition.target, "GODWIT_TARGET_PASSWORD", options.target_defaults_file, "--target");
  fill_password(definition.source, "GODWIT_SOURCE_PASSWORD", options.source_defaults_file, "--source");
  Asked asked{.name = recorded.name, .source = definition.source, .targets = definition.shard_targets};
  if (asked.targets.empty()) asked.targets = {definition.target};
  if (!options.targets.empty()) asked.targets = options.targets;
  if (options.source) asked.source = options.source;
  return asked;
}

std::optional<json> progress_of(state::StateFile& state, const std::string& workflow, const char* command) {
  const auto text = state.progress(workflow, command);
  if (!text) return std::nullopt;
  return json::parse(*text, nullptr, false);
}

// What `replicate` says is of now for seconds only, and of the stream that is to run now.
void hear_replicate(Learned& learned, const json& stream) {
  constexpr milliseconds kFresh{5'000};
  const auto age = std::chrono::microseconds(static_cast<std::int64_t>(apply::now_us()) - stream.value("at_us", std::int64_t{0}));
  if (age > kFresh || !learned.survey.serving || stream.value("direction", "") != workflow::to_string(workflow::direction_serving(*learned.survey.serving))) return;
  // One that has ended a moment ago has spoken a moment ago.
  if (std::ranges::any_of(learned.survey.streams(), [](const StreamView* one) { return !one->is_followed; })) return;
  learned.is_replicate_heard = true;
  if (stream.contains("lag_ms")) learned.lag = milliseconds(stream["lag_ms"].get<std::int64_t>());
  if (stream.contains("retention_left_s")) learned.retention_left = std::chrono::seconds(stream["retention_left_s"].get<std::int64_t>());
}

void hear_copy(Learned& learned, state::StateFile& state) {
  learned.copy_silence = state.progress_age(learned.name, "copy");
  for (const auto& event : state.events(learned.name, kEventsShown)) {
    if (event.what == "copy_started") learned.copy_error.clear();
    if (event.what == "copy_stopped") learned.copy_error = event.detail;
  }
}

void add_history(json& document, state::StateFile& state, const std::string& workflow) {
  json events = json::array();
  for (const auto& event : state.events(workflow, kEventsShown)) {
    events.push_back({{"at", event.at}, {"level", event.level}, {"what", event.what}, {"detail", event.detail}});
  }
  document["events"] = events;
}

// `complete` ends the authority, and leaves nothing to ask.
Survey survey_of(const Asked& asked, const std::string& phase) {
  if (phase != cutover::kCompletedPhase) return survey(asked, phase == cutover::kCompletingPhase ? db::Side::target : db::Side::source);
  Survey result;
  result.serving = db::Side::target;
  return result;
}

json document_of(state::StateFile& state, const state::Workflow& workflow, Survey found, const StatusOptions& options) {
  json document{{"name", workflow.name}, {"from", "state_file"}, {"phase", workflow.phase}, {"created", workflow.created}, {"updated", workflow.updated}, {"definition", workflow.definition}};
  Learned learned{.name = workflow.name, .phase = workflow.phase, .survey = std::move(found), .lag = {}, .retention_left = {}};
  for (const char* command : {"copy", "replicate", "vdiff", "complete"}) {
    if (const auto progress = progress_of(state, workflow.name, command)) document[command] = *progress;
  }
  if (document.contains("replicate") && document["replicate"].is_object()) hear_replicate(learned, document["replicate"]);
  hear_copy(learned, state);
  add_answers(document, learned);
  if (options.with_history) add_history(document, state, workflow.name);
  return document;
}

// Of a workflow that no state file of this host knows.
json document_of(const std::string& name, const StatusOptions& options) {
  Learned learned{.name = name, .phase = "", .survey = survey({.name = name, .source = options.source, .targets = options.targets}, std::nullopt), .lag = {}, .retention_left = {}};
  learned.phase = phase_of(learned.survey);
  json document{{"name", name}, {"from", "target"}, {"phase", learned.phase}, {"definition", {{"target", db::to_string(options.targets.front())}}}};
  if (options.source) document["definition"]["source"] = db::to_string(*options.source);
  add_answers(document, learned);
  document["unknown"] = json::array({"rates, throttling, and the event log: the state file of the host that runs godwit has them"});
  if (!options.source) document["unknown"].push_back("how far the stream is behind, and the stream back: --source DSN");
  return document;
}

// All are asked at once, so that those whose targets are away cost no more than one.
json recorded_documents(state::StateFile& state, const StatusOptions& options) {
  json documents = json::array();
  std::vector<state::Workflow> workflows = state.workflows();
  std::erase_if(workflows, [&](const state::Workflow& workflow) { return !options.only.empty() && workflow.name != options.only; });
  std::vector<std::future<Survey>> asked;
  for (const auto& workflow : workflows) asked.push_back(std::async(std::launch::async, [asked = asked_of(workflow, options), phase = workflow.phase] { return survey_of(asked, phase); }));
  for (std::size_t i = 0; i < workflows.size(); ++i) documents.push_back(document_of(state, workflows[i], asked[i].get(), options));
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

// "…, until 14:05 UTC (in 12 m 04 s)"; nothing where no rate is known.
std::string until(const Pace& pace) {
  const auto left = time_left(pace);
  if (!left) return "";
  const std::time_t end = std::time(nullptr) + left->count();
  std::tm parts{};
  ::gmtime_r(&end, &parts);
  return fmt::format(", until {:02}:{:02} UTC, in {}", parts.tm_hour, parts.tm_min, format_duration(*left));
}

void print_left(const json& copy) {
  const auto done = copy.value("bytes", std::uint64_t{0});
  const auto total = std::max(copy.value("bytes_estimate", std::uint64_t{0}), done);
  const auto rate = copy.value("bytes_per_s", std::uint64_t{0});
  if (total == 0) return;
  print_line(fmt::format("  left    ~{} of ~{}, at {}/s{}", format_bytes(total - done), format_bytes(total), format_bytes(rate), until({.done = done, .total = total, .per_s = static_cast<double>(rate)})), kHang);
}

// By the sidecar, where no state file tells the whole.
void print_tables(const json& document) {
  for (const auto& stream : document.value("streams", json::array())) {
    const std::string shard = stream.value("shard", "-");
    print_line(fmt::format("  copy    {}{} of {} tables, {}, {} rows, {}/s on average", shard == "-" ? "" : "shard " + shard + ": ", stream.value("tables_done", 0), stream["tables"].size(),
                           format_bytes(stream.value("bytes", std::uint64_t{0})), format_count(stream.value("rows", std::uint64_t{0})), format_bytes(stream.value("bytes_per_s", std::uint64_t{0}))), kHang);
    for (const auto& table : stream["tables"]) {
      if (table["state"] != "pending" || table.value("chunks", 0) == 0) continue;
      print_line(fmt::format("          {}: {} of {} chunks, {} rows", table.value("source", ""), table.value("chunks_done", 0), table.value("chunks", 0), format_count(table.value("rows", std::uint64_t{0}))), kHang + 2);
    }
  }
}

// By the servers: what its row says, who holds it, and whether it is near.
void print_seen_streams(const json& document) {
  const char* prefix = document.value("stream_direction", "") == "reverse" ? "reverse, " : "";
  const json lag = document.value("lag", json::object());
  std::string near = lag.contains("is_near") ? lag["is_near"].get<bool>() ? "less than 1 s behind" : "more than 1 s behind" : "lag unknown";
  for (const auto& stream : document["streams"]) {
    const std::string shard = stream.value("shard", "-");
    const std::string state = stream.value("state", "");
    const std::string words = stream.value("is_followed", false) ? state + ", " + near : state == "running" ? "stopped" : state + ", nobody follows it";
    print_line(fmt::format("  stream  {}{}{}; its position moved {} ago", prefix, shard == "-" ? "" : "shard " + shard + ": ", words, format_duration(milliseconds(stream.value("moved_ms", std::int64_t{0})))), kHang);
  }
}

std::string ago(const json& comparison) {
  const std::chrono::seconds age(comparison.value("age_s", std::int64_t{0}));
  return age.count() == 0 ? "just now" : format_duration(age) + " ago";
}

void print_comparison(const json& document) {
  const json comparison = document.value("comparison", json::object());
  const json vdiff = document.value("vdiff", json::object());
  const std::string verdict = vdiff.value("verdict", "");
  if (comparison.empty() && vdiff.empty()) {
    if (document.value("is_comparison_known", false)) print_line("  vdiff   none yet", kHang);
    return;
  }
  const std::string state = comparison.value("state", "");
  if (!verdict.empty() && (comparison.empty() || state == verdict)) {
    return print_line(fmt::format("  vdiff   {}{}: {} tables, {} rows at {}, ended {}", verdict, comparison.empty() ? "" : ", " + ago(comparison), vdiff.value("tables", std::uint64_t{0}), format_count(vdiff.value("rows", std::uint64_t{0})),
                      vdiff.value("position", ""), vdiff.value("ended", "") + " UTC"), kHang);
  }
  if (!comparison.empty() && (state != "running" || vdiff.empty() || !verdict.empty())) {
    const char* verb = state == "running" ? "begun" : "ended";
    return print_line(fmt::format("  vdiff   {}, {} {}", state, verb, ago(comparison)), kHang);
  }
  const auto rows = vdiff.value("rows", std::uint64_t{0});
  const auto estimate = vdiff.value("rows_estimate", std::uint64_t{0});
  const auto rate = vdiff.value("rows_per_s", std::uint64_t{0});
  print_line(fmt::format("  vdiff   {} of ~{} rows, {}/s, {} suspected{}", format_count(rows), format_count(estimate), format_count(rate), format_count(vdiff.value("suspected", std::uint64_t{0})),
                         until({.done = rows, .total = estimate, .per_s = static_cast<double>(rate)})), kHang);
}

void print_proxies(const json& document) {
  std::vector<std::string> seen;
  for (const auto& proxy : document.value("proxies", json::array())) {
    if (proxy.value("is_live", false)) seen.push_back(fmt::format("{} to the {}", proxy.value("endpoint", ""), proxy.value("serving", "")));
  }
  if (!seen.empty()) print_line(fmt::format("  proxies {}", join(seen, ", ")), kHang);
}

void print_permission(const json& document) {
  const json permission = document["may_switch"];
  const std::string command = permission["to"] == "target" ? "switch " : "reverse";
  if (permission["is_allowed"].is_null()) return print_line(fmt::format("  {} {}: {}", command, coloured(Colour::yellow, "not known"), permission.value("why", "")), kHang);
  if (!permission["is_allowed"].get<bool>()) return print_line(fmt::format("  {} {}: {}", command, coloured(Colour::yellow, "not now"), permission.value("why", "")), kHang);
  print_line(fmt::format("  {} {}: nothing stands in the way; --dry-run asks proxies and sessions, too", command, coloured(Colour::green, "yes")), kHang);
}

void print_needs(const json& document) {
  if (document["needs"].empty()) return print_line("  needs you: nothing", kHang);
  print_line("  needs you:", kHang);
  for (const auto& need : document["needs"]) {
    print_line(fmt::format("    {}", need.value("what", "")), 6);
    print_line(fmt::format("      {}", need.value("remedy", "")), 8);
  }
}

bool is_stream_seen(const json& document) { return !document["streams"].empty() && !document.value("is_replicate_heard", false); }

void print_workflow(const json& document) {
  const std::string phase = document["phase"].get<std::string>();
  const bool is_streaming = std::find(kStreaming.begin(), kStreaming.end(), phase) != kStreaming.end();
  print_line(fmt::format("{}  {}{}", document["name"].get<std::string>(), phase, document.contains("updated") ? "  since " + document["updated"].get<std::string>() : ""), kHang);
  for (const char* side : {"source", "target"}) {
    if (document["definition"].contains(side)) print_line(fmt::format("  {}  {}", side, document["definition"].value(side, "")), kHang);
  }
  print_serving(document);
  if (phase == "copying" && document.contains("copy")) {
    print_copying(document["copy"]);
    print_left(document["copy"]);
  } else if (phase == "copying") {
    print_tables(document);
  }
  if ((is_streaming || phase == "copied") && is_stream_seen(document)) print_seen_streams(document);
  if (is_streaming && !is_stream_seen(document)) print_stream(document);
  print_comparison(document);
  print_proxies(document);
  print_permission(document);
  print_needs(document);
  for (const auto& unknown : document.value("unknown", json::array())) print_line(fmt::format("  not known here: {}", unknown.get<std::string>()), kHang);
  for (const auto& event : document.value("events", json::array())) {
    print_line(fmt::format("  {}  {:<7} {} {}", event["at"].get<std::string>(), event["level"].get<std::string>(), event["what"].get<std::string>(), event["detail"].get<std::string>()), kHang);
  }
}

[[noreturn]] void refuse_unknown(const std::string& name, const std::string& cause, const std::string& remedy) { throw Error(Code::no_such_workflow, {.object = name, .cause = cause, .remedy = remedy}); }

std::vector<std::string> wanted_on_targets(const StatusOptions& options) {
  const auto names = workflows_on(options.targets.front());
  if (options.only.empty()) return names;
  if (std::find(names.begin(), names.end(), options.only) != names.end()) return {options.only};
  refuse_unknown(options.only, "neither the state file nor _godwit on the target has a workflow of that name", "godwit status --target DSN, without a name, lists those there are");
}

// A host without a state file stays without one.
std::optional<state::StateFile> state_of(const StatusOptions& options) {
  if (!options.targets.empty() && !std::filesystem::exists(options.state_path)) return std::nullopt;
  return state::StateFile(options.state_path);
}

json documents_of(const StatusOptions& options) {
  auto state = state_of(options);
  const bool is_recorded = state && (options.only.empty() ? options.targets.empty() : state->find_workflow(options.only).has_value());
  if (is_recorded) return recorded_documents(*state, options);
  if (options.targets.empty()) refuse_unknown(options.only, "the state file has no workflow of that name", "godwit status lists those there are; from another host: --target DSN");
  json documents = json::array();
  for (const auto& name : wanted_on_targets(options)) documents.push_back(document_of(name, options));
  return documents;
}

}  // namespace

void print_workflows(const StatusOptions& options, bool is_json) {
  const json documents = documents_of(options);
  if (is_json) return print_json("status", {{"workflows", documents}});
  if (documents.empty()) print_line(fmt::format("no workflow is recorded"), kHang);
  for (const auto& document : documents) print_workflow(document);
}

}  // namespace godwit::cli
