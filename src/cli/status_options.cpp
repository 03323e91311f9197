#include "status_options.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "godwit/util/error.h"
#include "page.h"
#include "report.h"
#include "terminal.h"

namespace godwit::cli {
namespace {

StatusOptions options_of(const StatusArguments& a, const CommonOptions& common) {
  StatusOptions options{.only = common.name,
                        .with_history = a.with_history,
                        .state_path = common.state.empty() ? state::StateFile::default_path() : common.state,
                        .source = {},
                        .targets = {},
                        .source_defaults_file = a.source_defaults_file,
                        .target_defaults_file = a.target_defaults_file};
  if (!a.source.empty()) fill_password(options.source.emplace(db::parse_dsn(a.source, "--source")), "GODWIT_SOURCE_PASSWORD", a.source_defaults_file, "--source");
  for (const auto& target : a.targets) fill_password(options.targets.emplace_back(db::parse_dsn(target, "--target")), "GODWIT_TARGET_PASSWORD", a.target_defaults_file, "--target");
  return options;
}

constexpr const char* kHomeAndClear = "\033[H\033[2J";

// A screen is written in one piece, so that a terminal shows no half of it. A server that is away for a while ends nothing.
void watch(const StatusOptions& options, bool is_json, std::chrono::milliseconds interval, const Stop& stop) {
  std::setvbuf(stdout, nullptr, _IOFBF, 1U << 20U);
  const char* kind = std::getenv("TERM");
  const bool is_terminal = terminal_columns() > 0 && kind != nullptr && std::string_view(kind) != "dumb";
  bool is_first = true;
  while (!stop.is_requested()) {
    if (is_terminal) fmt::print("{}", kHomeAndClear);
    if (!is_terminal && !is_json && !is_first) fmt::print("\n");
    is_first = false;
    try {
      print_workflows(options, is_json);
    } catch (const Error& error) {
      if (!error.is_retryable()) throw;
      if (is_json) print_json_error("status", error);
      if (!is_json) print_line(error.what());
    }
    std::fflush(stdout);
    if (!stop.sleep_for(interval)) return;
  }
}

}  // namespace

void add_status(CLI::App& app, StatusArguments& a, CommonOptions& common) {
  app.add_option("name", common.name, "One workflow only")->type_name(kWorkflow);
  app.add_flag("--watch", a.is_watched, "Again and again, until Ctrl-C: a terminal is repainted, else an empty line is between two screens");
  app.add_option("--interval", a.interval, "How often, with --watch")->type_name("DURATION")->capture_default_str();
  app.add_flag("--history", a.with_history, "With the event log");
  app.add_option("--target", a.targets, "Where the state file is not: ask this target, as an account that may SELECT from _godwit (password: $GODWIT_TARGET_PASSWORD); of shards each, the first range's first")->type_name("DSN")->allow_extra_args(false);
  app.add_option("--source", a.source, "Likewise, for the lag and for the stream back (password: $GODWIT_SOURCE_PASSWORD)")->type_name("DSN");
  app.add_option("--target-defaults-file", a.target_defaults_file, "A my.cnf-style file with the target's user and password")->type_name(kFile);
  app.add_option("--source-defaults-file", a.source_defaults_file, "Likewise for the source")->type_name(kFile);
}

void print_status(const StatusArguments& a, const CommonOptions& common, const Stop& stop) {
  const auto interval = duration_of(a.interval, "--interval");
  if (interval < std::chrono::milliseconds(100)) throw Error(Code::bad_usage, {.object = "--interval " + a.interval, .cause = "servers are not asked that often", .remedy = "--interval 2s"});
  const auto options = options_of(a, common);
  if (!a.is_watched) return print_workflows(options, common.is_json);
  watch(options, common.is_json, interval, stop);
}

}  // namespace godwit::cli
