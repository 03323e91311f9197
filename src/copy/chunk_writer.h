// A lane's end at one target: a session, a bounded queue of pieces, and what writes them, each chunk as one transaction. send() and run() are of two
// threads. Private to copy.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "blocks.h"
#include "godwit/copy/copier.h"
#include "godwit/util/bounded_queue.h"
#include "scheduler.h"

namespace godwit::copy {

struct LaneContext {
  Scheduler& scheduler;
  const std::vector<Target>& targets;
  const WriterOptions& writer;
  const CopyLimits& limits;
  Throttle& throttle;
  const Stop& stop;
  std::function<bool()> is_cycle_over;  // the snapshot is too old: take no further chunk
  const Copier::OnTableCopied& on_table_copied;

  const TableTask& task(std::size_t target, const Assignment& assignment) const { return targets[target].tasks[assignment.table]; }
};

// The reader's session is gone, and with it the snapshot; or the ledger is not what this cycle knows of it.
struct SnapshotLost {
  std::string cause;
};

// Another part of the lane has failed; its own error says why.
struct PipeBroken {};

// What travels through the queue: a chunk is one `begin`, any number of blocks, one `end`.
struct Piece {
  enum class Kind { begin, block, end } kind = Kind::begin;
  Assignment assignment;         // of begin
  Block block;                   // of block
  std::uint64_t rows = 0;        // of end: those of this target
  std::uint64_t bytes = 0;       // likewise
  std::optional<Bound> cut_at;   // of end: the chunk holds more than it may; this is the last key read
  std::vector<Chunk> rest;       // of end: what was cut off. The same for all targets
};

class ChunkWriter {
 public:
  // Connects. Throws Error.
  ChunkWriter(const LaneContext& context, std::size_t target);

  std::size_t target() const { return target_; }
  const Means& means() const { return means_; }
  // Waits for room. False: nobody writes any more.
  bool send(Piece piece);
  void close() { queue_.close(); }
  void abort() { queue_.abort(); }

  // Until closed and empty, or aborted. The session has ended when it returns or throws: with it the chunk's record is free, so that the chunk may be given back.
  void run(const std::function<void(const Assignment&)>& on_committed);

 private:
  using Queue = BoundedQueue<Piece>;
  class Pieces;  // the queue from behind: the piece at hand, and the next

  static db::Connection open(const LaneContext& context, std::size_t target);
  static Means means_of(db::Connection& session, const LaneContext& context);
  void write_chunk(db::Connection& session, Pieces& pieces, const std::function<void(const Assignment&)>& on_committed);
  static std::uint64_t write_rows(db::Connection& session, Pieces& pieces, const TableTask& task);
  static std::uint64_t load_rows(db::Connection& session, Pieces& pieces, const TableTask& task);

  const LaneContext& context_;
  const std::size_t target_;
  std::optional<db::Connection> session_;
  const Means means_;
  Queue queue_;
};

}  // namespace godwit::copy
