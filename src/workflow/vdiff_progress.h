// Shows how far a comparison is: a line repainted on a terminal, a log line every ten seconds elsewhere, and a JSON document in the state file for
// `status`. A thread of its own from construction to destruction; the state file is its alone meanwhile.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "godwit/copy/throttle.h"
#include "godwit/state/state_file.h"
#include "godwit/util/stop.h"

namespace godwit::workflow {

// Written by the lanes, read by anyone. Rows of the source.
struct VdiffCounts {
  std::atomic<std::uint64_t> rows{0};
  std::atomic<std::uint64_t> streamed{0};   // of both sides, row by row
  std::atomic<std::uint64_t> suspected{0};
  std::uint64_t rows_estimate = 0;          // of all tables
  std::size_t tables = 0;
};

class VdiffProgress {
 public:
  VdiffProgress(const std::string& workflow, const VdiffCounts& counts, const copy::Throttle& throttle, state::StateFile& state);
  ~VdiffProgress();

 private:
  void run();
  std::string line(std::uint64_t rows, double rows_per_s) const;
  std::string json(std::uint64_t rows, double rows_per_s) const;

  const std::string workflow_;
  const VdiffCounts& counts_;
  const copy::Throttle& throttle_;
  state::StateFile& state_;
  Stop ended_;
  std::thread thread_;
};

}  // namespace godwit::workflow
