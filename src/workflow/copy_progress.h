// Shows how far a copy is: a line repainted on a terminal, a log line every ten seconds elsewhere, and a JSON document in
// the state file for `status`. A thread of its own from construction to destruction; the state file is its alone meanwhile.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include "godwit/copy/copier.h"
#include "godwit/state/state_file.h"
#include "post_copy.h"

namespace godwit::workflow {

class CopyProgress {
 public:
  CopyProgress(const std::string& workflow, const std::vector<copy::TableTask>& tasks,
               const std::vector<copy::TableProgress>& progress, const copy::Throttle& throttle, KeyBuilder& keys,
               state::StateFile& state);
  ~CopyProgress();

 private:
  struct Sample {
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
    std::uint64_t bytes_estimate = 0;
    std::size_t tables_done = 0;
  };
  Sample sample() const;
  void run();
  std::string line(const Sample& now, double bytes_per_s);
  std::string json(const Sample& now, double bytes_per_s);

  const std::string workflow_;
  const std::vector<copy::TableTask>& tasks_;
  const std::vector<copy::TableProgress>& progress_;
  const copy::Throttle& throttle_;
  KeyBuilder& keys_;
  state::StateFile& state_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  Stop ended_;
  std::thread thread_;
};

}  // namespace godwit::workflow
