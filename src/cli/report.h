// Results on standard output: as text for people, or as one JSON document with a versioned envelope. Private to cli.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "godwit/check/check.h"
#include "godwit/cutover/cutover.h"
#include "godwit/rehearsal/rehearsal.h"
#include "godwit/state/state_file.h"
#include "godwit/util/error.h"
#include "godwit/proxy/proxy.h"
#include "godwit/workflow/copy.h"
#include "godwit/workflow/replicate.h"
#include "godwit/workflow/vdiff.h"

namespace godwit::cli {

void print_json(const std::string& command, nlohmann::json body);
void print_json_error(const std::string& command, const Error& error);

void print_findings(const std::vector<check::Finding>& findings, bool is_json);
void print_plan(const workflow::CopyPlan& plan, bool is_json);
void print_copy(const std::string& name, const workflow::CopyReport& report, bool is_json);
void print_replicate(const std::string& name, const workflow::ReplicateReport& report, bool is_json);
void print_proxy(const std::string& name, const proxy::ProxyReport& report, bool is_json);
void print_vdiff(const std::string& name, const workflow::VdiffReport& report, int status, bool is_json);
void print_cancel(const workflow::CancelReport& report, bool is_json);
void print_switch(const std::string& command, const std::string& name, const cutover::SwitchReport& report, bool is_dry_run, bool is_json);
void print_rehearsal(const std::string& name, const rehearsal::Report& report, bool is_json);
void print_cleaned(const std::string& name, const std::vector<std::string>& dropped, bool is_json);
void print_complete(const std::string& name, const cutover::CompleteReport& report, bool is_json);
struct StatusOptions {
  std::string only;  // one workflow; "": all
  bool with_history = false;
  std::string state_path;
  // Instead of those that are recorded, with their passwords; with targets a state file is not needed. Of shards: each, the first range's first.
  std::optional<db::Dsn> source;
  std::vector<db::Dsn> targets;
  std::string source_defaults_file;  // with the passwords of those that are recorded
  std::string target_defaults_file;
};
// Throws Error(no_such_workflow), and what a target answers whose workflows are to be listed.
void print_workflows(const StatusOptions& options, bool is_json);
void print_failpoints(bool is_json);
void print_codes(bool is_json);
void print_checks(bool is_json);
void print_steps(bool is_json);

}  // namespace godwit::cli
