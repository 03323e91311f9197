// What a copy does on one target: the only one, or a shard. Each has its own stream, ledger, statements and position, so that whatever is done here is as it would
// be with one target alone; copy.cpp has the order of the steps. One thread, but keys_of_copied_table().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "godwit/catalog/accounts.h"
#include "godwit/copy/copier.h"
#include "godwit/state/authority.h"
#include "godwit/util/stop.h"
#include "godwit/workflow/copy.h"
#include "post_copy.h"
#include "preparation.h"
#include "sidecar_ledger.h"

namespace godwit::workflow {

class TargetCopy {
 public:
  TargetCopy(Definition definition, const CopyTuning& tuning, const Stop& stop)
      : definition_(std::move(definition)), tuning_(tuning), stop_(stop), endpoint_(target_endpoint(definition_)) {}

  const Definition& definition() const { return definition_; }
  const db::Endpoint& endpoint() const { return endpoint_; }
  const state::StreamRow& stream() const { return stream_; }
  SidecarLedger& ledger() { return *ledger_; }
  const Preparation& prepared() const { return prepared_; }
  std::vector<std::string> keys_at_work() { return keys_ ? keys_->at_work() : std::vector<std::string>(); }

  // A new session: the one there is has been idle for as long as something else took.
  void connect();
  // Whether the stream is past its copy and belongs to `replicate`, which may be at work: it is looked at, not claimed. What the copy could not create
  // (post_copy) is tried again as long as no replicate is running. Throws Error(switch_refused) where a switch has frozen it.
  bool is_past_copy();
  std::optional<state::Route> route();
  std::vector<state::PostCopyRow> open_statements();

  void prepare(const catalog::Catalog& catalog, db::Connection& source);
  void plan_accounts(db::Connection& source);
  void claim(const db::Server& source);
  bool was_done_before();
  void create_schema();

  // As wanted here; the source's half of it is filled in where it is not, too.
  copy::TableTask task_of(const catalog::Table& source);
  void note_begun_tables(std::vector<copy::TableTask>& tasks);

  void store_begin(const gtid::Position& begin);
  void store_cycle(const db::Snapshot& snapshot);
  void read_stream();  // as it is now

  void begin_keys();
  void keys_of_copied_table(const copy::TableTask& task) { keys_->add(task.target_schema, task.target_table); }
  void finish_keys();
  // Past the overlap only.
  void build_unique_keys();
  void build_constraints();
  void create_objects();
  void carry_accounts();
  void finish();
  void report(CopyReport& report);

 private:
  std::vector<state::PostCopyRow> statements(std::initializer_list<catalog::PostCopyKind> kinds);
  void add_copied_tables();
  void wait_for(const state::PostCopyRow& row, const std::string& why);

  const Definition definition_;
  const CopyTuning& tuning_;
  const Stop& stop_;
  const db::Endpoint endpoint_;
  std::unique_ptr<db::Connection> session_;
  Preparation prepared_;
  std::vector<catalog::AccountPlan> account_plans_;
  std::vector<state::TableRow> recorded_;  // as the tables were when the tasks were made
  bool has_recorded_ = false;
  std::unique_ptr<SidecarLedger> ledger_;
  state::StreamRow stream_;
  std::unique_ptr<KeyBuilder> keys_;
  std::vector<PendingStatement> pending_;
  std::vector<std::string> created_;
  std::vector<CarriedAccount> accounts_;
};

}  // namespace godwit::workflow
