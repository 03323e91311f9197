#include "godwit/rehearsal/rehearsal.h"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/workflow/shards.h"
#include "run.h"

namespace godwit::rehearsal {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kAliveInterval{30};
constexpr std::chrono::seconds kStepsEndMax{30};  // of a rehearsal that was killed

std::string sides_path(const std::string& folder) { return folder + "/rehearsal.json"; }

// Whether the process that the folder is of is there still.
bool is_running(const std::string& folder) {
  std::ifstream file(sides_path(folder));
  const auto document = file ? nlohmann::json::parse(file, nullptr, false) : nlohmann::json();
  if (!document.is_object()) return false;
  std::ifstream words(fmt::format("/proc/{}/cmdline", document.value("pid", 0)));
  const std::string line{std::istreambuf_iterator<char>(words), {}};
  return line.find("rehearse") != std::string::npos;
}

std::vector<db::Dsn> targets_of(const workflow::Definition& definition) {
  std::vector<db::Dsn> targets;
  for (const auto& one : workflow::shard_definitions(definition)) targets.push_back(one.target);
  return targets;
}

}  // namespace

double Report::pause_ms() const {
  double longest = 0;
  for (const auto& move : moves) longest = std::max(longest, move.longest_ms);
  return longest;
}

Run::Run(const Options& options, const Stop& stop)
    : options_(options),
      stop_(stop),
      data_workflow_(data_workflow(options.definition.name)),
      switch_workflow_(switch_workflow(options.definition.name)),
      switch_schema_(switch_schema(options.definition.name)),
      throwaway_(options.definition.source, targets_of(options.definition), options.definition.name),
      commands_(options.folder, options.definition.source, options.definition.target, random_word(), [this] { keep_alive(); }) {
  throwaway_.lock(is_running(options.folder) ? std::chrono::seconds(0) : kStepsEndMax);
}

void Run::keep_alive() {
  if (Clock::now() - alive_ < kAliveInterval) return;
  alive_ = Clock::now();
  throwaway_.keep_alive();
}

Run::Words Run::endpoints(const std::string& source_schema, const std::string& target_schema) const {
  db::Dsn source = options_.definition.source;
  db::Dsn target = options_.definition.target;
  source.schema = source_schema;
  target.schema = target_schema;
  return {"--source", db::to_string(source), "--target", db::to_string(target)};
}

Run::Words Run::data_endpoints(bool is_real) const {
  const auto& definition = options_.definition;
  if (!workflow::is_sharded(definition)) return endpoints(definition.source.schema, is_real ? definition.target.schema : "");
  Words words{"--source", db::to_string(definition.source)};
  const auto add = [&](const char* option, const std::vector<std::string>& values) {
    for (const auto& value : values) words.insert(words.end(), {option, value});
  };
  for (auto one : workflow::shard_definitions(definition)) {
    if (!is_real) one.target.schema = data_schema(definition, one.target);
    add("--shard", {one.shard + "=" + db::to_string(one.target)});
  }
  add("--vindex", definition.vindexes);
  add("--partition", definition.partitions);
  add("--reference", definition.references);
  add("--unsharded", definition.unsharded);
  if (is_real && definition.serve) add("--serve", {db::to_string(*definition.serve)});
  return words;
}

void Run::phase(const std::string& name, const std::function<std::string()>& deed) {
  stop_.throw_if_requested();
  log::info("rehearse {}: {}", options_.definition.name, name);
  const auto began = Clock::now();
  Phase phase{.name = name, .state = "done", .took = {}, .detail = {}};
  try {
    phase.detail = deed();
    phase.took = since(began);
    report_.phases.push_back(phase);
  } catch (const Error& error) {
    phase.state = "failed";
    phase.took = since(began);
    phase.detail = std::string(info(error.code()).id);
    report_.phases.push_back(phase);
    throw;
  }
}

void Run::leave_out(const std::string& name, const std::string& why) { report_.phases.push_back({.name = name, .state = "left out", .took = {}, .detail = why}); }

