// A TCP relay on loopback between godwit and a server, which can be cut, or fall silent without closing: packets are then taken from
// neither side, or are held in one direction, as a firewall does that has forgotten the connection. A thread of its own.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace godwit::test {

class Relay {
 public:
  explicit Relay(int server_port);
  ~Relay();
  int port() const { return port_; }
  std::string dsn(const std::string& schema) const { return "mysql://godwit@127.0.0.1:" + std::to_string(port_) + "/" + schema; }

  enum class Silence { none, to_server, to_client, both };
  // What was held back comes after all once it is `none` again: late, as a network may bring it.
  void fall_silent(Silence silence) { silence_ = silence; }
  // Every connection ends at once, by a reset.
  void cut();
  std::size_t connections();

 private:
  struct Pair {
    int client = -1;
    int server = -1;
    std::string to_server;
    std::string to_client;
    bool client_ended = false;
    bool server_ended = false;
  };
  void run();
  void take_client();
  bool move(int from, int to, std::string& waiting, bool& from_ended, bool is_silent);
  static void reset(Pair& pair);

  const int server_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<Silence> silence_{Silence::none};
  std::atomic<bool> is_ending_{false};
  std::mutex mutex_;
  std::vector<Pair> pairs_;  // under mutex_
  std::thread thread_;
};

}  // namespace godwit::test
