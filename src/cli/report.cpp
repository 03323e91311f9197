#include "report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "godwit/util/failpoint.h"
#include "godwit/util/text.h"
#include "grid.h"
#include "terminal.h"

namespace godwit::cli {
namespace {

using nlohmann::json;

json to_json(const catalog::Issue& issue) {
  const char* severity = issue.severity == catalog::Severity::blocker   ? "blocker"
                         : issue.severity == catalog::Severity::warning ? "warning"
                                                                        : "note";
  return {{"severity", severity},
          {"code", info(issue.code).id},
          {"object", issue.object},
          {"cause", issue.cause},
          {"remedy", issue.remedy}};
}

json to_json(const check::Finding& finding) {
  json result{{"check", finding.check}, {"verdict", check::to_string(finding.verdict)}, {"object", finding.object}, {"cause", finding.cause}};
  const bool has_code = finding.verdict == check::Verdict::warning || finding.verdict == check::Verdict::blocker;
  if (has_code) {
    result["code"] = info(finding.code).id;
    result["remedy"] = finding.remedy;
  }
  return result;
}

json to_json(const workflow::CopiedTable& table) {
  return {{"source", table.source},
          {"target", table.target},
          {"rows", table.rows},
          {"bytes", table.bytes},
          {"copy_ms", table.copy.count()},
          {"keys_ms", table.keys.count()}};
}

json to_json(const workflow::CarriedAccount& account) {
  return {{"account", account.account},
          {"state", account.state},
          {"why", account.why},
          {"statements", account.statements},
          {"left_out", account.left_out}};
}

template <typename Item>
json list(const std::vector<Item>& items) {
  json result = json::array();
  for (const auto& item : items) result.push_back(to_json(item));
  return result;
}

std::string rate(std::uint64_t bytes, std::chrono::milliseconds duration) {
  if (duration.count() == 0) return "-";
  return fmt::format("{:.1f}", static_cast<double>(bytes) / 1048576.0 / (static_cast<double>(duration.count()) / 1000.0));
}

void print_issues(const std::vector<catalog::Issue>& issues) {
  for (const auto& issue : issues) {
    const char* severity = issue.severity == catalog::Severity::note ? "note" : issue.severity == catalog::Severity::warning ? "warning" : "blocker";
    print_line(fmt::format("{} {}: {} => {}", severity, issue.object, issue.cause, issue.remedy));
  }
}

void print_accounts(const std::vector<workflow::CarriedAccount>& accounts) {
  for (const auto& account : accounts) {
    std::string state = account.state;
    std::replace(state.begin(), state.end(), '_', ' ');
    print_line(fmt::format("account {}: {}{}", account.account, state, account.why.empty() ? "" : ": " + account.why));
    for (const auto& statement : account.statements) fmt::print("  {};\n", statement);
    for (const auto& what : account.left_out) print_line("  left out: " + what, 4);
  }
}

}  // namespace

void print_json(const std::string& command, json body) {
  json document{{"format", "godwit/1"}, {"command", command}, {"code", 0}};
  document.update(body);
  fmt::print("{}\n", document.dump(-1, ' ', false, json::error_handler_t::replace));
}

void print_json_error(const std::string& command, const Error& error) {
  print_json(command,
             {{"code", exit_status(error.reaction())},
              {"reaction", to_string(error.reaction())},
              {"error",
               {{"code", info(error.code()).id},
                {"name", info(error.code()).name},
                {"object", error.object()},
                {"cause", error.cause()},
                {"remedy", error.remedy()}}}});
}

namespace {

Colour colour_of(check::Verdict verdict) {
  switch (verdict) {
    case check::Verdict::ok:
      return Colour::green;
    case check::Verdict::warning:
      return Colour::yellow;
    case check::Verdict::blocker:
      return Colour::red;
    case check::Verdict::skipped:
      return Colour::plain;
  }
  return Colour::plain;
}

void print_finding(const check::Finding& finding) {
  constexpr std::size_t kVerdictColumns = 8;
  const std::string verdict(check::to_string(finding.verdict));
  const bool has_code = finding.verdict == check::Verdict::warning || finding.verdict == check::Verdict::blocker;
  const std::string padding(kVerdictColumns - std::min(kVerdictColumns, verdict.size()), ' ');
  const std::string what = fmt::format("{:<25} {}{}{}", finding.check, has_code ? std::string(info(finding.code).id) + " " : "", finding.object.empty() ? "" : finding.object + ": ", finding.cause);
  print_line(coloured(colour_of(finding.verdict), verdict) + padding + " " + what, kVerdictColumns + 1);
  if (!finding.remedy.empty() && has_code) print_line(fmt::format("{:<8} {:<25} => {}", "", "", finding.remedy), kVerdictColumns + 1);
}

}  // namespace

void print_findings(const std::vector<check::Finding>& findings, bool is_json) {
  if (is_json) {
    print_json("check", {{"code", check::has_blocker(findings) ? 3 : 0}, {"findings", list(findings)}});
    return;
  }
  std::map<check::Verdict, std::size_t> counts;
  for (const auto& finding : findings) {
    ++counts[finding.verdict];
    print_finding(finding);
  }
  fmt::print("{} ok, {} warnings, {} blockers, {} skipped\n",
             counts[check::Verdict::ok],
             counts[check::Verdict::warning],
             counts[check::Verdict::blocker],
             counts[check::Verdict::skipped]);
}

void print_plan(const workflow::CopyPlan& plan, bool is_json) {
  if (is_json) {
    print_json("copy",
               {{"code", check::has_blocker(plan.findings) ? 3 : 0},
                {"dry_run", true},
                {"findings", list(plan.findings)},
                {"tables", list(plan.tables)},
                {"statements", plan.statements},
                {"accounts", list(plan.accounts)},
                {"issues", list(plan.issues)}});
    return;
  }
  print_findings(plan.findings, false);
  fmt::print("\n");
  Grid grid({"table", "target", "~rows", "~size"}, 2);
  for (const auto& table : plan.tables) {
    grid.add({table.source, table.target, format_count(table.rows), format_bytes(table.bytes)});
  }
  grid.print();
  fmt::print("\non the target, in this order:\n");
  for (const auto& statement : plan.statements) fmt::print("{};\n", statement);
  print_accounts(plan.accounts);
  fmt::print("\nnothing was changed (--dry-run)\n");
}

void print_copy(const std::string& name, const workflow::CopyReport& report, bool is_json) {
  json pending = json::array();
  for (const auto& statement : report.pending) {
    pending.push_back({{"kind", statement.kind}, {"object", statement.object}, {"error", statement.error}});
  }
  if (is_json) {
    print_json("copy",
               {{"workflow", name},
                {"tables", list(report.tables)},
                {"low", report.low},
                {"high", report.high},
                {"position", report.position},
                {"transactions", report.transactions},
                {"cycles", report.cycles},
                {"writes_held_us", report.writes_held.count()},
                {"duration_ms", report.duration.count()},
                {"was_done_before", report.was_done_before},
                {"pending", pending},
                {"created_objects", report.created_objects},
                {"accounts", list(report.accounts)},
                {"issues", list(report.issues)}});
    return;
  }
  print_issues(report.issues);
  Grid grid({"table", "rows", "size", "copy", "MiB/s", "keys"});
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  for (const auto& table : report.tables) {
    grid.add({table.source == table.target ? table.source : table.source + " -> " + table.target,
              format_count(table.rows),
              format_bytes(table.bytes),
              format_duration(table.copy),
              rate(table.bytes, table.copy),
              format_duration(table.keys)});
    rows += table.rows;
    bytes += table.bytes;
  }
  grid.print();
  for (const auto& object : report.created_objects) print_line("created " + object);
  print_accounts(report.accounts);
  for (const auto& statement : report.pending) {
    print_line(fmt::format("waiting: {} of {}: {}", statement.kind, statement.object, statement.error));
  }
  if (report.writes_held.count() > 0) {
    fmt::print("writes to tables without a key were held for {:.1f} ms\n", static_cast<double>(report.writes_held.count()) / 1000.0);
  }
  const std::string position = report.position.empty() ? "(the beginning)" : report.position;
  print_line(fmt::format("the target is the source at {} ({} transactions applied since the snapshot)", position, format_count(report.transactions)));
  print_line(fmt::format("{}: {} tables, {} rows, {} copied in {}", name, report.tables.size(), format_count(rows), format_bytes(bytes), format_duration(report.duration)));
}

void print_replicate(const std::string& name, const workflow::ReplicateReport& report, bool is_json) {
  if (is_json) {
    print_json("replicate",
               {{"workflow", name},
                {"position", report.position},
                {"transactions", report.transactions},
                {"rows", report.rows},
                {"duration_ms", report.duration.count()},
                {"was_stopped", report.was_stopped}});
    return;
  }
  print_line(fmt::format("{}: {} at {}, {} transactions, {} rows applied in {}", name, report.was_stopped ? "stopped" : "caught up", report.position, format_count(report.transactions),
                         format_count(report.rows), format_duration(report.duration)));
}

void print_proxy(const std::string& name, const proxy::ProxyReport& report, bool is_json) {
  if (is_json) {
    print_json("proxy", {{"workflow", name}, {"sessions", report.sessions}, {"statements", report.statements}, {"moves", report.moves}});
    return;
  }
  fmt::print("{} sessions, {} statements, {} moves\n", report.sessions, report.statements, report.moves);
}

void print_cancel(const workflow::CancelReport& report, bool is_json) {
  if (is_json) {
    print_json("cancel", {{"dropped", report.dropped}, {"warnings", report.warnings}});
    return;
  }
  for (const auto& what : report.warnings) print_line("warning " + what);
  for (const auto& what : report.dropped) print_line("dropped " + what);
  fmt::print("cancelled\n");
}

void print_failpoints(bool is_json) {
  json documents = json::array();
  Grid grid({"name", "when it is hit"}, 2);
  for (const auto& point : all_failpoints()) {
    documents.push_back({{"name", point.name}, {"where", point.where}});
    grid.add({std::string(point.name), std::string(point.where)});
  }
  if (is_json) return print_json("inspect failpoints", {{"failpoints", documents}});
  grid.print();
}

void print_codes(bool is_json) {
  json documents = json::array();
  Grid grid({"code", "name", "exit", "meaning"}, 4);
  for (const auto& code : all_codes()) {
    documents.push_back({{"code", code.id}, {"name", code.name}, {"reaction", to_string(code.reaction)}, {"exit", exit_status(code.reaction)}, {"title", code.title}});
    grid.add({std::string(code.id), std::string(code.name), fmt::format("{}", exit_status(code.reaction)), std::string(code.title)});
  }
  if (is_json) return print_json("inspect codes", {{"codes", documents}});
  grid.print();
}

void print_checks(bool is_json) {
  json documents = json::array();
  Grid grid({"name", "what it checks"}, 2);
  for (const auto& check : check::all_checks()) {
    documents.push_back({{"name", check.name}, {"what", check.what}});
    grid.add({std::string(check.name), std::string(check.what)});
  }
  if (is_json) return print_json("inspect checks", {{"checks", documents}});
  grid.print();
}

}  // namespace godwit::cli
