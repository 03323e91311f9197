// The floor of any proxy: bytes from one socket to the other, nothing looked at.
//   relay PORT BACKEND_PORT THREADS    listens on loopback until it is killed
// Each thread has a listener (SO_REUSEPORT), an epoll set and the sessions it accepted.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Side {
  int fd = -1;
  Side* peer = nullptr;
  std::string unsent;  // what fd would not take; while there is any, the peer is not read
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

void send_at_once(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int listen_on(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("relay: bind");
  if (::listen(fd, 4096) != 0) die("relay: listen");
  return fd;
}

class Loop {
 public:
  Loop(std::uint16_t port, std::uint16_t backend_port) : listener_(listen_on(port)), backend_port_(backend_port), epoll_(::epoll_create1(0)) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event);
  }

  void run() {
    epoll_event events[256];
    for (;;) {
      const int n = ::epoll_wait(epoll_, events, 256, -1);
      for (int i = 0; i < n; ++i) {
        if (events[i].data.ptr == nullptr) {
          accept_all();
        } else {
          serve(*static_cast<Side*>(events[i].data.ptr), events[i].events);
        }
      }
      for (Side* side : ended_) delete side;  // not before: the same batch may name them
      ended_.clear();
    }
  }

 private:
  void accept_all() {
    for (int fd = 0; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) open(fd);
  }

  void open(int client_fd) {
    const int backend_fd = ::socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = loopback(backend_port_);
    if (::connect(backend_fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("relay: connect");
    auto* client = new Side{.fd = client_fd, .peer = nullptr, .unsent = {}};
    auto* backend = new Side{.fd = backend_fd, .peer = client, .unsent = {}};
    client->peer = backend;
    for (Side* side : {client, backend}) {
      send_at_once(side->fd);
      watch(*side, EPOLL_CTL_ADD);
    }
  }

  void watch(Side& side, int operation) {
    const std::uint32_t reading = side.peer->unsent.empty() ? EPOLLIN : 0U;
    const std::uint32_t writing = side.unsent.empty() ? 0U : EPOLLOUT;
    epoll_event event{.events = reading | writing, .data = {.ptr = &side}};
    ::epoll_ctl(epoll_, operation, side.fd, &event);
  }

  void serve(Side& side, std::uint32_t events) {
    if (side.fd < 0) return;
    if ((events & EPOLLOUT) != 0) flush(side);
    if (side.fd >= 0 && side.peer->unsent.empty() && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) pass_on(side);
  }

  void pass_on(Side& from) {
    const ssize_t n = ::recv(from.fd, buffer_, sizeof buffer_, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return end(from);
    const ssize_t sent = ::send(from.peer->fd, buffer_, static_cast<std::size_t>(n), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == n) return;
    if (sent < 0 && errno != EAGAIN) return end(from);
    const ssize_t taken = sent < 0 ? 0 : sent;
    from.peer->unsent.assign(buffer_ + taken, static_cast<std::size_t>(n - taken));
    watch(from, EPOLL_CTL_MOD);
    watch(*from.peer, EPOLL_CTL_MOD);
  }

  void flush(Side& to) {
    const ssize_t sent = ::send(to.fd, to.unsent.data(), to.unsent.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) return end(to);
    to.unsent.erase(0, static_cast<std::size_t>(sent));
    if (!to.unsent.empty()) return;
    watch(to, EPOLL_CTL_MOD);
    watch(*to.peer, EPOLL_CTL_MOD);
  }

  void end(Side& one) {
    for (Side* side : {&one, one.peer}) {
      ::close(side->fd);
      side->fd = -1;
      ended_.push_back(side);
    }
  }

  int listener_;
  std::uint16_t backend_port_;
  int epoll_;
  std::vector<Side*> ended_;
  char buffer_[65536];
};

std::uint16_t port_of(const char* text) { return static_cast<std::uint16_t>(std::atoi(text)); }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "relay PORT BACKEND_PORT THREADS\n");
    return 2;
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < std::atoi(argv[3]); ++i) {
    threads.emplace_back([argv] { (new Loop(port_of(argv[1]), port_of(argv[2])))->run(); });
  }
  for (auto& thread : threads) thread.join();
}
