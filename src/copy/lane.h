// One reader and one writer with a bounded queue between them: chunks stream from the snapshot to the target, and the
// next chunk is read while the last one commits. run() uses the calling thread to read and one of its own to write.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "blocks.h"
#include "godwit/copy/copier.h"
#include "godwit/util/bounded_queue.h"
#include "scheduler.h"

namespace godwit::copy {

struct LaneContext {
  Scheduler& scheduler;
  const std::vector<TableTask>& tasks;
  const db::Endpoint& target;
  const WriterOptions& writer;
  const CopyLimits& limits;
  Ledger& ledger;
  Throttle& throttle;
  const Stop& stop;
  std::function<bool()> is_cycle_over;  // the snapshot is too old: take no further chunk
  const std::function<void(const TableTask&)>& on_table_copied;
};

// The reader's session is gone, and with it the snapshot.
struct SnapshotLost {
  std::string cause;
};

class Lane {
 public:
  Lane(db::Connection& reader, const LaneContext& context) : reader_(reader), context_(context) {}

  // Until the scheduler has no more chunks. Throws SnapshotLost, or the Error that cannot be retried.
  void run();

 private:
  // What travels through the queue: a chunk is one `begin`, any number of blocks, one `end`.
  struct Piece {
    enum class Kind { begin, block, end } kind = Kind::begin;
    Assignment assignment;         // of begin
    Block block;                   // of block
    std::uint64_t rows = 0;        // of end
    std::uint64_t bytes = 0;       // of end
    std::optional<Bound> cut_at;   // of end: the chunk holds more than it may; this is the last key read
  };
  using Queue = BoundedQueue<Piece>;

  // The writer's end of the queue: the piece at hand, and the next.
  class Pieces;

  void run_once();
  db::Connection open_writer() const;
  Means means_of(db::Connection& writer) const;
  void read_all(Queue& queue, const Means& means);
  std::optional<Assignment> next_chunk();
  void read_chunk(Queue& queue, const Means& means, const Assignment& assignment);
  void write_all(db::Connection writer, Queue& queue);
  void write_chunk(db::Connection& writer, Pieces& pieces, const Assignment& assignment);
  static std::uint64_t write_rows(db::Connection& writer, Pieces& pieces, const TableTask& task);
  static std::uint64_t load_rows(db::Connection& writer, Pieces& pieces, const TableTask& task);
  void send(Queue& queue, Piece piece);
  void remember_failure();
  void give_back_unsettled();
  bool is_passing(const Error& error) const;

  db::Connection& reader_;
  const LaneContext& context_;
  std::mutex mutex_;
  std::deque<Assignment> unsettled_;   // begun, not committed; under mutex_
  std::exception_ptr failure_;         // the first one, of either thread; under mutex_
  std::atomic<std::uint64_t> committed_{0};
  bool has_begun_ = false;  // the reader's alone
};

}  // namespace godwit::copy
