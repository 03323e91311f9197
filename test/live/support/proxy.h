// `godwit proxy` between two test servers, as an operator runs it: started on a free port, awaited, commanded by its admin account, ended by its own process id.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app_client.h"
#include "process.h"
#include "raw_client.h"

namespace godwit::test {

int free_port();

// A state file that outlives the proxies that use it.
class ProxyState {
 public:
  ProxyState();
  ~ProxyState();
  ProxyState(const ProxyState&) = delete;
  ProxyState& operator=(const ProxyState&) = delete;
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

class Proxy {
 public:
  struct Setup {
    std::vector<std::string> options{};
    std::string schema = "test";
    std::string source_dsn{};  // another way to the source
    int port = 0;          // a free one
    std::string state{};   // a file of its own
    bool has_tls = false;  // shows the test servers' certificate
    std::vector<std::string> target_options{};  // instead of --target, where the target is shards
    std::string admin_from{};  // the admin's address, where 127.0.0.1 is a load balancer's
  };
  Proxy(const Server& source, const Server& target) : Proxy(source, target, Setup()) {}
  Proxy(const Server& source, const Server& target, Setup setup);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  int port() const { return port_; }
  Process& process() { return *process_; }
  std::string log() const { return process_->log(); }

  // To this proxy: TLS where it has a certificate.
  AppClient::Options app(const std::string& schema = "test") const;
  RawClient::Options raw(const std::string& schema = "test") const;
  AppClient::Options admin_login() const;

  // By an admin connection of its own, kept.
  AppAnswer command(const std::string& sql);
  // Throws with the proxy's words where it refuses.
  void must(const std::string& sql);
  // PAUSE, MOVE, RESUME.
  void switch_to(const std::string& side);

  using Row = std::map<std::string, std::string>;
  std::vector<Row> sessions();
  Row session(std::uint32_t id);
  std::uint64_t stat(const std::string& name);
  std::vector<Row> route();
  std::string serving();  // "source" or "target"
  bool is_closed();

 private:
  std::vector<Row> show(const std::string& what);

  int port_;
  bool has_tls_;
  std::string admin_from_;
  std::unique_ptr<ProxyState> own_state_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<AppClient> admin_;
};

// Where the tests keep what they need for a password file of the proxy: `user:password`, readable by its owner only.
class SecretFile {
 public:
  explicit SecretFile(const std::string& text);
  ~SecretFile();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace godwit::test
