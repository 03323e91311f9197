// What a session is made of on the other side: a connection of its account that becomes like it, before the gate is closed as far as that goes (warm), and
// the rest of it while the session is held (move).
#include <fmt/format.h>

#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include "godwit/util/error.h"
#include "seizure.h"
#include "session.h"
#include "worker.h"

namespace godwit::proxy {
namespace {

constexpr std::uint8_t kUtf8mb4 = 45;  // a collation every server knows; the session's own follows by SET
constexpr std::chrono::milliseconds kSafePointWait{500};  // of a session that is warmed; busier ones are read when they are held
constexpr std::chrono::milliseconds kSafePointLook{10};   // of that, with a turn taken: others want it, too
constexpr std::chrono::milliseconds kRestMax{5};          // after a turn: what takes longer waits for a server far away, and keeps nobody from a processor
constexpr std::chrono::seconds kConversation{10};

Error immovable(const std::string& who, const routing::Refusal& refusal) {
  return Error(Code::session_immovable,
               {.object = who, .cause = fmt::format("{}{}{}{}{}", refusal.reason, refusal.object.empty() ? "" : " ", refusal.object, refusal.detail.empty() ? "" : ": ", refusal.detail),
                .remedy = "docs/session-state.md says what each reason means"});
}

}  // namespace

wire::Login Session::login_for_standby() const {
  wire::Login login = login_;
  login.capabilities = client_capabilities_ & ~wire::cap::connect_with_db;  // the schema is part of its state, and may have another name there
  login.schema.clear();
  if (!context_.has_one_flavour()) login.charset = kUtf8mb4;
  if (has_drifted_) login.capabilities &= ~wire::cap::cache_metadata;
  return login;
}

asio::awaitable<std::shared_ptr<Standby>> Session::open_standby(db::Side side, Deadline deadline) {
  auto credential = context_.vault.find(account_, side);
  if (!credential || context_.vault.has_failed(account_)) credential = co_await credential_on(side);
  if (!credential) {
    throw Error(Code::login_unprovable, {.object = account_, .cause = "no secret of the account is known", .remedy = "SHOW ACCOUNTS on the proxy says what can be done"});
  }
  auto backend = co_await Backend::connect(client_->executor(), context_.upstream(side), address_, deadline);
  const auto login = login_for_standby();
  try {
    co_await backend->log_in(with_session_track(login, *backend), *credential, deadline);
  } catch (const Error& error) {
    if (error.code() == Code::access_denied) {
      context_.vault.note_failure(account_, error.cause());
      context_.vault.drop_delegated(account_, side);
    }
    backend->channel().close();
    throw;
  }
  context_.vault.note_proof(account_, side);
  const bool has_multi_statements = (client_capabilities_ & wire::cap::multi_statements) != 0;
  auto key = fmt::format("{} {} {}", db::to_string(side), login.charset, account_);
  co_return std::make_shared<Standby>(std::move(backend), std::move(key), context_.fresh_states, context_.variables, has_multi_statements);
}

routing::ReplayOptions Session::replay_options() const {
  auto options = context_.replay_options;
  options.collations_before = collations_before_;
  return options;
}

Likeness Session::likeness() {
  return {.state = state_.value_or(routing::SessionState{}),
          .statements = statements_,
          .contexts = contexts_,
          .text_statements = text_statements_.all(),
          .from = server_->shared_facts(),
          .options = replay_options(),
          .status = status_,
          .has_multi_statements = has_multi_statements_,
          .owns_tracking = owns_tracking_};
}

void Session::drop_standby() {
  if (standby_) standby_->quit();
  standby_.reset();
  warmed_at_.reset();
}

// One that has the session's statements prepared.
asio::awaitable<std::shared_ptr<Standby>> Session::ready_standby(db::Side side, Deadline deadline) {
  if (standby_ && !standby_->is_alive_at(side)) drop_standby();
  while (true) {
    auto standby = standby_;
    if (!standby) standby = co_await open_standby(side, deadline);
    standby_ = standby;
    const auto like = likeness();
    co_await standby->prepare(like, deadline);
    const bool keeps_definitions = (standby->backend().capabilities() & wire::cap::cache_metadata) != 0;
    if (!keeps_definitions || !standby->has_drifted(statements_)) co_return standby;
    has_drifted_ = true;  // the client keeps the old definitions: on a connection that always sends them it need not
    drop_standby();
  }
}

// --- before the gate is closed -------------------------------------------------------------------------------------

// True with the session in the proxy's hands; false where it has come to no safe point within a while.
asio::awaitable<bool> Session::take_at_safe_point(Deadline deadline) {
  if (has_ended_) co_return false;
  if (!is_at_safe_point()) {
    asio::steady_timer timer(client_->executor(), deadline);
    safe_point_ = &timer;
    std::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    const bool is_taken = safe_point_ == nullptr;
    safe_point_ = nullptr;
    co_return is_taken && !has_ended_;
  }
  take();
  co_return true;
}

asio::awaitable<void> Session::wait_for(std::chrono::steady_clock::duration time) {
  asio::steady_timer timer(client_->executor(), time);
  std::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

// All sessions are warmed while their clients work: what is done for one of them is done in turns, and after each the servers, and the clients, have as long
// for themselves.
asio::awaitable<void> Session::rest_since(Deadline began) {
  const auto took = std::chrono::steady_clock::now() - began;
  co_await wait_for(std::min<std::chrono::steady_clock::duration>(took, kRestMax));
}

// Somebody waits for it, and the session is there.
bool Session::give_at_safe_point() {
  if (safe_point_ == nullptr || !is_at_safe_point()) return false;
  take();
  std::exchange(safe_point_, nullptr)->cancel();
  return true;
}

// Reads the session between two of its statements. True where nothing can have changed in it since its census.
asio::awaitable<bool> Session::pull_between(Deadline since) {
  const bool was_idle = is_at_safe_point();
  const auto requests = requests_seen_;
  const auto census = co_await worker_.steward().census_since(server_->side(), since);
  const auto end = std::chrono::steady_clock::now() + kSafePointWait;
  auto& turns = worker_.warm_turns();
  while (true) {
    co_await turns.take(client_->executor());
    {
      const Turns::Taken turn(turns);
      const auto began = std::chrono::steady_clock::now();
      const bool is_taken = co_await take_at_safe_point(began + kSafePointLook);
      if (is_taken) {
        const bool is_covered = was_idle && requests == requests_seen_;
        const bool is_read = co_await pull_taken(*census, is_covered);
        if (is_covered && is_read) warmed_at_ = requests;
        co_await rest_since(began);
        co_return is_read;
      }
    }
    if (has_ended_ || std::chrono::steady_clock::now() >= end) co_return false;
    co_await wait_for(kSafePointLook);
  }
}

// In the proxy's hands, which are given back.
asio::awaitable<bool> Session::pull_taken(const Census& census, bool is_covered) {
  std::exception_ptr failure;
  bool is_read = false;
  try {
    co_await ask_status();
    if (!must_go_on()) {
      was_changed_ = true;
      co_await pull(census, std::chrono::steady_clock::now() + kConversation);
      was_changed_ = !is_covered;
      co_await server_->keep_prepared(server_->facts().digest_statement, std::chrono::steady_clock::now() + kConversation);
      is_read = true;
    }
  } catch (const std::exception& error) {  // what its server has still to say is not for its client
    failure = std::current_exception();
    if (!has_ended_) end(error.what());
  }
  if (failure) std::rethrow_exception(failure);
  hand_back();
  co_return is_read;
}

asio::awaitable<void> Session::make_ready(db::Side side, Deadline deadline) {
  const auto began = std::chrono::steady_clock::now();
  auto& turns = worker_.warm_turns();
  warmed_at_.reset();
  std::shared_ptr<Standby> standby;
  co_await turns.take(client_->executor());
  {
    const Turns::Taken turn(turns);
    const auto taken = std::chrono::steady_clock::now();
    standby = co_await ready_standby(side, deadline);
    co_await rest_since(taken);
  }
  if (has_ended_) co_return;
  const bool is_read = co_await pull_between(began);
  if (!is_read || !refusals_.empty() || standby != standby_) co_return;
  co_await turns.take(client_->executor());
  const Turns::Taken turn(turns);
  const auto taken = std::chrono::steady_clock::now();
  const auto like = likeness();
  co_await standby->follow(like, deadline);
  co_await rest_since(taken);
}

// What takes long: the connection, its statements, and all of its state as it is now. What refuses to be made there is no failure yet: SHOW SESSIONS names it.
asio::awaitable<void> Session::warm(db::Side side, Deadline deadline) {
  const auto self = shared_from_this();
  const bool is_warm = standby_ && standby_->is_alive_at(side) && warmed_at_ == requests_seen_ && refusals_.empty();
  if (side == server_->side() || is_warm) co_return;
  if (std::exchange(is_refused_there_, false)) refusals_.clear();  // it may be mended by now
  std::exception_ptr failure;
  try {
    co_await make_ready(side, deadline);
  } catch (const Immovable& error) {
    refusals_ = {error.refusal};
    is_refused_there_ = true;
    drop_standby();
  } catch (const std::exception&) {
    failure = std::current_exception();
    drop_standby();
  }
  if (has_ended_) drop_standby();
  if (failure) std::rethrow_exception(failure);
}

// --- while the session is held -------------------------------------------------------------------------------------

// Throws what keeps it here.
asio::awaitable<void> Session::follow_and_adopt(db::Side side, Deadline deadline) {
  const auto warmed_at = std::exchange(warmed_at_, std::nullopt);
  const auto standby = co_await ready_standby(side, deadline);
  const auto like = likeness();
  const bool has_changed = warmed_at != requests_seen_ || !standby->has_texts(like.text_statements);
  co_await standby->complete(like, has_changed, deadline);
  standby_.reset();
  if (has_ended_) {
    standby->quit();
  } else {
    adopt(*standby);
  }
}

// By the connection that was made for it before; where that cannot be made to follow, or is gone, by a new one.
asio::awaitable<void> Session::move(db::Side side, Deadline deadline) {
  const auto self = shared_from_this();
  if (std::exchange(is_refused_there_, false)) refusals_.clear();
  if (!refusals_.empty()) throw immovable(account_, refusals_.front());
  if (!state_) throw Error(Code::gate_refused, {.object = account_, .cause = "its state was not read", .remedy = "PAUSE, then MOVE"});
  while (true) {
    const bool was_warm = standby_ != nullptr;
    std::exception_ptr failure;
    try {
      co_await follow_and_adopt(side, deadline);
      co_return;
    } catch (const Immovable& error) {
      if (!was_warm) refusals_ = {error.refusal};
      failure = std::make_exception_ptr(immovable(account_, error.refusal));
    } catch (const std::exception&) {
      failure = std::current_exception();
    }
    drop_standby();
    if (was_warm && !has_ended_) continue;
    is_refused_there_ = true;
    std::rethrow_exception(failure);
  }
}

}  // namespace godwit::proxy
