// A small trade whose clients keep books, for tests of a switch: connections through proxies, transactions over several tables, prepared
// statements, keys made by the server, single statements. Each client writes down what it was told is committed, and reads back what it wrote; an
// error, and an answer that does not fit its books, are written down too. Afterwards the books are compared with a server (ledger_judge.h).
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <vector>

#include "app_client.h"

namespace godwit::test {

inline const std::string kTrade = "trade";
inline const std::string kTeller = "teller";  // an ordinary account: it may do everything with the schema, and nothing with the server

constexpr unsigned kAccounts = 32;
constexpr std::int64_t kBalance = 100'000;
constexpr unsigned kLines = 2;  // of an order
constexpr unsigned kNotesMax = 3;  // by one statement

enum class Fate {
  acknowledged,
  unheard,  // sent, and the connection was lost: it may be there
  undone,   // rolled back, or never committed: it must not be there
};

// One transaction: an order, its lines, a transfer between two accounts, a turn of the client's clock.
struct Order {
  std::uint64_t turn = 0;
  Fate fate = Fate::undone;
  std::uint64_t id = 0;  // 0: not known
  std::array<std::uint64_t, kLines> lines{};
  std::uint64_t transfer = 0;
  unsigned from = 0;
  unsigned to = 0;
  int amount = 0;
};

// Rows of one statement.
struct Note {
  std::uint64_t turn = 0;
  Fate fate = Fate::undone;
  std::uint64_t first_id = 0;
  unsigned count = 0;
  bool is_erasing = false;              // a DELETE was sent
  Fate erased = Fate::undone;
};

struct Books {
  int client = 0;
  std::vector<Order> orders;
  std::vector<Note> notes;
  std::uint64_t ticks_acknowledged = 0;
  std::uint64_t ticks_unheard = 0;
};

struct Complaint {
  int client = 0;
  int port = 0;  // of its proxy
  std::chrono::steady_clock::time_point at;
  std::string text;
};

class LedgerClient;

class SwitchLedger {
 public:
  struct Options {
    std::vector<int> ports;  // of the proxies: clients are dealt out among them
    unsigned clients = 64;
    std::chrono::microseconds think_max = std::chrono::milliseconds(200);  // between two deeds, at random up to here
    bool reconnects = false;  // after an error; else the client ends
    bool has_tls = true;
    std::uint64_t seed = 1;
  };
  explicit SwitchLedger(Options options);
  ~SwitchLedger();
  SwitchLedger(const SwitchLedger&) = delete;
  SwitchLedger& operator=(const SwitchLedger&) = delete;

  // Returns when no client has a transaction or a statement under way.
  void pause();
  void go_on();
  // All are connected, and have done something. Throws where that takes longer than half a minute and a few thoughts.
  void await_busy();

  std::uint64_t statements() const;
  std::uint64_t acknowledged() const;  // writes
  // The longest that each client has waited for an answer since the last call, in ms; those that asked nothing are left out.
  std::vector<double> take_waits_ms();
  double usual_ms() const;  // the median of all answers
  std::vector<Complaint> errors() const;  // statements and logins that failed
  std::vector<Complaint> faults() const;  // answers that do not fit the books
  // Both, as text; "" for none.
  std::string complaints() const;
  // At rest only.
  std::vector<const Books*> books() const;

 private:
  friend class LedgerClient;
  void complain(std::vector<Complaint>& where, Complaint complaint);
  bool has_ended() const { return is_ending_; }

  const Options options_;
  void tell(std::atomic<bool>& what, bool value);

  std::atomic<bool> is_ending_{false};  // these two are changed by tell() alone
  std::atomic<bool> is_paused_{false};
  std::mutex told_mutex_;
  std::condition_variable told_;  // a thousand that look for it every few milliseconds would keep a processor busy
  std::counting_semaphore<> logins_{32};  // at a time: a thousand at once would wait for longer than a proxy lets a client log in
  mutable std::mutex mutex_;
  std::vector<Complaint> errors_;  // under mutex_
  std::vector<Complaint> faults_;
  std::vector<std::unique_ptr<LedgerClient>> clients_;
};

// The schema, its rows for so many clients, by SQL of both flavours.
void create_trade(Client& server, unsigned clients);
void create_teller(const Server& server);

struct Waits {
  double median_ms = 0;
  double longest_ms = 0;
};
// Of waits, what is more than usual.
Waits pauses(std::vector<double> waits_ms, double usual_ms);

}  // namespace godwit::test
