// The data part: the source's own rows into throwaway schemas on the target, by the same steps as the migration. The source is read, as a copy reads it, and nothing else.
#include <fmt/format.h>

#include <algorithm>

#include "godwit/apply/applier.h"
#include "godwit/state/state_file.h"
#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"
#include "run.h"

namespace godwit::rehearsal {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
constexpr milliseconds kLook{100};
constexpr milliseconds kFresh{3'000};  // a stream says what it does each second

std::string rate(std::uint64_t bytes, milliseconds took) {
  if (took.count() <= 0) return "";
  return fmt::format(", {}/s", format_bytes(bytes * 1000 / static_cast<std::uint64_t>(took.count())));
}

std::string line_of(const json& finding) {
  const std::string object = finding.value("object", "");
  return fmt::format("{} {}{} => {}", finding.value("code", ""), object.empty() ? "" : object + ": ", finding.value("cause", ""), finding.value("remedy", ""));
}

}  // namespace

// As the migration itself is checked, with its own names: what stands in its way is found before a throwaway thing is made.
std::string Run::check() {
  Words words{"copy", options_.definition.name, "--dry-run"};
  const auto sides = data_endpoints(true);
  words.insert(words.end(), sides.begin(), sides.end());
  words.insert(words.end(), options_.copy_words.begin(), options_.copy_words.end());
  if (!options_.definition.is_schema_created) words.insert(words.end(), {"--schema", "existing"});
  const Answer answer = commands_.run("check", words, stop_);
  for (const auto& finding : answer.document.value("findings", json::array())) {
    const std::string verdict = finding.value("verdict", "");
    if (verdict == "blocker") report_.why.push_back(line_of(finding));
    if (verdict == "warning") report_.warnings.push_back({.code = finding.value("code", ""), .object = finding.value("object", ""), .cause = finding.value("cause", ""), .remedy = finding.value("remedy", "")});
  }
  if (!report_.why.empty()) report_.status = exit_status(Reaction::precondition);
  for (const auto& table : answer.document.value("tables", json::array())) {
    tables_.push_back(table.value("source", ""));
    source_schemas_.insert(split(tables_.back(), '.').front());
  }
  if (!options_.definition.source.schema.empty() && options_.definition.databases.empty()) source_schemas_.insert(options_.definition.source.schema);
  return fmt::format("{} blockers, {} warnings", report_.why.size(), report_.warnings.size());
}

std::string Run::require_free_names() {
  names_ = data_names(options_.definition, source_schemas_);
  const auto targets = workflow::shard_definitions(options_.definition);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const bool is_sharded = !targets[i].shard.empty();
    for (const auto& schema : names_.schemas[i]) {
      throwaway_.require_free_on(i, schema);
      report_.created.push_back(fmt::format("schema {} on {}", schema, is_sharded ? workflow::shard_name(targets[i]) : "the target"));
    }
  }
  if (options_.has_switch) {
    throwaway_.require_free(throwaway_.source(), switch_schema_);
    throwaway_.require_free(throwaway_.target(), switch_schema_);
    report_.created.push_back(fmt::format("schema {} on the source", switch_schema_));
    report_.created.push_back(fmt::format("schema {} on the target", switch_schema_));
    if (options_.client_user.empty()) report_.created.push_back(fmt::format("account {}… on both sides", kAccountPrefix));
  }
  return fmt::format("{} free", report_.created.size());
}

std::string Run::copy_data() {
  Words words{"copy", data_workflow_};
  const auto sides = data_endpoints(false);
  words.insert(words.end(), sides.begin(), sides.end());
  for (const auto& word : options_.copy_words) {
    if (word.rfind("--map=", 0) != 0) words.push_back(word);
  }
  if (!names_.map.empty()) words.push_back("--map=" + join(names_.map, ","));
  const Answer answer = commands_.run("copy", words, stop_);
  std::set<std::string> names;  // each shard has them
  for (const auto& table : answer.document.value("tables", json::array())) {
    names.insert(table.value("source", ""));
    report_.rows += table.value("rows", std::uint64_t{0});
    report_.bytes += table.value("bytes", std::uint64_t{0});
  }
  report_.tables = names.size();
  report_.copy = milliseconds(answer.document.value("duration_ms", std::int64_t{0}));
  note_pending(answer.document);
  return fmt::format("{} tables, {} rows, {}{}", report_.tables, format_count(report_.rows), format_bytes(report_.bytes), rate(report_.bytes, report_.copy));
}

