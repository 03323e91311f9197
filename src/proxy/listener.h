// A socket that clients connect to, one for each worker: the system spreads the clients, and a newer proxy can listen beside an older one. Its worker's thread.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <functional>

#include "poller.h"

namespace godwit::proxy {

class Listener final : private Polled {
 public:
  using Accepted = std::function<void(int socket)>;
  // Listens at once; clients wait for start(). Error(cannot_listen).
  Listener(asio::any_io_executor executor, const asio::ip::tcp::endpoint& endpoint, Accepted accepted);
  ~Listener() { close(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  void start();
  void close();

 private:
  void on_ready(std::uint32_t events) override;
  void rest();

  Poller& poller_;
  Poller::Place place_;
  int socket_ = -1;
  bool is_polled_ = false;
  asio::steady_timer pause_;
  const Accepted accepted_;
};

}  // namespace godwit::proxy
