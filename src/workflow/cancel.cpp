#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "accounts.h"
#include "godwit/accounts/delegation.h"
#include "godwit/fence/fence.h"
#include "godwit/sql/quote.h"
#include "godwit/state/authority.h"
#include "godwit/state/coordinator_lock.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/copy.h"
#include "godwit/workflow/head.h"
#include "godwit/workflow/live_objects.h"
#include "godwit/workflow/shards.h"
#include "post_copy.h"
#include "preparation.h"

namespace godwit::workflow {
namespace {

constexpr std::chrono::seconds kTargetPatience{10};  // for a target that is said to be gone

// Only what is recorded as created by this workflow; a table of --schema existing keeps its definition, loses the copied rows.
void undo_tables(db::Connection& target, const Definition& definition, const std::vector<state::TableRow>& tables,
                 CancelReport& report) {
  target.execute("SET SESSION foreign_key_checks = 0");
  for (const auto& table : tables) {
    const std::string name = sql::quote_table(table.target_schema, table.target_table);
    target.execute(definition.is_schema_created ? "DROP TABLE IF EXISTS " + name : "TRUNCATE TABLE " + name);
    report.dropped.push_back((definition.is_schema_created ? "table " : "rows of ") + name);
  }
}

void drop_objects(db::Connection& target, const std::vector<state::PostCopyRow>& rows, CancelReport& report) {
  for (const auto& row : rows) {
    // "creating": killed in between, so it may be there, and is ours if it is.
    const bool is_ours = row.state == "done" || row.state == "creating";
    if (!is_ours || !is_object(row)) continue;
    const std::string name = sql::quote_table(row.schema_name, row.object_name);
    target.execute(fmt::format("DROP {} IF EXISTS {}", row.kind, name));
    report.dropped.push_back(row.kind + " " + name);
  }
}

// A schema of ours that holds nothing of anybody else.
void drop_schemas(db::Connection& target, const std::vector<state::PostCopyRow>& rows, CancelReport& report) {
  for (const auto& row : rows) {
    if (row.kind != kSchemaKind) continue;
    const std::string name = sql::quote_string(row.schema_name);
    const bool is_empty = target
                              .query(fmt::format("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {0} UNION "
                                                 "SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {0} UNION "
                                                 "SELECT 1 FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {0}",
                                                 name))
                              .empty();
    if (!is_empty) continue;
    target.execute("DROP DATABASE IF EXISTS " + sql::quote_identifier(row.schema_name));
    report.dropped.push_back("schema " + sql::quote_identifier(row.schema_name));
  }
}

// What `proxy --delegate-auth` gave accounts. It is another schema than the sidecar's, so that a cancel that is killed loses none of its records.
void take_back_credentials(db::Connection& server, CancelReport& report) {
  const std::string name = sql::quote_string(accounts::kDelegationSchema);
  if (server.query("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = " + name).empty()) return;
  for (const auto& account : accounts::Delegation(server).take_back_all()) report.dropped.push_back("the proxy's credential of " + account);
}

void leave(db::Connection& source, const Definition& definition, CancelReport& report) {
  fence::remove(source, {.workflow = definition.name, .side = db::Side::source});
  if (state::Sidecar::leave_source(source, definition.name)) report.dropped.emplace_back("schema `_godwit` on the source");
}

// A source that is gone, or may not be written, keeps a table of one row: that stops no cancel.
void leave_source(const Definition& definition, CancelReport& report) {
  try {
    db::Connection source = db::Connection::open(source_endpoint(definition));
    leave(source, definition, report);
  } catch (const Error& error) {
    log::warning("the schema `_godwit` on the source is not dropped: {}", error.what());
  }
}

// What serves is no copy any more.
void require_source_serves(db::Connection& target, const Definition& definition) {
  const auto route = state::Authority(target, definition.name).read();
  if (!route || (route->serving == db::Side::source && !route->is_switching)) return;
  throw Error(Code::not_switched, {.object = "workflow " + definition.name,
                                   .cause = route->is_switching ? "a switch is under way" : "the target serves: what would be dropped is the only copy that is up to date",
                                   .remedy = "godwit reverse first; or godwit complete"});
}

// Dropping what was there before the migration could not be taken back.
void require_no_tables(state::Sidecar& sidecar, const Definition& definition) {
  const auto found = sidecar.find(stream_key(definition));
  if (!found || sidecar.tables(found->id).empty()) return;
  throw Error(Code::bad_usage, {.object = "--schema",
                                .cause = fmt::format("the state file does not know {}, and so not whether its tables are to be dropped or emptied", definition.name),
                                .remedy = "--schema create where copy has created them: they are dropped; --schema existing: they are emptied"});
}

// The route first: without it no reconciler sets again what is taken away. The new epoch ends whatever still copies (I3), so that nothing comes back after it was dropped.
std::optional<state::StreamRow> claim_stream(db::Connection& target, state::Sidecar& sidecar, const Definition& definition) {
  if (!state::Authority(target, definition.name).forget_unswitched()) require_source_serves(target, definition);
  fence::remove(target, {.workflow = definition.name, .side = db::Side::target});
  const auto found = sidecar.find(stream_key(definition));
  if (!found) return std::nullopt;
  return sidecar.claim(found->key, found->position ? gtid::to_string(found->position->flavour) : "", found->source_identity, found->source_version, true);
}

void drop_copy(db::Connection& target, state::Sidecar& sidecar, const Definition& definition, std::uint64_t stream, CancelReport& report) {
  const auto statements = sidecar.post_copy(stream);
  drop_objects(target, statements, report);
  undo_tables(target, definition, sidecar.tables(stream), report);
  drop_schemas(target, statements, report);
  drop_accounts(target, sidecar.accounts(stream), report);
}

bool is_out_of_reach(const Error& error) { return error.code() == Code::cannot_connect || error.code() == Code::connection_lost; }

db::Connection open_target(const Definition& definition) {
  try {
    return db::Connection::open(target_endpoint(definition));
  } catch (const Error& error) {
    if (!is_out_of_reach(error)) throw;
    throw Error(error.code(),
                {.object = error.object(), .cause = error.cause(), .remedy = fmt::format("bring it back; where it is gone for good: godwit cancel {} --without-target, which opens the source", definition.name)});
  }
}

// Whoever answers, were it only that the account is refused, is there, and has the authority.
void require_target_gone(const Definition& definition) {
  db::Endpoint endpoint = target_endpoint(definition);
  endpoint.read_timeout = kTargetPatience;
  std::string answer = "it answers";
  try {
    db::Connection::open(endpoint);
  } catch (const Error& error) {
    if (is_out_of_reach(error)) return;
    answer = "it answers: " + error.cause();
  }
  throw Error(Code::target_answers, {.object = db::describe(endpoint), .cause = answer, .remedy = fmt::format("godwit cancel {}, without --without-target", definition.name)});
}

// As far as the source knows: the stream that leads back to it was made by a commit, or a switch that stood right before it.
bool may_have_served(db::Connection& source, const Definition& definition) {
  if (!state::Sidecar::exists(source)) return false;
  const auto back = state::Sidecar(source).find(stream_key(in_direction(definition, Direction::reverse)));
  return back && back->state != "frozen" && back->state != "creating" && back->state != "copying";
}

// Triggers before the fence: no write is let in that they do not see.
CancelReport cancel_on_source(const Definition& definition, state::StateFile& state) {
  const auto targets = shard_definitions(definition);
  for (const auto& one : targets) require_target_gone(one);
  CancelReport report;
  db::Connection source = db::Connection::open(source_endpoint(definition));
  if (std::ranges::any_of(targets, [&](const Definition& one) { return may_have_served(source, one); })) report.warnings.emplace_back("the target may have served: what was written there since the switch is not on the source");
  report.warnings.push_back(fmt::format("whatever is on the target stays there, the authority too: should it come back, neither replicate nor proxy of workflow {} may run with it; DROP DATABASE _godwit there first", definition.name));
  const auto names = bring_back_to_source_alone(definition);
  if (!names.empty()) log::info("on the source again: {}", join(names, ", "));
  take_back_credentials(source, report);
  leave(source, definition, report);
  state.forget_workflow(definition.name);
  return report;
}

void cancel_on_target(db::Connection& target, const Definition& definition, CancelReport& report) {
  if (!state::Sidecar::exists(target)) return state::Sidecar(target).drop_begun();
  state::Sidecar sidecar(target);
  failpoint(Fp::cancel_claim_before);
  const auto row = claim_stream(target, sidecar, definition);
  failpoint(Fp::cancel_claim_after);
  if (row) {
    failpoint(Fp::cancel_objects_before);
    drop_copy(target, sidecar, definition, row->id, report);
    failpoint(Fp::cancel_objects_after);
    sidecar.forget(row->id);
  }
  failpoint(Fp::cancel_sidecar_before);
  if (sidecar.drop_unused()) report.dropped.emplace_back("schema `_godwit`");
  failpoint(Fp::cancel_sidecar_after);
}

// Of each target before anything is dropped on one.
void require_may_drop(db::Connection& target, const Definition& definition, const CancelOptions& options) {
  if (!state::Sidecar::exists(target)) return;
  state::Sidecar sidecar(target);
  sidecar.create();  // one of an earlier version is brought up to date: what is forgotten has tables of every version
  require_source_serves(target, definition);
  if (!options.is_schema_known) require_no_tables(sidecar, definition);
}

// It may have no such schema yet.
std::optional<Definition> head_of(const Definition& recorded) {
  auto head = head_definition(recorded);
  if (head) head->target.schema.clear();
  return head;
}

// Its tables are definitions: no row of the shards goes with them.
void cancel_on_head(db::Connection& head, const Definition& definition, CancelReport& report) {
  for (const auto& dropped : drop_head(definition)) report.dropped.push_back(dropped);
  if (!state::Sidecar::exists(head)) return state::Sidecar(head).drop_begun();
  fence::remove(head, {.workflow = definition.name, .side = db::Side::target});
  state::Sidecar sidecar(head);
  if (const auto row = sidecar.find(stream_key(definition))) sidecar.forget(row->id);
  if (sidecar.drop_unused()) report.dropped.emplace_back("schema `_godwit` on the head");
}

void add_of_shard(CancelReport& report, CancelReport of_shard, const Definition& definition) {
  const std::string prefix = is_sharded(definition) ? shard_name(definition) + ": " : "";
  for (const auto& what : of_shard.dropped) report.dropped.push_back(prefix + what);
}

}  // namespace

// The first shard is the last: as long as another one is left to be cleared, its sidecar is there, and with it the lock of who does it.
CancelReport cancel(const Definition& definition, const CancelOptions& options, state::StateFile& state) {
  if (options.is_target_gone) return cancel_on_source(definition, state);
  CancelReport report;
  const auto targets = shard_definitions(definition);
  std::vector<db::Connection> sessions;
  for (const auto& one : targets) sessions.push_back(open_target(one));
  const auto head = head_of(definition);
  std::optional<db::Connection> head_session;
  if (head) head_session.emplace(open_target(*head));
  std::optional<state::CoordinatorLock> lock;  // no switch begins meanwhile
  if (state::Sidecar::exists(sessions.front())) lock.emplace(target_endpoint(targets.front()), definition.name);
  for (std::size_t i = 0; i < targets.size(); ++i) require_may_drop(sessions[i], targets[i], options);
  // Without the route no reconciler sets again, on any of them, what is taken away.
  if (is_sharded(definition) && lock && !state::Authority(sessions.front(), definition.name).forget_unswitched()) require_source_serves(sessions.front(), definition);
  if (head) cancel_on_head(*head_session, *head, report);
  for (std::size_t i = targets.size(); i-- > 0;) {
    CancelReport of_shard;
    cancel_on_target(sessions[i], targets[i], of_shard);
    add_of_shard(report, of_shard, targets[i]);
  }
  lock.reset();
  failpoint(Fp::cancel_source_before);
  for (auto& session : sessions) take_back_credentials(session, report);
  if (head_session) take_back_credentials(*head_session, report);
  leave_source(definition, report);
  failpoint(Fp::cancel_source_after);
  state.forget_workflow(definition.name);
  return report;
}

}  // namespace godwit::workflow
