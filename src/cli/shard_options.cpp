#include "shard_options.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "godwit/shard/spider.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"
#include "page.h"
#include "report.h"
#include "terminal.h"

namespace godwit::cli {
namespace {

using nlohmann::json;

// A statement with a trigger's or routine's body holds semicolons.
void print_statement(const workflow::HeadStatement& statement) {
  const bool has_body = statement.kind == "trigger" || statement.kind == "procedure" || statement.kind == "function";
  if (has_body) {
    fmt::print("DELIMITER //\n{} //\nDELIMITER ;\n", statement.sql);
  } else {
    fmt::print("{};\n", statement.sql);
  }
}

void print_settings() {
  fmt::print("-- The head's own configuration: plugin_load_add = ha_spider, and\n");
  for (const auto& setting : shard::spider_settings()) fmt::print("--   {} = {}  ({})\n", setting.name, setting.value, setting.because);
}

}  // namespace

void add_head_user(CLI::App& app, ShardArguments& a) {
  app.add_option("--head-user", a.head_user, "As whom the head logs in on the shards: an account that read_only holds (password: $GODWIT_HEAD_PASSWORD)")->type_name("USER");
}

void add_shard_ddl(CLI::App& app, ShardArguments& a) {
  app.add_option("--engine", a.engine, "What serves the shards: spider")->required()->check(CLI::IsMember({"spider"}));
  app.add_flag("--apply", a.is_applied, "Create it on --serve, and record what was created");
  add_head_user(app, a);
}

void add_create_head(CLI::App& copy, ShardArguments& a) {
  copy.add_flag("--create-head", a.creates_head, "When the copy is done, create the Spider head on --serve");
  add_head_user(copy, a);
}

void add_shard_key(CLI::App& app, InspectShardArguments& a) {
  app.add_option("table", a.table, "TABLE or SCHEMA.TABLE, as the source names it")->type_name("TABLE")->required();
  app.add_option("key", a.key, "The values of its shard key, in its order; NULL for none")->type_name("VALUE");
  app.add_option("--workflow", a.workflow, "Whose shards; it may be left out where only one is recorded")->type_name(kWorkflow);
}

workflow::HeadAccount head_account_of(const ShardArguments& a) {
  workflow::HeadAccount account{.user = a.head_user, .password = ""};
  if (a.head_user.empty()) return account;
  if (const char* password = std::getenv("GODWIT_HEAD_PASSWORD")) account.password = password;
  return account;
}

std::vector<std::optional<std::string>> key_of(const InspectShardArguments& a) {
  std::vector<std::optional<std::string>> key;
  for (const auto& value : a.key) key.push_back(value == "NULL" ? std::nullopt : std::optional(value));
  return key;
}

std::string sharded_workflow(const InspectShardArguments& a, state::StateFile& state) {
  if (!a.workflow.empty()) return a.workflow;
  std::vector<std::string> names;
  for (const auto& workflow : state.workflows()) {
    if (workflow::is_sharded(workflow::definition_from(workflow))) names.push_back(workflow.name);
  }
  if (names.size() == 1) return names[0];
  throw Error(Code::bad_usage, {.object = "--workflow", .cause = names.empty() ? "no workflow with shards is recorded" : "several have shards: " + join(names, ", "), .remedy = "--workflow NAME, with its --source, --shard and placements where it is not recorded yet"});
}

void print_head_plan(const std::string& name, const workflow::HeadPlan& plan, bool is_json) {
  if (is_json) {
    json statements = json::array();
    for (const auto& statement : plan.statements) statements.push_back({{"kind", statement.kind}, {"schema", statement.schema}, {"name", statement.name}, {"sql", statement.sql}});
    return print_json("shard ddl", {{"workflow", name}, {"statements", std::move(statements)}, {"warnings", plan.warnings}});
  }
  print_settings();
  for (const auto& warning : plan.warnings) fmt::print("-- {}\n", warning);
  for (const auto& statement : plan.statements) print_statement(statement);
}

void print_head(const std::string& name, const workflow::HeadReport& report, bool is_json) {
  if (is_json) return print_json("shard ddl", {{"workflow", name}, {"created", report.created}, {"there", report.there}, {"warnings", report.warnings}});
  for (const auto& warning : report.warnings) log::warning("{}", warning);
  for (const auto& object : report.created) print_line("created " + object);
  for (const auto& object : report.there) print_line("there   " + object);
}

void print_vschema(const workflow::Definition& definition, bool is_json) {
  json body = workflow::describe_vschema(definition);
  if (!is_json) return fmt::print("{}\n", body.dump(2));
  body["workflow"] = definition.name;
  print_json("shard vschema", std::move(body));
}

void print_whereabouts(const workflow::Whereabouts& found, bool is_json) {
  if (is_json) {
    json body{{"table", found.table}, {"columns", found.columns}, {"everywhere", found.is_everywhere}, {"shard", found.shard}, {"shards", found.shards}, {"range", found.range}, {"server", found.server}};
    if (found.keyspace_id) body["keyspace_id"] = *found.keyspace_id;
    return print_json("inspect shard", std::move(body));
  }
  if (found.is_everywhere) return print_line(found.table + ": on every shard");
  print_line(fmt::format("{}: shard {} of {}, {}, on {}", found.table, found.shard, found.shards, found.range, found.server));
  if (!found.columns.empty()) print_line(fmt::format("by {}{}", join(found.columns, ", "), found.keyspace_id ? ", keyspace id " + *found.keyspace_id : ""));
}

}  // namespace godwit::cli
