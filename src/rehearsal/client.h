// The synthetic client of a rehearsed switch: sessions through the proxy that write without a pause and keep books of what they were told is committed. Threads of its own, which
// have ended when it is destroyed. Private to rehearsal.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "godwit/db/connection.h"

namespace godwit::rehearsal {

inline constexpr const char* kLedger = "_godwit_rehearsal_ledger";
inline constexpr const char* kCounter = "_godwit_rehearsal_counter";
// The statements that make its tables in the schema, and a row of each of so many sessions.
std::vector<std::string> client_tables(const std::string& schema, unsigned sessions);

struct Books {
  std::uint64_t acknowledged = 0;  // the last number of a session that it was told is committed: they come without a gap
  std::vector<std::string> errors;
};

class Client {
 public:
  struct Options {
    db::Endpoint proxy;
    std::string schema;
    unsigned sessions = 8;
  };
  explicit Client(Options options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::uint64_t acknowledged() const;
  // The longest that each session has waited for an answer since the last call, in ms, sorted.
  std::vector<double> take_waits_ms();
  double usual_ms() const;  // the median of a transaction
  std::vector<std::string> errors() const;
  void end();
  // At the end: how many of what was acknowledged the server does not have.
  std::uint64_t lost_on(db::Connection& server) const;

 private:
  struct Session;
  void work(Session& session);
  void go_through(Session& session, db::Connection& server);

  const Options options_;
  std::atomic<bool> is_ending_{false};
  std::vector<std::unique_ptr<Session>> sessions_;
};

}  // namespace godwit::rehearsal
