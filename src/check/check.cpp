#include "godwit/check/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <tuple>

#include "context.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::check {
namespace {

const std::vector<Check>& registry() {
  static const std::vector<Check> checks = [] {
    std::vector<Check> all = source_checks();
    for (const auto& more : {target_checks(), schema_checks(), switch_checks(), shard_checks()}) all.insert(all.end(), more.begin(), more.end());
    return all;
  }();
  return checks;
}

void refuse_unknown_names(const std::set<std::string>& skipped) {
  for (const auto& name : skipped) {
    const bool is_known =
        std::any_of(registry().begin(), registry().end(), [&](const Check& check) { return check.name == name; });
    if (is_known) continue;
    throw Error(Code::bad_usage,
                {.object = "--skip " + name, .cause = "no check has this name", .remedy = "godwit inspect checks lists them"});
  }
}

// What a check may not ask is a finding like any other: the remaining checks still say what they see.
Findings run_one(const Check& check, const Context& context) {
  try {
    return check.run(context);
  } catch (const Error& error) {
    if (error.reaction() != Reaction::precondition) throw;
    return {blocker(error.code(), error.object(), error.cause(), error.remedy())};
  }
}

void append(std::vector<Finding>& all, Findings more) { std::move(more.begin(), more.end(), std::back_inserter(all)); }

Findings findings_of(const Check& check, const Context& context) {
  if (context.request.skipped.count(std::string(check.name)) != 0) {
    return {{.check = std::string(check.name), .verdict = Verdict::skipped, .cause = "--skip"}};
  }
  Findings findings = run_one(check, context);
  for (auto& finding : findings) finding.check = check.name;
  return findings;
}

std::string range_of(const Request& request) { return shard::to_string(request.layout->shards.at(request.shard).range); }

bool is_same(const Finding& a, const Finding& b) {
  return std::tie(a.verdict, a.code, a.object, a.cause, a.remedy) == std::tie(b.verdict, b.code, b.object, b.cause, b.remedy);
}

// What every shard says alike, and is of no server, is said once. What names a server, or is of some only, has the shard's name.
Findings in_common(const std::vector<Findings>& by_shard, const std::vector<Request>& shards) {
  Findings result;
  for (std::size_t i = 0; i < by_shard.size(); ++i) {
    for (const auto& finding : by_shard[i]) {
      const auto says_it = [&](const Findings& findings) { return std::ranges::any_of(findings, [&](const Finding& other) { return is_same(finding, other); }); };
      const bool is_of_all = !finding.check.starts_with("target_") && std::ranges::all_of(by_shard, says_it);
      if (is_of_all && says_it(result)) continue;
      result.push_back(finding);
      if (!is_of_all) result.back().shard = range_of(shards[i]);
    }
  }
  return result;
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::warning:
      return "warning";
    case Verdict::blocker:
      return "blocker";
    case Verdict::skipped:
      return "skipped";
  }
  return "";
}

Finding ok(std::string cause) { return {.verdict = Verdict::ok, .cause = std::move(cause)}; }

namespace {

Finding finding(Verdict verdict, Code code, std::string object, std::string cause, std::string remedy) {
  record_said(object + ": " + cause + " => " + remedy);
  return {.verdict = verdict, .code = code, .object = std::move(object), .cause = std::move(cause), .remedy = std::move(remedy)};
}

}  // namespace

Finding warning(Code code, std::string object, std::string cause, std::string remedy) { return finding(Verdict::warning, code, std::move(object), std::move(cause), std::move(remedy)); }

Finding blocker(Code code, std::string object, std::string cause, std::string remedy) { return finding(Verdict::blocker, code, std::move(object), std::move(cause), std::move(remedy)); }

std::vector<Finding> run_checks(const Request& request) {
  refuse_unknown_names(request.skipped);
  const SourceView source(request);
  const Context context(request, source);
  std::vector<Finding> all;
  for (const auto& check : registry()) append(all, findings_of(check, context));
  return all;
}

std::vector<Finding> run_checks(const std::vector<Request>& shards) {
  refuse_unknown_names(shards.front().skipped);
  const SourceView source(shards.front());
  std::vector<std::unique_ptr<Context>> contexts;
  std::vector<std::pair<std::string, std::string>> versions;
  for (const auto& request : shards) {
    contexts.push_back(std::make_unique<Context>(request, source));
    versions.emplace_back(range_of(request), contexts.back()->target.connection.server().version_text);
  }
  std::vector<Finding> all;
  for (const auto& check : registry()) {
    if (check.scope == Scope::migration) {
      append(all, findings_of(check, *contexts.front()));
      continue;
    }
    std::vector<Findings> by_shard;
    for (const auto& context : contexts) by_shard.push_back(findings_of(check, *context));
    append(all, in_common(by_shard, shards));
  }
  auto differing = shard_versions(versions);
  for (auto& finding : differing) finding.check = "shard_versions";
  append(all, std::move(differing));
  return all;
}

bool has_blocker(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(), [](const Finding& f) { return f.verdict == Verdict::blocker; });
}

const std::vector<CheckInfo>& all_checks() {
  static const std::vector<CheckInfo> infos = [] {
    std::vector<CheckInfo> result;
    for (const auto& check : registry()) result.push_back({check.name, check.what});
    result.push_back({"shard_versions", "with shards: all have one version"});
    return result;
  }();
  return infos;
}

}  // namespace godwit::check
