#include "chunk_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "godwit/sql/quote.h"
#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/text.h"

namespace godwit::copy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kWarningsCountMax = 65535;  // two bytes in the protocol's OK packet

// Of "Records: 3  Deleted: 1  …", where replaced rows count twice among the affected ones; a single row's statement has no message.
std::uint64_t stored_rows(const TableTask& task, const db::Executed& done) {
  if (!task.overwrites) return done.affected_rows;
  constexpr std::string_view kRecords = "Records: ";
  const auto at = done.message.find(kRecords);
  if (at == std::string::npos) return std::min<std::uint64_t>(done.affected_rows, 1);
  const auto from = at + kRecords.size();
  return parse_u64(done.message.substr(from, done.message.find(' ', from) - from)).value_or(0);
}

[[noreturn]] void mismatch(const TableTask& task, std::string cause) {
  throw Error(Code::chunk_mismatch,
              {.object = sql::quote_table(task.target_schema, task.target_table),
               .cause = std::move(cause),
               .remedy = "does the target's definition hold the source's values? godwit check lists what does not fit"});
}

// LOCAL makes warnings of errors, and so does the sql_mode, so each warning is one (duplicates and cut values too).
void refuse_warnings(db::Connection& session, const TableTask& task, const db::Executed& done, std::uint64_t zero_members) {
  if (done.warnings == std::min(zero_members, kWarningsCountMax)) return;
  mismatch(task, fmt::format("{} warnings: {}", done.warnings, session.warnings_text()));
}

// Several targets share what one may use, but each needs room for a block that is written and one that comes.
std::size_t queue_bytes(const LaneContext& context) {
  return std::max(context.limits.queue_bytes_max / context.targets.size(), 2 * context.limits.block_bytes);
}

}  // namespace

class ChunkWriter::Pieces {
 public:
  explicit Pieces(Queue& queue) : queue_(queue) {}

  Piece& at_hand() { return at_hand_; }
  bool is_rows(RowForm form) const { return at_hand_.kind == Piece::Kind::block && at_hand_.block.form == form; }
  // Between two chunks the queue may end; within one it must not.
  bool find_chunk() {
    auto next = queue_.pop();
    if (!next) return false;
    at_hand_ = std::move(*next);
    GODWIT_CHECK(at_hand_.kind == Piece::Kind::begin);
    return true;
  }
  void advance() {
    auto next = queue_.pop();
    if (!next) throw PipeBroken{};
    at_hand_ = std::move(*next);
  }

 private:
  Queue& queue_;
  Piece at_hand_;
};

ChunkWriter::ChunkWriter(const LaneContext& context, std::size_t target)
    : context_(context), target_(target), session_(open(context, target)), means_(means_of(*session_, context)), queue_(queue_bytes(context)) {}

db::Connection ChunkWriter::open(const LaneContext& context, std::size_t target) {
  db::Connection session = db::Connection::open(context.targets[target].endpoint, db::Encoding::bytes);
  if (context.writer.skip_binlog) session.execute("SET SESSION sql_log_bin = 0");
  return session;
}

// A writer must hold no lock that another lane's writer needs while it waits for rows: its reader may be waiting for room at another target, whose writer
// waits for a lock of that other lane, and so on in a circle, which no server sees. LOAD DATA into a table with AUTO_INCREMENT would hold such a lock to its end
// (innodb_autoinc_lock_mode 0 and 1), an INSERT of one block has all it needs. To one target alone lanes only take turns.
Means ChunkWriter::means_of(db::Connection& session, const LaneContext& context) {
  const bool is_free = context.writer.use_load_data;
  // Half of a packet holds a block together with the row that fills it; what is escaped may double.
  const std::size_t packet_bytes = session.server().max_allowed_packet / 4;
  return {.can_bulk = is_free && session.takes_bulk_insert(),
          .can_load = is_free && session.scalar("SELECT @@local_infile") == "1",
          .can_load_counting = context.targets.size() == 1 || session.scalar("SELECT @@innodb_autoinc_lock_mode") == "2",
          .block_bytes = std::min(context.limits.block_bytes, packet_bytes),
          .row_bytes_max = std::min(context.limits.queue_bytes_max, packet_bytes)};
}

