#include "channel.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

#include "godwit/util/error.h"
#include "godwit/wire/bytes.h"

namespace godwit::proxy {
namespace {

Error lost(const std::string& peer, const std::string& cause) {
  return Error(Code::connection_lost, {.object = peer, .cause = cause, .remedy = "look at that peer's own log"});
}

}  // namespace

Channel::Channel(asio::any_io_executor executor, int socket, std::string peer) : executor_(std::move(executor)), poller_(Poller::of(executor_)), socket_(socket), peer_(std::move(peer)) {
  int domain = 0;
  socklen_t bytes = sizeof domain;
  ::getsockopt(socket_, SOL_SOCKET, SO_DOMAIN, &domain, &bytes);
  is_local_ = domain == AF_UNIX;
  if (is_local_) return;
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket_, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

Channel::~Channel() {
  if (is_polled_) poller_.remove(socket_, place_);
  if (socket_ >= 0) ::close(socket_);
}

void Channel::start() { settle_interest(); }

// What the channel is to be told of. The system is asked when that changes, in steady traffic never.
void Channel::settle_interest() {
  if (is_closed_ || has_ended_) return;
  const std::uint32_t events = (wants_input() ? EPOLLIN : 0U) | (unsent_.is_empty() ? 0U : EPOLLOUT);
  if (!is_polled_) {
    place_ = poller_.add(socket_, *this, events);
    is_polled_ = true;
  } else if (events != interest_) {
    poller_.change(socket_, place_, events);
  }
  interest_ = events;
}

// A connection that is broken says so whether it is asked or not: what it still holds is taken then, to come to its end.
void Channel::on_ready(std::uint32_t events) {
  const auto self = shared_from_this();
  if ((events & EPOLLOUT) != 0) flush();
  const bool is_readable = (events & EPOLLIN) != 0 && wants_input();
  if (!has_ended_ && (is_readable || (events & (EPOLLERR | EPOLLHUP)) != 0)) read();
  settle_interest();
}

void Channel::close() {
  if (is_closed_) return;
  is_closed_ = true;
  on_input = on_drained = on_end = nullptr;
  stop_polling();
  ::close(std::exchange(socket_, -1));
  if (!has_ended_) {
    has_ended_ = true;
    end_reason_ = "it was closed";
  }
  wake();
}

void Channel::stop_polling() {
  if (std::exchange(is_polled_, false)) poller_.remove(socket_, place_);
}

void Channel::wake() {
  if (waiter_ == nullptr) return;
  waiter_->cancel();
  poller_.give_turn();
}

// After what waits to be sent. What the client still sends is read and dropped for a moment: closed upon unread bytes, a connection is reset, and the
// last packet lost on its way.
void Channel::close_when_sent() {
  if (is_closed_ || is_closing_) return;
  is_closing_ = true;
  on_input = on_drained = on_end = nullptr;
  if (tls_ && tls_->is_established()) {
    tls_->close();
    send_pending_tls();
  }
  if (has_ended_) return close();
  if (unsent_.is_empty()) ::shutdown(socket_, SHUT_WR);
  auto timer = std::make_shared<asio::steady_timer>(executor_, std::chrono::seconds(1));
  timer->async_wait([self = shared_from_this(), timer](const std::error_code&) { self->close(); });
  is_paused_ = false;
  input_.consume(input_.size());
  settle_interest();
}

void Channel::end(std::string reason) {
  if (has_ended_) return;
  has_ended_ = true;
  end_reason_ = std::move(reason);
  if (is_closing_) return close();
  stop_polling();  // it would be told of its end for ever
  if (waiter_ != nullptr) {
    wake();
  } else if (on_end) {
    const auto deed = on_end;  // it may be gone with its session
    deed();
  }
}

// Also when something was taken of what had come.
void Channel::resume_reading() {
  is_paused_ = false;
  go_on();
}

void Channel::go_on() {
  settle_interest();
  if (!has_more_inside_ || is_turning_ || is_paused_ || has_ended_ || is_full()) return;
  is_turning_ = true;
  asio::post(executor_, [self = shared_from_this()] {
    self->is_turning_ = false;
    if (!self->is_closed_) self->after_read();
  });
  poller_.give_turn();
}

void Channel::read() {
  Buffer& into = raw();
  into.make_room(std::max(read_bytes_, wanted_ > into.size() ? wanted_ - into.size() : 0));
  const auto room = into.room();
  const ssize_t got = ::recv(socket_, room.data(), room.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (got < 0) return end(std::generic_category().message(errno));
  if (got == 0) return end("it closed the connection");
  into.commit(static_cast<std::size_t>(got));
  if (static_cast<std::size_t>(got) == room.size() && read_bytes_ < kReadBytesMax) read_bytes_ *= 2;
  after_read();
}

void Channel::after_read() {
  const auto self = shared_from_this();
  if (is_closing_) return raw().consume(raw().size());
  if (!decode() || has_ended_) return;
  if (waiter_ != nullptr) {
    wake();
  } else if (!input_.is_empty() && on_input) {
    on_input();
  }
  go_on();
}

// From what the network brought to what the protocol sees. False where the connection has ended by it.
bool Channel::decode() {
  if (!tls_ && !inflow_) return true;
  try {
    if (tls_) return decode_tls();
    std::string_view network = raw_.view();
    inflate(network);
    raw_.consume(raw_.size() - network.size());
  } catch (const Error& error) {
    send_pending_tls();  // an alert
    end(error.what());
    return false;
  }
  return true;
}

bool Channel::decode_tls() {
  tls_->feed(raw_.view());
  raw_.consume(raw_.size());
  if (!tls_->is_established() && tls_->handshake() != layer::Tls::Result::ok) {
    send_pending_tls();
    return true;
  }
  while (true) {
    Buffer& into = inflow_ ? frames_ : input_;
    into.make_room(kReadBytesMin);
    const std::size_t got = tls_->read(into.room());
    if (got == 0) break;
    into.commit(got);
  }
  send_pending_tls();
  if (inflow_) {
    std::string_view frames = frames_.view();
    inflate(frames);
    frames_.consume(frames_.size() - frames.size());
  }
  return true;
}

// A small frame can hold a thousand times its size: no more is made than there is room for.
void Channel::inflate(std::string_view& network) {
  has_more_inside_ = true;
  while (has_more_inside_ && !is_full()) {
    input_.make_room(kReadBytesMin);
    const std::size_t room = input_.room().size();
    const std::size_t got = inflow_->read(network, input_.room());
    input_.commit(got);
    has_more_inside_ = got == room;
  }
  outflow_->set_number(inflow_->next_number());
}

void Channel::send_pending_tls() {
  if (!tls_) return;
  const auto pending = tls_->pending();
  send(pending);
  tls_->consume_pending(pending.size());
}

void Channel::write(std::string_view bytes) {
  if (has_ended_ || bytes.empty()) return;
  if (outflow_) {
    framed_.clear();
    outflow_->append(bytes, framed_);
    bytes = framed_;
  }
  if (!tls_) return send(bytes);
  if (!tls_->is_established()) return;  // a handshake that has failed: there is nobody to hear it
  try {
    tls_->write(bytes);
  } catch (const Error& error) {  // whoever writes is in the middle of something
    asio::post(executor_, [self = shared_from_this(), reason = std::string(error.what())] { self->end(reason); });
  }
  send_pending_tls();
}

asio::awaitable<void> Channel::start_tls(const layer::TlsContext& context, const std::string& host, Deadline deadline) {
  auto early = std::string(input_.view());
  input_.consume(early.size());
  tls_ = std::make_unique<layer::Tls>(context, host);
  if (!early.empty()) tls_->feed(early);
  while (true) {
    layer::Tls::Result result = layer::Tls::Result::ok;
    try {
      result = tls_->is_established() ? layer::Tls::Result::ok : tls_->handshake();
    } catch (const Error&) {
      send_pending_tls();
      throw;
    }
    send_pending_tls();
    if (tls_->is_established()) co_return;
    if (result == layer::Tls::Result::closed) throw lost(peer_, "it ended the TLS handshake");
    co_await more(deadline);
  }
}

void Channel::start_compression(layer::Compression kind, int level, layer::Compressor& compressor) {
  std::string early(input_.view());
  input_.consume(early.size());
  inflow_ = std::make_unique<layer::Inflow>(kind);
  outflow_ = std::make_unique<layer::Outflow>(compressor, kind, kind == layer::Compression::zstd ? level : 0);
  if (tls_) {
    frames_.append(early);
  } else {
    raw_.append(early);
  }
  if (!early.empty()) decode();
}

void Channel::send(std::string_view bytes) {
  if (unsent_.is_empty()) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
        continue;
      }
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      return;  // the reader hears of it, behind what came before
    }
    unsent_since_ = std::chrono::steady_clock::now();
  }
  if (bytes.empty()) return;
  unsent_.append(bytes);
  settle_interest();
}