void Run::note_pending(const json& copied) {
  for (const auto& pending : copied.value("pending", json::array())) {
    report_.warnings.push_back({.code = "", .object = fmt::format("{} {}", pending.value("kind", ""), pending.value("object", "")), .cause = "not created in the throwaway schema: " + pending.value("error", ""), .remedy = "godwit copy would list it as waiting"});
  }
}

std::optional<json> Run::progress_of(const std::string& workflow) {
  state::StateFile state(commands_.state_path());
  const auto age = state.progress_age(workflow, "replicate");
  const auto text = state.progress(workflow, "replicate");
  if (!age || !text || *age > kFresh) return std::nullopt;
  json document = json::parse(*text, nullptr, false);
  if (!document.is_object()) return std::nullopt;
  return document;
}

void Run::require_streams() {
  for (auto* running : {&data_stream_, &switch_stream_, &proxy_}) {
    if (*running) (*running)->require_running();
  }
}

void Run::await_caught_up(const std::string& workflow, milliseconds time_max) {
  const auto deadline = Clock::now() + time_max;
  while (true) {
    keep_alive();
    require_streams();
    const auto progress = progress_of(workflow);
    if (progress && progress->value("is_caught_up", false)) return;
    if (Clock::now() >= deadline) throw Error(Code::rehearsal_unready, {.object = "workflow " + workflow, .cause = fmt::format("its stream has not caught up within {}", format_duration(time_max)), .remedy = "more --workers, or a quieter time: the target must apply faster than the source writes"});
    if (!stop_.sleep_for(kLook)) stop_.throw_if_requested();
  }
}

std::string Run::catch_up() {
  constexpr std::chrono::hours kLongest{24};
  const auto began = Clock::now();
  Words words{"replicate", data_workflow_};
  words.insert(words.end(), options_.apply_words.begin(), options_.apply_words.end());
  if (!options_.has_switch) words.emplace_back("--no-heartbeat");  // the source is only read
  data_stream_ = commands_.start("replicate", words);
  await_caught_up(data_workflow_, kLongest);
  report_.catch_up = since(began);
  const auto progress = progress_of(data_workflow_);
  const auto transactions = progress ? progress->value("transactions", std::uint64_t{0}) : 0;
  return fmt::format("{} transactions", format_count(transactions));
}

// The lag of a stream that is caught up: what a switch would have to wait for.
std::string Run::watch() {
  std::vector<std::int64_t> lags;
  double per_s_max = 0;
  const auto deadline = Clock::now() + options_.watch;
  while (Clock::now() < deadline) {
    require_streams();
    if (const auto progress = progress_of(data_workflow_)) {
      if (progress->contains("lag_ms")) lags.push_back((*progress)["lag_ms"].get<std::int64_t>());
      per_s_max = std::max(per_s_max, progress->value("transactions_per_s", 0.0));
    }
    if (!stop_.sleep_for(kLook * 5)) stop_.throw_if_requested();
  }
  if (lags.empty()) return fmt::format("up to {:.0f} transactions/s, lag not known", per_s_max);
  std::sort(lags.begin(), lags.end());
  report_.lag_ms = lags[lags.size() / 2];
  report_.lag_ms_max = lags.back();
  return fmt::format("lag {} ms (p50), {} ms (most); up to {:.0f} transactions/s", *report_.lag_ms, *report_.lag_ms_max, per_s_max);
}

std::string Run::compare() {
  const auto began = Clock::now();
  const Answer answer = commands_.run("vdiff", {"vdiff", data_workflow_}, stop_);
  report_.compare = since(began);
  report_.verdict = answer.document.value("verdict", "");
  std::uint64_t rows = 0;
  for (const auto& table : answer.document.value("tables", json::array())) rows += table.value("source_rows", std::uint64_t{0});
  if (report_.verdict != "identical") {
    report_.why.push_back(fmt::format("vdiff: {}, not identical: run it again with --keep, and look at {}/vdiff.json", report_.verdict, commands_.folder()));
    report_.status = answer.status;
  }
  return fmt::format("{}, {} rows", report_.verdict, format_count(rows));
}

}  // namespace godwit::rehearsal
