#include "standby.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/wire/protocol.h"

namespace godwit::proxy {
namespace {

bool is_one_shot(const routing::Step& step) { return step.object == "SET TRANSACTION"; }

std::vector<std::string> statements_of(const std::vector<routing::Step>& steps) {
  std::vector<std::string> statements;
  for (const auto& step : steps) statements.push_back(step.statement);
  return statements;
}

bool sets_variables(const std::vector<routing::Step>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const routing::Step& step) { return step.sets_variables; });
}

}  // namespace

std::optional<routing::SessionState> FreshStates::find(const std::string& key, const routing::ServerFacts* facts) const {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(key);
  if (found == kept_.end() || found->second.facts.get() != facts) return std::nullopt;
  return found->second.state;
}

void FreshStates::put(const std::string& key, std::shared_ptr<const routing::ServerFacts> facts, routing::SessionState state) {
  const std::lock_guard lock(mutex_);
  if (kept_.size() >= kKeptMax) kept_.clear();
  kept_.insert_or_assign(key, Kept{std::move(facts), std::move(state)});
}

Standby::Standby(std::shared_ptr<Backend> backend, std::string key, FreshStates& fresh_states, routing::VariablesPool& pool, bool has_multi_statements)
    : backend_(std::move(backend)), key_(std::move(key)), fresh_states_(fresh_states), pool_(pool), has_multi_statements_(has_multi_statements) {}

std::optional<std::uint32_t> Standby::prepared(std::uint32_t client_id) const {
  const auto found = prepared_.find(client_id);
  if (found == prepared_.end()) return std::nullopt;
  return found->second.id;
}

bool Standby::has_drifted(Statements& statements) const {
  return std::any_of(prepared_.begin(), prepared_.end(), [&](const auto& each) {
    const Statement* statement = statements.find(each.first);
    return statement != nullptr && statement->definitions != each.second.definitions;
  });
}

// --- steps ---------------------------------------------------------------------------------------------------------

asio::awaitable<bool> Standby::settle_refused(const std::vector<routing::Step>& steps, std::span<const routing::Result> results, Deadline deadline) {
  bool is_in_parts = false;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!results[i].is_error()) continue;
    const auto& step = steps[i];
    if (!step.instead.empty()) {
      co_await run_steps(step.instead, deadline);
      is_in_parts = true;
    } else if (!step.is_optional) {
      throw Immovable({"target_refuses", step.object, fmt::format("{} {}", results[i].server_errno, results[i].error)});
    }
  }
  co_return is_in_parts;
}

// All at once; what the server refuses is done piecemeal, left out where it was never the client's, or ends the attempt.
asio::awaitable<void> Standby::run_steps(const std::vector<routing::Step>& steps, Deadline deadline) {
  const auto statements = statements_of(steps);
  const auto results = co_await backend_->run(statements, deadline);
  co_await settle_refused(steps, results, deadline);
}

asio::awaitable<void> Standby::run_plan(const routing::Replay& plan, Deadline deadline) {
  if (!plan.refusals.empty()) throw Immovable(plan.refusals.front());
  co_await run_steps(plan.steps, deadline);
}

// The steps, and what the session says afterwards, in one go. Variables that nothing has touched are not asked for again.
asio::awaitable<void> Standby::run_and_read(const std::vector<routing::Step>& steps, const Likeness& like, Deadline deadline) {
  routing::PullOptions options;
  options.is_light = is_read_ && !has_lost_variables_ && !sets_variables(steps);
  for (const auto& variable : like.state.user_variables) options.user_variables.push_back(variable.name);
  auto statements = statements_of(steps);
  const auto reading = routing::pull_statements(backend_->facts(), options);
  statements.insert(statements.end(), reading.begin(), reading.end());
  auto results = co_await backend_->run(statements, deadline);
  const bool is_in_parts = co_await settle_refused(steps, results, deadline);
  std::span<const routing::Result> read(results);
  read = read.subspan(steps.size());
  std::vector<routing::Result> again;
  if (is_in_parts) {
    again = co_await backend_->run(reading, deadline);
    read = again;
  }
  co_await read_back(options, read, deadline);
}

