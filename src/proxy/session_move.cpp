// A session to the other side and back. Order: it stands still, with nothing under way (hold) → what it is made of is read from its server (pull) → a
// connection of the same account to the other side is made the same, read again and compared (rebuild) → the client's next statement goes there (adopt).
// Until adopt() nothing of the session has changed, and until release() the old connection is kept as it was: going back costs nothing (I9).
#include <fmt/format.h>

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <set>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "session.h"
#include "worker.h"

namespace godwit::proxy {
namespace {

constexpr std::chrono::seconds kConversation{10};
constexpr std::uint8_t kUtf8mb4 = 45;  // a collation every server knows; the session's own follows by SET

Deadline soon() { return std::chrono::steady_clock::now() + kConversation; }

}  // namespace

std::string_view to_string(Hold hold) {
  switch (hold) {
    case Hold::none:
      return "served";
    case Hold::settling:
      return "settling";
    case Hold::held:
      return "held";
    case Hold::refused:
      return "immovable";
  }
  return "";
}

void Session::take() { is_exclusive_ = true; }

void Session::hand_back() {
  is_exclusive_ = false;
  if (has_ended_) return;
  if (server_->channel().has_ended()) return on_server_end();
  if (client_->has_ended()) return on_client_end();
  if (!server_->channel().input().is_empty()) relay_responses();
  if (!has_ended_ && !is_exclusive_) relay_requests();
}

bool Session::is_at_safe_point() const {
  return is_served_ && !has_ended_ && !is_exclusive_ && responses_.is_empty() && responses_.is_between_packets() && requests_.is_between() && !must_go_on();
}

// In its own hands, from the next turn of the loop on; an error ends the session, unless it is over already.
void Session::in_own_hands(std::function<asio::awaitable<void>()> deed) {
  flush_requests();
  take();
  asio::co_spawn(
      client_->executor(),
      [self = shared_from_this(), deed = std::move(deed)]() -> asio::awaitable<void> {
        co_await asio::post(asio::use_awaitable);
        try {
          co_await deed();
        } catch (const std::exception& error) {
          if (!self->has_ended_) self->end(error.what());
        } catch (...) {  // the client was told
          self->end("refused");
        }
      },
      asio::detached);
}

// What statements are prepared in, before the first that is prepared since it may have changed.
Session::Begin Session::begin_context() {
  if (!responses_.is_empty()) return Begin::waits;
  in_own_hands([this]() -> asio::awaitable<void> {
    const std::string question = "SELECT DATABASE(), @@sql_mode, @@character_set_client, @@character_set_connection, @@collation_connection";
    const auto results = co_await server_->run({&question, 1}, soon());
    const auto& result = results[0];
    if (!result.is_error() && result.rows.size() == 1) {
      const auto& row = result.rows.rows[0];
      routing::PrepareContext context{row[0], row[1].value_or(""), row[2].value_or(""), row[3].value_or(""), row[4].value_or("")};
      const auto found = std::find(contexts_.begin(), contexts_.end(), context);
      context_id_ = static_cast<ContextId>(found - contexts_.begin());
      if (found == contexts_.end()) contexts_.push_back(std::move(context));
    } else if (contexts_.empty()) {
      contexts_.emplace_back();
    }
    is_context_known_ = true;
    hand_back();
  });
  return Begin::waits;
}

// The server has forgotten all that the session was.
void Session::forget_state() {
  statements_.clear();
  text_statements_.clear();
  user_locks_.clear();
  wire_ = {};
  has_savepoint_ = has_prepared_xa_ = false;
  is_context_known_ = is_one_shot_unknown_ = false;
  has_changed_variables_ = true;
  state_.reset();
  collations_before_.clear();
  diagnostics_.reset();
  owns_tracking_ = owns_state_change_ = owns_transaction_info_ = false;
}

void Session::begin_reset() {
  forget_state();
  in_own_hands([this]() -> asio::awaitable<void> {
    co_await server_->set_trackers(soon());
    hand_back();
  });
}

// --- the gate ------------------------------------------------------------------------------------------------------

// After an error nobody has said whether a transaction is still open, nor what it has used up: a deadlock ends one without a word.
asio::awaitable<void> Session::ask_status() {
  if (is_status_known_) co_return;
  see_status(co_await server_->ping(soon()));
  auto& text = wire_.transaction_characteristics;
  if ((status_ & wire::status::in_transaction) != 0 || text.empty() || text.starts_with("XA ")) co_return;
  if (text.find("START TRANSACTION") != std::string::npos) {
    text.clear();
  } else {
    is_one_shot_unknown_ = true;
  }
}

void Session::hold() {
  if (hold_ == Hold::held || hold_ == Hold::settling || !is_at_safe_point()) return;
  if (hold_ == Hold::refused && !was_changed_) return;  // asked again, it would say the same
  hold_ = Hold::settling;
  in_own_hands([this]() -> asio::awaitable<void> {
    co_await ask_status();
    if (!context_.gate.is_closed() || must_go_on()) {
      hold_ = Hold::none;
      hand_back();
      co_return;
    }
    hold_ = Hold::held;
    held_since_ = std::chrono::steady_clock::now();
    worker_.on_settled();
  });
}

void Session::release() {
  if (previous_) settle_move();
  const bool was_held = hold_ == Hold::held;
  hold_ = Hold::none;
  if (!was_held) return;
  const auto held = std::chrono::steady_clock::now() - held_since_;
  worker_.note_hold(*this, held);
  hand_back();
}

routing::ReplayOptions Session::replay_options() const {
  auto options = context_.replay_options;
  options.collations_before = collations_before_;
  return options;
}

// It stays there. What was read of it is in its old server's words.
void Session::settle_move() {
  collations_before_ = routing::collations_before(*state_, previous_->facts(), server_->facts(), replay_options());
  previous_->quit();
  previous_.reset();
  ++moves_;
  state_.reset();
  was_changed_ = has_changed_variables_ = true;
}

void Session::refuse_move(std::vector<routing::Refusal> refusals) {
  refusals_ = std::move(refusals);
  ++context_.stats.moves_failed;
}

// It goes on, and is asked again when it has done something.
void Session::let_go_on() {
  if (hold_ != Hold::held) return;
  hold_ = Hold::refused;
  hand_back();
}

// --- what it is made of --------------------------------------------------------------------------------------------

asio::awaitable<void> Session::pull(const Census& census, Deadline deadline) {
  is_refused_there_ = false;
  const auto& facts = server_->facts();
  if (state_ && !was_changed_) {  // what a MOVE met with on the other side may be mended by now
    refusals_ = routing::refusals(*context_.upstream(server_->side()).facts.get(), *state_);
    add_refusals(census);
    co_return;
  }
  wire_.is_in_transaction = (status_ & wire::status::in_transaction) != 0;
  wire_.text_prepares = text_statements_.prepares();
  wire_.text_deallocates = text_statements_.deallocates();
  routing::PullOptions options;
  // Where the client has taken the trackers over, or there are none, nothing says that variables are as they were.
  options.is_light = state_.has_value() && !has_changed_variables_ && !owns_tracking_ && (server_->capabilities() & wire::cap::session_track) != 0;
  if (const auto found = census.user_variables.find(server_->id()); found != census.user_variables.end()) options.user_variables = found->second;
  const auto statements = routing::pull_statements(facts, options);
  const auto results = co_await server_->run(statements, deadline);
  auto state = routing::read_state(facts, options, wire_, results);
  if (options.is_light) state = routing::merge(facts, *state_, std::move(state));
  const auto more = routing::follow_up_statements(facts, state);
  if (!more.empty()) {
    const auto followed = co_await server_->run(more, deadline);
    routing::read_follow_up(facts, followed, state);
  }
  state_ = std::move(state);
  // The pull has wiped them out on the server; what an earlier one has kept is what the client's last statement left.
  if (!diagnostics_) diagnostics_ = state_->diagnostics;
  state_->diagnostics = *diagnostics_;
  was_changed_ = has_changed_variables_ = false;
  refusals_ = routing::refusals(*context_.upstream(server_->side()).facts.get(), *state_);  // as it is now: a routine may be newer than the session
  add_refusals(census);
}

bool Session::may_own_locks(const Census& census) const {
  return wire_.may_hold_user_lock || !wire_.user_lock_names.empty() || wire_.holds_global_read_lock || census.locks.contains(server_->id());
}

// What only the wire, or an admin's view of the server, shows.
void Session::add_refusals(const Census& census) {
  const auto add = [&](std::string reason, std::string object, std::string detail) { refusals_.push_back({std::move(reason), std::move(object), std::move(detail)}); };
  if (statements_.has_open_cursor()) add("open_cursor", "", "a prepared statement's cursor is open");
  if (statements_.has_long_data()) add("long_data", "", "a parameter was sent in parts, and its statement not executed yet");
  if (statements_.is_too_large()) add("prepared_statements_too_large", "", fmt::format("one of over 1 MiB, or {} MiB in all", Statements::kTextBytesMax >> 20));
  if (is_one_shot_unknown_) add("one_shot_transaction", "SET TRANSACTION", "whether the next transaction is still to be so is not known: begin and end one");
  // MySQL lets the session go when it has prepared one, and any session of that server may end it: but not one of another server.
  if (has_prepared_xa_ && census.prepared_xa > 0) add("xa", "", "a distributed transaction was prepared, and ends where it began");
  const auto id = server_->id();
  if (const auto found = census.locks.find(id); found != census.locks.end()) {
    for (const auto& lock : found->second) add(lock.reason, lock.object, "");
  }
  if (const auto found = census.temporary_tables.find(id); found != census.temporary_tables.end() && found->second > 0) {
    add("temporary_table", "", fmt::format("{} of them", found->second));
  }
  if (const auto found = census.named_statements.find(id); found != census.named_statements.end()) text_statements_.complete(found->second);
  if (!context_.vault.find(account_, other(server_->side()))) add("no_secret", account_, "nothing is known by which the account could log in on the other side: SHOW ACCOUNTS");
}

// --- the other side ------------------------------------------------------------------------------------------------

wire::Login Session::login_for(db::Side side) const {
  wire::Login login = login_;
  login.capabilities = client_capabilities_ & ~wire::cap::connect_with_db;  // the schema is part of its state, and may have another name there
  login.schema.clear();
  if (!context_.has_one_flavour()) login.charset = kUtf8mb4;
  if (has_drifted_) login.capabilities &= ~wire::cap::cache_metadata;
  static_cast<void>(side);
  return login;
}

asio::awaitable<std::shared_ptr<Backend>> Session::open_standby(db::Side side, Deadline deadline) {
  auto credential = context_.vault.find(account_, side);
  if (!credential) credential = co_await credential_on(side);
  if (!credential) {
    throw Error(Code::login_unprovable, {.object = account_, .cause = "no secret of the account is known", .remedy = "SHOW ACCOUNTS on the proxy says what can be done"});
  }
  auto backend = co_await Backend::connect(client_->executor(), context_.upstream(side), address_, deadline);
  try {
    co_await backend->log_in(with_session_track(login_for(side), *backend), *credential, deadline);
  } catch (const Error& error) {
    if (error.code() == Code::access_denied) context_.vault.note(account_, error.cause());
    backend->channel().close();
    throw;
  }
  context_.vault.note_proof(account_, side);
  co_return backend;
}

asio::awaitable<void> Session::warm(db::Side side, Deadline deadline) {
  const auto self = shared_from_this();
  if (standby_ && standby_->side() == side && !standby_->channel().has_ended()) co_return;
  auto standby = co_await open_standby(side, deadline);
  if (has_ended_) {
    standby->quit();
    co_return;
  }
  standby_ = std::move(standby);
}

namespace {

Error immovable(const std::string& who, const routing::Refusal& refusal) {
  return Error(Code::session_immovable,
               {.object = who, .cause = fmt::format("{}{}{}{}{}", refusal.reason, refusal.object.empty() ? "" : " ", refusal.object, refusal.detail.empty() ? "" : ": ", refusal.detail),
                .remedy = "docs/session-state.md says what each reason means"});
}

}  // namespace

// Runs the steps at once; what the server refuses is done piecemeal, left out where it was never the client's, or ends the attempt.
asio::awaitable<void> Session::run_steps(Backend& backend, const routing::Replay& plan, Deadline deadline) {
  if (!plan.refusals.empty()) {
    refusals_ = plan.refusals;
    throw immovable(account_, plan.refusals.front());
  }
  std::vector<std::string> statements;
  for (const auto& step : plan.steps) statements.push_back(step.statement);
  const auto results = co_await backend.run(statements, deadline);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i].is_error()) continue;
    const auto& step = plan.steps[i];
    if (!step.instead.empty()) {
      const routing::Replay piecemeal{.steps = step.instead, .refusals = {}};
      co_await run_steps(backend, piecemeal, deadline);
      continue;
    }
    if (step.is_optional) continue;
    const routing::Refusal refusal{"target_refuses", step.object, fmt::format("{} {}", results[i].server_errno, results[i].error)};
    refusals_ = {refusal};
    throw immovable(account_, refusal);
  }
}

