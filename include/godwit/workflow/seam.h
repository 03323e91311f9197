// The other half of a copy cycle. One thread. Before chunks are read from a new snapshot, every target catches up to the snapshot's `low`:
// then every change up to the snapshot is either in rows that are copied already, or in rows that are about to be read from it. After the last
// cycle it catches up to `high`, the end of the overlap: from there on the target is the source at one position.
#pragma once

#include <vector>

#include "godwit/gtid/position.h"
#include "godwit/state/sidecar.h"

namespace godwit::workflow {

struct Definition;

class CatchUp {
 public:
  // One target of it: the only one, or a shard.
  struct Part {
    const Definition& definition;
    const state::StreamRow& stream;
  };

  virtual ~CatchUp() = default;
  // All of them, by number, each from wherever it is. Throws Error(interrupted) when a stop was requested, and what the stream throws; some may have arrived then.
  virtual void reach(const std::vector<Part>& parts, const gtid::Position& position) = 0;
};

}  // namespace godwit::workflow