asio::awaitable<void> Standby::read_back(const routing::PullOptions& options, std::span<const routing::Result> results, Deadline deadline) {
  const auto& facts = backend_->facts();
  auto state = routing::read_state(facts, options, {}, results);
  if (options.is_light) state = routing::merge(facts, *seen_, std::move(state));
  const auto more = routing::follow_up_statements(facts, state);
  if (!more.empty()) {
    const auto followed = co_await backend_->run(more, deadline);
    routing::read_follow_up(facts, followed, state);
  }
  if (!state.unread.empty()) throw Immovable(state.unread.front());
  if (!options.is_light) state.variables = pool_.shared(std::move(state.variables));
  seen_ = std::move(state);
  is_read_ = is_heard_ = true;
  has_lost_variables_ = false;
}

// --- as it begins --------------------------------------------------------------------------------------------------

asio::awaitable<void> Standby::begin(Deadline deadline) {
  if (seen_) co_return;
  std::vector<routing::Step> steps;
  if (const auto trackers = backend_->trackers_statement()) steps.push_back({.statement = *trackers, .object = "session_track_state_change"});
  auto known = fresh_states_.find(key_, &backend_->facts());
  if (known) {
    co_await run_steps(steps, deadline);
    seen_ = std::move(known);
    co_return;
  }
  auto statements = statements_of(steps);
  const routing::PullOptions options;
  const auto reading = routing::pull_statements(backend_->facts(), options);
  statements.insert(statements.end(), reading.begin(), reading.end());
  const auto results = co_await backend_->run(statements, deadline);
  co_await settle_refused(steps, results, deadline);
  const auto read = std::span<const routing::Result>(results).subspan(steps.size());
  co_await read_back(options, read, deadline);
  fresh_states_.put(key_, backend_->shared_facts(), *seen_);
}

// --- statements ----------------------------------------------------------------------------------------------------

bool Standby::has_alike_variables(const Likeness& like) const {
  return alike_ && seen_ && alike_->first.shares_with(like.state.variables) && alike_->second.shares_with(seen_->variables);
}

// Whether what is prepared now is prepared in that.
bool Standby::is_in(const routing::PrepareContext& context, const Likeness& like) const {
  if (has_lost_variables_) return false;
  const auto there = context.schema ? std::optional(like.options.names.schema(*context.schema)) : std::nullopt;
  if (there != seen_->schema) return false;
  if (has_alike_variables(like)) return context == routing::context_of(like.state);
  auto found = routing::context_of(*seen_);
  found.schema = context.schema;
  return like.from->flavour == backend_->facts().flavour && context == found;
}

void Standby::forget_context() {
  seen_ = routing::after_context(std::move(*seen_));
  has_lost_variables_ = true;
  alike_.reset();
}

asio::awaitable<void> Standby::prepare(const Likeness& like, Deadline deadline) {
  co_await begin(deadline);
  close_gone(like.statements);
  std::map<ContextId, std::vector<std::uint32_t>> groups;
  for (const auto& [id, statement] : like.statements.all()) {
    if (statement.is_kept && !prepared_.contains(id)) groups[statement.context].push_back(id);
  }
  for (auto& [context, ids] : groups) {
    std::sort(ids.begin(), ids.end());
    co_await prepare_group(like, context, ids, deadline);
  }
}

// The client's statements, each prepared again in what it was prepared in.
asio::awaitable<void> Standby::prepare_group(const Likeness& like, ContextId context, const std::vector<std::uint32_t>& ids, Deadline deadline) {
  if (context < like.contexts.size() && !is_in(like.contexts[context], like)) {
    const auto plan = routing::plan_context(like.contexts[context], *like.from, backend_->facts(), like.options);
    forget_context();
    co_await run_plan(plan, deadline);
    seen_->schema = like.contexts[context].schema ? std::optional(like.options.names.schema(*like.contexts[context].schema)) : std::nullopt;
  }
  std::vector<std::uint32_t> left;  // the client may have closed some since
  std::vector<std::string> texts;
  for (const auto id : ids) {
    const Statement* statement = like.statements.find(id);
    if (statement == nullptr) continue;
    left.push_back(id);
    texts.push_back(statement->sql);
  }
  const auto prepared = co_await backend_->prepare(texts, deadline);
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (prepared[i].error) throw Immovable({"statement_not_preparable", texts[i].substr(0, 80), fmt::format("{} {}", prepared[i].error->number, prepared[i].error->text)});
    prepared_[left[i]] = {prepared[i].id, prepared[i].definitions};
  }
}

void Standby::close_gone(Statements& statements) {
  for (auto it = prepared_.begin(); it != prepared_.end();) {
    const bool is_gone = statements.find(it->first) == nullptr;
    if (is_gone) backend_->close_statement(it->second.id);
    it = is_gone ? prepared_.erase(it) : std::next(it);
  }
}

