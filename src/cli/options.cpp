#include "options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"
#include "page.h"

namespace godwit::cli {
namespace {

[[noreturn]] void refuse(std::string object, std::string cause, std::string remedy) {
  throw Error(Code::bad_usage, {std::move(object), std::move(cause), std::move(remedy)});
}

std::uint64_t bytes_of(const std::string& text, const char* flag) {
  const auto bytes = parse_bytes(text);
  if (!bytes || *bytes == 0) refuse(std::string(flag) + " " + text, "it is no size", std::string(flag) + " 16MiB");
  return *bytes;
}

// What is added meanwhile stands under a title of its own in --help.
class Group {
 public:
  Group(CLI::App& app, const char* title) : app_(app), before_(app.option_defaults()->get_group()) { app.option_defaults()->group(title); }
  ~Group() { app_.option_defaults()->group(before_); }

 private:
  CLI::App& app_;
  std::string before_;
};

}  // namespace

std::chrono::milliseconds duration_of(const std::string& text, const std::string& flag) {
  const auto duration = parse_duration(text);
  if (!duration) refuse(flag + " " + text, "it is no duration", flag + " 15m (ms, s, m, h)");
  return *duration;
}

void fill_password(db::Dsn& dsn, const char* variable, const std::string& defaults_file, const char* flag) {
  if (!defaults_file.empty()) db::apply_defaults_file(dsn, defaults_file);
  if (dsn.has_password) {
    log::warning("{} holds a password, which other users of this machine can see: use {} or a defaults file", flag, variable);
    return;
  }
  if (const char* password = std::getenv(variable); password != nullptr) dsn.password = password;
}

void add_common(CLI::App& app, CommonOptions& options) {
  const Group group(app, kGeneral);
  app.add_option("--state", options.state, "State file (default: $GODWIT_STATE, else $XDG_STATE_HOME/godwit/godwit.db)")->type_name(kFile);
  app.add_flag("--json", options.is_json, "One JSON document on standard output");
  app.add_flag("-v,--verbose", options.is_verbose, "More lines in the log");
  app.add_flag("-q,--quiet", options.is_quiet, "Warnings and errors only");
}

void add_endpoints(CLI::App& app, CopyArguments& a) {
  const Group group(app, "Servers");
  app.add_option("--source", a.source, "mysql://user@host:port/schema?ssl-mode=…&ssl-ca=… (password: $GODWIT_SOURCE_PASSWORD)")->type_name("DSN");
  app.add_option("--target", a.target, "Likewise (password: $GODWIT_TARGET_PASSWORD)")->type_name("DSN");
  app.add_option("--source-defaults-file", a.source_defaults_file, "A my.cnf-style file with the source's user and password")->type_name(kFile);
  app.add_option("--target-defaults-file", a.target_defaults_file, "Likewise for the target, or all shards")->type_name(kFile);
}

// Each takes one value at a time, which may begin with a dash.
void add_shards(CLI::App& app, CopyArguments& a) {
  const Group group(app, "Shards");
  app.add_option("--shard", a.shards, "RANGE=DSN, for each shard, instead of --target: -80=mysql://user@host/schema, 80-=… (password: as for a target)")->type_name("RANGE=DSN")->allow_extra_args(false);
  app.add_option("--vindex", a.vindexes, "TABLE.COLUMN[,COLUMN]=FUNCTION: the rows live where their key's id lies (docs/sharding.md)")->type_name("PLACEMENT")->allow_extra_args(false);
  app.add_option("--partition", a.partitions, "\"TABLE=HASH(column)\", likewise RANGE and LIST: a partition per shard")->type_name("PLACEMENT")->allow_extra_args(false);
  app.add_option("--reference", a.references, "TABLE: every row on every shard")->type_name("TABLE")->allow_extra_args(false);
  app.add_option("--unsharded", a.unsharded, "TABLE: every row on the first shard")->type_name("TABLE")->allow_extra_args(false);
  app.add_option("--serve", a.serve, "DSN of the SQL endpoint that serves the shards (password: as for a target)")->type_name("DSN");
}

void add_selection(CLI::App& app, CopyArguments& a) {
  app.add_option("--databases", a.databases, "Schemas to copy, '*' for all but the system's (default: the source DSN's)")->type_name("SCHEMA")->delimiter(',');
  app.add_option("--tables", a.tables, "Only these: table or schema.table, with * and ?")->type_name("TABLE")->delimiter(',');
  app.add_option("--exclude-tables", a.exclude_tables, "All but these")->type_name("TABLE")->delimiter(',');
  app.add_option("--map", a.map, "old=new for a schema, a.b=c.d for a table")->type_name("OLD=NEW")->delimiter(',');
  app.add_option("--collation-map", a.collation_map, "old=new, before the built-in counterparts")->type_name("OLD=NEW")->delimiter(',');
  app.add_option("--schema", a.schema, "Create the tables on the target, or copy into existing ones")
      ->check(CLI::IsMember({"create", "existing"}))
      ->capture_default_str();
  app.add_flag("--allow-no-key", a.allow_no_key, "Copy tables without a key too: as one chunk, at one exact instant");
  app.add_option("--skip", a.skip, "Leave a check out, by name (godwit inspect checks)")->type_name(kCheck)->delimiter(',');
  app.add_option("--accounts", a.accounts, "Carry these accounts where the target has none: all, or names: app, app@10.%")->type_name("ACCOUNT")->delimiter(',');
  app.add_flag("--skip-target-binlog", a.skip_target_binlog, "Keep the copy out of the target's binlog");
}

void add_tuning(CLI::App& app, CopyArguments& a) {
  app.add_option("--readers", a.readers, "Sessions that read the source, and as many that write")->check(CLI::Range(1, 64))->capture_default_str();
  app.add_option("--key-builders", a.key_builders, "Tables whose keys are built at a time")->check(CLI::Range(1, 32))->capture_default_str();
  app.add_option("--chunk-size", a.chunk_size, "Bytes of rows in one transaction, about")->type_name("SIZE")->capture_default_str();
  app.add_option("--max-rate", a.max_rate, "Bytes per second to read at most, for example 50MiB")->type_name("SIZE");
  app.add_option("--snapshot-age", a.snapshot_age, "Longest life of a snapshot on the source")->type_name("DURATION")->capture_default_str();
  app.add_option("--attempts", a.attempts, "Failures in a row before giving up")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--history-list-max", a.history_list_max, "Give the snapshot up at this purge lag of the source; 0: never")->capture_default_str();
  app.add_option("--source-threads-running-max", a.source_threads_running_max, "Pause at so many running threads; 0: never")->capture_default_str();
  app.add_option("--target-threads-running-max", a.target_threads_running_max, "Likewise on the target")->capture_default_str();
  app.add_option("--commit-latency-max", a.commit_latency_max, "Pause when commits on the target take so long")->type_name("DURATION");
  app.add_option("--throttle-replica", a.throttle_replica, "DSN of a replica whose lag pauses the copy")->type_name("DSN");
  app.add_option("--replica-lag-max", a.replica_lag_max, "…when it is so far behind")->type_name("DURATION")->capture_default_str();
  app.add_flag("--no-load-data", a.no_load_data, "Write by plain INSERT, not by bulk insert or LOAD DATA LOCAL");
  app.add_flag("--dry-run", a.dry_run, "Say what would be done, and change nothing");
}

void add_apply(CLI::App& app, ReplicateArguments& a) {
  app.add_option("--workers", a.workers, "Sessions that write to the target while it is behind")->check(CLI::Range(1, 64))->capture_default_str();
  app.add_flag("--no-squash", a.no_squash, "While behind, apply every change of a row, not only the last");
  app.add_option("--on-ddl", a.on_ddl, "At DDL on a migrated table: stop; ignore it; or exec it on the target")
      ->check(CLI::IsMember({"stop", "ignore", "exec"}))
      ->capture_default_str();
  app.add_option("--stream-deadline", a.stream_deadline, "Silence of a server that counts as its loss: the stream connects anew")->type_name("DURATION")->capture_default_str();
  app.add_option("--skip-gtid", a.skip_gtids, "Do not apply the DDL of this transaction: it was done by hand")->type_name("GTID")->delimiter(',');
}

void add_replicate(CLI::App& app, ReplicateArguments& a) {
  app.add_flag("--until-current", a.until_current, "End when the target is where the source is now");
  app.add_option("--until", a.until, "End at this position (a GTID set, or MariaDB GTIDs)")->type_name("POSITION");
  app.add_flag("--no-heartbeat", a.no_heartbeat, "Write nothing on the source; lag is told from positions and event times");
  app.add_option("--heartbeat-interval", a.heartbeat_interval, "How often the heartbeat row is written")->type_name("DURATION")->capture_default_str();
  app.add_flag("--source-moved", a.source_moved, "--source names the server that took the source's place");
  app.add_option("--metrics", a.metrics, "Serve Prometheus text at this ADDR:PORT")->type_name("ADDR:PORT");
  app.add_option("--target-threads-running-max", a.target_threads_running_max, "Pause at so many running threads on the target; 0: never")->capture_default_str();
}

void add_vdiff(CLI::App& app, VdiffArguments& a) {
  app.add_option("--tables", a.tables, "Only these: table or schema.table of the source, with * and ?")->type_name("TABLE")->delimiter(',');
  app.add_flag("--only-keys", a.only_keys, "Look only whether every row is there, not what is in it");
  app.add_option("--limit-differences", a.differences_max, "Leave the rest of a table out after so many")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  app.add_flag("--repair", a.repair, "Rewrite rows that differ from the source's, then look at them again");
  app.add_flag("--resume", a.resume, "Leave out tables that neither side has changed since the last finished comparison");
  app.add_flag("--restart", a.restart, "Forget a comparison that was interrupted, and begin anew");
  app.add_flag("--wait", a.wait, "Wait for the copy to be finished, and for another vdiff to end, rather than refuse");
  app.add_option("--source-replica", a.source_replica, "DSN of a replica of the source, where the source's rows are read instead")->type_name("DSN");
  app.add_option("--target-replica", a.target_replica, "Likewise for the target")->type_name("DSN");
  app.add_option("--lanes", a.lanes, "Ranges compared at a time, each by a session with either side")->check(CLI::Range(1, 64))->capture_default_str();
  app.add_option("--chunk-rows", a.chunk_rows, "Rows of one range, at most about")->check(CLI::Range(1, 1'000'000))->capture_default_str();
  app.add_option("--chunk-size", a.chunk_size, "Bytes of one range, about")->type_name("SIZE")->capture_default_str();
  app.add_flag("--by-rows", a.by_rows, "Compare row by row where the servers could hash");
  app.add_option("--snapshot-age", a.snapshot_age, "Longest life of a snapshot on either side")->type_name("DURATION")->capture_default_str();
  app.add_option("--history-list-max", a.history_list_max, "Give the snapshots up at this purge lag of the source; 0: never")->capture_default_str();
  app.add_option("--source-threads-running-max", a.source_threads_running_max, "Pause at so many running threads; 0: never")->capture_default_str();
  app.add_option("--target-threads-running-max", a.target_threads_running_max, "Likewise on the target")->capture_default_str();
}

state::StateFile open_state(const CommonOptions& options) {
  return state::StateFile(options.state.empty() ? state::StateFile::default_path() : options.state);
}

namespace {

constexpr const char* kTargetPassword = "GODWIT_TARGET_PASSWORD";

workflow::Definition recorded_definition(const CommonOptions& common, state::StateFile& state) {
  if (const auto recorded = state.find_workflow(common.name)) return workflow::definition_from(*recorded);
  throw Error(Code::no_such_workflow,
              {.object = common.name,
               .cause = "the state file has no workflow of that name",
               .remedy = "name --source and --target for a new one; godwit status lists those there are"});
}

workflow::Definition given_definition(const CommonOptions& common, const CopyArguments& a) {
  if (a.source.empty()) refuse("--source", "it is not given", "--source mysql://user@host:port/schema");
  if (a.target.empty() && a.shards.empty()) refuse("--target", "it is not given", "--target mysql://user@host:port/schema");
  if (!a.target.empty() && !a.shards.empty()) refuse("--target", "--shard is given too", "one --target; or --shard for each shard");
  workflow::Definition definition{.name = common.name,
                                  .source = db::parse_dsn(a.source, "--source"),
                                  .databases = a.databases,
                                  .tables = a.tables,
                                  .exclude_tables = a.exclude_tables,
                                  .map = a.map,
                                  .collation_map = a.collation_map,
                                  .is_schema_created = a.schema == "create",
                                  .allow_no_key = a.allow_no_key,
                                  .shards = a.shards,
                                  .vindexes = a.vindexes,
                                  .partitions = a.partitions,
                                  .references = a.references,
                                  .unsharded = a.unsharded};
  if (!a.target.empty()) definition.target = db::parse_dsn(a.target, "--target");
  if (!a.serve.empty()) definition.serve = db::parse_dsn(a.serve, "--serve");
  return definition;
}

// Settles where its rows go, and fills in the passwords.
void complete(workflow::Definition& definition, const CopyArguments& a) {
  fill_password(definition.source, "GODWIT_SOURCE_PASSWORD", a.source_defaults_file, "--source");
  workflow::settle_shards(definition, [&](db::Dsn& dsn, const std::string& flag) { fill_password(dsn, kTargetPassword, a.target_defaults_file, flag.c_str()); });
  if (!workflow::is_sharded(definition)) fill_password(definition.target, kTargetPassword, a.target_defaults_file, "--target");
  if (definition.serve) fill_password(*definition.serve, kTargetPassword, a.target_defaults_file, "--serve");
}

}  // namespace

workflow::Definition definition_of(const CommonOptions& common, const CopyArguments& a, state::StateFile& state) {
  const bool is_new = !a.source.empty() || !a.target.empty() || !a.shards.empty();
  workflow::Definition definition = is_new ? given_definition(common, a) : recorded_definition(common, state);
  if (!is_new && !a.serve.empty()) definition.serve = db::parse_dsn(a.serve, "--serve");
  complete(definition, a);
  return definition;
}

workflow::CopyTuning tuning_of(const CopyArguments& a) {
  workflow::CopyTuning tuning;
  tuning.readers = a.readers;
  tuning.key_builders = a.key_builders;
  tuning.limits.chunk_bytes = bytes_of(a.chunk_size, "--chunk-size");
  tuning.limits.snapshot_age_max = duration_of(a.snapshot_age, "--snapshot-age");
  tuning.limits.attempts_max = a.attempts;
  if (!a.max_rate.empty()) tuning.throttle.rate_bytes_per_s = bytes_of(a.max_rate, "--max-rate");
  tuning.throttle.history_list_max = a.history_list_max;
  tuning.throttle.source_threads_running_max = a.source_threads_running_max;
  tuning.throttle.target_threads_running_max = a.target_threads_running_max;
  if (!a.commit_latency_max.empty()) tuning.throttle.commit_latency_max = duration_of(a.commit_latency_max, "--commit-latency-max");
  if (!a.throttle_replica.empty()) tuning.throttle.replica_lag_max = duration_of(a.replica_lag_max, "--replica-lag-max");
  tuning.throttle_replica = a.throttle_replica;
  tuning.writer.use_load_data = !a.no_load_data;
  tuning.writer.skip_binlog = a.skip_target_binlog;
  tuning.accounts = a.accounts;
  tuning.skipped_checks.insert(a.skip.begin(), a.skip.end());
  return tuning;
}

namespace {

// Another address, of the database that is recorded where none is named.
void move(db::Dsn& dsn, const std::string& given, const char* flag) {
  if (given.empty()) return;
  const std::string schema = dsn.schema;
  dsn = db::parse_dsn(given, flag);
  if (dsn.schema.empty()) dsn.schema = schema;
}

std::vector<std::string> ranges_of(std::vector<std::string> shards) {
  for (auto& shard : shards) shard = shard.substr(0, shard.find('='));
  std::sort(shards.begin(), shards.end());
  return shards;
}

void move_shards(workflow::Definition& definition, const std::vector<std::string>& given) {
  if (given.empty()) return;
  if (ranges_of(given) != ranges_of(definition.shards)) {
    refuse("--shard", fmt::format("the recorded ranges are others: {}", workflow::is_sharded(definition) ? join(ranges_of(definition.shards), " ") : "none"), "the recorded ranges, or none but the name");
  }
  definition.shards = given;
}

void refuse_other_placement(const char* flag, std::vector<std::string> given, std::vector<std::string> recorded) {
  std::sort(given.begin(), given.end());
  std::sort(recorded.begin(), recorded.end());
  if (!given.empty() && given != recorded) refuse(flag, fmt::format("another one is recorded: {}", recorded.empty() ? "none" : join(recorded, " ")), "none but the workflow's name is needed");
}

}  // namespace

workflow::Definition followed_definition(const CommonOptions& common, const CopyArguments& a, state::StateFile& state) {
  if (!state.find_workflow(common.name)) return definition_of(common, a, state);
  workflow::Definition definition = recorded_definition(common, state);
  if (!a.target.empty() && workflow::is_sharded(definition)) refuse("--target", "its target is shards", "--shard RANGE=DSN for each of them, or none but the name");
  refuse_other_placement("--vindex", a.vindexes, definition.vindexes);
  refuse_other_placement("--partition", a.partitions, definition.partitions);
  refuse_other_placement("--reference", a.references, definition.references);
  refuse_other_placement("--unsharded", a.unsharded, definition.unsharded);
  move(definition.source, a.source, "--source");
  move(definition.target, a.target, "--target");
  move_shards(definition, a.shards);
  if (!a.serve.empty()) definition.serve = db::parse_dsn(a.serve, "--serve");
  complete(definition, a);
  return definition;
}

workflow::ReplicateTuning tuning_of(const ReplicateArguments& a) {
  workflow::ReplicateTuning tuning;
  tuning.apply.workers = a.workers;
  tuning.apply.squash = !a.no_squash;
  tuning.apply.deadline = std::chrono::duration_cast<std::chrono::seconds>(duration_of(a.stream_deadline, "--stream-deadline"));
  // The source beats once a second, and a lock wait of the target must fit in.
  if (tuning.apply.deadline < std::chrono::seconds(3)) refuse("--stream-deadline " + a.stream_deadline, "less than 3 s is no sign of a loss", "--stream-deadline 30s");
  tuning.apply.on_ddl = a.on_ddl == "exec" ? apply::OnDdl::exec : a.on_ddl == "ignore" ? apply::OnDdl::ignore : apply::OnDdl::stop;
  tuning.apply.skipped_gtids.insert(a.skip_gtids.begin(), a.skip_gtids.end());
  if (a.until_current && !a.until.empty()) refuse("--until", "--until-current is given too", "name one of them");
  tuning.until_current = a.until_current;
  tuning.until = a.until;
  tuning.writes_heartbeat = !a.no_heartbeat;
  tuning.heartbeat_interval = duration_of(a.heartbeat_interval, "--heartbeat-interval");
  tuning.is_source_moved = a.source_moved;
  tuning.metrics_address = a.metrics;
  tuning.throttle.target_threads_running_max = a.target_threads_running_max;
  return tuning;
}

workflow::VdiffTuning tuning_of(const VdiffArguments& a) {
  if (a.restart && a.resume) refuse("--restart", "--resume is given too", "name one of them");
  workflow::VdiffTuning tuning;
  tuning.lanes = a.lanes;
  tuning.limits.rows_per_chunk = a.chunk_rows;
  tuning.limits.bytes_per_chunk = bytes_of(a.chunk_size, "--chunk-size");
  tuning.snapshot_age_max = duration_of(a.snapshot_age, "--snapshot-age");
  tuning.throttle.history_list_max = a.history_list_max;
  tuning.throttle.source_threads_running_max = a.source_threads_running_max;
  tuning.throttle.target_threads_running_max = a.target_threads_running_max;
  tuning.tables = a.tables;
  tuning.only_keys = a.only_keys;
  tuning.never_hash = a.by_rows;
  tuning.differences_max = a.differences_max;
  tuning.does_repair = a.repair;
  tuning.does_wait = a.wait;
  tuning.does_restart = a.restart;
  tuning.does_resume = a.resume;
  tuning.source_replica = a.source_replica;
  tuning.target_replica = a.target_replica;
  return tuning;
}

}  // namespace godwit::cli
