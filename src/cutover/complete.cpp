// `godwit complete`: the migration ends, the target serves on its own. Every step can be repeated; the state file remembers that it has begun, since the authority is among
// what goes. First of all the streams: what the old side becomes must not depend on when. It holds the coordinators' lock: no switch begins beside it.
#include <fmt/format.h>

#include <functional>

#include "ending.h"
#include "godwit/accounts/delegation.h"
#include "godwit/cutover/cutover.h"
#include "godwit/cutover/old_name.h"
#include "godwit/fence/plan.h"
#include "godwit/sql/quote.h"
#include "godwit/state/coordinator_lock.h"
#include "godwit/state/authority.h"
#include "godwit/state/live_objects.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/direction.h"
#include "godwit/workflow/head.h"
#include "godwit/workflow/live_objects.h"
#include "godwit/workflow/shards.h"
#include "godwit/workflow/switching.h"
#include "sides.h"

namespace godwit::cutover {
namespace {

constexpr std::chrono::milliseconds kFencePatience{5'000};

class Completion {
 public:
  Completion(const workflow::Definition& definition, const CompleteOptions& options, state::StateFile& state, const Stop& stop)
      : definition_(definition), options_(options), state_(state), stop_(stop), sides_(definition, workflow::Direction::reverse), lock_({.side = db::Side::target, .dsn = definition.target}, definition.name) {
    for (const auto side : {db::Side::source, db::Side::target}) {
      for (auto* one : sides_.all(side)) one->session();  // before anything is changed
    }
  }

  CompleteReport run();

 private:
  bool is_at_its_end();
  void require_switched();
  void require_same_end(const state::Workflow& recorded);
  void step(std::string_view name, Fp before, Fp after, const std::function<void()>& deed);
  void end_migration();
  void stop_streams();
  void take_credentials_back();
  void settle_fences();
  void settle_old_side();
  void require_fenced();
  fence::Plan fence_plan(db::Side side) { return fence::read_plan(target(), workflow::stream_key(sides_.streams().front().definition), side, fence_); }
  void record_what_stays();
  std::vector<std::string> set_aside_objects();
  void drop_sidecars();
  db::Connection& source() { return sides_.first(db::Side::source).session(); }
  db::Connection& target() { return sides_.first(db::Side::target).session(); }  // with the authority
  void stop_stream(const workflow::Definition& definition);
  void leave_target(db::Connection& server, std::string_view name);
  void say(std::string what) { report_.done.push_back(std::move(what)); }

  const workflow::Definition& definition_;
  const CompleteOptions& options_;
  state::StateFile& state_;
  const Stop& stop_;
  Sides sides_;
  state::CoordinatorLock lock_;
  std::string fence_ = "none";
  std::vector<fence::Table> old_tables_;
  CompleteReport report_;
};

[[noreturn]] void refuse(const workflow::Definition& definition, std::string cause, std::string remedy) { throw Error(Code::complete_refused, {.object = "workflow " + definition.name, .cause = std::move(cause), .remedy = std::move(remedy)}); }

// Killed when the authority was gone: everything that needs it has been done before. What may be left is the target's sidecar, if nobody else has anything in it.
bool Completion::is_at_its_end() {
  const auto recorded = state_.find_workflow(definition_.name);
  return recorded && recorded->phase == kCompletingPhase && !state::Authority(target(), definition_.name).read();
}

void Completion::require_switched() {
  const auto route = state::Authority(target(), definition_.name).read();
  if (!route) refuse(definition_, "the target does not serve: there was no switch", "godwit switch first; or godwit cancel");
  if (route->is_switching) refuse(definition_, "a switch is under way", "godwit switch or godwit reverse again: it is finished or undone");
  if (route->serving != db::Side::target) refuse(definition_, "the source serves", "godwit switch first; or, where it never was, godwit cancel");
  if (!route->fence.empty()) fence_ = route->fence;
  if (!route->fence.empty() || options_.old_side == OldSide::writable) return;
  // Killed behind the reconcilers' end: the old side may have forgotten its fence since.
  const auto kind = fence::recorded_kind(source(), definition_.name, db::Side::source);
  if (!kind) return;
  fence_ = std::string(fence::to_string(*kind));
  state::Authority(target(), definition_.name).set_fence(fence_);
}

// What was done cannot be done otherwise once nobody knows any more what was there before.
void Completion::require_same_end(const state::Workflow& recorded) {
  const auto ending = is_completed_phase(recorded.phase) ? find_ending(state_, definition_.name) : std::nullopt;
  if (!ending) return;
  if (ending->old_side != options_.old_side) refuse(definition_, fmt::format("it was completed with --old-side {}", to_string(ending->old_side)), by_hand(definition_.name, *ending, options_.old_side));
  report_.left = ending->left;
}

void Completion::step(std::string_view name, Fp before, Fp after, const std::function<void()>& deed) {
  stop_.throw_if_requested();
  const auto entry = state_.start_step(definition_.name, "complete", name);
  try {
    failpoint(before);
    deed();
    failpoint(after);
  } catch (const Error& error) {
    state_.end_step(entry, "failed", error.what());
    throw;
  }
  state_.end_step(entry, "done", "");
}

// Whoever follows one ends with status 0: the row says why. It goes with the sidecar. One that has failed for good ends like any other.
void Completion::stop_streams() {
  for (const auto direction : {workflow::Direction::reverse, workflow::Direction::forward}) {
    for (const auto& shard : workflow::shard_definitions(definition_)) stop_stream(workflow::in_direction(shard, direction));
  }
}

void Completion::stop_stream(const workflow::Definition& definition) {
  db::Connection server = db::Connection::open({.side = workflow::passive_side(definition.direction), .dsn = definition.target});
  if (!state::Sidecar::exists(server)) return;
  state::Sidecar sidecar(server);
  const auto stream = sidecar.find(workflow::stream_key(definition));
  if (!stream || stream->state == state::kCompletedState) return;
  const bool is_failed = stream->state == "error" || stream->state == "creating";
  const auto epoch = is_failed ? sidecar.claim(stream->key, "", stream->source_identity, stream->source_version).epoch : sidecar.freeze(stream->id);
  sidecar.set_state(stream->id, epoch, state::kCompletedState);
  const std::string shard = workflow::shard_name(definition);
  say(fmt::format("the {} stream{} has ended", workflow::to_string(definition.direction), shard.empty() ? "" : " of " + shard));
}

void Completion::take_credentials_back() {
  auto servers = sides_.databases(db::Side::source);
  servers.push_back(sides_.all(db::Side::target).back());  // where clients are
  for (auto* one : servers) {
    db::Connection* server = &one->session();
    const std::string name = sql::quote_string(accounts::kDelegationSchema);
    if (server->query("SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = " + name).empty()) continue;
    for (const auto& account : accounts::Delegation(*server).take_back_all()) say("the proxy's credential of " + account + " is taken back");
  }
}

// The target is free. The old side stays as it is, unless it was asked to be opened: an application that still writes there should be told.
void Completion::settle_fences() {
  const auto first = workflow::stream_key(sides_.streams().front().definition);
  old_tables_ = fence::read_plan(target(), first, db::Side::source, "triggers").tables;  // however it is fenced
  const auto on_target = fence_plan(db::Side::target);
  for (auto* one : sides_.all(db::Side::target)) fence::remove(one->session(), on_target);
  state::Authority authority(target(), definition_.name);
  if (options_.old_side != OldSide::writable) {
    fence::follow(source(), authority, fence_plan(db::Side::source), kFencePatience);  // a MariaDB that was restarted has forgotten it, and nobody may have been there to see
    return;
  }
  authority.set_fence("");  // else the reconcilers, in proxies, would fence it again
  fence::remove(source(), fence_plan(db::Side::source));
  const bool is_open = !fence::is_fenced(source(), {.workflow = definition_.name, .side = db::Side::source, .kind = fence::Kind::read_only});
  if (is_open) say("the source accepts writes again");
}

void Completion::settle_old_side() {
  if (options_.old_side != OldSide::rename) return;
  source().execute("SET SESSION foreign_key_checks = 0");
  for (const auto& table : old_tables_) {
    const std::string there = sql::quote_table(table.schema, table.name);
    const std::string then = sql::quote_table(table.schema, old_name(table.name));
    const bool is_there = !source().query(fmt::format("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}", sql::quote_string(table.schema), sql::quote_string(table.name))).empty();
    if (!is_there) continue;
    source().execute(fmt::format("RENAME TABLE {} TO {}", there, then));
    say(fmt::format("{} on the source is now {}", there, then));
  }
}

// Its record goes with the source's sidecar: from then on only the state file knows it. Killed before that, all is looked at again.
void Completion::record_what_stays() {
  if (find_ending(state_, definition_.name)) return;
  report_.left = fence::what_stays(source(), {.workflow = definition_.name, .side = db::Side::source});
  if (const auto aside = set_aside_objects(); !aside.empty()) report_.left.push_back({.what = "the target alone has, from now on: " + join(aside, ", "), .statements = {}});
  record_ending(state_, definition_.name, {.old_side = options_.old_side, .left = report_.left});
}

// Triggers and events that the source had when it served.
std::vector<std::string> Completion::set_aside_objects() {
  std::vector<std::string> names;
  if (!state::Sidecar::exists(source())) return names;
  const auto kept = *workflow::objects_definition(definition_, db::Side::source);
  const auto stream = state::Sidecar(source()).find(workflow::stream_key(workflow::in_direction(kept, workflow::Direction::reverse)));
  if (!stream) return names;
  for (const auto& row : state::LiveObjects(source(), stream->id).all()) {
    if (row.state != "there") names.push_back(state::to_string(row));
  }
  return names;
}

// The last look: from here on nobody fences it again. The plan is the authority's, and that is there still.
void Completion::require_fenced() {
  const bool is_left_fenced = options_.old_side != OldSide::writable && fence_ != "none" && state::Sidecar::exists(target());
  if (!is_left_fenced || fence::is_fenced(source(), fence_plan(db::Side::source))) return;
  throw Error(Code::switch_unfinished, {.object = db::describe(source().endpoint()), .cause = "it is not fenced any more: was it restarted a moment ago?", .remedy = "run godwit complete again: it is fenced before anything else is done"});
}

// The source's first, the authority last: whoever is killed before that finds it, and goes on.
void Completion::drop_sidecars() {
  if (state::Sidecar::exists(target())) state::Authority(target(), definition_.name).set_fence("");  // a reconciler would record its fence again, in a sidecar made anew
  fence::await_others(source(), kFencePatience);  // one that is at it has read the authority before
  require_fenced();
  if (state::Sidecar::leave_source(source(), definition_.name)) say("schema `_godwit` on the source is dropped");
  const auto shards = workflow::shard_definitions(definition_);
  const auto servers = sides_.databases(db::Side::target);
  if (sides_.head() != nullptr) {
    workflow::release_head(definition_);
    leave_target(sides_.head()->session(), "the head");
  }
  for (std::size_t i = servers.size() - 1; i > 0; --i) leave_target(servers[i]->session(), workflow::shard_name(shards[i]));
  leave_target(target(), workflow::is_sharded(definition_) ? workflow::shard_name(shards.front()) : "the target");
}

void Completion::leave_target(db::Connection& server, std::string_view name) {
  if (!state::Sidecar::exists(server)) return state::Sidecar(server).drop_begun();
  state::Sidecar sidecar(server);
  for (const auto& stream : sidecar.streams()) {
    if (stream.key.workflow == definition_.name) sidecar.forget(stream.id);
  }
  state::Authority(server, definition_.name).forget();
  if (sidecar.drop_unused()) say(fmt::format("schema `_godwit` on {} is dropped", name));
}

CompleteReport Completion::run() {
  report_.hints.push_back(fmt::format("godwit proxy {}, started from now on with another state file than this one, needs --serving target: the authority, which told it, is gone", definition_.name));
  const auto recorded = state_.find_workflow(definition_.name);
  if (recorded) require_same_end(*recorded);
  if (recorded && recorded->phase == kCompletedPhase) {
    report_.was_done = true;
    return report_;
  }
  if (is_at_its_end()) {
    report_.was_done = true;
  } else {
    require_switched();
    if (!recorded || recorded->phase != kCompletingPhase) forget_ending(state_, definition_.name);
    state_.set_phase(definition_.name, kCompletingPhase);
    state_.add_event(definition_.name, "info", "complete_started", std::string(to_string(options_.old_side)));
    end_migration();
  }
  step("sidecar", Fp::complete_sidecar_before, Fp::complete_sidecar_after, [&] { drop_sidecars(); });
  state_.set_phase(definition_.name, kCompletedPhase);
  state_.add_event(definition_.name, "info", "completed", "");
  return report_;
}

void Completion::end_migration() {
  step("stop_streams", Fp::complete_stop_streams_before, Fp::complete_stop_streams_after, [&] {
    workflow::enable_events(definition_, db::Side::target);  // of a switch that was killed behind its commit; the record of them goes with the sidecar
    stop_streams();
  });
  step("proxy_credentials", Fp::complete_proxy_credentials_before, Fp::complete_proxy_credentials_after, [&] { take_credentials_back(); });
  step("fences", Fp::complete_fences_before, Fp::complete_fences_after, [&] { settle_fences(); });
  step("old_side", Fp::complete_old_side_before, Fp::complete_old_side_after, [&] { settle_old_side(); });
  record_what_stays();
}

}  // namespace

CompleteReport complete(const workflow::Definition& definition, const CompleteOptions& options, state::StateFile& state, const Stop& stop) { return Completion(definition, options, state, stop).run(); }

}  // namespace godwit::cutover