void Run::write_folder() {
  std::filesystem::create_directories(options_.folder);
  std::filesystem::permissions(options_.folder, std::filesystem::perms::owner_all);
  nlohmann::json sides = nlohmann::json::object();
  for (const auto& [option, value] : workflow::to_options(options_.definition)) sides[option] = value;
  sides["pid"] = ::getpid();
  std::ofstream(sides_path(options_.folder)) << sides.dump() << "\n";
}

void Run::settle_what_was_left() {
  const bool is_begun = recorded_sides(options_.folder).has_value();
  const bool is_there = is_begun || throwaway_.is_marked(switch_schema_) || throwaway_.has_stream(data_workflow_) || throwaway_.has_stream(switch_workflow_);
  if (!is_there) return;
  log::info("rehearse {}: an earlier rehearsal has left something", options_.definition.name);
  for (const auto& what : clean(is_begun)) log::info("dropped: {}", what);
  if (report_.left.empty()) return;
  throw Error(Code::rehearsal_uncleaned, {.object = "godwit rehearse " + options_.definition.name, .cause = report_.left.front(), .remedy = "mend that; then godwit rehearse NAME --clean"});
}

// What is decided first is what can refuse: nothing is created before all of it was looked at.
void Run::go_through() {
  phase("check", [&] { return check(); });
  if (!report_.why.empty()) return;
  phase("names", [&] { return require_free_names(); });
  if (options_.is_dry_run) return;
  is_created_ = true;
  // Ahead of what may take hours: what the account or the source does not let it create is found in seconds.
  if (options_.has_switch) phase("prepare", [&] { return prepare_switch(); });
  phase("copy", [&] { return copy_data(); });
  phase("catch up", [&] { return catch_up(); });
  phase("follow", [&] { return watch(); });
  phase("vdiff", [&] { return compare(); });
  if (!options_.has_switch) return leave_out("switch", workflow::is_sharded(options_.definition) ? "of shards only the data part; godwit switch --dry-run asks for what its switch needs" : "--no-switch");
  phase("stage", [&] { return stage_switch(); });
  phase("proxy", [&] { return start_proxy_and_client(); });
  for (unsigned round = 1; round <= options_.rounds; ++round) {
    phase("switch", [&] { return move("switch", round); });
    phase("reverse", [&] { return move("reverse", round); });
  }
  phase("books", [&] { return settle_books(); });
}

Report Run::rehearse() {
  report_.is_dry_run = options_.is_dry_run;
  settle_what_was_left();
  try {
    write_folder();
    go_through();
  } catch (const Error& error) {
    report_.why.emplace_back(error.what());
    if (report_.status == 0) report_.status = exit_status(error.reaction());
  }
  if (options_.is_kept && is_created_) {
    client_.reset();
    for (auto* running : {&proxy_, &switch_stream_, &data_stream_}) running->reset();
    for (const auto& what : report_.created) report_.left.push_back(what);
    report_.left.push_back("documents and logs of the steps: " + options_.folder);
    return report_;
  }
  const auto began = Clock::now();
  const auto dropped = clean(is_created_);
  report_.phases.push_back({.name = "clean", .state = report_.left.empty() ? "done" : "failed", .took = since(began), .detail = fmt::format("{} things dropped", dropped.size())});
  if (!report_.left.empty()) {
    report_.why.push_back("what was created could not all be dropped: godwit rehearse NAME --clean");
    if (report_.status == 0) report_.status = exit_status(info(Code::rehearsal_uncleaned).reaction);
  }
  return report_;
}

Report rehearse(const Options& options, const Stop& stop) {
  return Run(options, stop).rehearse();
}

std::vector<std::string> clean(const Options& options) {
  static const Stop never;
  Options cleaning = options;
  Run run(cleaning, never);
  return run.clean_all();
}

std::optional<workflow::Definition> recorded_sides(const std::string& folder) {
  std::ifstream file(sides_path(folder));
  if (!file) return std::nullopt;
  const auto document = nlohmann::json::parse(file, nullptr, false);
  if (!document.is_object()) return workflow::Definition{};
  state::Workflow recorded;
  for (const auto& [option, value] : document.items()) {
    if (value.is_string()) recorded.definition.emplace(option, value.get<std::string>());
  }
  return workflow::definition_from(recorded);
}

}  // namespace godwit::rehearsal
