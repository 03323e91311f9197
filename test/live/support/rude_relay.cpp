#include "rude_relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <utility>

namespace godwit::test {
namespace {

constexpr std::size_t kFloodBytes = std::size_t{32} << 20;
constexpr std::size_t kNoiseBytes = 2000;

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool is_readable(int socket, int ms) {
  pollfd waiting{.fd = socket, .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, ms) > 0;
}

// The timeout is the socket's: a peer that takes nothing for a second is given up.
bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// Near the greeting, in the login, or among the answers behind it.
std::size_t place(Random& random) {
  constexpr std::array<std::size_t, 4> kRanges{100, 300, 800, 6000};
  return below(random, kRanges[below(random, kRanges.size())]);
}

}  // namespace

RudeRelay::RudeRelay(int server_port, std::uint64_t seed) : server_port_(server_port), random_(seed) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  const bool is_bound = ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(listener_, 128) == 0 &&
                        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (!is_bound) throw std::runtime_error("no relay");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { accept(); });
}

RudeRelay::~RudeRelay() {
  is_ending_ = true;
  thread_.join();
  bury(true);
  ::close(listener_);
}

void RudeRelay::say(const std::string& words) {
  const std::lock_guard lock(mutex_);
  words_ = words;
}

void RudeRelay::bury(bool all) {
  for (auto it = connections_.begin(); it != connections_.end();) {
    if (!all && !it->is_over) {
      ++it;
      continue;
    }
    it->thread.join();
    it = connections_.erase(it);
  }
}

void RudeRelay::accept() {
  while (!is_ending_) {
    bury(false);
    if (!is_readable(listener_, 20)) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    Connection& connection = connections_.emplace_back();
    connection.client = client;
    connection.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connection.random.seed(random_());
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    ::setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (is_rude_) {
      constexpr std::array kHarms{Harm::none, Harm::cut, Harm::noise, Harm::flip, Harm::insert, Harm::flood, Harm::silence, Harm::huge_header};
      connection.harm = kHarms[below(random_, kHarms.size())];
      connection.after = place(random_);
    }
    const std::lock_guard lock(mutex_);
    connection.words = words_;
    connection.thread = std::thread([this, &connection] { connection.words.empty() ? carry(connection) : hold_forth(connection); });
  }
}

void RudeRelay::carry(Connection& connection) {
  const sockaddr_in address = loopback(server_port_);
  bool goes_on = ::connect(connection.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  std::array<char, 16384> bytes;
  while (goes_on && !is_ending_) {
    std::array<pollfd, 2> both{pollfd{.fd = connection.client, .events = POLLIN, .revents = 0}, pollfd{.fd = connection.server, .events = POLLIN, .revents = 0}};
    if (::poll(both.data(), both.size(), 50) <= 0) continue;
    if (both[0].revents != 0) {
      const auto got = ::recv(connection.client, bytes.data(), bytes.size(), 0);
      goes_on = got > 0 && send_all(connection.server, {bytes.data(), static_cast<std::size_t>(got)});
    }
    if (goes_on && both[1].revents != 0) {
      const auto got = ::recv(connection.server, bytes.data(), bytes.size(), 0);
      goes_on = got > 0 && speak(connection, std::string(bytes.data(), static_cast<std::size_t>(got)));
    }
  }
  ::close(connection.client);
  ::close(connection.server);
  connection.is_over = true;
}

// All at once; what is said to it is read until the other side leaves.
void RudeRelay::hold_forth(Connection& connection) {
  bool goes_on = send_all(connection.client, connection.words);
  std::array<char, 16384> bytes;
  while (goes_on && !is_ending_) {
    if (is_readable(connection.client, 20)) goes_on = ::recv(connection.client, bytes.data(), bytes.size(), 0) > 0;
  }
  ::close(connection.client);
  ::close(connection.server);
  connection.is_over = true;
}

bool RudeRelay::speak(Connection& connection, std::string bytes) {
  if (connection.harm == Harm::none) return send_all(connection.client, bytes);
  if (bytes.size() <= connection.after) {
    connection.after -= bytes.size();
    return send_all(connection.client, bytes);
  }
  ++harmed_;
  return do_harm(connection, std::move(bytes));
}

bool RudeRelay::do_harm(Connection& connection, std::string bytes) {
  Random& random = connection.random;
  const Harm harm = std::exchange(connection.harm, Harm::none);
  const std::size_t at = std::exchange(connection.after, 0);
  const std::string good = bytes.substr(0, at);
  switch (harm) {
    case Harm::none:
      return send_all(connection.client, bytes);
    case Harm::cut:
      send_all(connection.client, good);
      return false;
    case Harm::noise:
      send_all(connection.client, good + random_bytes(random, 1 + below(random, kNoiseBytes)));
      return false;
    case Harm::flip:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(random, 8)));
      return send_all(connection.client, bytes);
    case Harm::insert:
      return send_all(connection.client, good + random_bytes(random, 1 + below(random, 40)) + bytes.substr(at));
    case Harm::huge_header:
      return send_all(connection.client, good + std::string("\xFE\xFF\xFF\x01\0", 5) + bytes.substr(at));
    case Harm::flood:
      for (std::size_t sent = 0; sent < kFloodBytes; sent += 65536) {
        if (is_ending_ || !send_all(connection.client, random_bytes(random, 65536))) return false;
      }
      return false;
    case Harm::silence:
      connection.harm = Harm::silence;
      return true;
  }
  return false;
}

}  // namespace godwit::test
