#include "switch_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "page.h"

namespace godwit::cli {
void add_switch(CLI::App& app, SwitchArguments& a) {
  app.add_option("--proxy", a.proxies, "HOST:PORT of a proxy; each of them, repeatable")->type_name("HOST:PORT")->delimiter(',');
  app.add_flag("--no-proxy", a.no_proxy, "Nobody uses a proxy: clients of the old side get errors from the fence on");
  app.add_option("--admin-user", a.admin_user, "The proxies' admin account; its password is in $GODWIT_ADMIN_PASSWORD")->type_name("USER");
  app.add_option("--on-straggler", a.on_straggler, "A session that comes to no safe point in time: give up, or end it")->check(CLI::IsMember({"abort", "kill"}))->capture_default_str();
  app.add_option("--drain-timeout", a.drain_timeout, "How long a moment is looked for in which every session is at a safe point")->type_name("DURATION")->capture_default_str();
  app.add_option("--pause-max", a.pause_max, "Undo, when clients were held for so long before the commit")->type_name("DURATION")->capture_default_str();
  app.add_option("--lag-max", a.lag_max, "Refuse, when the stream is further behind")->type_name("DURATION")->capture_default_str();
  app.add_option("--return-wait", a.return_wait, "How long to wait for the stream back to run, when all is done")->type_name("DURATION")->capture_default_str();
  app.add_option("--require-vdiff", a.require_vdiff, "Refuse, unless a vdiff has passed within this time, for example 24h")->type_name("DURATION");
  app.add_option("--fence", a.fence, "What keeps writers off the side that does not serve; auto: read_only where the whole server moves, else triggers")
      ->check(CLI::IsMember({"auto", "read_only", "triggers", "none"}))
      ->capture_default_str();
  app.add_option("--hook-dir", a.hook_dir, "Folder of executables before-STEP and after-STEP; a before-STEP that fails ends the switch")->type_name(kFolder);
  app.add_flag("--dry-run", a.dry_run, "Say what would be done, and change nothing");
  app.add_flag("--yes", a.yes, "Do not ask");
}

void add_complete(CLI::App& app, CompleteArguments& a) {
  app.add_option("--old-side", a.old_side, "What becomes of the source: it stays read-only, accepts writes again, or its tables are renamed")
      ->check(CLI::IsMember({"read-only", "writable", "rename"}))
      ->capture_default_str();
  app.add_flag("--yes", a.yes, "Do not ask");
}

void add_cancel(CLI::App& app, CancelArguments& a) {
  app.add_flag("--without-target", a.without_target, "The target is gone for good: clean the source alone, and open it; refused while the target answers");
  app.add_flag("--yes", a.yes, "Do not ask, with --without-target");
  app.add_option("--schema", a.schema, "Without the state file: the tables were created by copy (they are dropped), or existed (they are emptied)")
      ->check(CLI::IsMember({"create", "existing"}));
}

cutover::SwitchOptions switch_options_of(const SwitchArguments& a, db::Side to) {
  cutover::SwitchOptions options;
  options.to = to;
  options.proxies.endpoints = a.proxies;
  options.proxies.are_none = a.no_proxy;
  options.proxies.admin_user = a.admin_user;
  if (const char* password = std::getenv("GODWIT_ADMIN_PASSWORD")) options.proxies.admin_password = password;
  if (!a.proxies.empty() && a.no_proxy) throw Error(Code::bad_usage, {.object = "--no-proxy", .cause = "--proxy is given too", .remedy = "name one of them"});
  if (!a.proxies.empty() && (a.admin_user.empty() || options.proxies.admin_password.empty())) {
    throw Error(Code::bad_usage, {.object = "--proxy", .cause = "the proxies' admin account is not named, or has no password", .remedy = "--admin-user NAME, and its password in GODWIT_ADMIN_PASSWORD"});
  }
  options.on_straggler = a.on_straggler == "kill" ? cutover::OnStraggler::kill : cutover::OnStraggler::abort;
  options.drain_timeout = duration_of(a.drain_timeout, "--drain-timeout");
  options.pause_max = duration_of(a.pause_max, "--pause-max");
  options.lag_max = duration_of(a.lag_max, "--lag-max");
  options.return_wait = duration_of(a.return_wait, "--return-wait");
  if (!a.require_vdiff.empty()) options.vdiff_age_max = duration_of(a.require_vdiff, "--require-vdiff");
  options.fence = a.fence;
  options.hook_dir = a.hook_dir;
  options.is_dry_run = a.dry_run;
  return options;
}

cutover::CompleteOptions complete_options_of(const CompleteArguments& a) {
  return {.old_side = a.old_side == "writable" ? cutover::OldSide::writable : a.old_side == "rename" ? cutover::OldSide::rename : cutover::OldSide::read_only};
}

void confirm(const std::string& question, bool yes) {
  if (yes) return;
  if (::isatty(STDIN_FILENO) == 0) throw Error(Code::bad_usage, {.object = "standard input", .cause = "there is no terminal to ask on", .remedy = "--yes"});
  fmt::print(stderr, "{} [y/N] ", question);
  std::string answer;
  std::getline(std::cin, answer);
  if (lower(answer) == "y" || lower(answer) == "yes") return;
  throw Error(Code::interrupted, {.object = "godwit", .cause = "the answer was no; nothing was changed", .remedy = "answer y, or --yes"});
}

}  // namespace godwit::cli