asio::awaitable<void> Standby::prepare_texts(const Likeness& like, Deadline deadline) {
  if (texts_ == like.text_statements) co_return;
  if (texts_ && !texts_->empty()) throw Immovable({"state_differs", "text_prepared_statement", "others were prepared since"});
  if (!like.text_statements.empty()) {
    const auto plan = routing::plan_text_statements(like.text_statements, *like.from, backend_->facts(), like.options);
    forget_context();
    co_await run_plan(plan, deadline);
  }
  texts_ = like.text_statements;
}

// --- the rest ------------------------------------------------------------------------------------------------------

// What is still to be set. Variables that were alike, and are the same on both sides, are not looked at again: there are hundreds.
routing::Replay Standby::plan_of(const Likeness& like, routing::SessionState& wanted, routing::SessionState& seen) {
  const auto plan = [&](bool has_variables) {
    wanted = like.state;
    seen = *seen_;
    if (!has_variables) wanted.variables = seen.variables = {};
    return routing::plan_replay(wanted, seen, *like.from, backend_->facts(), like.options);
  };
  auto replay = plan(!has_alike_variables(like));
  if (has_alike_variables(like) && sets_variables(replay.steps)) replay = plan(true);  // names that want a character set of their own
  std::erase_if(replay.steps, is_one_shot);
  return replay;
}

asio::awaitable<void> Standby::settle(const Likeness& like, Deadline deadline) {
  routing::SessionState wanted;
  routing::SessionState seen;
  while (true) {
    const auto plan = plan_of(like, wanted, seen);
    if (!plan.refusals.empty()) throw Immovable(plan.refusals.front());
    if (plan.steps.empty() && is_read_ && !has_lost_variables_) break;
    const bool was_read = is_read_;
    co_await run_and_read(plan.steps, like, deadline);
    if (!was_read) continue;  // it may have begun as another than was taken for granted
    plan_of(like, wanted, seen);
    break;
  }
  seen.wire.transaction_characteristics = wanted.wire.transaction_characteristics;
  const auto differences = routing::compare(wanted, seen, *like.from, backend_->facts(), like.options);
  if (!differences.empty()) {
    const auto& difference = differences.front();
    throw Immovable({"state_differs", difference.object, fmt::format("{} there, {} here", difference.found, difference.wanted)});
  }
  alike_ = {like.state.variables, seen_->variables};
}

// As the client has set them, the proxy's own use of them included.
asio::awaitable<void> Standby::restore_tracking(const Likeness& like, Deadline deadline) {
  std::vector<routing::Step> steps;
  for (const auto& [name, value] : like.state.variables) {
    if (!name.starts_with("session_track_") || !backend_->facts().variables.contains(name)) continue;
    steps.push_back({.statement = fmt::format("SET {} = {}", name, sql::quote_string(value)), .object = name});
  }
  co_await run_steps(steps, deadline);
}

asio::awaitable<void> Standby::follow(const Likeness& like, Deadline deadline) {
  const auto& to = backend_->facts();
  // Between different servers a value that was set here, and that the session has given up since, would not be taken back.
  const bool is_one_kind = like.from->flavour == to.flavour && like.from->version == to.version;
  if (alike_ && !is_one_kind && !(alike_->first == like.state.variables)) throw Immovable({"state_differs", "variables", "they were changed since"});
  co_await prepare(like, deadline);
  co_await prepare_texts(like, deadline);
  co_await settle(like, deadline);
  if (like.owns_tracking) co_await restore_tracking(like, deadline);
  if (like.has_multi_statements == has_multi_statements_) co_return;
  co_await backend_->set_multi_statements(like.has_multi_statements, deadline);
  has_multi_statements_ = like.has_multi_statements;
}

// A server that has gone since is found out here, at the latest.
asio::awaitable<void> Standby::complete(const Likeness& like, bool has_changed, Deadline deadline) {
  constexpr std::uint16_t kLasting = wire::status::autocommit | wire::status::no_backslash_escapes | wire::status::in_transaction;
  is_heard_ = false;
  if (has_changed) co_await follow(like, deadline);
  if (!is_heard_) co_await backend_->ping(deadline);
  const auto status = backend_->status();
  if ((status & kLasting) != (like.status & kLasting)) throw Immovable({"state_differs", "status", fmt::format("{:#x} there, {:#x} here", status, like.status)});
  const auto last = routing::one_shot_steps(like.state);
  if (!last.empty()) co_await run_steps(last, deadline);
}

}  // namespace godwit::proxy
