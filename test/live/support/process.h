// Runs godwit as an operator would, and a migration's shorthand for the tests.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "servers.h"

namespace godwit::test {

struct Outcome {
  int status = -1;  // exit status, or 128 + signal
  std::string out;
  std::string err;
  long rss_kib_max = 0;
};

// The environment that arms failpoints; none for "".
std::map<std::string, std::string> armed(const std::string& failpoints);

class Process {
 public:
  Process(std::vector<std::string> arguments, const std::map<std::string, std::string>& environment);
  Process(Process&& other) noexcept;  // which is of no process then
  ~Process();                         // kills what still runs
  void signal(int number) const;
  bool is_running();
  pid_t pid() const { return pid_; }
  long rss_kib() const;          // of it, now
  std::size_t descriptors() const;  // that it has open
  // What it has logged so far.
  std::string log() const;
  // Kills it after the limit, and throws.
  Outcome wait(std::chrono::seconds limit = std::chrono::seconds(120));

 private:
  pid_t pid_ = -1;
  std::string out_path_;
  std::string err_path_;
  Outcome outcome_;
};

// One migration with a state file of its own.
class Migration {
 public:
  Migration(const Server& source, const Server& target, std::string schema, std::string target_schema = "");
  ~Migration();

  std::vector<std::string> arguments(const std::string& command, const std::vector<std::string>& more = {}) const;
  Process start(const std::string& command, const std::vector<std::string>& more = {},
                const std::map<std::string, std::string>& environment = {}) const;
  Outcome run(const std::string& command, const std::vector<std::string>& more = {},
              const std::map<std::string, std::string>& environment = {}) const;
  // A command that is about no migration: its arguments are all there is.
  Outcome run_plain(const std::vector<std::string>& command_and_options) const;
  // Those whose names begin so, by godwit's own list: a new one is walked through without anybody adding it to a test.
  std::vector<std::string> failpoints(const std::string& prefix) const;
  // Cancels and drops both schemas, whatever is there.
  void clean() const;

  std::string name = "test";
  std::string source_dsn;
  std::string target_dsn;
  std::string state;
  std::vector<std::string> target_options{};  // instead of --target, where the target is shards

 private:
  const Server& source_;
  const Server& target_;
  std::string schema_;
  std::string target_schema_;
};

}  // namespace godwit::test
