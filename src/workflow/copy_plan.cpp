// What a copy would do, and what stands in its way: nothing is changed.
#include <utility>

#include "accounts.h"
#include "godwit/workflow/copy.h"
#include "godwit/workflow/shards.h"
#include "preparation.h"

namespace godwit::workflow {
namespace {

std::vector<std::string> statements_of(const Preparation& prepared) {
  std::vector<std::string> statements;
  std::vector<std::string> later;
  for (const auto& table : prepared.tables) {
    statements.push_back(table.create_sql);
    for (const auto& deferred : table.deferred) later.push_back(deferred.sql);
  }
  for (const auto& object : prepared.objects.objects) {
    const bool is_for_switch = object.kind == catalog::PostCopyKind::trigger || object.kind == catalog::PostCopyKind::event;
    if (!is_for_switch) later.push_back(object.sql);
  }
  statements.insert(statements.end(), later.begin(), later.end());
  return statements;
}

std::vector<CopiedTable> tables_of(const Preparation& prepared, const std::string& shard) {
  std::vector<CopiedTable> tables;
  for (std::size_t i = 0; i < prepared.tables.size(); ++i) {
    const catalog::Table& source = prepared.source.tables[i];
    tables.push_back({.source = source.schema + "." + source.name,
                      .target = prepared.tables[i].schema + "." + prepared.tables[i].name,
                      .rows = source.rows_estimate,
                      .bytes = source.bytes_estimate,
                      .shard = shard});
  }
  return tables;
}

void plan_one(const Definition& definition, const CopyTuning& tuning, db::Connection& source, CopyPlan& plan) {
  const std::string shard = is_sharded(definition) ? definition.shard : "";
  db::Connection target = db::Connection::open(target_endpoint(definition));
  const Preparation prepared = prepare(definition, source, target);
  std::vector<std::string> statements = definition.is_schema_created ? statements_of(prepared) : std::vector<std::string>();
  for (auto& table : tables_of(prepared, shard)) plan.tables.push_back(std::move(table));
  for (auto& account : show_accounts(target, plan_accounts(source, target, prepared, tuning.accounts))) {
    account.shard = shard;
    plan.accounts.push_back(std::move(account));
  }
  if (plan.issues.empty()) plan.issues = prepared.issues;
  if (plan.statements.empty()) plan.statements = statements;
  if (!shard.empty()) plan.shards.push_back({.shard = shard, .statements = std::move(statements)});
}

}  // namespace

std::vector<check::Finding> check_workflow(const Definition& definition, const CopyTuning& tuning) { return check_all(definition, tuning); }

CopyPlan plan_copy(const Definition& definition, const CopyTuning& tuning) {
  CopyPlan plan;
  plan.findings = check_workflow(definition, tuning);
  db::Connection source = db::Connection::open(source_endpoint(definition));
  for (const auto& one : shard_definitions(definition)) plan_one(one, tuning, source, plan);
  return plan;
}

}  // namespace godwit::workflow
