// The command line, in CLI11's terms, and what every command shares. Private to cli.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "godwit/state/state_file.h"
#include "godwit/workflow/copy.h"
#include "godwit/workflow/replicate.h"
#include "godwit/workflow/vdiff.h"

namespace godwit::cli {

// Throws Error(bad_usage), which names the flag.
std::chrono::milliseconds duration_of(const std::string& text, const std::string& flag);

struct CommonOptions {
  std::string state;
  std::string name;
  bool is_json = false;
  bool is_verbose = false;
  bool is_quiet = false;
};

// As given; kept apart from what they mean until all of them are there.
struct CopyArguments {
  std::string source;
  std::string target;
  std::string source_defaults_file;
  std::string target_defaults_file;
  std::vector<std::string> shards;
  std::vector<std::string> vindexes;
  std::vector<std::string> partitions;
  std::vector<std::string> references;
  std::vector<std::string> unsharded;
  std::string serve;
  std::vector<std::string> databases;
  std::vector<std::string> tables;
  std::vector<std::string> exclude_tables;
  std::vector<std::string> map;
  std::vector<std::string> collation_map;
  std::vector<std::string> skip;
  std::vector<std::string> accounts;
  std::string schema = "create";
  bool allow_no_key = false;
  std::size_t readers = 4;
  std::size_t key_builders = 2;
  unsigned attempts = 10;
  std::string chunk_size = "16MiB";
  std::string max_rate;
  std::string snapshot_age = "15m";
  std::uint64_t history_list_max = 10'000'000;
  std::uint64_t source_threads_running_max = 0;
  std::uint64_t target_threads_running_max = 0;
  std::string commit_latency_max;
  std::string throttle_replica;
  std::string replica_lag_max = "10s";
  bool no_load_data = false;
  bool skip_target_binlog = false;
  bool dry_run = false;
};

struct ReplicateArguments {
  std::size_t workers = 4;
  bool no_squash = false;
  std::string on_ddl = "stop";
  std::vector<std::string> skip_gtids;
  std::string stream_deadline = "30s";
  bool until_current = false;
  std::string until;
  bool no_heartbeat = false;
  std::string heartbeat_interval = "1s";
  bool source_moved = false;
  std::string metrics;
  std::uint64_t target_threads_running_max = 0;
};

struct VdiffArguments {
  std::vector<std::string> tables;
  std::size_t lanes = 4;
  std::uint64_t chunk_rows = 50'000;
  std::string chunk_size = "8MiB";
  std::string snapshot_age = "15m";
  std::uint64_t differences_max = 1000;
  bool only_keys = false;
  bool by_rows = false;
  bool repair = false;
  bool wait = false;
  bool restart = false;
  bool resume = false;
  std::string source_replica;
  std::string target_replica;
  std::uint64_t history_list_max = 10'000'000;
  std::uint64_t source_threads_running_max = 0;
  std::uint64_t target_threads_running_max = 0;
};

void add_common(CLI::App& app, CommonOptions& options);
void add_endpoints(CLI::App& app, CopyArguments& arguments);
void add_shards(CLI::App& app, CopyArguments& arguments);
void add_selection(CLI::App& app, CopyArguments& arguments);
void add_tuning(CLI::App& app, CopyArguments& arguments);
void add_apply(CLI::App& app, ReplicateArguments& arguments);      // how a stream is applied
void add_replicate(CLI::App& app, ReplicateArguments& arguments);  // how long, and who may look on

void add_vdiff(CLI::App& app, VdiffArguments& arguments);

// From the defaults file or the variable; a password in the DSN itself is used, with a warning.
void fill_password(db::Dsn& dsn, const char* variable, const std::string& defaults_file, const char* flag);
state::StateFile open_state(const CommonOptions& options);
// From the arguments; where neither --source nor --target nor --shard is given, from the state file. Passwords come from the environment
// (GODWIT_SOURCE_PASSWORD, GODWIT_TARGET_PASSWORD), a defaults file, or the DSN, which warns.
workflow::Definition definition_of(const CommonOptions& common, const CopyArguments& arguments, state::StateFile& state);
workflow::CopyTuning tuning_of(const CopyArguments& arguments);
// The recorded workflow, with the --source, --target, --shard and --serve that are given: a server may have moved. Throws Error(bad_usage) where they are of another kind
// than what is recorded.
workflow::Definition followed_definition(const CommonOptions& common, const CopyArguments& arguments, state::StateFile& state);
workflow::ReplicateTuning tuning_of(const ReplicateArguments& arguments);
workflow::VdiffTuning tuning_of(const VdiffArguments& arguments);

}  // namespace godwit::cli