bool ChunkWriter::send(Piece piece) {
  const std::size_t bytes = piece.block.data.size();
  return queue_.push(std::move(piece), bytes);
}

void ChunkWriter::run(const std::function<void(const Assignment&)>& on_committed) {
  db::Connection session = std::move(*session_);
  session_.reset();
  Pieces pieces(queue_);
  while (pieces.find_chunk()) write_chunk(session, pieces, on_committed);
}

void ChunkWriter::write_chunk(db::Connection& session, Pieces& pieces, const std::function<void(const Assignment&)>& on_committed) {
  const Assignment assignment = pieces.at_hand().assignment;
  const TableTask& task = context_.task(target_, assignment);
  Ledger& ledger = context_.targets[target_].ledger;
  session.execute("START TRANSACTION");
  if (!ledger.begin_chunk(session, task.source, assignment.chunk)) {
    // What else was recorded with it is in the ledger: begin anew from there. A process that was fenced out finds that out there (I3).
    throw SnapshotLost{fmt::format("chunk {} was committed by an attempt that was thought lost, or by a newer process", assignment.chunk.number)};
  }
  const std::uint64_t stored = write_rows(session, pieces, task);
  const Piece& end = pieces.at_hand();
  if (stored != end.rows) mismatch(task, fmt::format("{} rows were sent, {} stored", end.rows, stored));
  failpoint(Fp::copy_chunk_loaded);

  Chunk done = assignment.chunk;
  done.is_done = true;
  done.rows = end.rows;
  done.bytes = end.bytes;
  if (end.cut_at) done.range.upper = *end.cut_at;
  // The rows and the record of the chunk in one transaction (I1), the epoch last: a process that was fenced out while it
  // loaded finds out here, and its rows go with it (I3).
  ledger.commit_chunk(session, task.source, done, end.rest);
  failpoint(Fp::copy_chunk_recorded);
  const auto began = Clock::now();
  session.execute("COMMIT");
  context_.throttle.note_commit(since(began));
  failpoint(Fp::copy_chunk_committed);
  on_committed(assignment);
  if (context_.scheduler.settle(assignment, target_, done, end.rest)) context_.on_table_copied(target_, task);
}

// Up to the chunk's end, which is then at hand. How many rows were stored.
std::uint64_t ChunkWriter::write_rows(db::Connection& session, Pieces& pieces, const TableTask& task) {
  const std::string insert_head = insert_statement_head(task);
  std::optional<db::BulkInsert> bulk;
  std::uint64_t stored = 0;
  const auto note = [&](const db::Executed& done) {
    refuse_warnings(session, task, done, pieces.at_hand().block.zero_members);
    stored += stored_rows(task, done);
    pieces.advance();
  };
  pieces.advance();
  while (pieces.at_hand().kind != Piece::Kind::end) {
    const Block& block = pieces.at_hand().block;
    switch (block.form) {
      case RowForm::bulk:
        if (!bulk) bulk.emplace(session, bulk_statement(task));
        note(bulk->execute(block.data));
        break;
      case RowForm::load:
        stored += load_rows(session, pieces, task);
        break;
      case RowForm::values:
        note(session.execute(insert_head + block.data));
        break;
    }
  }
  return stored;
}

// Feeds one LOAD DATA with the blocks that are for it.
std::uint64_t ChunkWriter::load_rows(db::Connection& session, Pieces& pieces, const TableTask& task) {
  std::size_t offset = 0;
  std::uint64_t zero_members = 0;
  const auto feed = [&](char* buffer, std::size_t size) -> std::size_t {
    std::size_t filled = 0;
    while (filled < size && pieces.is_rows(RowForm::load)) {
      const Block& block = pieces.at_hand().block;
      const std::size_t part = std::min(size - filled, block.data.size() - offset);
      std::memcpy(buffer + filled, block.data.data() + offset, part);
      offset += part;
      filled += part;
      if (offset < block.data.size()) continue;
      zero_members += block.zero_members;
      pieces.advance();
      offset = 0;
    }
    return filled;
  };
  const db::Executed loaded = session.load_data(load_statement(task), feed);
  refuse_warnings(session, task, loaded, zero_members);
  return stored_rows(task, loaded);
}

}  // namespace godwit::copy
