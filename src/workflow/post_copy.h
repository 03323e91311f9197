// Runs the statements that wait for the rows: keys, foreign keys, views, routines. Each is one row of _godwit.post_copy;
// what is there already is seen by name, so that a killed run may be repeated.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "godwit/state/sidecar.h"
#include "godwit/util/bounded_queue.h"
#include "godwit/workflow/copy.h"
#include "sidecar_ledger.h"

namespace godwit::workflow {

// A schema that this workflow created: a row of post_copy too, for cancel.
inline constexpr std::string_view kSchemaKind = "schema";

// Views and routines: not part of a table of ours, so that one that is there already may be somebody else's.
bool is_object(const state::PostCopyRow& row);

// Runs one statement where it is not done yet. Returns nothing, or why it must wait. One thread per connection.
std::optional<std::string> run_post_copy(db::Connection& connection, SidecarLedger& ledger,
                                         const state::PostCopyRow& row);

// Builds keys while other tables are still being copied. add() from any thread; finish() waits and rethrows.
class KeyBuilder {
 public:
  // kind: keys, while rows still arrive; unique_keys, past the overlap only: until then two rows may hold one value.
  KeyBuilder(const db::Endpoint& target, const CopyTuning& tuning, SidecarLedger& ledger, catalog::PostCopyKind kind);
  ~KeyBuilder();

  // A table may be added again: it is built once.
  void add(const std::string& target_schema, const std::string& target_table);
  void finish();
  std::vector<PendingStatement> pending();
  // What is being built, for the progress line.
  std::vector<std::string> at_work();

 private:
  struct Job {
    std::string schema;
    std::string table;
  };
  void work(const db::Endpoint& target, bool skip_binlog);
  void build(db::Connection& connection, const Job& job);

  SidecarLedger& ledger_;
  const catalog::PostCopyKind kind_;
  BoundedQueue<Job> jobs_{1U << 20};
  std::mutex mutex_;
  std::set<std::pair<std::string, std::string>> added_;
  std::vector<std::string> at_work_;
  std::vector<PendingStatement> pending_;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace godwit::workflow
