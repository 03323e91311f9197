// Applies the stream between two cycles of a copy, and after the last one. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "godwit/apply/applier.h"
#include "godwit/util/stop.h"
#include "godwit/workflow/seam.h"

namespace godwit::workflow {

class BinlogCatchUp : public CatchUp {
 public:
  BinlogCatchUp(const apply::ApplyOptions& options, const Stop& stop) : options_(options), stop_(stop) {}

  void reach(const std::vector<Part>& parts, const gtid::Position& position) override;
  // So far, of all targets together.
  std::uint64_t transactions() const;
  std::uint64_t rows() const;

 private:
  const apply::ApplyOptions& options_;
  const Stop& stop_;
  std::map<std::string, apply::ApplyProgress> progress_;  // by shard
};

}  // namespace godwit::workflow
