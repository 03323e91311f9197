#include "relay.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

namespace godwit::test {
namespace {

constexpr std::size_t kHeldMax = 1U << 20;  // per direction; beyond that the sender is not read

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

void make_nonblocking(int socket) { ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK); }

}  // namespace

Relay::Relay(int server_port) : server_port_(server_port), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  const bool is_open = ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(listener_, 64) == 0 &&
                       ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (!is_open) throw std::runtime_error("the relay cannot listen");
  port_ = ntohs(address.sin_port);
  make_nonblocking(listener_);
  thread_ = std::thread([this] { run(); });
}

Relay::~Relay() {
  is_ending_ = true;
  thread_.join();
  cut();
  ::close(listener_);
}

void Relay::reset(Pair& pair) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  for (const int socket : {pair.client, pair.server}) {
    if (socket < 0) continue;
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(socket);
  }
}

void Relay::cut() {
  std::lock_guard lock(mutex_);
  for (auto& pair : pairs_) reset(pair);
  pairs_.clear();
}

std::size_t Relay::connections() {
  std::lock_guard lock(mutex_);
  return pairs_.size();
}

void Relay::take_client() {
  const int client = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (client < 0) return;
  Pair pair{.client = client, .server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address = loopback(server_port_);
  if (::connect(pair.server, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return reset(pair);
  make_nonblocking(pair.server);
  pairs_.push_back(std::move(pair));
}

// False when a side is broken. A side that has ended is passed on once nothing waits any more.
bool Relay::move(int from, int to, std::string& waiting, bool& from_ended, bool is_silent) {
  char buffer[16384];
  while (!from_ended && !is_silent && waiting.size() < kHeldMax) {
    const ssize_t size = ::recv(from, buffer, sizeof buffer, 0);
    if (size > 0) {
      waiting.append(buffer, static_cast<std::size_t>(size));
      continue;
    }
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) break;
    from_ended = true;
    if (size < 0) return false;
  }
  while (!waiting.empty() && !is_silent) {
    const ssize_t size = ::send(to, waiting.data(), waiting.size(), MSG_NOSIGNAL);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (size < 0) return false;
    waiting.erase(0, static_cast<std::size_t>(size));
  }
  if (from_ended && waiting.empty()) ::shutdown(to, SHUT_WR);
  return true;
}

void Relay::run() {
  while (!is_ending_) {
    std::vector<pollfd> watched{{listener_, POLLIN, 0}};
    {
      std::lock_guard lock(mutex_);
      const Silence silence = silence_;
      const bool to_server_silent = silence == Silence::to_server || silence == Silence::both;
      const bool to_client_silent = silence == Silence::to_client || silence == Silence::both;
      for (std::size_t i = 0; i < pairs_.size();) {
        Pair& pair = pairs_[i];
        const bool lives = move(pair.client, pair.server, pair.to_server, pair.client_ended, to_server_silent) &&
                           move(pair.server, pair.client, pair.to_client, pair.server_ended, to_client_silent);
        const bool is_over = pair.client_ended && pair.server_ended && pair.to_server.empty() && pair.to_client.empty();
        if (lives && !is_over) {
          const auto in = [&](bool may) { return static_cast<short>(may ? POLLIN : 0); };
          watched.push_back({pair.client, in(!to_server_silent && !pair.client_ended), 0});
          watched.push_back({pair.server, in(!to_client_silent && !pair.server_ended), 0});
          ++i;
          continue;
        }
        reset(pair);
        pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(i));
      }
      take_client();
    }
    // A silent side that has hung up would end each poll at once: it is looked at again after the pause.
    std::erase_if(watched, [](const pollfd& it) { return it.events == 0; });
    ::poll(watched.data(), watched.size(), 5);
  }
}

}  // namespace godwit::test
