// `godwit shard …` and `godwit inspect shard`: arguments, and what they print. Private to cli.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "options.h"
#include "godwit/workflow/head.h"

namespace godwit::cli {

struct ShardArguments {
  std::string engine;
  std::string head_user;
  bool is_applied = false;
  bool creates_head = false;  // of copy
};

struct InspectShardArguments {
  std::string table;
  std::vector<std::string> key;
  std::string workflow;
};

void add_head_user(CLI::App& app, ShardArguments& arguments);
void add_shard_ddl(CLI::App& app, ShardArguments& arguments);
void add_create_head(CLI::App& copy, ShardArguments& arguments);
void add_shard_key(CLI::App& app, InspectShardArguments& arguments);

// The password is $GODWIT_HEAD_PASSWORD.
workflow::HeadAccount head_account_of(const ShardArguments& arguments);
// The word NULL is no value.
std::vector<std::optional<std::string>> key_of(const InspectShardArguments& arguments);
// The workflow that --workflow names, or the only one with shards. Throws Error(bad_usage).
std::string sharded_workflow(const InspectShardArguments& arguments, state::StateFile& state);

void print_head_plan(const std::string& name, const workflow::HeadPlan& plan, bool is_json);
void print_head(const std::string& name, const workflow::HeadReport& report, bool is_json);
void print_vschema(const workflow::Definition& definition, bool is_json);
void print_whereabouts(const workflow::Whereabouts& found, bool is_json);

}  // namespace godwit::cli
