// Rows of a shard's stream back that wait for another shard's row to go (_godwit.parked_row): whether there is still something to wait for. One thread.
//
// On the target one shard at a time has a row: what is in a parked row's way has gone from its shard before the parked one came to its own (a transaction across
// shards may take a moment). So it is in that shard's binlog, and once the source has all of that, as it was when the row had waited for that moment,
// nothing of a stream is in its way any more: then it is drift.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "godwit/apply/applier.h"
#include "godwit/gtid/set.h"

namespace godwit::workflow {

class ParkedWatch {
 public:
  struct Other {
    db::Endpoint follows;  // the shard
    std::uint64_t id = 0;  // of its stream, on the source
  };
  // source: where all the streams lead.
  ParkedWatch(const apply::ApplyProgress& progress, db::Endpoint source, std::vector<Other> others) : progress_(progress), source_(std::move(source)), others_(std::move(others)) {}

  // Now and then. Throws Error(drift). Servers that do not answer are asked again later.
  void look();

 private:
  void look_closer();
  bool have_others_arrived();

  const apply::ApplyProgress& progress_;
  const db::Endpoint source_;
  const std::vector<Other> others_;
  std::uint64_t since_us_ = 0;    // of the row that ends_ were read for
  std::vector<gtid::Set> ends_;   // one per other: what it had when that row had waited long enough
  std::chrono::steady_clock::time_point looked_{};
};

}  // namespace godwit::workflow
