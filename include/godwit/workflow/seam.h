// The other half of a copy cycle. One thread. Before chunks are read from a new snapshot, the target catches up to the snapshot's `low`:
// then every change up to the snapshot is either in rows that are copied already, or in rows that are about to be read from it. After the last
// cycle it catches up to `high`, the end of the overlap: from there on the target is the source at one position.
#pragma once

#include "godwit/gtid/position.h"

namespace godwit::workflow {

class CatchUp {
 public:
  virtual ~CatchUp() = default;
  // Throws Error(interrupted) when a stop was requested, and what the stream throws.
  virtual void reach(const gtid::Position& position) = 0;
};

}  // namespace godwit::workflow
