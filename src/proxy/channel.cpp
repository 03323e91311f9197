#include "channel.h"

#include <fmt/format.h>
#include <sys/socket.h>

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

Channel::Channel(Socket socket, std::string peer) : socket_(std::move(socket)), peer_(std::move(peer)) {
  is_local_ = socket_.local_endpoint().protocol().family() == AF_UNIX;
  socket_.non_blocking(true);
  if (!is_local_) {
    const int on = 1;
    ::setsockopt(socket_.native_handle(), IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
}

void Channel::start() { read(); }

void Channel::close() {
  if (is_closed_) return;
  is_closed_ = true;
  on_input = on_drained = on_end = nullptr;
  std::error_code ignored;
  socket_.close(ignored);
  if (!has_ended_) {
    has_ended_ = true;
    end_reason_ = "it was closed";
  }
  if (waiter_ != nullptr) waiter_->cancel();
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
  if (unsent_.is_empty()) ::shutdown(socket_.native_handle(), SHUT_WR);
  auto timer = std::make_shared<asio::steady_timer>(socket_.get_executor(), std::chrono::seconds(1));
  timer->async_wait([self = shared_from_this(), timer](const std::error_code&) { self->close(); });
  is_paused_ = false;
  input_.consume(input_.size());
  read();
}

void Channel::end(std::string reason) {
  if (has_ended_) return;
  has_ended_ = true;
  end_reason_ = std::move(reason);
  if (is_closing_) return close();
  if (waiter_ != nullptr) {
    waiter_->cancel();
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
  read();
  if (!has_more_inside_ || is_turning_ || is_paused_ || has_ended_ || is_full()) return;
  is_turning_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->is_turning_ = false;
    if (!self->is_closed_) self->after_read();
  });
}

void Channel::read() {
  if (is_reading_ || is_paused_ || has_ended_ || is_full()) return;
  Buffer& into = raw();
  reading_into_ = &into;
  into.make_room(std::max(read_bytes_, wanted_ > into.size() ? wanted_ - into.size() : 0));
  is_reading_ = true;
  const auto room = into.room();
  socket_.async_read_some(asio::buffer(room.data(), room.size()), [self = shared_from_this()](const std::error_code& error, std::size_t bytes) { self->on_read(error, bytes); });
}

void Channel::on_read(const std::error_code& error, std::size_t bytes) {
  is_reading_ = false;
  if (is_closed_) return;
  if (error == asio::error::operation_aborted && (is_shrinking_ || is_restarting_)) {
    if (is_shrinking_) raw().shrink(0);
    read_bytes_ = kReadBytesMin;
    is_shrinking_ = is_restarting_ = false;
    return read();
  }
  if (error) return end(error == asio::error::eof ? "it closed the connection" : error.message());
  Buffer& into = *reading_into_;
  is_shrinking_ = false;
  if (std::exchange(is_restarting_, false) && &into != &raw()) {  // it was read before the cancellation came
    into.commit(bytes);
    const std::string early(into.view());
    into.consume(early.size());
    raw().append(early);
    return after_read();
  }
  const bool is_full = bytes == into.room().size();
  into.commit(bytes);
  if (is_full && read_bytes_ < kReadBytesMax) read_bytes_ *= 2;
  after_read();
}

void Channel::after_read() {
  const auto self = shared_from_this();
  if (is_closing_) {
    raw().consume(raw().size());
    return read();
  }
  if (!decode() || has_ended_) return;
  if (waiter_ != nullptr) {
    waiter_->cancel();
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
    asio::post(socket_.get_executor(), [self = shared_from_this(), reason = std::string(error.what())] { self->end(reason); });
  }
  send_pending_tls();
}

asio::awaitable<void> Channel::start_tls(const layer::TlsContext& context, const std::string& host, Deadline deadline) {
  auto early = std::string(input_.view());
  input_.consume(early.size());
  tls_ = std::make_unique<layer::Tls>(context, host);
  if (!early.empty()) tls_->feed(early);
  // The read under way goes into the plain buffer still: it is begun anew into the other.
  restart_read();
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
    restart_read();
    raw_.append(early);
  }
  if (!early.empty()) decode();
}

// Where the bytes of the network go to has changed.
void Channel::restart_read() {
  if (!is_reading_) return;
  is_restarting_ = true;
  std::error_code ignored;
  socket_.cancel(ignored);
}

void Channel::send(std::string_view bytes) {
  if (unsent_.is_empty()) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
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
  await_writable();
}

void Channel::await_writable() {
  if (is_awaiting_writable_) return;
  is_awaiting_writable_ = true;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const std::error_code& error) {
    self->is_awaiting_writable_ = false;
    if (!error && !self->is_closed_) self->flush();
  });
}

void Channel::flush() {
  while (!unsent_.is_empty()) {
    const auto bytes = unsent_.view();
    const ssize_t sent = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return await_writable();
    if (sent < 0) return;
    unsent_.consume(static_cast<std::size_t>(sent));
    unsent_since_ = std::chrono::steady_clock::now();
  }
  if (is_closing_) {
    ::shutdown(socket_.native_handle(), SHUT_WR);
  } else if (on_drained) {
    on_drained();
  }
}

// Until bytes have come.
asio::awaitable<void> Channel::more(Deadline deadline) {
  if (has_ended_) throw lost(peer_, end_reason_);
  asio::steady_timer timer(socket_.get_executor(), deadline);
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
      throw Error(Code::peer_misbehaved, {.object = peer_, .cause = fmt::format("a packet of over {} bytes where none is so long", bytes_max), .remedy = ""});
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

// The read under way holds its buffer: it is begun anew.
void Channel::shrink() {
  if (!unsent_.is_empty() || has_ended_) return;
  unsent_.shrink(0);
  if (scratch_.capacity() > kReadBytesMin) scratch_ = {};
  if (tls_) tls_->release();
  if (inflow_) inflow_->release();
  if (raw().is_empty() && &raw() != &input_ && input_.is_empty()) input_.shrink(0);
  if (!is_reading_ || !input_.is_empty() || raw().capacity() <= kReadBytesMin) return;
  is_shrinking_ = true;
  std::error_code ignored;
  socket_.cancel(ignored);
}

}  // namespace godwit::proxy