// The client's statements, each prepared again in what it was prepared in.
asio::awaitable<bool> Session::rebuild_statements(Backend& backend, const routing::PrepareContext& fresh, Deadline deadline) {
  const auto& from = server_->facts();
  const auto& to = backend.facts();
  const auto options = replay_options();
  std::map<ContextId, std::vector<std::uint32_t>> groups;
  for (const auto& [id, statement] : statements_.all()) groups[statement.context].push_back(id);
  bool has_changed_context = false;
  for (auto& [context, ids] : groups) {
    std::sort(ids.begin(), ids.end());
    if (context < contexts_.size() && (!context_.has_one_flavour() || has_changed_context || contexts_[context] != fresh)) {
      const auto plan = routing::plan_context(contexts_[context], from, to, options);
      co_await run_steps(backend, plan, deadline);
      has_changed_context = true;
    }
    std::vector<std::string> texts;
    for (const auto id : ids) texts.push_back(statements_.find(id)->sql);
    const auto prepared = co_await backend.prepare(texts, deadline);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (prepared[i].error) {
        const routing::Refusal refusal{"statement_not_preparable", texts[i].substr(0, 80), fmt::format("{} {}", prepared[i].error->number, prepared[i].error->text)};
        refusals_ = {refusal};
        throw immovable(account_, refusal);
      }
      Statement& statement = *statements_.find(ids[i]);
      statement.next_id = prepared[i].id;
      if (prepared[i].definitions != statement.definitions) has_drifted_ = true;
    }
  }
  co_return has_changed_context;
}

