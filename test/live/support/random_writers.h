// Sessions that write whatever a seed makes of them: every kind of statement over a schema with every kind of key. The source itself is
// the truth: nothing here knows what the rows should be. None of godwit's code is used.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "servers.h"

namespace godwit::test {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  unsigned below(unsigned sides) { return static_cast<unsigned>(engine_() % sides); }
  bool one_in(unsigned sides) { return below(sides) == 0; }
  template <typename T>
  const T& of(const std::vector<T>& all) {
    return all[below(static_cast<unsigned>(all.size()))];
  }

 private:
  std::mt19937_64 engine_;
};

// What an earlier history that was cut short has left prepared holds locks for ever.
void roll_back_prepared_xa(Client& client);

// Integer, composite, collated and partitioned keys, further unique keys with NULLs, foreign keys that cascade, every common type, and
// a table without any key; with some rows.
void create_random_schema(Client& client, const std::string& schema);

struct RandomOptions {
  unsigned threads = 3;
  std::uint64_t seed = 1;
  unsigned pause_us = 8000;
  bool has_partial_images = true;  // session binlog_row_image, binlog_row_value_options
  bool has_bursts = true;          // statements of some hundred rows
  bool has_cascades = true;
  bool has_xa = true;
};

class RandomWriters {
 public:
  RandomWriters(const Server& server, std::string schema, RandomOptions options);
  ~RandomWriters();
  // What a copy cannot follow, and a stream can: keys that change under MINIMAL images.
  void allow_partial_key_changes() { may_move_partially_ = true; }
  // Returns when the last has committed; throws what ended one early.
  void stop();
  std::size_t transactions() const { return transactions_; }

 private:
  class Session;

  void join();

  const Server& server_;
  const std::string schema_;
  const RandomOptions options_;
  std::atomic<bool> is_stopped_{false};
  std::atomic<bool> may_move_partially_{false};
  std::atomic<std::size_t> transactions_{0};
  std::mutex mutex_;
  std::string failure_;
  std::vector<std::thread> threads_;
};

}  // namespace godwit::test
