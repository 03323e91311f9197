#include "godwit/metrics/server.h"

#include <fmt/format.h>
#include <httplib.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::metrics {

struct Server::Impl {
  httplib::Server http;
  std::string host;
  int port = 0;
  std::thread thread;
  std::atomic<bool> has_ended{false};
};

namespace {

[[noreturn]] void refuse(const std::string& address, std::string cause) {
  throw Error(Code::bad_usage, {.object = "--metrics " + address, .cause = std::move(cause), .remedy = "an address of this host and a port that nobody listens at: --metrics 127.0.0.1:9306"});
}

// Without SO_REUSEPORT, which the library would set: a second godwit at the port would get every other question.
void keep_port(socket_t socket) {
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

}  // namespace

Address parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  const auto port = colon == std::string::npos ? std::nullopt : parse_u64(text.substr(colon + 1));
  if (!port || *port > 65535 || colon == 0) refuse(text, "it is no address and port");
  return {.host = text.substr(0, colon), .port = static_cast<int>(*port)};
}

Server::Server(const std::string& address, std::function<std::string()> text) : impl_(std::make_unique<Impl>()) {
  const auto at = parse_address(address);
  impl_->host = at.host;
  impl_->http.set_socket_options(keep_port);
  impl_->http.Get("/metrics", [text = std::move(text)](const httplib::Request&, httplib::Response& response) {
    response.set_content(text(), "text/plain; version=0.0.4; charset=utf-8");
  });
  impl_->port = at.port == 0 ? impl_->http.bind_to_any_port(at.host) : impl_->http.bind_to_port(at.host, at.port) ? at.port : -1;
  if (impl_->port < 0) refuse(address, "it cannot be listened at: is the port taken, or the address another machine's?");
  impl_->thread = std::thread([this] {
    impl_->http.listen_after_bind();
    impl_->has_ended = true;
  });
  // The library forgets a stop that comes before it runs, and the destructor would wait for ever.
  while (!impl_->http.is_running() && !impl_->has_ended) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

Server::~Server() {
  impl_->http.stop();
  impl_->thread.join();
}

std::string Server::address() const { return fmt::format("{}:{}", impl_->host, impl_->port); }

}  // namespace godwit::metrics