// The client has set its trackers itself: they are as it has set them, the proxy's own use of them included.
asio::awaitable<void> Session::restore_tracking(Backend& backend, Deadline deadline) {
  std::vector<std::string> statements;
  for (const auto& [name, value] : state_->variables) {
    if (name.rfind("session_track_", 0) == 0 && backend.facts().variables.contains(name)) statements.push_back(fmt::format("SET {} = {}", name, sql::quote_string(value)));
  }
  const auto results = co_await backend.run(statements, deadline);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].is_error()) {
      refusals_ = {routing::Refusal{"target_refuses", statements[i], results[i].error}};
      throw immovable(account_, refusals_.front());
    }
  }
}

asio::awaitable<void> Session::rebuild(Backend& backend, Deadline deadline) {
  const auto& from = server_->facts();
  const auto& to = backend.facts();
  const auto options = replay_options();
  const auto read = [&]() -> asio::awaitable<routing::SessionState> {
    routing::PullOptions names;
    for (const auto& variable : state_->user_variables) names.user_variables.push_back(variable.name);
    const auto statements = routing::pull_statements(to, names);
    const auto results = co_await backend.run(statements, deadline);
    auto state = routing::read_state(to, names, {}, results);
    const auto more = routing::follow_up_statements(to, state);
    if (!more.empty()) {
      const auto followed = co_await backend.run(more, deadline);
      routing::read_follow_up(to, followed, state);
    }
    co_return state;
  };
  co_await backend.set_trackers(deadline);
  auto fresh = co_await read();
  const bool has_drifted = has_drifted_;
  const auto fresh_context = routing::context_of(fresh);
  const bool has_changed_context = co_await rebuild_statements(backend, fresh_context, deadline);
  if (has_changed_context) fresh = routing::after_context(std::move(fresh));
  if (has_drifted_ && !has_drifted && (backend.capabilities() & wire::cap::cache_metadata) != 0) throw Drifted();
  if (!text_statements_.all().empty()) {
    const auto plan = routing::plan_text_statements(text_statements_.all(), from, to, options);
    co_await run_steps(backend, plan, deadline);
    fresh = routing::after_context(std::move(fresh));
  }
  auto plan = routing::plan_replay(*state_, fresh, from, to, options);
  // A one-shot SET TRANSACTION is used up by what reads the session: after all that, and looked at no more.
  const auto is_one_shot = [](const routing::Step& step) { return step.object == "SET TRANSACTION"; };
  routing::Replay last;
  std::copy_if(plan.steps.begin(), plan.steps.end(), std::back_inserter(last.steps), is_one_shot);
  std::erase_if(plan.steps, is_one_shot);
  co_await run_steps(backend, plan, deadline);
  if (owns_tracking_) co_await restore_tracking(backend, deadline);
  const bool has_option = (client_capabilities_ & wire::cap::multi_statements) != 0;
  if (has_option != has_multi_statements_) co_await backend.set_multi_statements(has_multi_statements_, deadline);
  auto rebuilt = co_await read();
  rebuilt.wire.transaction_characteristics = state_->wire.transaction_characteristics;
  const auto differences = routing::compare(*state_, rebuilt, from, to, options);
  if (!differences.empty()) {
    const auto& difference = differences.front();
    const routing::Refusal refusal{"state_differs", difference.object, fmt::format("{} there, {} here", difference.found, difference.wanted)};
    refusals_ = {refusal};
    throw immovable(account_, refusal);
  }
  constexpr std::uint16_t kLasting = wire::status::autocommit | wire::status::no_backslash_escapes | wire::status::in_transaction;
  const auto status = co_await backend.ping(deadline);
  if ((status & kLasting) != (status_ & kLasting)) {
    const routing::Refusal refusal{"state_differs", "status", fmt::format("{:#x} there, {:#x} here", status, status_)};
    refusals_ = {refusal};
    throw immovable(account_, refusal);
  }
  co_await run_steps(backend, last, deadline);
}

