#include "godwit/check/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "context.h"
#include "godwit/util/text.h"

namespace godwit::check {
namespace {

const std::vector<Check>& registry() {
  static const std::vector<Check> checks = [] {
    std::vector<Check> all = source_checks();
    for (const auto& more : {target_checks(), schema_checks(), switch_checks()}) all.insert(all.end(), more.begin(), more.end());
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

Finding warning(Code code, std::string object, std::string cause, std::string remedy) {
  return {.verdict = Verdict::warning, .code = code, .object = std::move(object), .cause = std::move(cause), .remedy = std::move(remedy)};
}

Finding blocker(Code code, std::string object, std::string cause, std::string remedy) {
  return {.verdict = Verdict::blocker, .code = code, .object = std::move(object), .cause = std::move(cause), .remedy = std::move(remedy)};
}

std::vector<Finding> run_checks(const Request& request) {
  refuse_unknown_names(request.skipped);
  const Context context(request);
  std::vector<Finding> all;
  for (const auto& check : registry()) {
    if (request.skipped.count(std::string(check.name)) != 0) {
      all.push_back({.check = std::string(check.name), .verdict = Verdict::skipped, .cause = "--skip"});
      continue;
    }
    for (auto& finding : run_one(check, context)) {
      finding.check = check.name;
      all.push_back(std::move(finding));
    }
  }
  return all;
}

bool has_blocker(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(), [](const Finding& f) { return f.verdict == Verdict::blocker; });
}

const std::vector<CheckInfo>& all_checks() {
  static const std::vector<CheckInfo> infos = [] {
    std::vector<CheckInfo> result;
    for (const auto& check : registry()) result.push_back({check.name, check.what});
    return result;
  }();
  return infos;
}

}  // namespace godwit::check
