// A small ledger and a writer that keeps it busy on the source: balances that are added to, entries and slips with unique numbers, seats
// whose codes change hands. A change that is lost or applied twice makes the sides differ, also in the table without a key.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "servers.h"

namespace godwit::test {

inline const std::string kLedger = "ledger";

// The schema, some rows in every table, and a heartbeat of nothing: all by SQL of both flavours.
void create_ledger(Client& source);

struct LedgerOptions {
  bool is_bursting = true;  // now and then some hundred rows at a time, which the applier divides among its workers
  bool has_xa = false;
  bool has_keyless = true;
};

class LedgerWriter {
 public:
  LedgerWriter(const Server& source, LedgerOptions options);
  ~LedgerWriter();
  // Returns when no transaction is under way. Throws what ended the writer, if anything did.
  void pause();
  void go_on();
  std::uint64_t transactions() const { return transactions_; }
  // The server may go away; the writer comes again.
  void tolerate_losses() { tolerates_ = true; }

 private:
  void run();
  void write(Client& client, unsigned turn);
  void transfer(Client& client, unsigned turn);
  void burst(Client& client, unsigned turn);
  void xa(Client& client, unsigned turn);
  void change_seats(Client& client, unsigned turn);

  const Server& source_;
  const LedgerOptions options_;
  std::atomic<bool> is_ending_{false};
  std::atomic<bool> is_paused_{false};
  std::atomic<bool> rests_{false};
  std::atomic<bool> tolerates_{false};
  std::atomic<std::uint64_t> transactions_{0};
  std::string failure_;  // once thread_ has ended
  std::atomic<bool> has_failed_{false};
  std::thread thread_;
};

// Waits until the ledgers are equal; "" then, else what differs after `limit_s`.
std::string ledger_difference(const Server& source, const Server& target, int limit_s = 20);

}  // namespace godwit::test
