#include "worker.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include "client_error.h"
#include "coordinator.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/wire/handshake.h"

namespace godwit::proxy {
namespace {

constexpr std::chrono::seconds kSweep{1};
constexpr std::chrono::milliseconds kEndAfter{500};  // connections that sessions have left: when these have had their first answers
constexpr std::chrono::milliseconds kEndPause{20};
constexpr std::size_t kEndAtOnce = 4;  // at least; all of them within some two seconds
constexpr std::size_t kAtOnce = 64;           // sessions of one worker that are moved, or released, before the loop turns
constexpr std::size_t kAccountsMax = 100'000;  // remembered, by address

}  // namespace

Worker::Worker(Proxy& proxy, Context& context, Steward& steward, std::size_t index)
    : proxy_(proxy), context_(context), steward_(steward), index_(index), poller_(Poller::of(loop_.get_executor())), sweep_(loop_), ending_(loop_) {}

Worker::~Worker() = default;

void Worker::listen(const asio::ip::tcp::endpoint& endpoint) {
  listeners_.emplace_back(loop_.get_executor(), endpoint, [this](int socket) { proxy_.least_loaded(*this).adopt(socket, *this); });
}

void Worker::start() {
  for (auto& listener : listeners_) listener.start();
  asio::co_spawn(loop_, look_after_sessions(), asio::detached);
  thread_ = std::thread([this] { poller_.run(); });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

void Worker::adopt(int socket, const Worker& giver) {
  load_.fetch_add(1, std::memory_order_relaxed);
  if (&giver == this) return welcome(socket);
  asio::post(loop_, [this, socket] { welcome(socket); });
  poller_.ring();
}

namespace {

// The address at one end of a socket. False where the other end is gone.
bool name_of(int socket, int (*ask)(int, sockaddr*, socklen_t*), layer::Peer& name) {
  asio::ip::tcp::endpoint endpoint;
  auto bytes = static_cast<socklen_t>(endpoint.capacity());
  if (ask(socket, endpoint.data(), &bytes) != 0) return false;
  endpoint.resize(bytes);
  auto address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  name = {.address = address.to_string(), .port = endpoint.port()};
  return true;
}

}  // namespace

void Worker::welcome(int socket) {
  layer::Peer peer;
  layer::Peer own;
  if (!name_of(socket, ::getpeername, peer) || !name_of(socket, ::getsockname, own)) {
    load_.fetch_sub(1, std::memory_order_relaxed);
    ::close(socket);
    return;
  }
  ClientAddress client{.host = peer.address, .port = peer.port, .proxy_header = context_.proxy_header_of(peer, own)};
  auto channel = std::make_shared<Channel>(loop_.get_executor(), socket, fmt::format("client {}:{}", client.host, client.port));
  if (context_.stats.connections.fetch_add(1) >= context_.options.limits.clients || is_stopping_) {
    ++context_.stats.refused;
    --context_.stats.connections;
    load_.fetch_sub(1, std::memory_order_relaxed);
    channel->send_packet(error_packet(1040, "08004", "Too many connections to the proxy"));
    return channel->close_when_sent();
  }
  auto session = std::make_shared<Session>(*this, std::move(channel), std::move(client));
  sessions_.insert(session);
  session->start();
}

asio::awaitable<void> Worker::look_after_sessions() {
  while (!is_stopping_) {
    sweep_.expires_after(kSweep);
    std::error_code error;
    co_await sweep_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    const auto now = std::chrono::steady_clock::now();
    const std::vector<std::shared_ptr<Session>> sessions(sessions_.begin(), sessions_.end());
    for (const auto& session : sessions) session->look_after(now);
    if (index_ == 0) kept_memory_.look(context_.stats.connections);
  }
}

// --- the gate ------------------------------------------------------------------------------------------------------

void Worker::close_gate() {
  const std::vector<std::shared_ptr<Session>> sessions(sessions_.begin(), sessions_.end());
  for (const auto& session : sessions) session->hold();
}

Worker::Standing Worker::standing() const {
  Standing standing;
  for (const auto& session : sessions_) {
    if (!session->is_served() || session->has_ended()) continue;
    switch (session->hold_state()) {
      case Hold::held:
        ++standing.held;
        if (!session->is_read() || !session->is_movable()) ++standing.unread;
        break;
      case Hold::refused:
        ++standing.refused;
        break;
      case Hold::none:
      case Hold::settling:
        ++standing.open;
        break;
    }
  }
  return standing;
}

// So many at a time, each as a coroutine of its own.
asio::awaitable<Worker::Moved> Worker::for_each_held(Deadline deadline, const std::function<asio::awaitable<void>(Session&)>& deed) {
  Moved moved;
  std::vector<std::shared_ptr<Session>> left;
  for (const auto& session : sessions_) {
    if (session->is_served() && !session->has_ended()) left.push_back(session);
  }
  std::size_t under_way = 0;
  std::size_t next = 0;
  asio::steady_timer turn(loop_, Deadline::max());
  while (next < left.size() || under_way > 0) {
    for (; next < left.size() && under_way < kAtOnce; ++next, ++under_way) {
      asio::co_spawn(
          loop_,
          [&, session = left[next]]() -> asio::awaitable<void> {
            try {
              co_await deed(*session);
              ++moved.sessions;
            } catch (const std::exception& error) {
              if (!session->has_ended() && moved.first_failure.empty()) moved.first_failure = fmt::format("session {}: {}", session->client_id(), error.what());
            }
            --under_way;
            turn.cancel();
          },
          asio::detached);
    }
    std::error_code ignored;
    if (under_way > 0) co_await turn.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  static_cast<void>(deadline);
  co_return moved;
}

asio::awaitable<void> Worker::pull_held(std::shared_ptr<const Census> census, Pull which, Deadline deadline) {
  const std::function<asio::awaitable<void>(Session&)> deed = [&census, which, deadline](Session& session) -> asio::awaitable<void> {
    if (!session.is_covered_by(*census)) co_return;  // the next one has what it has just done
    if (which == Pull::lock_owners && !session.may_own_locks(*census)) co_return;
    try {
      co_await session.pull(*census, deadline);
    } catch (const std::exception& error) {  // what its server has still to say is not for its client
      if (!session.has_ended()) session.end(error.what());
      co_return;
    }
    if (!session.is_movable()) session.let_go_on();
  };
  co_await for_each_held(deadline, deed);
}

asio::awaitable<Worker::Moved> Worker::move_all(db::Side side, Deadline deadline) {
  const std::function<asio::awaitable<void>(Session&)> deed = [side, deadline](Session& session) -> asio::awaitable<void> { co_await session.bring(side, deadline); };
  co_return co_await for_each_held(deadline, deed);
}

asio::awaitable<Worker::Moved> Worker::warm_all(db::Side side, Deadline deadline) {
  const std::function<asio::awaitable<void>(Session&)> deed = [side, deadline](Session& session) -> asio::awaitable<void> { co_await session.warm(side, deadline); };
  co_return co_await for_each_held(deadline, deed);
}

void Worker::move_all_back() {
  const std::vector<std::shared_ptr<Session>> sessions(sessions_.begin(), sessions_.end());  // one whose old server is gone ends
  for (const auto& session : sessions) session->move_back();
}

std::size_t Worker::left_behind(db::Side side) const {
  return static_cast<std::size_t>(
      std::count_if(sessions_.begin(), sessions_.end(), [side](const auto& session) { return session->is_served() && !session->has_ended() && session->side() != side; }));
}

std::size_t Worker::end_left_behind(db::Side side) {
  const std::vector<std::shared_ptr<Session>> sessions(sessions_.begin(), sessions_.end());
  std::size_t ended = 0;
  for (const auto& session : sessions) {
    if (!session->is_served() || session->has_ended() || session->side() == side) continue;
    session->refuse(1927, "70100", "Connection was killed: the other side serves now, and it could not be moved there; connect again");
    ++ended;
  }
  return ended;
}

// Not all in one breath: the server is not met by all of them at once, and other sessions get their turn.
asio::awaitable<void> Worker::release_all() {
  for (auto* waiting : waiting_for_gate_) waiting->cancel();
  const std::vector<std::shared_ptr<Session>> sessions(sessions_.begin(), sessions_.end());
  std::size_t released = 0;
  for (const auto& session : sessions) {
    session->release();
    if (++released % kAtOnce == 0) co_await asio::post(loop_, asio::use_awaitable);
  }
}

std::vector<SessionRow> Worker::rows() const {
  std::vector<SessionRow> rows;
  for (const auto& session : sessions_) rows.push_back(session->row());
  return rows;
}

void Worker::count_statements() {
  for (const auto& session : sessions_) session->count_statements();
}

std::vector<SessionRow> Worker::stragglers() const {
  std::vector<SessionRow> rows;
  for (const auto& session : sessions_) {
    if (session->is_served() && !session->has_ended() && session->hold_state() != Hold::held) rows.push_back(session->row());
  }
  return rows;
}

std::size_t Worker::end_stragglers() {
  const std::vector<std::shared_ptr<Session>> sessions(sessions_.begin(), sessions_.end());
  std::size_t ended = 0;
  for (const auto& session : sessions) {
    if (!session->is_served() || session->has_ended() || session->hold_state() == Hold::held) continue;
    session->refuse(1927, "70100", "Connection was killed: it did not come to a safe point before the switch; connect again");
    ++ended;
  }
  return ended;
}

bool Worker::end_session(std::uint32_t client_id, std::string_view why) {
  for (const auto& session : sessions_) {
    if (session->client_id() != client_id || !session->is_served()) continue;
    const auto kept = session;
    kept->refuse(1927, "70100", why);
    return true;
  }
  return false;
}

std::size_t Worker::end_sessions(bool is_forced) {
  const std::vector<std::shared_ptr<Session>> sessions(sessions_.begin(), sessions_.end());
  for (const auto& session : sessions) {
    if (is_forced || session->is_at_safe_point() || !session->is_served()) session->refuse(1053, "08S01", "Server shutdown in progress");
  }
  return sessions_.size();
}

void Worker::stop_listening() {
  for (auto& listener : listeners_) listener.close();
}

void Worker::stop() {
  is_stopping_ = true;
  sweep_.cancel();
  loop_.stop();
}

// --- what sessions tell --------------------------------------------------------------------------------------------

asio::awaitable<void> Worker::until_open(Session& session, Deadline deadline) {
  while (context_.gate.is_closed() && !session.has_ended() && std::chrono::steady_clock::now() < deadline) {
    asio::steady_timer timer(loop_, deadline);
    const auto place = waiting_for_gate_.insert(waiting_for_gate_.end(), &timer);
    std::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    waiting_for_gate_.erase(place);
  }
}

void Worker::on_served(Session&) {
  ++context_.stats.sessions;
  ++context_.stats.sessions_total;
}

void Worker::on_settled() { proxy_.wake(); }

void Worker::on_ended(Session& session) {
  load_.fetch_sub(1, std::memory_order_relaxed);
  --context_.stats.connections;
  if (session.is_served()) --context_.stats.sessions;
  proxy_.log_access(session);
  sessions_.erase(session.shared_from_this());
  proxy_.wake();
}

// A server has work with each connection that ends, and after a move all of them would: while it is the sessions' turn.
void Worker::end_later(std::shared_ptr<Backend> backend) {
  left_over_.push_back(std::move(backend));
  if (left_over_.size() == 1) asio::co_spawn(loop_, end_left_over(), asio::detached);
}

asio::awaitable<void> Worker::end_left_over() {
  ending_.expires_after(kEndAfter);
  while (!left_over_.empty()) {
    std::error_code ignored;
    co_await ending_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    const std::size_t at_once = std::max(kEndAtOnce, left_over_.size() / 50);
    for (std::size_t i = 0; i < at_once && !left_over_.empty(); ++i) {
      left_over_.front()->quit();
      left_over_.pop_front();
    }
    ending_.expires_after(kEndPause);
  }
}

void Worker::note_hold(const Session& session, std::chrono::steady_clock::duration held) {
  const auto us = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(held).count());
  auto most = context_.stats.hold_us_max.load();
  while (us > most && !context_.stats.hold_us_max.compare_exchange_weak(most, us)) {
  }
  const auto& slow = context_.options.slow_hold;
  if (slow.count() > 0 && held > slow) log::warning("session {} of {} was held for {:.1f} ms", session.client_id(), session.account(), static_cast<double>(us) / 1000);
}

void Worker::note_unreachable(const Error& error) {
  const auto now = std::chrono::steady_clock::now();
  if (now - unreachable_logged_ < std::chrono::seconds(5)) return;
  unreachable_logged_ = now;
  log::warning("clients are turned away: {}", error.what());
}

bool Worker::may_log_in(const std::string& host) { return context_.failures.count(host) < context_.options.limits.login_failures_per_minute; }
void Worker::note_failed_login(const std::string& host) { context_.failures.add(host); }

std::string Worker::known_account(const std::string& user, const std::string& host) const {
  const auto found = accounts_.find(user + '@' + host);
  return found == accounts_.end() ? "" : found->second;
}

void Worker::know_account(const std::string& user, const std::string& host, const std::string& account) {
  if (accounts_.size() >= kAccountsMax) accounts_.clear();
  accounts_[user + '@' + host] = account;
}

}  // namespace godwit::proxy
