#include "report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "godwit/util/failpoint.h"
#include "godwit/util/text.h"
#include "grid.h"
#include "terminal.h"

namespace godwit::cli {
namespace {

using nlohmann::json;

void add_shard(json& document, const std::string& shard) {
  if (!shard.empty()) document["shard"] = shard;
}

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
  add_shard(result, finding.shard);
  const bool has_code = finding.verdict == check::Verdict::warning || finding.verdict == check::Verdict::blocker;
  if (has_code) {
    result["code"] = info(finding.code).id;
    result["remedy"] = finding.remedy;
  }
  return result;
}

json to_json(const workflow::CopiedTable& table) {
  json result{{"source", table.source},
              {"target", table.target},
              {"rows", table.rows},
              {"bytes", table.bytes},
              {"copy_ms", table.copy.count()},
              {"keys_ms", table.keys.count()}};
  add_shard(result, table.shard);
  return result;
}

json to_json(const workflow::CopiedShard& shard) { return {{"shard", shard.shard}, {"position", shard.position}}; }

json to_json(const workflow::PlannedStatements& planned) { return {{"shard", planned.shard}, {"statements", planned.statements}}; }

json to_json(const workflow::PendingStatement& statement) {
  json result{{"kind", statement.kind}, {"object", statement.object}, {"error", statement.error}};
  add_shard(result, statement.shard);
  return result;
}

json to_json(const workflow::CarriedAccount& account) {
  json result{{"account", account.account},
              {"state", account.state},
              {"why", account.why},
              {"statements", account.statements},
              {"left_out", account.left_out}};
  add_shard(result, account.shard);
  return result;
}

// In lines: what is of one shard only names it.
std::string on_shard(const std::string& shard) { return shard.empty() ? "" : fmt::format("shard {}: ", shard); }

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
    print_line(fmt::format("{}account {}: {}{}", on_shard(account.shard), account.account, state, account.why.empty() ? "" : ": " + account.why));
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
  const std::string what = fmt::format("{:<25} {}{}{}{}", finding.check, on_shard(finding.shard), has_code ? std::string(info(finding.code).id) + " " : "", finding.object.empty() ? "" : finding.object + ": ", finding.cause);
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

namespace {

// Of shards all of a table's rows are meant: how they divide is not known before they are read.
void print_planned_tables(const workflow::CopyPlan& plan) {
  Grid grid({"table", "target", "~rows", "~size"}, 2);
  for (const auto& table : plan.tables) {
    grid.add({table.source, on_shard(table.shard) + table.target, format_count(table.rows), format_bytes(table.bytes)});
  }
  grid.print();
}

void print_statements(const std::string& where, const std::vector<std::string>& statements) {
  fmt::print("\n");
  print_line(fmt::format("on {}, in this order:", where));
  for (const auto& statement : statements) fmt::print("{};\n", statement);
}

}  // namespace

void print_plan(const workflow::CopyPlan& plan, bool is_json) {
  if (is_json) {
    print_json("copy",
               {{"code", check::has_blocker(plan.findings) ? 3 : 0},
                {"dry_run", true},
                {"findings", list(plan.findings)},
                {"tables", list(plan.tables)},
                {"statements", plan.statements},
                {"shards", list(plan.shards)},
                {"accounts", list(plan.accounts)},
                {"issues", list(plan.issues)}});
    return;
  }
  print_findings(plan.findings, false);
  fmt::print("\n");
  print_planned_tables(plan);
  if (plan.shards.empty()) print_statements("the target", plan.statements);
  for (const auto& shard : plan.shards) print_statements("shard " + shard.shard, shard.statements);
  print_accounts(plan.accounts);
  fmt::print("\nnothing was changed (--dry-run)\n");
}

void print_copy(const std::string& name, const workflow::CopyReport& report, bool is_json) {
  if (is_json) {
    print_json("copy",
               {{"workflow", name},
                {"tables", list(report.tables)},
                {"shards", list(report.shards)},
                {"low", report.low},
                {"high", report.high},
                {"position", report.position},
                {"transactions", report.transactions},
                {"cycles", report.cycles},
                {"writes_held_us", report.writes_held.count()},
                {"duration_ms", report.duration.count()},
                {"was_done_before", report.was_done_before},
                {"pending", list(report.pending)},
                {"created_objects", report.created_objects},
                {"accounts", list(report.accounts)},
                {"issues", list(report.issues)}});
    return;
  }
  print_issues(report.issues);
  Grid grid({"table", "rows", "size", "copy", "MiB/s", "keys"});
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::vector<std::string> names;  // a table may be on several shards
  for (const auto& table : report.tables) {
    names.push_back(table.source);
    grid.add({on_shard(table.shard) + (table.source == table.target ? table.source : table.source + " -> " + table.target),
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
    print_line(fmt::format("waiting: {}{} of {}: {}", on_shard(statement.shard), statement.kind, statement.object, statement.error));
  }
  if (report.writes_held.count() > 0) {
    fmt::print("writes to tables without a key were held for {:.1f} ms\n", static_cast<double>(report.writes_held.count()) / 1000.0);
  }
  const std::string who = report.shards.empty() ? "the target is" : "the shards are";
  const std::string position = report.position.empty() ? "(the beginning)" : report.position;
  const std::size_t tables = std::set<std::string>(names.begin(), names.end()).size();
  print_line(fmt::format("{} the source at {} ({} transactions applied since the snapshot)", who, position, format_count(report.transactions)));
  print_line(fmt::format("{}: {} tables, {} rows, {} copied in {}", name, tables, format_count(rows), format_bytes(bytes), format_duration(report.duration)));
}

namespace {

json shards_json(const workflow::ReplicateReport& report) {
  json shards = json::array();
  for (const auto& shard : report.shards) shards.push_back({{"shard", shard.shard}, {"position", shard.position}, {"rows", shard.rows}});
  return shards;
}

}  // namespace

void print_replicate(const std::string& name, const workflow::ReplicateReport& report, bool is_json) {
  if (is_json) {
    print_json("replicate",
               {{"workflow", name},
                {"position", report.position},
                {"transactions", report.transactions},
                {"rows", report.rows},
                {"duration_ms", report.duration.count()},
                {"was_stopped", report.was_stopped},
                {"shards", shards_json(report)}});
    return;
  }
  for (const auto& shard : report.shards) print_line(fmt::format("  shard {} at {}, {} rows", shard.shard, shard.position, format_count(shard.rows)), 4);
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
