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
#include "seizure.h"
#include "session.h"
#include "worker.h"

namespace godwit::proxy {
namespace {

constexpr std::chrono::seconds kConversation{10};

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
  if (has_ended_ || is_exclusive_) return;
  const auto requests = requests_seen_;
  const bool has_kept_waiting = !client_->input().is_empty();
  relay_requests();
  if (has_kept_waiting && requests_seen_ != requests) {
    late_request_ = requests_seen_;
    late_at_ = std::chrono::steady_clock::now();
  }
}

bool Session::is_at_safe_point() const {
  return is_served_ && !has_ended_ && !is_exclusive_ && responses_.is_empty() && responses_.is_between_packets() && requests_.is_between() && !must_go_on() && seizures_ == 0 && !seizure_;
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

// The number of a context that statements are prepared in. Those that no statement is of any more make room; with as many in use as there may be there is none,
// and what is prepared then keeps its session where it is.
ContextId Session::number_of(routing::PrepareContext context) {
  const auto found = std::find(contexts_.begin(), contexts_.end(), context);
  if (found != contexts_.end()) return static_cast<ContextId>(found - contexts_.begin());
  if (contexts_.size() < kContextsMax) {
    contexts_.push_back(std::move(context));
    return static_cast<ContextId>(contexts_.size() - 1);
  }
  std::set<ContextId> used;
  for (const auto& [id, statement] : statements_.all()) used.insert(statement.context);
  ContextId free = 0;
  while (used.contains(free)) ++free;
  if (free >= contexts_.size()) return kNoContext;
  contexts_[free] = std::move(context);
  return free;
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
      context_id_ = number_of({row[0], row[1].value_or(""), row[2].value_or(""), row[3].value_or(""), row[4].value_or("")});
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
  drop_standby();
  server_->forget_prepared();
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
  note_waiting();
  in_own_hands([this]() -> asio::awaitable<void> {
    co_await ask_status();
    if (!context_.gate.is_closed() || must_go_on()) {
      hold_ = Hold::none;
      waiting_since_ = {};
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
  const auto since = std::exchange(waiting_since_, {});
  if (!was_held) {
    // It was in the proxy's hands for something else when the gate closed, and handed back before it was to be held: what has come since waits, and nothing else would send it on.
    if (is_served_ && !is_exclusive_ && !has_ended_) attempt(&Session::relay_requests);
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  worker_.note_hold(*this, now - held_since_);
  context_.hold_figures.note(since == Deadline{} ? HoldFigures::Duration::zero() : now - since);
  hand_back();
}

// It stays there. What was read of it is in its old server's words.
void Session::settle_move() {
  collations_before_ = routing::collations_before(*state_, previous_->facts(), server_->facts(), replay_options());
  worker_.end_later(std::move(previous_));
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
  waiting_since_ = {};
  hand_back();
}

// --- what it is made of --------------------------------------------------------------------------------------------

asio::awaitable<routing::SessionState> Session::read_state(routing::PullOptions options, Deadline deadline) {
  const auto& facts = server_->facts();
  const auto statements = routing::pull_statements(facts, options);
  const auto results = co_await server_->run(statements, deadline);
  co_return routing::read_state(facts, options, wire_, results);
}

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
  const bool may_have_changed = has_changed_variables_ || owns_tracking_ || (server_->capabilities() & wire::cap::session_track) == 0;
  options.is_light = state_ && state_->unread.empty();
  options.has_digest = !options.is_light || may_have_changed;
  if (const auto found = census.user_variables.find(server_->id()); found != census.user_variables.end()) options.user_variables = found->second;
  auto state = co_await read_state(options, deadline);
  if (options.is_light && options.has_digest && !routing::has_same_variables(*state_, state)) {
    if (!diagnostics_) diagnostics_ = state.diagnostics;
    options.is_light = false;
    state = co_await read_state(options, deadline);
  }
  if (options.is_light) {
    state = routing::merge(facts, *state_, std::move(state));
  } else {
    state.variables = context_.variables.shared(std::move(state.variables));
  }
  const auto more = routing::follow_up_statements(facts, state);
  if (!more.empty()) {
    const auto followed = co_await server_->run(more, deadline);
    routing::read_follow_up(facts, followed, state);
  }
  state_ = std::move(state);
  // The pull has wiped them out on the server; what an earlier one has kept is what the client's last statement left.
  if (!diagnostics_) diagnostics_ = state_->diagnostics;
  if (std::exchange(diagnostics_->is_of_warnings_alone, false)) {
    diagnostics_->found_rows = state_->diagnostics.found_rows;
    diagnostics_->row_count = state_->diagnostics.row_count;
  }
  state_->diagnostics = *diagnostics_;
  was_changed_ = has_changed_variables_ = false;
  refusals_ = routing::refusals(*context_.upstream(server_->side()).facts.get(), *state_);  // as it is now: a routine may be newer than the session
  add_refusals(census);
}

bool Session::is_covered_by(const Census& census) const { return hold_ == Hold::held && census.begun >= held_since_; }

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
  if (census.sessions && !census.sessions->contains(id)) add("state_unreadable", "session", "its server does not list it: what its user variables are cannot be told");
  if (const auto found = census.locks.find(id); found != census.locks.end()) {
    for (const auto& lock : found->second) add(lock.reason, lock.object, "");
  }
  if (const auto found = census.temporary_tables.find(id); found != census.temporary_tables.end() && found->second > 0) {
    add("temporary_table", "", fmt::format("{} of them", found->second));
  }
  if (const auto found = census.named_statements.find(id); found != census.named_statements.end()) text_statements_.complete(found->second);
  if (!context_.vault.find(account_, other(server_->side()))) add("no_secret", account_, "nothing is known by which the account could log in on the other side: SHOW ACCOUNTS");
}

// --- to the other side, and back -----------------------------------------------------------------------------------

// A login that was begun before the gate was closed ends after it: nobody has counted it, and the side it has logged in to may serve no more. From here to
// serve() nothing is waited for.
asio::awaitable<void> Session::follow_gate() {
  while (true) {
    co_await worker_.until_open(*this, Deadline::max());
    const auto serving = context_.gate.serving();
    if (has_ended_ || server_->side() == serving) co_return;
    const auto census = co_await worker_.steward().census(server_->side());
    co_await pull(*census, soon());
    co_await move(serving, soon());
    if (previous_) settle_move();
  }
}

void Session::adopt(Standby& standby) {
  for (auto& [id, statement] : statements_.all()) {
    statement.previous_id = std::exchange(statement.server_id, standby.prepared(id).value());
    statement.previous_lacks_types = std::exchange(statement.lacks_types, true);
  }
  previous_ = std::exchange(server_, standby.release());
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
  if (server_->channel().has_ended()) return end(server_->channel().end_reason());  // while nobody listened to it
  attach();
}

asio::awaitable<void> Session::bring(db::Side side, Deadline deadline) {
  const auto self = shared_from_this();
  if (server_->side() == side) co_return;
  if (previous_ && previous_->side() == side) {
    move_back();
    co_return;
  }
  // What was read of it would be of the past.
  if (hold_ != Hold::held) throw Error(Code::gate_refused, {.object = account_, .cause = "it is not held", .remedy = "PAUSE, then MOVE"});
  co_await move(side, deadline);
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
