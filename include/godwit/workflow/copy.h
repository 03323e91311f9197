// `godwit copy`: checks, schema, snapshot cycles, deferred keys, views and routines; resumable at any instant. Runs in the
// caller's thread and threads of its own, which have ended when it returns. ARCHITECTURE.md has the picture.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "godwit/apply/applier.h"
#include "godwit/catalog/ddl.h"
#include "godwit/check/check.h"
#include "godwit/copy/copier.h"
#include "godwit/db/connection.h"
#include "godwit/state/state_file.h"
#include "godwit/util/stop.h"
#include "godwit/workflow/direction.h"

namespace godwit::workflow {

// What a workflow is: recorded by the first copy, and the same for its life.
struct Definition {
  std::string name;
  db::Dsn source;
  db::Dsn target;
  std::vector<std::string> databases;  // empty: the source DSN's schema
  std::vector<std::string> tables;
  std::vector<std::string> exclude_tables;
  std::vector<std::string> map;
  std::vector<std::string> collation_map;
  bool is_schema_created = true;  // --schema create|existing
  bool allow_no_key = false;
  std::vector<std::string> shards;      // RANGE=DSN as given; empty: one target. Else `target` is that of the first range (shards.h)
  std::vector<std::string> vindexes;    // where rows live on them: docs/sharding.md
  std::vector<std::string> partitions;
  std::vector<std::string> references;
  std::vector<std::string> unsharded;
  std::optional<db::Dsn> serve;         // the SQL endpoint over the shards
  // The rest is how it is seen, no part of what is recorded.
  std::vector<db::Dsn> shard_targets;        // the shards' DSNs by range, with passwords
  std::string shard = "-";                   // which shard `target` is
  Direction direction = Direction::forward;  // reversed() exchanges the sides
};
std::map<std::string, std::string> to_options(const Definition& definition);
Definition definition_from(const state::Workflow& workflow);
catalog::NameMap names_of(const Definition& definition);  // of the source's schemas and tables on the target
std::map<std::string, std::string> collation_map_of(const Definition& definition);

// How this run goes about it: may differ from run to run.
struct CopyTuning {
  std::size_t readers = 4;
  std::size_t key_builders = 2;
  copy::CopyLimits limits;
  copy::ThrottleLimits throttle;
  copy::WriterOptions writer;
  std::string throttle_replica;        // DSN; its account is the source's
  std::set<std::string> skipped_checks;
  apply::ApplyOptions apply;
  std::vector<std::string> accounts;   // --accounts: "all", "app", "app@10.%"
};

struct CopiedTable {
  std::string source;
  std::string target;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::chrono::milliseconds copy{0};
  std::chrono::milliseconds keys{0};
  std::string shard;  // its range; "" where there is one target
};

struct CopiedShard {
  std::string shard;
  std::string position;  // it is what the source is at this position, as far as its rows go
};

struct PendingStatement {  // what could not be run yet, and why
  std::string kind;
  std::string object;
  std::string error;
  std::string shard;
};

struct CarriedAccount {
  std::string account;
  std::string state;  // "created", "there_already", "by_hand" (its password cannot go), "failed", "planned"
  std::string why;    // by hand, or what failed
  std::vector<std::string> statements;  // what is still to be run; of a plan: what will be. Hashes are left out
  std::vector<std::string> left_out;    // grants and options that do not go along, and why
  std::string shard;
};

struct CopyReport {
  std::vector<CopiedTable> tables;
  std::vector<CopiedShard> shards;  // where there are any
  std::string low;       // not later than any row that was read
  std::string high;      // not earlier
  std::string position;  // the target (the first shard) is the source at this position; the stream goes on from here
  std::uint64_t transactions = 0;  // applied to get there
  unsigned cycles = 0;
  std::chrono::microseconds writes_held{0};
  std::chrono::milliseconds duration{0};
  std::vector<PendingStatement> pending;
  std::vector<catalog::Issue> issues;
  std::vector<std::string> created_objects;
  std::vector<CarriedAccount> accounts;
  bool was_done_before = false;
};

// What copy would do; nothing is changed.
struct PlannedStatements {
  std::string shard;
  std::vector<std::string> statements;  // on that shard, in order
};

struct CopyPlan {
  std::vector<check::Finding> findings;
  std::vector<std::string> statements;  // on the target, in order; of shards: on the first
  std::vector<PlannedStatements> shards;  // where there are any: on each
  std::vector<CopiedTable> tables;      // rows and bytes are estimates
  std::vector<catalog::Issue> issues;
  std::vector<CarriedAccount> accounts;
};

std::vector<check::Finding> check_workflow(const Definition& definition, const CopyTuning& tuning);
CopyPlan plan_copy(const Definition& definition, const CopyTuning& tuning);
CopyReport run_copy(const Definition& definition, const CopyTuning& tuning, state::StateFile& state, const Stop& stop);

// While the source serves: drops what godwit created on the target, and forgets the workflow.
struct CancelOptions {
  bool is_target_gone = false;  // the operator's word: only the source is cleaned, and opened
  bool is_schema_known = true;  // whether Definition::is_schema_created is more than a guess
};
struct CancelReport {
  std::vector<std::string> dropped;
  std::vector<std::string> warnings;
};
// Throws Error(target_answers) where is_target_gone, and it is there; Error(bad_usage) where there are tables, and what is to become of them is not known.
CancelReport cancel(const Definition& definition, const CancelOptions& options, state::StateFile& state);

}  // namespace godwit::workflow