asio::awaitable<void> Session::move(db::Side side, Deadline deadline) {
  const auto self = shared_from_this();
  if (std::exchange(is_refused_there_, false)) refusals_.clear();
  if (!refusals_.empty()) throw immovable(account_, refusals_.front());
  if (!state_) throw Error(Code::gate_refused, {.object = account_, .cause = "its state was not read", .remedy = "PAUSE, then MOVE"});
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto backend = std::exchange(standby_, nullptr);
    if (!backend || backend->side() != side || backend->channel().has_ended()) backend = co_await open_standby(side, deadline);
    try {
      co_await rebuild(*backend, deadline);
    } catch (const Drifted&) {  // the client keeps the old definitions: on a connection that always sends them it need not
      backend->quit();
      continue;
    } catch (const std::exception&) {
      is_refused_there_ = true;
      backend->quit();
      throw;
    }
    if (has_ended_) {
      backend->quit();
      co_return;
    }
    adopt(std::move(backend));
    co_return;
  }
}

// A login that was begun before the gate was closed ends after it: nobody has counted it, and the side it has logged in to may serve no more. From here to
// serve() nothing is waited for.
asio::awaitable<void> Session::follow_gate() {
  while (true) {
    co_await worker_.until_open(*this);
    const auto serving = context_.gate.serving();
    if (has_ended_ || server_->side() == serving) co_return;
    const auto census = co_await worker_.steward().census(server_->side());
    co_await pull(*census, soon());
    co_await move(serving, soon());
    if (previous_) settle_move();
  }
}

