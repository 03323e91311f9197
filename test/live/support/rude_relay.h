// A TCP relay between the proxy and a server that can turn the server into one that breaks off, falls silent, or speaks garbage, at any byte of what it says.
// A thread for each connection.
#pragma once

#include <atomic>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "rude_client.h"

namespace godwit::test {

class RudeRelay {
 public:
  explicit RudeRelay(int server_port, std::uint64_t seed);
  ~RudeRelay();
  int port() const { return port_; }
  std::string dsn(const std::string& schema) const { return "mysql://godwit@127.0.0.1:" + std::to_string(port_) + "/" + schema + "?ssl-mode=disabled"; }

  void be_rude(bool is_rude) { is_rude_ = is_rude; }  // to connections from now on
  void say(const std::string& words);  // these, and nothing of the server's, to connections from now on; "": the server's again
  std::size_t harmed() const { return harmed_; }

 private:
  enum class Harm { none, cut, noise, flip, insert, flood, silence, huge_header };
  struct Connection {
    int client = -1;
    int server = -1;
    Harm harm = Harm::none;
    std::size_t after = 0;  // so many bytes of the server's
    std::string words;      // instead of the server's
    Random random;
    std::thread thread;
    std::atomic<bool> is_over{false};
  };
  void accept();
  void carry(Connection& connection);
  void hold_forth(Connection& connection);
  bool speak(Connection& connection, std::string bytes);  // of the server's, to the proxy
  bool do_harm(Connection& connection, std::string bytes);
  void bury(bool all);

  const int server_port_;
  int listener_ = -1;
  int port_ = 0;
  Random random_;
  std::atomic<bool> is_rude_{false};
  std::atomic<bool> is_ending_{false};
  std::atomic<std::size_t> harmed_{0};
  std::mutex mutex_;
  std::string words_;  // under mutex_
  std::list<Connection> connections_;  // of the accepting thread
  std::thread thread_;
};

}  // namespace godwit::test
