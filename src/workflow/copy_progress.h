// Shows how far a copy is: a line repainted on a terminal, a log line every ten seconds elsewhere, and a JSON document in
// the state file for `status`. A thread of its own from construction to destruction; the state file is its alone meanwhile.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "godwit/copy/copier.h"
#include "godwit/state/state_file.h"

namespace godwit::workflow {

struct CopyWatched {
  const std::vector<copy::Target>& targets;
  std::vector<std::string> names;  // of the targets, by number; "" where there is one
  const copy::Throttle& throttle;
  std::function<std::vector<std::string>()> keys_building;
};

class CopyProgress {
 public:
  CopyProgress(const std::string& workflow, CopyWatched watched, state::StateFile& state);
  ~CopyProgress();

 private:
  struct OfTarget {
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
    std::size_t tables = 0;
    std::size_t tables_done = 0;
  };
  struct Sample {
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
    std::uint64_t bytes_estimate = 0;
    std::size_t tables_done = 0;  // everywhere
    std::vector<OfTarget> targets;
  };
  void add_table(Sample& sample, std::size_t table) const;
  Sample sample() const;
  void run();
  std::string line(const Sample& now, double bytes_per_s);
  std::string json(const Sample& now, double bytes_per_s);

  const std::string workflow_;
  const CopyWatched watched_;
  state::StateFile& state_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  Stop ended_;
  std::thread thread_;
};

}  // namespace godwit::workflow
