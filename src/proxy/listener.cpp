#include "listener.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "godwit/util/error.h"
#include "godwit/util/log.h"

namespace godwit::proxy {
namespace {

constexpr int kAtOnce = 16;  // clients, before others have their turn
constexpr std::chrono::milliseconds kRest{100};

bool listens(int socket, const asio::ip::tcp::endpoint& endpoint) {
  const int on = 1;
  return socket >= 0 && ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 && ::setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
         ::bind(socket, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0 && ::listen(socket, SOMAXCONN) == 0;
}

}  // namespace

Listener::Listener(asio::any_io_executor executor, const asio::ip::tcp::endpoint& endpoint, Accepted accepted)
    : poller_(Poller::of(executor)), socket_(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)), pause_(executor), accepted_(std::move(accepted)) {
  if (listens(socket_, endpoint)) return;
  const std::string cause = std::generic_category().message(errno);
  close();
  throw Error(Code::cannot_listen, {.object = fmt::format("{}:{}", endpoint.address().to_string(), endpoint.port()), .cause = cause, .remedy = "--listen another address, or end what listens there"});
}

void Listener::start() {
  if (socket_ < 0 || is_polled_) return;
  place_ = poller_.add(socket_, *this, EPOLLIN);
  is_polled_ = true;
}

void Listener::close() {
  if (std::exchange(is_polled_, false)) poller_.remove(socket_, place_);
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

void Listener::on_ready(std::uint32_t) {
  for (int i = 0; i < kAtOnce && socket_ >= 0; ++i) {
    const int client = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) {
      accepted_(client);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) rest();
    return;
  }
}

// No file descriptor is left, say: the next attempt is no better at once.
void Listener::rest() {
  log::warning("a client is not accepted: {}", std::generic_category().message(errno));
  poller_.remove(socket_, place_);
  is_polled_ = false;
  pause_.expires_after(kRest);
  pause_.async_wait([this](const std::error_code& error) {
    if (!error) start();
  });
}

}  // namespace godwit::proxy
