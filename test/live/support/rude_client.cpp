#include "rude_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace godwit::test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kUsual = 1U | 1U << 7 | 1U << 9 | 1U << 13 | 1U << 15 | 1U << 16 | 1U << 17 | 1U << 19;  // with local files, several statements, plugins

std::string number(std::uint64_t value, unsigned bytes) {
  std::string text;
  for (unsigned i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
  return text;
}

bool is_ready(int socket, short events, Clock::time_point end) {
  const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
  pollfd waiting{.fd = socket, .events = events, .revents = 0};
  return ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(0, left.count()))) > 0;
}

}  // namespace

std::string random_bytes(Random& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

std::size_t below(Random& random, std::size_t bound) { return random() % bound; }

RudeClient::RudeClient(int port, std::size_t receive_buffer) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (receive_buffer > 0) {
    const int size = static_cast<int>(receive_buffer);
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool is_under_way = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 || errno == EINPROGRESS;
  int error = 0;
  socklen_t size = sizeof error;
  const bool is_there = is_under_way && is_ready(socket_, POLLOUT, Clock::now() + std::chrono::seconds(10)) && ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  if (!is_there) throw std::runtime_error("the proxy does not accept");
}

RudeClient::~RudeClient() { leave(Leave::close); }

bool RudeClient::send(std::string_view bytes, milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (!bytes.empty() && socket_ >= 0) {
    const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno != EAGAIN || !is_ready(socket_, POLLOUT, end)) return false;
  }
  return bytes.empty();
}

bool RudeClient::send_packet(std::string_view payload, std::uint8_t sequence) {
  return send(number(payload.size(), 3).append(number(sequence, 1)).append(payload));
}

// False: nothing comes any more within the limit.
bool RudeClient::fill(milliseconds limit) {
  static thread_local std::array<char, 65536> bytes;
  if (socket_ < 0 || !is_ready(socket_, POLLIN, Clock::now() + limit)) return false;
  const auto got = ::recv(socket_, bytes.data(), bytes.size(), 0);
  if (got <= 0) return false;
  heard_.append(bytes.data(), static_cast<std::size_t>(got));
  heard_bytes_ += static_cast<std::size_t>(got);
  return true;
}

std::optional<std::string> RudeClient::packet(milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (true) {
    const auto rest = std::string_view(heard_).substr(std::min(read_, heard_.size()));
    if (rest.size() >= 4) {
      const auto at = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<std::uint8_t>(rest[i])); };
      const std::size_t length = at(0) | at(1) << 8 | at(2) << 16;
      if (rest.size() >= 4 + length) {
        read_ += 4 + length;
        return std::string(rest.substr(4, length));
      }
    }
    const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
    if (left.count() <= 0 || !fill(left)) return std::nullopt;
  }
}

std::string RudeClient::told() {
  const auto next = packet();
  if (!next || next->size() < 9 || next->front() != '\xFF') return "no error";
  const auto byte = [&](std::size_t at) { return static_cast<unsigned>(static_cast<std::uint8_t>((*next)[at])); };
  return std::to_string(byte(1) | byte(2) << 8U) + " " + next->substr(3, 6) + " " + next->substr(9);
}

void RudeClient::listen(milliseconds silence) {
  while (fill(silence)) {
  }
  read_ = heard_.size();
}

bool RudeClient::is_over(milliseconds limit) {
  const auto end = Clock::now() + limit;
  std::array<char, 65536> bytes;
  while (socket_ >= 0 && is_ready(socket_, POLLIN, end)) {
    const auto got = ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (got <= 0) return got == 0 || errno != EAGAIN;
    heard_.append(bytes.data(), std::min<std::size_t>(static_cast<std::size_t>(got), 4096));
  }
  return socket_ < 0;
}

void RudeClient::leave(Leave how) {
  if (socket_ < 0) return;
  if (how == Leave::half_close) {
    ::shutdown(socket_, SHUT_WR);
    listen(milliseconds(300));
  }
  if (how == Leave::reset) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  ::close(socket_);
  socket_ = -1;
}

std::string RudeClient::login_payload(const std::string& user, std::uint64_t capabilities, const std::string& plugin) const {
  std::string login = number((kUsual | capabilities) & 0xFFFFFFFF, 4) + number(1 << 24, 4) + number(45, 1) + std::string(23, '\0');
  login += user + '\0' + '\0';
  return login + plugin + '\0';
}

bool RudeClient::log_in(const std::string& user, std::uint64_t capabilities, const std::string& plugin) {
  if (!packet() || !send_packet(login_payload(user, capabilities, plugin), 1)) return false;
  auto answer = packet();
  if (answer && !answer->empty() && answer->front() == '\xFE') {
    send_packet("", 3);
    answer = packet();
  }
  return answer && !answer->empty() && answer->front() == '\0';
}

bool RudeClient::query(std::string_view sql) { return send_packet(std::string("\x03").append(sql), 0); }

}  // namespace godwit::test
