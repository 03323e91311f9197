#include "lane.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <thread>
#include <utility>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"

namespace godwit::copy {
namespace {

using std::chrono::milliseconds;

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

[[noreturn]] void refuse_changed(const TableTask& task, const Error& error) {
  throw Error(Code::table_changed,
              {.object = sql::quote_table(task.source.schema, task.source.name),
               .cause = error.cause(),
               .remedy = "a DDL statement met the copy: undo it, or godwit cancel and copy again"});
}

}  // namespace

struct Lane::Reading {
  std::vector<std::optional<Blocks>> blocks;  // by target; none where the chunk is not wanted
  std::vector<Piece> ends;                    // by target
  std::uint64_t rows = 0;                     // of the source
  std::uint64_t rows_max = 0;
  std::size_t key_position = 0;
  std::string last_key;  // where rows_max was reached
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
  failure_ = nullptr;
  connect();
  std::vector<std::thread> threads;
  for (const auto& writer : writers_) {
    if (writer) threads.emplace_back([this, &writer] { write(*writer); });
  }
  try {
    read_all();
    for (const auto& writer : writers_) {
      if (writer) writer->close();
    }
  } catch (...) {
    remember_failure();
    abort_writers();
  }
  for (auto& thread : threads) thread.join();
  if (failure_) std::rethrow_exception(failure_);
}

void Lane::connect() {
  writers_.clear();
  for (std::size_t target = 0; target < context_.targets.size(); ++target) {
    const bool is_wanted = context_.scheduler.is_wanted(target);
    writers_.push_back(is_wanted ? std::make_unique<ChunkWriter>(context_, target) : nullptr);
  }
}

void Lane::write(ChunkWriter& writer) {
  try {
    writer.run([&](const Assignment& assignment) { note_committed(writer.target(), assignment); });
  } catch (...) {
    remember_failure();
    abort_writers();
  }
  // At once, and only what this writer can commit no more: the reader, or another lane, may be waiting in the scheduler for just these chunks.
  give_back(writer.target());
}

void Lane::remember_failure() {
  std::lock_guard lock(mutex_);
  if (failure_) return;
  try {
    throw;
  } catch (const PipeBroken&) {
    // Only the echo of the failure that another thread is about to report, or has reported.
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void Lane::abort_writers() {
  for (const auto& writer : writers_) {
    if (writer) writer->abort();
  }
}

void Lane::note_committed(std::size_t target, const Assignment& assignment) {
  std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(unsettled_, assignment.id, &Assignment::id);
  GODWIT_CHECK(found != unsettled_.end());
  std::erase(found->targets, target);
  if (found->targets.empty()) unsettled_.erase(found);
  ++committed_;
}

void Lane::give_back(std::size_t target) {
  std::lock_guard lock(mutex_);
  for (auto it = unsettled_.rbegin(); it != unsettled_.rend(); ++it) {
    if (std::erase(it->targets, target) == 0) continue;
    Assignment part = *it;
    part.targets = {target};
    context_.scheduler.give_back(part);
  }
  std::erase_if(unsettled_, [](const Assignment& assignment) { return assignment.targets.empty(); });
}

// What the reader had begun, and no writer has seen.
void Lane::give_back_unsettled() {
  std::lock_guard lock(mutex_);
  for (auto it = unsettled_.rbegin(); it != unsettled_.rend(); ++it) context_.scheduler.give_back(*it);
  unsettled_.clear();
}

// --- reading ------------------------------------------------------------------------------------------------------

void Lane::read_all() {
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
    read_chunk(*assignment);
  }
}

std::optional<Assignment> Lane::next_chunk() {
  try {
    return context_.scheduler.next();
  } catch (const Error& error) {
    // Planning asks the source too; the targets' part of it is tried again.
    const bool is_source = error.object().starts_with(db::to_string(db::Side::source));
    if (is_source && is_session_gone(error)) throw SnapshotLost{error.what()};
    throw;
  }
}

void Lane::send(std::size_t target, Piece piece) {
  GODWIT_CHECK(writers_[target] != nullptr);  // what is wanted when the lane begins only ever becomes less
  if (!writers_[target]->send(std::move(piece))) throw PipeBroken{};
}

void Lane::read_chunk(const Assignment& assignment) {
  const TableTask& task = context_.task(assignment.targets.front(), assignment);
  const auto key_position = position_of_key(task);
  Reading reading{.blocks = std::vector<std::optional<Blocks>>(context_.targets.size()), .ends = std::vector<Piece>(context_.targets.size())};
  reading.rows_max = key_position ? assignment.rows_max : 0;
  reading.key_position = key_position.value_or(0);
  for (const std::size_t target : assignment.targets) {
    reading.ends[target].kind = Piece::Kind::end;
    send(target, {.kind = Piece::Kind::begin, .assignment = assignment});
    reading.blocks[target].emplace(context_.task(target, assignment), writers_[target]->means(), [&, target](Block block) {
      failpoint(Fp::copy_chunk_read);
      const std::size_t size = block.data.size();
      reading.ends[target].bytes += size;
      send(target, {.kind = Piece::Kind::block, .block = std::move(block)});
      // What goes to every target was read once.
      const bool was_read = task.route || target == assignment.targets.front();
      if (was_read) context_.throttle.pace(size, context_.stop);
      context_.stop.throw_if_requested();
    });
  }
  try {
    read_rows(reading, assignment);
  } catch (const Error& error) {
    if (is_session_gone(error)) throw SnapshotLost{error.what()};
    const bool is_changed = error.code() == Code::snapshot_lost || error.code() == Code::table_changed || error.code() == Code::no_such_table;
    if (is_changed) refuse_changed(task, error);
    throw;
  }
  // Read to its own bound, nothing is left of it. Cut, it is so for all targets alike: they go on with the same ranges.
  const bool is_cut = !reading.last_key.empty() && Bound{reading.last_key} != assignment.chunk.range.upper;
  std::vector<Chunk> rest;
  if (is_cut) rest = context_.scheduler.cut_rest(assignment, {reading.last_key}, reading.rows);
  for (const std::size_t target : assignment.targets) {
    Piece& end = reading.ends[target];
    if (is_cut) end.cut_at = Bound{reading.last_key};
    end.rest = rest;
    send(target, std::move(end));
  }
}

void Lane::read_rows(Reading& reading, const Assignment& assignment) {
  const TableTask& task = context_.task(assignment.targets.front(), assignment);
  db::RowStream rows = reader_.stream(select_statement(task, assignment.chunk.range, reading.rows_max));
  while (const auto row = rows.next()) {
    ++reading.rows;
    if (reading.rows == reading.rows_max) reading.last_key = (*row)[reading.key_position].text();
    place(reading, assignment, *row);
  }
  for (const std::size_t target : assignment.targets) reading.blocks[target]->finish();
}

// A row whose target has the chunk already is passed over: its range was read for the others.
void Lane::place(Reading& reading, const Assignment& assignment, db::Row row) {
  const auto add_to = [&](std::size_t target) {
    ++reading.ends[target].rows;
    reading.blocks[target]->add(row);
  };
  const auto& route = context_.task(assignment.targets.front(), assignment).route;
  if (!route) {
    for (const std::size_t target : assignment.targets) add_to(target);
    return;
  }
  key_.clear();
  for (const std::size_t position : route->positions) {
    const db::Value& value = row[position];
    key_.push_back(value.is_null() ? std::nullopt : std::optional(value.view()));
  }
  const std::size_t target = route->route->shard_of(key_);
  if (reading.blocks[target]) add_to(target);
}

}  // namespace godwit::copy