void Session::adopt(std::shared_ptr<Backend> backend) {
  for (auto& [id, statement] : statements_.all()) {
    statement.previous_id = std::exchange(statement.server_id, statement.next_id);
    statement.previous_lacks_types = std::exchange(statement.lacks_types, true);
  }
  previous_ = std::exchange(server_, std::move(backend));
  // If it ends now, nobody is interested; on the way back it is looked at.
  previous_->channel().on_input = previous_->channel().on_end = previous_->channel().on_drained = nullptr;
  attach();
  ++context_.stats.moves;
}

void Session::move_back() {
  if (!previous_) return;
  for (auto& [id, statement] : statements_.all()) {
    statement.server_id = statement.previous_id;
    statement.lacks_types = statement.previous_lacks_types;
  }
  server_->quit();
  server_ = std::exchange(previous_, nullptr);
  attach();
}

// The relay's view of its server.
void Session::attach() {
  responses_.reset();
  responses_.set_capabilities(server_->capabilities());
  tells_of_transactions_ = server_->tells_of_transactions();
  adds_metadata_flag_ = (client_capabilities_ & wire::cap::cache_metadata) != 0 && (server_->capabilities() & wire::cap::cache_metadata) == 0;
  Channel& channel = server_->channel();
  channel.on_input = [this] { attempt(&Session::on_server_input); };
  channel.on_end = [this] { attempt(&Session::on_server_end); };
  channel.on_drained = [this] { attempt(&Session::settle_flow); };
  context_.registry.move(client_id_, server_->id());
}

// --- each session for itself, at each safe point -------------------------------------------------------------------

void Session::begin_shuttle() {
  in_own_hands([this]() -> asio::awaitable<void> {
    try {
      co_await ask_status();
      if (!must_go_on()) {
        const auto census = co_await worker_.steward().census(server_->side());
        co_await pull(*census, soon());
        if (refusals_.empty()) {
          co_await move(other(server_->side()), soon());
          if (previous_) settle_move();
        } else {
          refuse_move(refusals_);
          log::debug("session {} stays: {} {} {}", client_id_, refusals_[0].reason, refusals_[0].object, refusals_[0].detail);
        }
      }
    } catch (const Error& error) {
      if (has_ended_ || server_->channel().has_ended()) throw;
      ++context_.stats.moves_failed;
      log::warning("session {} stays: {}", client_id_, error.what());
    }
    was_changed_ = false;
    hand_back();
  });
}

}  // namespace godwit::proxy
