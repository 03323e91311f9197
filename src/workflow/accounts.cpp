#include "accounts.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"

namespace godwit::workflow {
namespace {

using catalog::AccountName;
using catalog::AccountPlan;

bool is_there(db::Connection& target, const AccountName& name) {
  return !target
              .query(fmt::format("SELECT 1 FROM mysql.user WHERE User = {} AND Host = {}", sql::quote_string(name.user), sql::quote_string(name.host)))
              .empty();
}

std::vector<std::string> all_statements(const AccountPlan& plan) {
  std::vector<std::string> statements{plan.shown(plan.create_sql)};
  statements.insert(statements.end(), plan.statements.begin(), plan.statements.end());
  return statements;
}

CarriedAccount by_hand(const AccountPlan& plan) {
  return {.account = to_string(plan.name), .state = "by_hand", .why = plan.why, .statements = all_statements(plan), .left_out = plan.left_out};
}

// False: it failed, and the report says why.
bool run(db::Connection& target, const std::string& sql, const std::string& shown, CarriedAccount& report) {
  try {
    target.execute_unquoted(sql);  // may hold a hash
    return true;
  } catch (const Error& error) {
    if (error.is_retryable() || error.code() == Code::interrupted) throw;
    report.state = "failed";
    report.why += (report.why.empty() ? "" : "; ") + error.cause();
    report.statements.push_back(shown);
    return false;
  }
}

class Carrier {
 public:
  Carrier(db::Connection& target, SidecarLedger& ledger) : target_(target), ledger_(ledger) {
    for (const auto& row : state::Sidecar(target).accounts(ledger.stream())) ours_.insert({row.user, row.host, row.is_role});
  }

  CarriedAccount create(const AccountPlan& plan) {
    const bool exists = is_there(target_, plan.name);
    const bool is_ours = ours_.count(plan.name) != 0;
    if (exists && !is_ours) return {.account = to_string(plan.name), .state = "there_already"};
    if (plan.needs_password) return by_hand(plan);
    CarriedAccount report{.account = to_string(plan.name), .state = "created", .left_out = plan.left_out};
    const state::AccountRow row{.user = plan.name.user, .host = plan.name.host, .is_role = plan.name.is_role};
    // Recorded before it is created, as tables are: cancel drops exactly these.
    ledger_.guarded([&](state::Sidecar& sidecar) { sidecar.add_account(ledger_.stream(), row); });
    if (exists || run(target_, plan.create_sql, plan.shown(plan.create_sql), report)) return report;
    ledger_.guarded([&](state::Sidecar& sidecar) { sidecar.forget_account(ledger_.stream(), row); });
    report.statements = all_statements(plan);
    return report;
  }

  void grant(const AccountPlan& plan, CarriedAccount& report) {
    if (report.state != "created") return;
    for (const auto& statement : plan.statements) run(target_, statement, statement, report);
  }

 private:
  db::Connection& target_;
  SidecarLedger& ledger_;
  std::set<AccountName> ours_;
};

}  // namespace

std::vector<AccountPlan> plan_accounts(db::Connection& source, db::Connection& target, const Preparation& prepared,
                                       const std::vector<std::string>& wanted) {
  if (wanted.empty()) return {};
  const auto options = catalog::account_options(source, target, prepared.source, prepared.ddl.names);
  auto waiting = catalog::select_accounts(catalog::application_accounts(source), wanted);
  std::set<AccountName> seen(waiting.begin(), waiting.end());
  std::vector<AccountPlan> plans;
  for (std::size_t i = 0; i < waiting.size(); ++i) {  // roles are appended as they are met
    plans.push_back(catalog::plan_account(catalog::read_account(source, waiting[i]), options));
    for (const auto& role : plans.back().roles) {
      if (seen.insert(role).second) waiting.push_back(role);
    }
  }
  std::stable_partition(plans.begin(), plans.end(), [](const AccountPlan& plan) { return plan.name.is_role; });
  return plans;
}

std::vector<CarriedAccount> show_accounts(db::Connection& target, const std::vector<AccountPlan>& plans) {
  std::vector<CarriedAccount> shown;
  for (const auto& plan : plans) {
    if (is_there(target, plan.name)) {
      shown.push_back({.account = to_string(plan.name), .state = "there_already"});
    } else {
      shown.push_back(by_hand(plan));
      if (!plan.needs_password) shown.back().state = "planned";
    }
  }
  return shown;
}

// Roles may be granted to each other: all are created before any is granted.
std::vector<CarriedAccount> carry_accounts(db::Connection& target, SidecarLedger& ledger, const std::vector<AccountPlan>& plans) {
  Carrier carrier(target, ledger);
  std::vector<CarriedAccount> reports;
  for (const auto& plan : plans) reports.push_back(carrier.create(plan));
  for (std::size_t i = 0; i < plans.size(); ++i) carrier.grant(plans[i], reports[i]);
  return reports;
}

void drop_accounts(db::Connection& target, const std::vector<state::AccountRow>& created, CancelReport& report) {
  for (const auto& row : created) {
    const AccountName name{.user = row.user, .host = row.host, .is_role = row.is_role};
    target.execute(fmt::format("DROP {} IF EXISTS {}", row.is_role ? "ROLE" : "USER", to_string(name)));
    report.dropped.push_back((row.is_role ? "role " : "account ") + to_string(name));
  }
}

}  // namespace godwit::workflow
