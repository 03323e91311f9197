// A connection to the proxy that keeps to no rule: it may send anything, stop anywhere and leave as it likes. What it hears is kept, all of it. It shares no
// code with godwit. Nothing throws: that the other side has gone is an answer. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace godwit::test {

using Random = std::mt19937_64;
std::string random_bytes(Random& random, std::size_t size);
std::size_t below(Random& random, std::size_t bound);

class RudeClient {
 public:
  enum class Leave { close, reset, half_close };

  explicit RudeClient(int port, std::size_t receive_buffer = 0);  // 0: the system's
  ~RudeClient();
  RudeClient(const RudeClient&) = delete;
  RudeClient& operator=(const RudeClient&) = delete;

  bool send(std::string_view bytes, std::chrono::milliseconds limit = std::chrono::seconds(20));  // false: not all of it went
  bool send_packet(std::string_view payload, std::uint8_t sequence);
  // The payload of the next packet; nothing when none comes.
  std::optional<std::string> packet(std::chrono::milliseconds limit = std::chrono::seconds(20));
  std::string told();  // the error that comes next, "1226 #42000 …"; "no error" where it is none, or nothing comes
  // Takes what comes, until nothing has come for so long or the other side has ended.
  void listen(std::chrono::milliseconds silence);
  bool is_over(std::chrono::milliseconds limit);  // the other side ends the connection within it; what comes is taken
  void leave(Leave how);

  // The greeting, a login without a password, and its OK. `capabilities` beside the usual ones.
  bool log_in(const std::string& user, std::uint64_t capabilities = 0, const std::string& plugin = "mysql_native_password");
  std::string login_payload(const std::string& user, std::uint64_t capabilities, const std::string& plugin) const;
  bool query(std::string_view sql);  // sends it; the answer is for listen()

  const std::string& heard() const { return heard_; }
  std::size_t heard_bytes() const { return heard_bytes_; }
  void forget() { heard_.clear(); }

 private:
  bool fill(std::chrono::milliseconds limit);

  int socket_ = -1;
  std::string heard_;
  std::size_t read_ = 0;  // of it, taken as packets
  std::size_t heard_bytes_ = 0;
};

}  // namespace godwit::test
