// `godwit switch`, `reverse`, `complete` and `cancel` on the command line. Private to cli.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "godwit/cutover/cutover.h"
#include "options.h"

namespace godwit::cli {

struct SwitchArguments {
  std::vector<std::string> proxies;
  bool no_proxy = false;
  std::string admin_user;
  std::string on_straggler = "abort";
  std::string drain_timeout = "10s";
  std::string pause_max = "1s";
  std::string lag_max = "1s";
  std::string return_wait = "15s";
  std::string require_vdiff;
  std::string fence = "auto";
  std::string hook_dir;
  bool dry_run = false;
  bool yes = false;
};

struct CompleteArguments {
  std::string old_side = "read-only";
  bool yes = false;
};

struct CancelArguments {
  bool without_target = false;
  bool yes = false;
  std::string schema;  // where the state file does not know it
};

void add_switch(CLI::App& app, SwitchArguments& arguments);
void add_complete(CLI::App& app, CompleteArguments& arguments);
void add_cancel(CLI::App& app, CancelArguments& arguments);
// The admin's password comes from $GODWIT_ADMIN_PASSWORD.
cutover::SwitchOptions switch_options_of(const SwitchArguments& arguments, db::Side to);
cutover::CompleteOptions complete_options_of(const CompleteArguments& arguments);

// On a terminal the operator is asked; elsewhere --yes says it. Throws Error(bad_usage) where neither is so, Error(interrupted) on a no.
void confirm(const std::string& question, bool yes);

}  // namespace godwit::cli
