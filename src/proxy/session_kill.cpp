// KILL and COM_PROCESS_KILL, by the number that a client was given. The session that is meant may be on its way to another server, or its statement may wait in the proxy while
// it is: so it is seized first. It stays where it is, and sends nothing on, until its server has answered the KILL, which decides whether the killer may. A statement that has
// waited in the proxy all the while is then answered as its server would have, and is never sent on.
#include <fmt/format.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "seizure.h"
#include "worker.h"

namespace godwit::proxy {
namespace {

constexpr std::chrono::milliseconds kLook{2};
constexpr std::chrono::seconds kSettle{10};           // that a KILL waits for a session that is in the proxy's hands
constexpr std::chrono::seconds kLate{1};              // for so long a statement that was kept waiting may not have begun yet on its server
constexpr std::chrono::milliseconds kInsist{50};
constexpr int kInsistTimes = 5;
constexpr std::uint16_t kInterrupted = 1317;
constexpr const char* kInterruptedText = "Query execution was interrupted";

asio::awaitable<void> sleep_for(asio::any_io_executor executor, std::chrono::milliseconds time) {
  asio::steady_timer timer(executor, time);
  std::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

}  // namespace

// --- the killer ----------------------------------------------------------------------------------------------------

// One statement, and nothing beside it: its answer is one packet.
bool Session::is_kill_alone(std::string_view sql, const routing::Kill& kill) const {
  const auto rest = sql.substr(kill.offset + kill.size);
  return kill.size > 0 && rest.find_first_not_of(" \t\r\n;") == std::string_view::npos && sql.substr(0, kill.offset).find(';') == std::string_view::npos;
}

// Nothing where the request goes on by itself: that session is none of the proxy's, or it is in hand by now.
std::optional<Session::Begin> Session::begin_kill(const Request& request, std::uint32_t id, bool is_query) {
  auto other = context_.registry.session(id);
  if (!seizure_ && (!other || other.get() == this)) return std::nullopt;
  if (!responses_.is_empty()) return Begin::waits;
  if (!seizure_) {
    in_own_hands([this, other = std::move(other), is_query]() -> asio::awaitable<void> {
      is_seizing_ = true;
      co_await seize_other(other, is_query);
      is_seizing_ = false;
      if (seizure_ && seizure_->what.server_id != 0 && seizure_->what.side != server_->side()) co_await kill_there(is_query);
      hand_back();
    });
    return Begin::waits;
  }
  if (!seizure_->was_killed_there) return std::nullopt;
  const bool was_killed = *seizure_->was_killed_there;
  end_kill(!was_killed);
  if (!was_killed) return answer_error(request, 1094, "HY000", fmt::format("Unknown thread id: {}", id));
  return answer(request, wire::write_ok({.status = status_}, (client_capabilities_ & wire::cap::session_track) != 0));
}

// While the gate is closed the one is held, and the other soon: then the KILL is a request like others, and is looked at again when they go on.
asio::awaitable<void> Session::seize_other(std::shared_ptr<Session> other, bool is_query) {
  const auto executor = other->client_->executor();
  auto seizure = std::make_shared<Seizure>(other, executor);
  seizure->is_query = is_query;
  const auto deadline = std::chrono::steady_clock::now() + kSettle;
  auto seize = [seizure]() -> asio::awaitable<void> {
    seizure->session().seize(seizure->what);
    co_return;
  };
  co_await asio::co_spawn(executor, seize, asio::use_awaitable);
  auto look = [seizure]() -> asio::awaitable<bool> { co_return seizure->session().is_settled_for(seizure->what); };
  while (true) {
    const bool is_settled = co_await asio::co_spawn(executor, look, asio::use_awaitable);
    if (is_settled || has_ended_ || std::chrono::steady_clock::now() >= deadline) break;
    if (context_.gate.is_closed() && !must_go_on() && hold_ != Hold::refused) co_return;
    co_await sleep_for(client_->executor(), kLook);
  }
  if (!has_ended_) seizure_ = seizure;
}

// Sessions are on both sides at once with --move-always alone. Who may kill is for a server to say; that an account may end its own needs no asking.
asio::awaitable<void> Session::kill_there(bool is_query) {
  const auto seizure = seizure_;
  seizure->was_killed_there = false;
  if (seizure->what.account != account_) co_return;
  try {
    seizure->was_killed_there = co_await worker_.steward().kill(seizure->what.side, seizure->what.server_id, is_query);
  } catch (const Error& error) {
    log::debug("session {}: KILL on the other side: {}", client_id_, error.what());
  }
}

// Its answer is there.
void Session::end_kill(bool is_error) {
  if (!is_error) seizure_->outcome = seizure_->is_query ? Outcome::interrupted : Outcome::killed;
  seizure_.reset();
}

// --- the one that is meant -------------------------------------------------------------------------------------------

void Session::seize(Seized& seized) {
  ++seizures_;
  seized.account = account_;
  seized.is_waiting = is_served_ && responses_.is_empty() && !client_->input().is_empty();
  if (!responses_.is_empty() && late_request_ == requests_seen_ && std::chrono::steady_clock::now() - late_at_ < kLate) seized.late = requests_seen_;
}

// One that is killing somebody itself is where it stays.
bool Session::is_settled_for(Seized& seized) {
  if (server_) {
    seized.side = server_->side();
    seized.server_id = server_->id();
  }
  seized.is_settled = has_ended_ || !is_served_ || !is_exclusive_ || is_seizing_;
  return seized.is_settled;
}

void Session::let_loose(const Seized& seized, Outcome outcome) {
  --seizures_;
  if (has_ended_ || !is_served_) return;
  if (outcome == Outcome::interrupted) {
    is_interrupted_ = is_interrupted_ || seized.is_waiting;
    if (seized.late && *seized.late == requests_seen_ && !responses_.is_empty()) {
      asio::co_spawn(
          client_->executor(), [self = shared_from_this(), request = *seized.late]() -> asio::awaitable<void> { co_await self->insist(request); }, asio::detached);
    }
  }
  if (seizures_ > 0 || is_exclusive_) return;
  attempt(responses_.is_empty() ? &Session::on_idle : &Session::relay_requests);
}

// It had only just been sent on: its server may have taken the KILL for one of a session that does nothing.
asio::awaitable<void> Session::insist(std::uint64_t request) {
  for (int i = 0; i < kInsistTimes; ++i) {
    co_await sleep_for(client_->executor(), kInsist * (i + 1));
    if (has_ended_ || is_exclusive_ || requests_seen_ != request || responses_.is_empty()) co_return;
    try {
      co_await worker_.steward().kill(server_->side(), server_->id(), true);
    } catch (const Error& error) {
      log::debug("session {}: KILL QUERY: {}", client_id_, error.what());
    }
  }
}

// The statement that was killed before it was sent on. What is asked of it afterwards, its server would not know.
Session::Begin Session::answer_interrupted(const Request& request) {
  const auto begun = answer_error(request, kInterrupted, "70100", kInterruptedText);
  if (begun != Begin::replaced) return begun;
  is_interrupted_ = false;
  seizure_.reset();  // it was a KILL itself
  wire_.row_count = -1;
  diagnostics_ = routing::Diagnostics{.row_count = -1, .warning_count = 1, .error_count = 1, .warnings = {{"Error", std::to_string(kInterrupted), kInterruptedText}}};
  return begun;
}

}  // namespace godwit::proxy