void Channel::flush() {
  while (!unsent_.is_empty()) {
    const auto bytes = unsent_.view();
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (sent < 0) return;
    unsent_.consume(static_cast<std::size_t>(sent));
    unsent_since_ = std::chrono::steady_clock::now();
  }
  settle_interest();
  if (is_closing_) {
    ::shutdown(socket_, SHUT_WR);
  } else if (on_drained) {
    on_drained();
  }
}

// Until bytes have come.
asio::awaitable<void> Channel::more(Deadline deadline) {
  if (has_ended_) throw lost(peer_, end_reason_);
  asio::steady_timer timer(executor_, deadline);
  waiter_ = &timer;
  if (is_full()) want(input_.size() + 1);
  resume_reading();
  std::error_code error;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  waiter_ = nullptr;
  if (has_ended_ && input_.is_empty()) throw lost(peer_, end_reason_);
  if (!error) throw lost(peer_, "it did not answer in time");
}

asio::awaitable<std::string> Channel::packet(Deadline deadline, std::size_t bytes_max) {
  std::string payload;
  while (true) {
    while (input_.size() < wire::kHeaderBytes) co_await more(deadline);
    const std::size_t length = wire::frame_length(input_.view().data());
    if (payload.size() + length > bytes_max) {
      throw Error(Code::peer_misbehaved, {.object = peer_, .cause = fmt::format("a packet of over {} bytes where none is so long", bytes_max), .remedy = "is it a client or server of MySQL's protocol?"});
    }
    while (input_.size() < wire::kHeaderBytes + length) {
      want(wire::kHeaderBytes + length);
      co_await more(deadline);
    }
    wanted_ = 0;
    sequence_ = static_cast<std::uint8_t>(input_.view()[3] + 1);
    payload += input_.view().substr(wire::kHeaderBytes, length);
    input_.consume(wire::kHeaderBytes + length);
    if (length < wire::kFrameMax) co_return payload;
  }
}

void Channel::send_packet(std::string_view payload) {
  scratch_.clear();
  sequence_ = wire::put_packet(scratch_, sequence_, payload);
  write(scratch_);
}

void Channel::shrink() {
  if (!unsent_.is_empty() || has_ended_) return;
  unsent_.shrink(0);
  if (scratch_.capacity() > kReadBytesMin) scratch_ = {};
  if (tls_) tls_->release();
  if (inflow_) inflow_->release();
  if (input_.is_empty()) input_.shrink(0);
  if (raw_.is_empty()) raw_.shrink(0);
  read_bytes_ = kReadBytesMin;
}

}  // namespace godwit::proxy
