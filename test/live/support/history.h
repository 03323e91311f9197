// Writers that know what they did: each transaction stamps the rows it touches with a number of its own and learns its GTID,
// so that any set of rows can be judged against two positions. What a copy made is right when every key's row, or its
// absence, is what the source held at some instant between `low` and `high`. None of godwit's code is used.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "servers.h"

namespace godwit::test {

// A GTID position of either flavour, parsed.
class GtidSet {
 public:
  explicit GtidSet(const std::string& text);
  bool contains(const std::string& gtid) const;

 private:
  struct Interval {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
  };
  std::map<std::string, std::vector<Interval>> intervals_;  // by domain or UUID
};

struct Touch {
  std::string table;
  std::string key;    // as key_text() selects it
  std::string stamp;  // empty: the key is gone
};

struct Rows {
  std::map<std::string, std::string> stamps;  // by key
  std::vector<std::string> log;               // stamps of the table without a key
};

class History {
 public:
  void load(const std::string& table, const std::string& key);  // there from the beginning, stamp 0
  void commit(const std::string& gtid, const std::vector<Touch>& touches);
  // "" when each key of `table` is as it was at an instant in [low, high]; else the first key that is not.
  std::string judge(const std::string& table, const Rows& rows, const std::string& low, const std::string& high);
  // How many transactions lie between.
  std::size_t between(const std::string& low, const std::string& high);
  std::size_t transactions();

 private:
  struct Change {
    std::string gtid;
    std::string stamp;
  };
  using Changes = std::map<std::uint64_t, Change>;  // by the GTID's number: the order of the binlog
  std::string judge_log(const Rows& rows, const GtidSet& low, const GtidSet& high);

  std::mutex mutex_;
  std::map<std::string, std::map<std::string, Changes>> tables_;
  std::map<std::uint64_t, std::string> gtids_;
};

// The schema that the writers know: integer, composite, collated and skewed keys, foreign keys, a view, a function, and a
// table `log` without any key. Loads it, and tells the history.
void create_stamped(Client& client, const std::string& schema, History& history);
std::vector<std::string> stamped_tables();
Rows read_stamped(Client& client, const std::string& schema, const std::string& table);
// Rows whose content does not belong to their key and stamp: a torn or mixed-up row.
std::size_t torn_rows(Client& client, const std::string& schema, const std::string& table);
// Names and columns of keys and constraints, views and routines: one text to be compared.
std::string definitions(Client& client, const std::string& schema);

struct WriterOptions {
  unsigned threads = 2;
  std::uint64_t seed = 1;
  std::chrono::microseconds pause{1500};
  bool are_keys_updated = true;  // false: a key changes by DELETE and INSERT, which a replica can repeat
  bool is_log_written = true;
};

class Writers {
 public:
  Writers(const Server& server, std::string schema, History& history, WriterOptions options);
  ~Writers();
  void pause();  // returns when no transaction is open and the history is complete
  void resume();
  void stop();

 private:
  void work(unsigned number);
  bool wait_while_paused();
  void transaction(Client& client, std::mt19937_64& random);

  const Server& server_;
  const std::string schema_;
  History& history_;
  const WriterOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned busy_ = 0;
  bool is_paused_ = false;
  bool is_stopped_ = false;
  std::string failure_;
  std::atomic<std::uint64_t> next_stamp_{1};
  std::vector<std::thread> threads_;
};

// The writers stand still, and their history is complete, for as long as this lives.
class WritersAtRest {
 public:
  explicit WritersAtRest(Writers& writers) : writers_(writers) { writers_.pause(); }
  ~WritersAtRest() { writers_.resume(); }
  WritersAtRest(const WritersAtRest&) = delete;

 private:
  Writers& writers_;
};

}  // namespace godwit::test
