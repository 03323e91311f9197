// Serves one text over HTTP, for Prometheus: GET /metrics. Threads of its own from construction to destruction. cpp-httplib stays in
// src/metrics.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace godwit::metrics {

// "127.0.0.1:9306"; port 0 stands for a free one.
struct Address {
  std::string host;
  int port = 0;
};
// Throws Error(bad_usage) when it is none.
Address parse_address(const std::string& text);

class Server {
 public:
  // `text` is called at each request, from any thread.
  // Throws Error(bad_usage) when it is no address, or cannot be listened at.
  Server(const std::string& address, std::function<std::string()> text);
  ~Server();
  std::string address() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::metrics
