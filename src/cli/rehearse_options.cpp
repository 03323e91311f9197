#include "rehearse_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <set>

#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"

namespace godwit::cli {
namespace {

using Names = std::set<std::string>;

// The long names of options that `add` adds.
Names names_of(const std::function<void(CLI::App&)>& add) {
  CLI::App scratch;
  add(scratch);
  Names names;
  for (const CLI::Option* option : scratch.get_options()) names.insert(option->get_lnames().begin(), option->get_lnames().end());
  names.erase("help");
  return names;
}

// As they were given, each in one word; what is rehearsal's own business is left out.
std::vector<std::string> given_words(const CLI::App& app, const Names& names) {
  static const Names own{"dry-run", "schema", "databases", "tables", "exclude-tables", "map", "collation-map", "allow-no-key"};  // the last six are the definition's
  std::vector<std::string> words;
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0 || option->get_lnames().empty()) continue;
    const std::string& name = option->get_lnames().front();
    if (names.count(name) == 0 || own.count(name) != 0) continue;
    const bool is_flag = option->get_expected_min() == 0;
    words.push_back(is_flag ? "--" + name : fmt::format("--{}={}", name, join(option->results(), ",")));
  }
  return words;
}

// Which tables, and how: as given, or as recorded.
std::vector<std::string> words_of(const workflow::Definition& definition) {
  std::vector<std::string> words;
  const auto add = [&](const char* name, const std::vector<std::string>& values) {
    if (!values.empty()) words.push_back(fmt::format("--{}={}", name, join(values, ",")));
  };
  add("databases", definition.databases);
  add("tables", definition.tables);
  add("exclude-tables", definition.exclude_tables);
  add("map", definition.map);
  return words;
}

std::vector<std::string> words_of_both_parts(const CLI::App& app, const workflow::Definition& definition) {
  auto words = given_words(app, {"skip", "skip-target-binlog"});
  if (!definition.collation_map.empty()) words.push_back("--collation-map=" + join(definition.collation_map, ","));
  if (definition.allow_no_key) words.emplace_back("--allow-no-key");
  return words;
}

void append(std::vector<std::string>& words, const std::vector<std::string>& more) { words.insert(words.end(), more.begin(), more.end()); }

}  // namespace

void add_rehearse(CLI::App& app, RehearseArguments& a) {
  app.add_option("--rounds", a.rounds, "How often the switch is gone through, there and back")->check(CLI::Range(1, 100))->capture_default_str();
  app.add_option("--clients", a.clients, "Sessions of the synthetic client")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--client-user", a.client_user, "An account that both sides have, for the synthetic client; its password is in $GODWIT_CLIENT_PASSWORD (default: one is created, and dropped)")->type_name("USER");
  app.add_option("--watch", a.watch, "How long the lag of the caught-up stream is looked at")->type_name("DURATION")->capture_default_str();
  app.add_option("--pause-max", a.pause_max, "Undo a rehearsed switch, when clients were held for so long before the commit")->type_name("DURATION")->capture_default_str();
  app.add_flag("--no-switch", a.no_switch, "Rehearse no switch: nothing is created on the source, which may be a replica");
  app.add_flag("--keep", a.keep, "Leave what was created for looking at, until --clean");
  app.add_flag("--clean", a.clean, "Only drop what a rehearsal of that name has left");
}

std::string rehearsal_folder(const CommonOptions& common) {
  const std::string state = common.state.empty() ? state::StateFile::default_path() : common.state;
  if (common.name.find('/') != std::string::npos) throw Error(Code::bad_usage, {.object = "name " + common.name, .cause = "the name of a rehearsal is part of a folder's", .remedy = "a name without /"});
  return fmt::format("{}.rehearsal-{}", std::filesystem::absolute(state).string(), common.name);
}

void take_recorded_sides(const CommonOptions& common, CopyArguments& arguments) {
  if (!arguments.source.empty() || !arguments.target.empty() || !arguments.shards.empty()) return;
  const auto sides = rehearsal::recorded_sides(rehearsal_folder(common));
  if (!sides || sides->source.host.empty()) return;
  arguments.source = db::to_string(sides->source);
  if (!workflow::is_sharded(*sides)) arguments.target = db::to_string(sides->target);
  arguments.shards = sides->shards;
  arguments.vindexes = sides->vindexes;
  arguments.partitions = sides->partitions;
  arguments.references = sides->references;
  arguments.unsharded = sides->unsharded;
}

rehearsal::Options rehearse_options_of(const CLI::App& app, const workflow::Definition& definition, const CommonOptions& common, const RehearseArguments& a) {
  CopyArguments copy;
  ReplicateArguments replicate;
  const Names selection = names_of([&](CLI::App& scratch) { add_selection(scratch, copy); });
  const Names tuning = names_of([&](CLI::App& scratch) { add_tuning(scratch, copy); });
  const Names apply = names_of([&](CLI::App& scratch) { add_apply(scratch, replicate); });
  Names all = selection;
  all.insert(tuning.begin(), tuning.end());
  all.insert(apply.begin(), apply.end());
  for (const char* name : {"skip", "skip-target-binlog"}) all.erase(name);
  const auto both = words_of_both_parts(app, definition);
  auto of_copy = given_words(app, all);
  append(of_copy, words_of(definition));
  append(of_copy, both);
  rehearsal::Options options{.definition = definition,
                             .copy_words = of_copy,
                             .apply_words = given_words(app, apply),
                             .switch_words = both,
                             .folder = rehearsal_folder(common)};
  options.has_switch = !a.no_switch && !workflow::is_sharded(definition);
  options.rounds = a.rounds;
  options.clients = a.clients;
  options.client_user = a.client_user;
  if (const char* password = std::getenv("GODWIT_CLIENT_PASSWORD")) options.client_password = password;
  options.watch = duration_of(a.watch, "--watch");
  options.pause_max = duration_of(a.pause_max, "--pause-max");
  options.is_kept = a.keep;
  return options;
}

}  // namespace godwit::cli
