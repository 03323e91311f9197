// One reader, and a writer for each target: chunks stream from the snapshot to the targets, and the next chunk is read while the last one commits.
// run() uses the calling thread to read, and one of its own for each target to write. Private to copy.
#pragma once

#include <atomic>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "blocks.h"
#include "chunk_writer.h"
#include "godwit/copy/copier.h"
#include "scheduler.h"

namespace godwit::copy {

class Lane {
 public:
  Lane(db::Connection& reader, const LaneContext& context) : reader_(reader), context_(context) {}

  // Until the scheduler has no more chunks. Throws SnapshotLost, or the Error that cannot be retried.
  void run();

 private:
  // A chunk on its way: the blocks for each target, and what the end of the chunk will say to each.
  struct Reading;

  void run_once();
  void connect();
  void write(ChunkWriter& writer);
  void read_all();
  std::optional<Assignment> next_chunk();
  void read_chunk(const Assignment& assignment);
  void read_rows(Reading& reading, const Assignment& assignment);
  void place(Reading& reading, const Assignment& assignment, db::Row row);
  void send(std::size_t target, Piece piece);
  void remember_failure();
  void abort_writers();
  void note_committed(std::size_t target, const Assignment& assignment);
  void give_back(std::size_t target);
  void give_back_unsettled();
  bool is_passing(const Error& error) const;

  db::Connection& reader_;
  const LaneContext& context_;
  std::vector<std::unique_ptr<ChunkWriter>> writers_;  // by target; none where nothing is wanted
  std::vector<std::optional<std::string_view>> key_;   // the reader's scratch
  std::mutex mutex_;
  std::deque<Assignment> unsettled_;   // begun, each for the targets that have not committed it; under mutex_
  std::exception_ptr failure_;         // the first one, of any thread; under mutex_
  std::atomic<std::uint64_t> committed_{0};
  bool has_begun_ = false;  // the reader's alone
};

}  // namespace godwit::copy
