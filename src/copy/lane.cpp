#include "lane.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "godwit/sql/quote.h"
#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"

namespace godwit::copy {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::uint64_t kWarningsCountMax = 65535;  // two bytes in the protocol's OK packet

// The other half of the lane has failed; its own error says why.
struct PipeBroken {};

milliseconds backoff(unsigned failures) {
  return std::min(milliseconds(100) * (1U << std::min(failures, 10U)), milliseconds(10'000));
}

// A group of sessions shares one consistent state only as long as each of them lives.
bool is_session_gone(const Error& error) {
  const Code code = error.code();
  return code == Code::connection_lost || code == Code::cannot_connect || code == Code::server_shutting_down;
}

std::optional<std::size_t> position_of_key(const TableTask& task) {
  if (!task.key || task.key->columns.size() != 1) return std::nullopt;
  for (std::size_t i = 0; i < task.transfers.size(); ++i) {
    if (task.transfers[i].column == task.key->columns[0].name) return i;
  }
  return std::nullopt;  // generated: read by nobody, so the chunk cannot be cut
}

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
void refuse_warnings(db::Connection& writer, const TableTask& task, const db::Executed& done, std::uint64_t zero_members) {
  if (done.warnings == std::min(zero_members, kWarningsCountMax)) return;
  mismatch(task, fmt::format("{} warnings: {}", done.warnings, writer.warnings_text()));
}

}  // namespace

class Lane::Pieces {
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

bool Lane::is_passing(const Error& error) const {
  // A statement of ours that was killed was not asked to stop for good, unless we were.
  return error.is_retryable() || (error.code() == Code::interrupted && !context_.stop.is_requested());
}

void Lane::run() {
  unsigned failures = 0;
  std::uint64_t committed_before = 0;
  while (true) {
    try {
      run_once();
      return;
    } catch (const Error& error) {
      give_back_unsettled();
      if (!is_passing(error)) throw;
      if (committed_ != committed_before) failures = 0;
      committed_before = committed_;
      if (++failures >= context_.limits.attempts_max) {
        throw Error(Code::retries_used_up,
                    {.object = error.object(),
                     .cause = fmt::format("{} attempts failed, the last with {}", failures, error.what()),
                     .remedy = "mend the cause, then run the same command again: it goes on where it stopped"});
      }
      log::warning("a chunk is read again (attempt {} of {}): {}", failures, context_.limits.attempts_max, error.what());
      if (!context_.stop.sleep_for(backoff(failures))) context_.stop.throw_if_requested();
    } catch (...) {
      give_back_unsettled();
      throw;
    }
  }
}

void Lane::run_once() {
  db::Connection connection = open_writer();
  const Means means = means_of(connection);
  Queue queue(context_.limits.queue_bytes_max);
  failure_ = nullptr;
  std::thread writer([&] {
    try {
      write_all(std::move(connection), queue);  // whose end frees the chunk's record, before the chunk is given back
    } catch (...) {
      remember_failure();
      queue.abort();
      // At once: the reader may be waiting in the scheduler for just these chunks to be settled.
      give_back_unsettled();
    }
  });
  try {
    read_all(queue, means);
    queue.close();
  } catch (...) {
    remember_failure();
    queue.abort();
  }
  writer.join();
  if (failure_) std::rethrow_exception(failure_);
}

db::Connection Lane::open_writer() const {
  db::Connection writer = db::Connection::open(context_.target, db::Encoding::bytes);
  if (context_.writer.skip_binlog) writer.execute("SET SESSION sql_log_bin = 0");
  return writer;
}

Means Lane::means_of(db::Connection& writer) const {
  const bool is_free = context_.writer.use_load_data;
  // Half of a packet holds a block together with the row that fills it; what is escaped may double.
  const std::size_t packet_bytes = writer.server().max_allowed_packet / 4;
  return {.can_bulk = is_free && writer.takes_bulk_insert(),
          .can_load = is_free && writer.scalar("SELECT @@local_infile") == "1",
          .block_bytes = std::min(context_.limits.block_bytes, packet_bytes),
          .row_bytes_max = std::min(context_.limits.queue_bytes_max, packet_bytes)};
}

void Lane::remember_failure() {
  std::lock_guard lock(mutex_);
  if (failure_) return;
  try {
    throw;
  } catch (const PipeBroken&) {
    // Only the echo of the failure that the other thread is about to report, or has reported.
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void Lane::give_back_unsettled() {
  std::lock_guard lock(mutex_);
  for (auto it = unsettled_.rbegin(); it != unsettled_.rend(); ++it) context_.scheduler.give_back(*it);
  unsettled_.clear();
}

// --- reading ------------------------------------------------------------------------------------------------------

void Lane::read_all(Queue& queue, const Means& means) {
  while (true) {
    context_.throttle.wait(context_.stop);
    // Each lane reads one chunk at least: cycles that end before they begin would go on for ever.
    if (has_begun_ && context_.is_cycle_over()) return;
    const auto assignment = next_chunk();
    if (!assignment) return;
    has_begun_ = true;
    {
      std::lock_guard lock(mutex_);
      unsettled_.push_back(*assignment);
    }
    read_chunk(queue, means, *assignment);
  }
}

std::optional<Assignment> Lane::next_chunk() {
  try {
    return context_.scheduler.next();
  } catch (const Error& error) {
    // Planning asks the source too; the target's part of it is tried again.
    const bool is_source = error.object().starts_with(db::to_string(db::Side::source));
    if (is_source && is_session_gone(error)) throw SnapshotLost{error.what()};
    throw;
  }
}

void Lane::send(Queue& queue, Piece piece) {
  const std::size_t bytes = piece.block.data.size();
  if (!queue.push(std::move(piece), bytes)) throw PipeBroken{};
}

void Lane::read_chunk(Queue& queue, const Means& means, const Assignment& assignment) {
  const TableTask& task = context_.tasks[assignment.table];
  const auto key_position = position_of_key(task);
  const std::uint64_t rows_max = key_position ? assignment.rows_max : 0;

  Piece end{.kind = Piece::Kind::end};
  std::string last_key;
  Blocks blocks(task, means, [&](Block block) {
    failpoint(Fp::copy_chunk_read);
    const std::size_t size = block.data.size();
    end.bytes += size;
    send(queue, {.kind = Piece::Kind::block, .block = std::move(block)});
    context_.throttle.pace(size, context_.stop);
    context_.stop.throw_if_requested();
  });

  send(queue, {.kind = Piece::Kind::begin, .assignment = assignment});
  try {
    db::RowStream rows = reader_.stream(select_statement(task, assignment.chunk.range, rows_max));
    while (const auto row = rows.next()) {
      ++end.rows;
      if (rows_max != 0 && end.rows == rows_max) last_key = (*row)[*key_position].text();
      blocks.add(*row);
    }
    blocks.finish();
  } catch (const Error& error) {
    if (is_session_gone(error)) throw SnapshotLost{error.what()};
    if (error.code() == Code::snapshot_lost || error.code() == Code::table_changed ||
        error.code() == Code::no_such_table) {
      throw Error(Code::table_changed,
                  {.object = sql::quote_table(task.source.schema, task.source.name),
                   .cause = error.cause(),
                   .remedy = "a DDL statement met the copy: undo it, or godwit cancel and copy again"});
    }
    throw;
  }
  // Read to its own bound, nothing is left of it.
  const bool is_cut = !last_key.empty() && Bound{last_key} != assignment.chunk.range.upper;
  if (is_cut) end.cut_at = Bound{last_key};
  send(queue, std::move(end));
}

// --- writing ------------------------------------------------------------------------------------------------------

void Lane::write_all(db::Connection writer, Queue& queue) {
  Pieces pieces(queue);
  while (pieces.find_chunk()) {
    const Assignment assignment = pieces.at_hand().assignment;
    write_chunk(writer, pieces, assignment);
  }
}

void Lane::write_chunk(db::Connection& writer, Pieces& pieces, const Assignment& assignment) {
  const TableTask& task = context_.tasks[assignment.table];
  writer.execute("START TRANSACTION");
  if (!context_.ledger.begin_chunk(writer, task.source, assignment.chunk)) {
    // What else that commit recorded is in the ledger: begin anew from there.
    throw SnapshotLost{fmt::format("chunk {} was committed by an attempt that was thought lost", assignment.chunk.number)};
  }
  const std::uint64_t stored = write_rows(writer, pieces, task);
  const Piece& end = pieces.at_hand();
  if (stored != end.rows) mismatch(task, fmt::format("{} rows were sent, {} stored", end.rows, stored));
  failpoint(Fp::copy_chunk_loaded);

  Chunk done = assignment.chunk;
  done.is_done = true;
  done.rows = end.rows;
  done.bytes = end.bytes;
  std::vector<Chunk> rest;
  if (end.cut_at) {
    rest = context_.scheduler.cut_rest(assignment, *end.cut_at, end.rows);
    done.range.upper = *end.cut_at;
  }
  // The rows and the record of the chunk in one transaction (I1), the epoch last: a process that was fenced out while it
  // loaded finds out here, and its rows go with it (I3).
  context_.ledger.commit_chunk(writer, task.source, done, rest);
  failpoint(Fp::copy_chunk_recorded);
  const auto began = Clock::now();
  writer.execute("COMMIT");
  context_.throttle.note_commit(since(began));
  failpoint(Fp::copy_chunk_committed);
  {
    std::lock_guard lock(mutex_);
    unsettled_.pop_front();
  }
  ++committed_;
  if (context_.scheduler.settle(assignment, done, rest)) context_.on_table_copied(task);
}

// Up to the chunk's end, which is then at hand. How many rows were stored.
std::uint64_t Lane::write_rows(db::Connection& writer, Pieces& pieces, const TableTask& task) {
  const std::string insert_head = insert_statement_head(task);
  std::optional<db::BulkInsert> bulk;
  std::uint64_t stored = 0;
  const auto note = [&](const db::Executed& done) {
    refuse_warnings(writer, task, done, pieces.at_hand().block.zero_members);
    stored += stored_rows(task, done);
    pieces.advance();
  };
  pieces.advance();
  while (pieces.at_hand().kind != Piece::Kind::end) {
    const Block& block = pieces.at_hand().block;
    switch (block.form) {
      case RowForm::bulk:
        if (!bulk) bulk.emplace(writer, bulk_statement(task));
        note(bulk->execute(block.data));
        break;
      case RowForm::load:
        stored += load_rows(writer, pieces, task);
        break;
      case RowForm::values:
        note(writer.execute(insert_head + block.data));
        break;
    }
  }
  return stored;
}

// Feeds one LOAD DATA with the blocks that are for it.
std::uint64_t Lane::load_rows(db::Connection& writer, Pieces& pieces, const TableTask& task) {
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
  const db::Executed loaded = writer.load_data(load_statement(task), feed);
  refuse_warnings(writer, task, loaded, zero_members);
  return stored_rows(task, loaded);
}

}  // namespace godwit::copy
