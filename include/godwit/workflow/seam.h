// The other half of a copy cycle: before chunks are read from a new snapshot, the target catches up to the snapshot's `low`. One
// thread. Until the stream can be applied, nothing is caught up: then every change from the first low on is still to be
// applied, as overlap up to the last high, which the sidecar records (stream.position, stream.overlap_end).
#pragma once

#include "godwit/gtid/position.h"

namespace godwit::workflow {

class CatchUp {
 public:
  virtual ~CatchUp() = default;
  virtual void reach(const gtid::Position& low) = 0;
};

class NoCatchUp : public CatchUp {
 public:
  void reach(const gtid::Position&) override {}
};

}  // namespace godwit::workflow
