// The command tree. Each command is a few lines: arguments in, one call, a report out; errors end here.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <functional>

#include "completion.h"
#include "config_file.h"
#include "godwit/layer/authorities.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/util/stop.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"
#include "inspect_binlog.h"
#include "options.h"
#include "page.h"
#include "proxy_options.h"
#include "rehearse_options.h"
#include "report.h"
#include "shard_options.h"
#include "status_options.h"
#include "switch_options.h"
#include "version.h"

namespace godwit::cli {
namespace {

struct Invocation {
  CommonOptions common;
  CopyArguments copy;
  InspectBinlogArguments binlog;
  ReplicateArguments replicate;
  VdiffArguments vdiff;
  ProxyArguments proxy;
  SwitchArguments cutover;
  CompleteArguments complete;
  CancelArguments cancel;
  RehearseArguments rehearse;
  ShardArguments shard;
  InspectShardArguments key;
  StatusArguments status;
  bool does_follow = false;
  std::string shell;                // of `completion`
  std::vector<std::string> manual;  // the command whose page `inspect man` prints
  std::string config;         // --config FILE
  CLI::App* app = nullptr;    // of the command that was named
  std::string command;        // its name, for JSON
  std::function<int()> deed;  // what was asked for
};

constexpr std::chrono::milliseconds kStopGrace{1500};
constexpr std::chrono::seconds kCopyStopGrace{10};  // the chunks at work are rolled back meanwhile

void print_error(const Invocation& it, const Error& error) {
  log::show_progress("");
  log::error("{}", error.what());
  if (it.common.is_json) print_json_error(it.command, error);
}

int run_check(Invocation& it) {
  state::StateFile state = open_state(it.common);
  const auto definition = definition_of(it.common, it.copy, state);
  const auto findings = workflow::check_workflow(definition, tuning_of(it.copy));
  print_findings(findings, it.common.is_json);
  return check::has_blocker(findings) ? exit_status(Reaction::precondition) : 0;
}

// Runs what is recorded as `what`_stopped when it fails.
template <typename Deed>
void recording_failure(state::StateFile& state, const std::string& name, const char* what, Deed deed) {
  try {
    deed();
  } catch (const Error& error) {
    if (state.find_workflow(name)) {
      state.add_event(name, error.reaction() == Reaction::cancelled ? "info" : "error", what, error.what());
    }
    throw;
  }
}

int replicate(Invocation& it, const workflow::Definition& definition, state::StateFile& state) {
  // A server that does not answer must not keep the process: at any instant, what is not committed is simply applied by the next run.
  const StopGrace grace(stop_on_signals(), kStopGrace, [&] {
    print_error(it, Error(Code::interrupted, {.object = "godwit replicate", .cause = "a stop was requested, and a server does not answer", .remedy = "run the same command again"}));
  });
  const auto report = workflow::run_replicate(definition, tuning_of(it.replicate), state, stop_on_signals());
  print_replicate(definition.name, report, it.common.is_json);
  return report.was_stopped ? exit_status(Reaction::cancelled) : 0;
}

int run_replicate(Invocation& it) {
  state::StateFile state = open_state(it.common);
  return replicate(it, followed_definition(it.common, it.copy, state), state);
}

// What was not compared is no success (I10).
int status_of(workflow::Verdict verdict) {
  switch (verdict) {
    case workflow::Verdict::identical:
      return 0;
    case workflow::Verdict::different:
      return exit_status(Reaction::diverged);
    case workflow::Verdict::partial:
      return exit_status(Reaction::precondition);
  }
  return exit_status(Reaction::internal);
}

int run_vdiff(Invocation& it) {
  state::StateFile state = open_state(it.common);
  const auto definition = followed_definition(it.common, it.copy, state);
  workflow::VdiffReport report;
  recording_failure(state, definition.name, "vdiff_stopped", [&] { report = workflow::run_vdiff(definition, tuning_of(it.vdiff), state, stop_on_signals()); });
  const int status = status_of(report.verdict);
  print_vdiff(definition.name, report, status, it.common.is_json);
  return status;
}

// The authority, which says who serves, goes with `complete`: from then on the state file is what knows, by the command's own word where that was run here, else by
// what a proxy has seen.
std::optional<std::string> why_target_serves(const proxy::ProxyOptions& options, state::StateFile& state) {
  const auto recorded = state.find_workflow(options.name);
  if (recorded && cutover::is_completed_phase(recorded->phase)) return fmt::format("{} is {}", options.name, recorded->phase);
  const auto seen = state.remembered_serving(options.name);
  const bool is_of_these = seen && seen->source == db::to_string(options.source) && seen->target == db::to_string(options.target);
  if (!is_of_these || seen->serving != db::to_string(db::Side::target)) return std::nullopt;
  return fmt::format("a proxy of {} went over to the target, as it saw at {}", options.name, seen->at);
}

void take_recorded_side(proxy::ProxyOptions& options, state::StateFile& state) {
  const auto why = why_target_serves(options, state);
  if (!why) return;
  if (options.serving == db::Side::source) log::warning("{}: where no authority says otherwise, --serving source is against it", *why);
  if (options.serving) return;
  options.serving = db::Side::target;
  log::info("{}: the target serves, unless the authority says otherwise", *why);
}

// What fails here stops no proxy: one that is started when there is no authority any more is told by --serving.
void remember_serving(state::StateFile& state, const proxy::ProxyOptions& options, db::Side serving) {
  try {
    state.remember_serving(options.name, {.source = db::to_string(options.source), .target = db::to_string(options.target), .serving = std::string(db::to_string(serving))});
  } catch (const Error& error) {
    log::warning("that the {} serves is not remembered: {}", db::to_string(serving), error.what());
  }
}

int run_proxy(Invocation& it) {
  state::StateFile state = open_state(it.common);
  const auto definition = definition_of(it.common, it.copy, state);
  auto options = proxy_options_of(definition, it.proxy);
  take_recorded_side(options, state);
  state.set_relaxed(true);
  options.on_serving = [&](db::Side serving) { remember_serving(state, options, serving); };
  const auto report = proxy::run_proxy(options, stop_on_signals());
  print_proxy(definition.name, report, it.common.is_json);
  return 0;
}

int run_copy(Invocation& it) {
  state::StateFile state = open_state(it.common);
  const auto definition = definition_of(it.common, it.copy, state);
  if (it.copy.dry_run) {
    const auto plan = workflow::plan_copy(definition, tuning_of(it.copy));
    print_plan(plan, it.common.is_json);
    return check::has_blocker(plan.findings) ? exit_status(Reaction::precondition) : 0;
  }
  auto tuning = tuning_of(it.copy);
  tuning.apply = tuning_of(it.replicate).apply;
  recording_failure(state, definition.name, "copy_stopped", [&] {
    // A key takes as long to build as it takes, and a kill is as safe as an end.
    const StopGrace grace(stop_on_signals(), kCopyStopGrace, [&] {
      print_error(it, Error(Code::interrupted, {.object = "godwit copy", .cause = "a stop was requested, and a statement on a server has not ended", .remedy = "run the same command again: it goes on, and waits for what the server still does"}));
    });
    print_copy(definition.name, workflow::run_copy(definition, tuning, state, stop_on_signals()), it.common.is_json);
    if (it.shard.creates_head) log::info("the head has {} things more", workflow::create_head(definition, head_account_of(it.shard)).created.size());
  });
  return it.does_follow ? replicate(it, definition, state) : 0;
}

// Of a recorded workflow, or of one that is named by its flags.
int run_shard_ddl(Invocation& it) {
  state::StateFile state = open_state(it.common);
  const auto definition = followed_definition(it.common, it.copy, state);
  const auto account = head_account_of(it.shard);
  if (it.shard.is_applied) {
    print_head(definition.name, workflow::create_head(definition, account), it.common.is_json);
  } else {
    print_head_plan(definition.name, workflow::plan_head(definition, account), it.common.is_json);
  }
  return 0;
}

int run_shard_vschema(Invocation& it) {
  state::StateFile state = open_state(it.common);
  const auto definition = followed_definition(it.common, it.copy, state);
  print_vschema(definition, it.common.is_json);
  return 0;
}

int run_inspect_shard(Invocation& it) {
  state::StateFile state = open_state(it.common);
  it.common.name = sharded_workflow(it.key, state);
  const auto definition = followed_definition(it.common, it.copy, state);
  print_whereabouts(workflow::find_key(definition, it.key.table, key_of(it.key)), it.common.is_json);
  return 0;
}

int run_cutover(Invocation& it, db::Side to) {
  state::StateFile state = open_state(it.common);
  const auto definition = followed_definition(it.common, it.copy, state);
  const auto options = switch_options_of(it.cutover, to);
  if (!options.is_dry_run) confirm(fmt::format("{} {}: the {} is to serve. Go on?", it.command, definition.name, db::to_string(to)), it.cutover.yes);
  cutover::SwitchReport report;
  const auto run = [&] { report = cutover::run_switch(definition, options, state, stop_on_signals()); };
  if (options.is_dry_run) run();  // that something stands in the way is its answer: nothing was tried
  if (!options.is_dry_run) recording_failure(state, definition.name, to == db::Side::target ? "switch_failed" : "reverse_failed", run);
  print_switch(it.command, definition.name, report, options.is_dry_run, it.common.is_json);
  return 0;
}

int run_rehearse(Invocation& it) {
  if (it.rehearse.clean) take_recorded_sides(it.common, it.copy);
  const auto definition = [&] {
    state::StateFile state = open_state(it.common);
    return definition_of(it.common, it.copy, state);
  }();
  auto options = rehearse_options_of(*it.app, definition, it.common, it.rehearse);
  options.is_dry_run = it.copy.dry_run;
  if (it.rehearse.clean) {
    print_cleaned(definition.name, rehearsal::clean(options), it.common.is_json);
    return 0;
  }
  const auto report = rehearsal::rehearse(options, stop_on_signals());
  print_rehearsal(definition.name, report, it.common.is_json);
  return report.status;
}

int run_complete(Invocation& it) {
  state::StateFile state = open_state(it.common);
  const auto definition = followed_definition(it.common, it.copy, state);
  const auto options = complete_options_of(it.complete);
  confirm(fmt::format("complete {}: there is no way back to the source after this. Go on?", definition.name), it.complete.yes);
  print_complete(definition.name, cutover::complete(definition, options, state, stop_on_signals()), it.common.is_json);
  return 0;
}

int run_cancel(Invocation& it) {
  state::StateFile state = open_state(it.common);
  auto definition = definition_of(it.common, it.copy, state);
  const auto recorded = state.find_workflow(it.common.name);
  if (recorded) definition.is_schema_created = workflow::definition_from(*recorded).is_schema_created;
  if (!it.cancel.schema.empty()) definition.is_schema_created = it.cancel.schema == "create";
  const workflow::CancelOptions options{.is_target_gone = it.cancel.without_target, .is_schema_known = recorded.has_value() || !it.cancel.schema.empty()};
  if (options.is_target_gone) confirm(fmt::format("cancel {}: the target is taken for lost, and the source is to accept writes. Is nobody served by the target?", definition.name), it.cancel.yes);
  print_cancel(workflow::cancel(definition, options, state), it.common.is_json);
  return 0;
}

int run_status(Invocation& it) {
  print_status(it.status, it.common, stop_on_signals());
  return 0;
}

// "inspect binlog": as it is typed, without godwit itself.
std::string full_name(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  if (parent == nullptr) return "";
  const std::string before = full_name(*parent);
  return before.empty() ? command.get_name() : before + " " + command.get_name();
}

CLI::App* add_command(CLI::App& parent, Invocation& it, const char* name, const char* what, const char* example,
                      std::function<int()> deed) {
  CLI::App* command = parent.add_subcommand(name, what);
  command->footer(std::string("Example:\n  ") + example);
  command->get_help_ptr()->group(kGeneral);
  add_common(*command, it.common);
  command->callback([&it, command, deed = std::move(deed)] {
    it.app = command;
    it.command = full_name(*command);
    it.deed = deed;
  });
  return command;
}

// The last option of a command.
void add_config(CLI::App& command, Invocation& it) {
  command.option_defaults()->group(kGeneral);
  command.add_option("--config", it.config, "A JSON file of these options: {\"source\": …}; what the command line gives wins")->type_name(kFile);
}

void add_inspect_binlog(CLI::App& inspect, Invocation& it) {
  auto* command = add_command(inspect, it, "binlog", "The events of binlog files, or of a server, with their rows",
                              "godwit inspect binlog binlog.000042 --table shop.orders\n  godwit inspect binlog mysql://app@old --from 0-1-4711 --limit 20", [&] {
    inspect_binlog(it.binlog, it.common.is_json, stop_on_signals());
    return 0;
  });
  auto& a = it.binlog;
  command->add_option("input", a.inputs, "Files, or mysql://user@host:port (password: $GODWIT_SOURCE_PASSWORD)")->type_name(kFile)->required();
  command->add_option("--from", a.from, "A GTID set or position: what it holds is left out (default: from the beginning)")->type_name("POSITION");
  command->add_option("--table", a.tables, "Only events of these: table or schema.table, with * and ?")->type_name("TABLE")->delimiter(',');
  command->add_option("--limit", a.limit, "Stop after so many events");
  command->add_option("--rows", a.rows_per_event, "Rows shown of one event; 0: all")->capture_default_str();
  command->add_flag("--follow", a.is_following, "Wait for more at the end of a server's log");
  command->add_option("--source-defaults-file", a.defaults_file, "A my.cnf-style file with the user and password")->type_name(kFile);
}

void add_inspect_shard(CLI::App& inspect, Invocation& it) {
  auto* command = add_command(inspect, it, "shard", "On which shard a key's row lives", "godwit inspect shard orders 4711\n  godwit inspect shard shop.visits eu 4711 --workflow shop --json", [&] { return run_inspect_shard(it); });
  add_shard_key(*command, it.key);
  add_endpoints(*command, it.copy);
  add_shards(*command, it.copy);
}

// The page of the command that is named by its words: {"inspect", "binlog"}; of godwit itself by none.
void print_manual(const CLI::App& root, const std::vector<std::string>& words) {
  const CLI::App* command = &root;
  for (const auto& word : words) {
    command = find_command(*command, word);
    if (command == nullptr) throw Error(Code::bad_usage, {.object = "inspect man " + join(words, " "), .cause = "there is no such command", .remedy = "godwit --help lists them"});
  }
  fmt::print("{}", manual_of(page_of(*command)));
}

void add_inspect(CLI::App& app, Invocation& it) {
  auto* inspect = app.add_subcommand("inspect", "Look inside: the binlog, a key's shard, failpoints, error codes, steps of a switch, checks, manual pages");
  inspect->require_subcommand(1);
  inspect->footer("Examples:\n  godwit inspect binlog binlog.000042\n  godwit inspect codes");
  add_inspect_binlog(*inspect, it);
  add_inspect_shard(*inspect, it);
  const auto add_list = [&](const char* name, const char* what, const char* example, void (*print)(bool is_json)) {
    add_command(*inspect, it, name, what, example, [&it, print] { print(it.common.is_json); return 0; });
  };
  add_list("failpoints", "Places where a test can stop godwit", "godwit inspect failpoints", print_failpoints);
  add_list("codes", "Every error code, with its exit status", "godwit inspect codes --json", print_codes);
  add_list("steps", "The steps of a switch, in their order", "godwit inspect steps", print_steps);
  add_list("checks", "Every check, by the name that --skip takes", "godwit inspect checks", print_checks);
  auto* manual = inspect->add_subcommand("man", "The manual page of a command, for man -l");
  manual->footer("Example:\n  godwit inspect man copy\n  godwit inspect man inspect binlog");
  manual->add_option("command", it.manual, "The command's words; without any, the page of godwit itself")->type_name(kCommand);
  manual->callback([&, manual] {
    it.app = manual;
    it.command = "inspect man";
    it.deed = [&] { print_manual(app, it.manual); return 0; };
  });
}

void add_completion(CLI::App& app, Invocation& it) {
  auto* completion = app.add_subcommand("completion", "Print what makes a shell complete godwit's command line");
  completion->footer("Examples:\n  . <(godwit completion bash)\n  godwit completion zsh > ~/.zfunc/_godwit\n  godwit completion fish > ~/.config/fish/completions/godwit.fish");
  completion->add_option("shell", it.shell, "bash, zsh or fish")->required()->type_name("SHELL")->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->callback([&, completion] {
    it.app = completion;
    it.command = "completion";
    it.deed = [&] { fmt::print("{}", completion_script(it.shell)); return 0; };
  });
}

void add_shard_commands(CLI::App& app, Invocation& it) {
  auto* shard = app.add_subcommand("shard", "What serves the shards: definitions of a Spider head, a Vitess vschema");
  shard->require_subcommand(1);
  shard->footer("Examples:\n  godwit shard ddl shop --engine spider\n  godwit shard vschema shop");
  auto* ddl = add_command(*shard, it, "ddl", "The definitions of a head over the shards; --apply creates them", "godwit shard ddl shop --engine spider\n  godwit shard ddl shop --engine spider --apply --head-user app", [&] { return run_shard_ddl(it); });
  auto* vschema = add_command(*shard, it, "vschema", "The layout as a Vitess vschema, with its key ranges", "godwit shard vschema shop", [&] { return run_shard_vschema(it); });
  for (auto* command : {ddl, vschema}) {
    command->add_option("name", it.common.name, "The workflow's name")->type_name(kWorkflow);
    add_endpoints(*command, it.copy);
    add_shards(*command, it.copy);
    add_selection(*command, it.copy);
  }
  add_shard_ddl(*ddl, it.shard);
  for (auto* command : {ddl, vschema}) add_config(*command, it);
}

void add_commands(CLI::App& app, Invocation& it) {
  auto* check = add_command(app, it, "check", "Say what stands in the way of a migration, each with its remedy",
                            "godwit check shop --source mysql://app@old/shop --target mysql://app@new/shop", [&] { return run_check(it); });
  auto* rehearse = add_command(app, it, "rehearse", "Go through the whole migration on throwaway schemas, switch included, and say how long it will take",
                               "godwit rehearse shop --source mysql://me@old/shop --target mysql://me@new/shop\n  godwit rehearse shop --clean", [&] { return run_rehearse(it); });
  auto* copy = add_command(app, it, "copy", "Copy the tables; the same command goes on where it was stopped",
                           "godwit copy shop --source mysql://app@old/shop --target mysql://app@new/shop", [&] { return run_copy(it); });
  auto* replicate = add_command(app, it, "replicate", "Keep the target in step with the source, for as long as the migration lives",
                                "godwit replicate shop --metrics 127.0.0.1:9306", [&] { return run_replicate(it); });
  auto* vdiff = add_command(app, it, "vdiff", "Prove that both sides hold the same rows, while both are busy; or name those that differ",
                            "godwit vdiff shop\n  godwit vdiff shop --tables orders,customers --repair", [&] { return run_vdiff(it); });
  auto* proxy = add_command(app, it, "proxy", "What applications connect to before a switch, and stay connected to through it",
                            "godwit proxy shop --listen 0.0.0.0:6033 --admin-user godwit_admin", [&] { return run_proxy(it); });
  auto* cutover = add_command(app, it, "switch", "The target serves: sessions are held for a moment, moved, and go on",
                              "godwit switch shop --proxy 10.0.0.7:6033 --admin-user godwit_admin", [&] { return run_cutover(it, db::Side::target); });
  auto* reverse = add_command(app, it, "reverse", "The source serves again: the same way back, as often as wanted",
                              "godwit reverse shop --proxy 10.0.0.7:6033 --admin-user godwit_admin", [&] { return run_cutover(it, db::Side::source); });
  auto* complete = add_command(app, it, "complete", "End the migration: the target serves on its own; what is left on the source is listed, with the statements that lift it",
                               "godwit complete shop --old-side read-only", [&] { return run_complete(it); });
  auto* cancel = add_command(app, it, "cancel", "Drop what godwit created on the target, and forget the workflow",
                             "godwit cancel shop\n  godwit cancel shop --without-target --yes", [&] { return run_cancel(it); });
  auto* status = add_command(app, it, "status", "Which side serves, how far it is, whether it may be switched now, and what needs you", "godwit status shop --watch\n  godwit status shop --history\n  godwit status shop --target mysql://monitor@new", [&] { return run_status(it); });
  for (auto* command : {check, copy, replicate, vdiff, proxy, cutover, reverse, complete, cancel}) {
    command->add_option("name", it.common.name, "The workflow's name")->type_name(kWorkflow);
    add_endpoints(*command, it.copy);
    add_shards(*command, it.copy);
  }
  rehearse->add_option("name", it.common.name, "The workflow's name")->type_name(kWorkflow);
  add_endpoints(*rehearse, it.copy);
  add_shards(*rehearse, it.copy);
  for (auto* command : {check, rehearse, copy}) add_selection(*command, it.copy);
  for (auto* command : {rehearse, copy}) add_tuning(*command, it.copy);
  add_create_head(*copy, it.shard);
  copy->add_flag("--follow", it.does_follow, "Go on replicating when the copy is done");
  for (auto* command : {rehearse, copy, replicate}) add_apply(*command, it.replicate);
  add_replicate(*replicate, it.replicate);
  add_vdiff(*vdiff, it.vdiff);
  add_proxy(*proxy, it.proxy);
  for (auto* command : {cutover, reverse}) add_switch(*command, it.cutover);
  add_rehearse(*rehearse, it.rehearse);
  add_complete(*complete, it.complete);
  add_cancel(*cancel, it.cancel);
  add_status(*status, it.status, it.common);
  for (auto* command : {check, rehearse, copy, replicate, vdiff, proxy, cutover, reverse, complete, cancel, status}) {
    add_config(*command, it);
  }

  add_inspect(app, it);
  add_shard_commands(app, it);
  add_completion(app, it);
}

void settle_options(Invocation& it) {
  if (!it.config.empty()) apply_config_file(*it.app, it.config);
  if (it.app->get_option_no_throw("name") == nullptr || it.command == "status" || !it.common.name.empty()) return;
  throw Error(Code::bad_usage, {"name", "the workflow has no name", fmt::format("godwit {} NAME …", it.command)});
}

int perform(Invocation& it) {
  settle_options(it);
  log::start(it.common.is_quiet ? log::Level::warning : it.common.is_verbose ? log::Level::debug : log::Level::info);
  arm_failpoints_from_environment();
  layer::keep_bundle_from_connections();
  stop_on_signals();  // before any thread
  return it.deed();
}

// --help and --version are no errors; the rest is told as every other error is.
int end_parsing(CLI::App& app, Invocation& it, const CLI::ParseError& error, const std::vector<std::string>& words) {
  it.common.is_json = std::find(words.begin(), words.end(), "--json") != words.end();
  if (dynamic_cast<const CLI::CallForVersion*>(&error) != nullptr) {
    print_version(it.common.is_json);
    return 0;
  }
  if (error.get_exit_code() == 0) return app.exit(error);
  const CLI::App* named = &app;
  while (!named->get_subcommands().empty()) named = named->get_subcommands().front();
  it.command = full_name(*named);
  print_error(it, Error(Code::bad_usage, {"command line", error.what(), it.command.empty() ? "godwit --help" : fmt::format("godwit {} --help", it.command)}));
  return exit_status(Reaction::usage);
}

int run(int argc, char** argv) {
  CLI::App app("godwit moves live MySQL and MariaDB databases to another server", "godwit");
  app.set_version_flag("--version", "", "Print version, build, compiler and flavour of build, with --json as JSON, and exit");
  app.require_subcommand(1);
  app.footer("Examples:\n  godwit copy shop --source mysql://app@old/shop --target mysql://app@new/shop\n  godwit switch shop --proxy 10.0.0.7:6033 --admin-user godwit_admin");
  use_pages(app);
  Invocation it;
  add_commands(app, it);
  if (argc > 1 && std::string_view(argv[1]) == kCompleteWord) {
    print_completion(completion_of(app, {argv + 2, argv + argc}, completion_sources()));
    return 0;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return end_parsing(app, it, error, {argv, argv + argc});
  }
  try {
    return perform(it);
  } catch (const Error& error) {
    print_error(it, error);
    return exit_status(error.reaction());
  } catch (const std::exception& error) {
    print_error(it, Error(Code::internal_error, {.object = "godwit", .cause = error.what(), .remedy = "this is a defect: please report it"}));
    return exit_status(Reaction::internal);
  }
}

}  // namespace
}  // namespace godwit::cli

int main(int argc, char** argv) { return godwit::cli::run(argc, argv); }
