#include "godwit/metrics/server.h"

#include <fmt/format.h>
#include <httplib.h>

#include <thread>

#include "godwit/util/error.h"
#include "godwit/util/text.h"

namespace godwit::metrics {

struct Server::Impl {
  httplib::Server http;
  std::string host;
  int port = 0;
  std::thread thread;
};

namespace {

[[noreturn]] void refuse(const std::string& address, std::string cause) {
  throw Error(Code::bad_usage, {.object = "--metrics " + address, .cause = std::move(cause), .remedy = "--metrics 127.0.0.1:9306"});
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
  impl_->http.Get("/metrics", [text = std::move(text)](const httplib::Request&, httplib::Response& response) {
    response.set_content(text(), "text/plain; version=0.0.4; charset=utf-8");
  });
  impl_->port = at.port == 0 ? impl_->http.bind_to_any_port(at.host) : impl_->http.bind_to_port(at.host, at.port) ? at.port : -1;
  if (impl_->port < 0) refuse(address, "it cannot be listened at: is the port taken, or the address another machine's?");
  impl_->thread = std::thread([this] { impl_->http.listen_after_bind(); });
}

Server::~Server() {
  impl_->http.stop();
  impl_->thread.join();
}

std::string Server::address() const { return fmt::format("{}:{}", impl_->host, impl_->port); }

}  // namespace godwit::metrics
