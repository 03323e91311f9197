// One client of a SwitchLedger: a connection, its books, a thread of its own.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "switch_ledger.h"

namespace godwit::test {

class LedgerClient {
 public:
  LedgerClient(SwitchLedger& ledger, int number, int port);
  ~LedgerClient() { thread_.join(); }

  bool is_resting() const { return rests_ || has_ended_; }
  bool has_ended() const { return has_ended_; }
  std::uint64_t statements() const { return statements_; }
  std::uint64_t acknowledged() const { return acknowledged_; }
  double take_wait_ms() { return static_cast<double>(longest_us_.exchange(0)) / 1000; }
  const Books& books() const { return books_; }

  static constexpr unsigned kSlots = 4000;  // of 50 µs
  void add_to(std::vector<std::uint64_t>& slots) const;

 private:
  void run();
  void rest();
  void connect();
  void deed();
  void place(bool is_committing);
  std::uint64_t write_order(const Order& order);
  void write_lines(Order& order);
  void move_money(Order& order);
  void check_order(const Order& order);
  void note();
  void note_several();
  void check_note(const Note& note, unsigned part);
  void erase_note();
  void tick();
  void look();

  // Throw what the server, or the connection, says.
  AppAnswer ask(const std::string& sql);
  std::vector<Cells> execute(unsigned statement, const std::vector<std::string>& parameters);
  std::uint64_t made_key(unsigned statement);
  template <typename Deed>
  auto timed(const Deed& deed);
  // Runs what commits, and notes what came of it.
  template <typename Deed>
  void commit(Fate& fate, const Deed& deed);
  void wants(const std::string& what, const std::vector<Cells>& rows, const std::string& value);
  void fault(const std::string& text);
  void saw_clock(std::uint64_t mine, std::uint64_t neighbours);

  SwitchLedger& ledger_;
  const int number_;
  const int port_;
  std::mt19937_64 random_;
  Books books_;
  std::uint64_t turn_ = 0;
  std::size_t to_erase_ = 0;
  std::uint64_t clock_seen_ = 0;
  std::uint64_t neighbour_seen_ = 0;
  std::unique_ptr<AppClient> client_;
  std::vector<std::unique_ptr<AppStatement>> statements_prepared_;
  std::atomic<bool> rests_{false};
  std::atomic<bool> has_ended_{false};
  std::atomic<std::uint64_t> statements_{0};
  std::atomic<std::uint64_t> acknowledged_{0};
  std::atomic<std::int64_t> longest_us_{0};
  std::array<std::atomic<std::uint32_t>, kSlots> waits_{};
  std::thread thread_;
};

}  // namespace godwit::test
