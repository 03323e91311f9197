#include "session.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "prepared.h"
#include "shared_rows.h"

namespace godwit::apply {
namespace {

constexpr std::size_t kPackBytes = 128U << 10;     // statements sent at once
constexpr unsigned kContentionAttemptsMax = 100;  // of one job
constexpr std::chrono::seconds kLockWaitMax{10};
constexpr std::chrono::hours kIdleMax{24 * 30};  // of a worker; in seconds for the server
constexpr unsigned kDuplicateEntry = 1062;
constexpr unsigned kTruncated = 1265;

// A statement's answer is not what it must be: the transaction is begun anew, row by row, to name the row.
struct LookCloser {
  std::string cause;
};

db::Endpoint as_applier(db::Endpoint target) {
  target.is_applier = true;
  return target;
}

StatementLimits limits_for(const db::Server& server) {
  StatementLimits limits;
  limits.bytes_max = std::min<std::size_t>(limits.bytes_max, server.max_allowed_packet / 4);
  return limits;
}

[[noreturn]] void drift(const Operation& operation, std::string cause) {
  throw Error(Code::drift,
              {.object = describe(operation),
               .cause = std::move(cause),
               .remedy = "compare the row on both sides; mend it on the target (it may be a write that did not come through godwit), then run the "
                         "same command again"});
}

std::string_view wanted(Op op) {
  switch (op) {
    case Op::insert:
      return "it was inserted on the source, and is on the target already";
    case Op::rewrite:
    case Op::update:
      return "it was updated on the source, and is not on the target";
    case Op::erase:
      return "it was deleted on the source, and is not on the target";
    case Op::upsert:
    case Op::update_if_there:
    case Op::erase_if_there:
    case Op::cascade_only:
      return "";
  }
  return "";
}

// It says all of the row that it is about, so that the row can be taken and put.
bool is_whole(const Operation& operation) {
  if (operation.op == Op::erase || operation.op == Op::erase_if_there) return true;
  return !operation.values.empty() && operation.columns.empty();
}

bool has_shared(const Job& job) {
  return std::any_of(job.operations.begin(), job.operations.end(), [](const Operation& operation) { return operation.table->is_shared; });
}

bool has_lone_operations(const Job& job) { return std::any_of(job.operations.begin(), job.operations.end(), is_alone); }

}  // namespace

Session::Session(const db::Endpoint& target, const Checkpoint& checkpoint, ApplyProgress& progress, const Stop& stop)
    : connection_(db::Connection::open(as_applier(target), db::Encoding::bytes)), checkpoint_(checkpoint), progress_(progress), stop_(stop) {
  // Rows are named by key: no gap needs protection, and deadlocks are fewer.
  connection_.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
  // A wait for a lock must end before it is taken for a server that does not answer.
  const auto wait_s = target.read_timeout.count() == 0 ? kLockWaitMax.count() : std::clamp<std::int64_t>(target.read_timeout.count() / 3, 1, kLockWaitMax.count());
  connection_.execute(fmt::format("SET SESSION innodb_lock_wait_timeout = {0}, lock_wait_timeout = {0}, wait_timeout = {1}", wait_s, std::chrono::seconds(kIdleMax).count()));
  // Unlike the copy, which fills tables that hold no further unique keys yet: here a value that is there already must be seen (I5).
  connection_.execute("SET SESSION unique_checks = 1");
}

void Session::apply(const Job& job, const std::string& position_statement) {
  for (unsigned attempts = 1;; ++attempts) {
    try {
      attempt(job, position_statement);
      return;
    } catch (const LookCloser& why) {
      log::debug("a statement's answer is looked at closer: {}", why.cause);
      connection_.execute("ROLLBACK");
      connection_.execute("START TRANSACTION");
      write_row_by_row(job);
      close_transaction(position_statement);
      return;
    } catch (const Error& error) {
      if (error.code() != Code::lock_contention || attempts >= kContentionAttemptsMax) throw;
      connection_.execute("ROLLBACK");
      connection_.execute("SET SESSION foreign_key_checks = 0");  // it may have been on for the operation that failed
      if (!stop_.sleep_for(std::chrono::milliseconds(std::min(attempts, 50U)))) stop_.throw_if_requested();
    }
  }
}

void Session::attempt(const Job& job, const std::string& position_statement) {
  if (must_go_row_by_row(job)) {
    connection_.execute("START TRANSACTION");
    write_row_by_row(job);
    close_transaction(position_statement);
    return;
  }
  // The position goes with the last rows: one round trip less.
  const bool has_position = !position_statement.empty();
  write_in_packs(job, "START TRANSACTION", has_position ? Tail{"position", position_statement} : Tail{"guard", checkpoint_.guard_statement()});
  failpoint(Fp::apply_job_written);
  connection_.execute("COMMIT");
}

void Session::write_in_packs(const Job& job, std::string_view head, const Tail& tail) {
  const auto batch = statements(job.operations, limits_for(connection_.server()));
  std::string pack(head);
  std::vector<Statement> in_pack;
  std::size_t leading = 1;
  for (const auto& statement : batch) {
    if (!pack.empty() && pack.size() + statement.sql.size() > kPackBytes) {
      run_pack(pack, in_pack, leading);
      pack.clear();
      in_pack.clear();
      leading = 0;
    }
    if (!pack.empty()) pack += ";";
    pack += statement.sql;
    in_pack.push_back({.sql = {}, .expect = statement.expect, .first = statement.first, .count = statement.count});
  }
  if (!tail.sql.empty()) {
    pack += (pack.empty() ? "" : ";") + tail.sql;
    in_pack.push_back({.sql = tail.kind, .count = 1});
  }
  if (!pack.empty()) run_pack(pack, in_pack, leading);
}

void Session::run_pack(const std::string& pack, const std::vector<Statement>& batch, std::size_t leading) {
  std::vector<db::Executed> answers;
  try {
    answers = connection_.execute_many(pack);
  } catch (const Error& error) {
    const bool is_of_the_row = error.code() == Code::duplicate_key || error.code() == Code::bad_data;
    if (is_of_the_row) throw LookCloser{error.cause()};
    throw;
  }
  GODWIT_CHECK(answers.size() == batch.size() + leading);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Statement& statement = batch[i];
    const db::Executed& answer = answers[i + leading];
    if (statement.sql == "guard") {
      if (!checkpoint_.is_own_epoch(answer.scalar.value_or(""))) checkpoint_.throw_fenced();
      continue;
    }
    if (statement.sql == "position") {
      if (answer.affected_rows != 1) checkpoint_.throw_fenced();
      continue;
    }
    if (answer.warnings != 0) throw LookCloser{fmt::format("{} warnings", answer.warnings)};
    const std::uint64_t must_be = statement.expect == Expect::two_each ? 2 * statement.count : statement.count;
    if (statement.expect != Expect::anything && answer.affected_rows != must_be) {
      throw LookCloser{fmt::format("{} rows were affected, not {}", answer.affected_rows, must_be)};
    }
  }
}

void Session::write_row_by_row(const Job& job) {
  for (const auto& operation : job.operations) {
    if (operation.op == Op::rewrite && connection_.scalar(count_statement(operation)) != "1") drift(operation, std::string(wanted(operation.op)));
    const auto single = statements(std::span(&operation, 1), StatementLimits{});
    write_cascades(operation);
    if (operation.op == Op::cascade_only) continue;
    if (operation.table->is_shared && is_whole(operation)) {
      write_shared(operation);
      continue;
    }
    if (operation.op == Op::update_if_there && !operation.new_key.empty()) {
      move_if_there(operation);
      continue;
    }
    db::Executed answer;
    try {
      answer = connection_.execute(single[0].sql);
    } catch (const Error& error) {
      if (error.code() != Code::duplicate_key && error.code() != Code::bad_data) throw;
      const bool is_strict = single[0].expect != Expect::anything;
      if (is_strict && connection_.last_errno() == kDuplicateEntry) drift(operation, fmt::format("{} ({})", wanted(Op::insert), error.cause()));
      throw error.in(describe(operation));
    }
    if (answer.warnings != 0) check_warnings(operation);
    if (single[0].expect == Expect::one_each && answer.affected_rows != 1) drift(operation, std::string(wanted(operation.op)));
  }
}

// Whether the parent's row is there, or the constraint, does not matter: the values say which rows the source changed.
void Session::write_cascades(const Operation& operation) {
  for (std::string_view rest = operation.cascades; !rest.empty();) {
    const auto end = rest.find(kStatementEnd);
    connection_.execute(std::string(rest.substr(0, end)));
    rest.remove_prefix(end + 1);
  }
}

// In the overlap a row may be under its old key as it was, or under its new key as it is later: then what is under the old key is a newer
// row, which its own insert brings again. Where it is under neither, the columns that the event leaves out are known to nobody.
void Session::move_if_there(const Operation& operation) {
  const auto single = statements(std::span(&operation, 1), StatementLimits{});
  Operation there = operation;
  there.key = operation.new_key;
  try {
    if (connection_.execute(single[0].sql).affected_rows == 1) return;
  } catch (const Error& error) {
    if (error.code() != Code::duplicate_key) throw;
    if (connection_.scalar(count_statement(there)) != "1") throw;
    there.op = Op::erase_if_there;
    there.key = operation.key;
    there.new_key = {};
    connection_.execute(statements(std::span(&there, 1), StatementLimits{})[0].sql);
    return;
  }
  if (connection_.scalar(count_statement(there)) == "1") return;
  throw Error(Code::row_image_incomplete,
              {.object = describe(operation),
               .cause = "its key changed while the copy ran, and the event holds no more than the columns that changed",
               .remedy = "SET GLOBAL binlog_row_image = FULL on the source, and have the session that set MINIMAL or NOBLOB reconnect; then godwit "
                         "cancel, and copy again"});
}

// --- tables in which the streams of several shards meet: shared_rows.h ------------------------------------------------

// While a row of this stream is parked, what a statement finds in the table is not all that there is.
bool Session::must_go_row_by_row(const Job& job) const { return has_lone_operations(job) || (progress_.parked != 0 && has_shared(job)); }

// Whether the stream's row was there, in the table or parked.
bool Session::take(const Operation& operation) {
  Operation erase = operation;
  erase.op = Op::erase;
  if (connection_.execute(statements(std::span(&erase, 1), StatementLimits{})[0].sql).affected_rows != 0) return true;
  return connection_.execute(checkpoint_.unpark_statement(place_of(operation))).affected_rows != 0;
}

void Session::put(const Operation& operation) {
  Operation insert = operation;
  insert.op = Op::insert;
  try {
    if (connection_.execute(statements(std::span(&insert, 1), StatementLimits{})[0].sql).warnings != 0) check_warnings(operation);
  } catch (const Error& error) {
    if (error.code() != Code::duplicate_key) throw error.code() == Code::bad_data ? error.in(describe(operation)) : error;
    log::debug("{} waits for another row to go: {}", describe(operation), error.cause());
    connection_.execute(checkpoint_.park_statement(place_of(operation), serialize({parked_change(operation)})));
    ++progress_.parked;
  }
}

void Session::write_shared(const Operation& operation) {
  if (operation.op == Op::insert) return put(operation);
  const bool was_there = take(operation);
  if (!was_there && operation.op != Op::erase_if_there && operation.op != Op::update_if_there) drift(operation, std::string(wanted(operation.op)));
  if (was_there && operation.op == Op::update) put(operation);
}

// The row and its record change places in one transaction, so that it is in one of them always.
bool Session::bring_in(const Change& change, const std::string& place) {
  const Operation operation{.table = change.table, .op = Op::insert, .key = change.new_key, .row = {}, .values = change.values, .columns = {}, .assignments = {}};
  connection_.execute("START TRANSACTION");
  try {
    connection_.execute(statements(std::span(&operation, 1), StatementLimits{})[0].sql);
  } catch (const Error& error) {
    connection_.execute("ROLLBACK");
    if (error.code() == Code::duplicate_key || error.code() == Code::lock_contention) return false;
    throw;
  }
  connection_.execute(checkpoint_.unpark_statement(place));
  close_transaction("");
  return true;
}

void Session::bring_in_parked(const std::vector<TableBinding>& bindings) {
  const db::Rows parked = connection_.query(checkpoint_.select_parked_statement());
  std::size_t left = 0;
  std::string oldest;
  for (std::size_t i = 0; i < parked.size(); ++i) {
    const std::string place = parked.text(i, "place");
    const auto changes = deserialize(parked.text(i, "changes"), bindings);
    if (changes.size() == 1 && bring_in(changes[0], place)) continue;
    if (left++ == 0) oldest = place;
  }
  if (oldest != oldest_parked_) progress_.parked_us = now_us();
  oldest_parked_ = oldest;
  progress_.parked = left;
}

// The session is not strict, so that zero dates and error members can be stored: what else is made to fit is seen here.
void Session::check_warnings(const Operation& operation) {
  const db::Rows rows = connection_.query("SHOW WARNINGS");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows.text(i, "Level") == "Note") continue;
    const bool has_members = std::any_of(operation.table->facts.begin(), operation.table->facts.end(), [](const auto& facts) { return facts.data_type == "enum"; });
    if (rows.u64(i, "Code") == kTruncated && has_members) continue;  // ENUM's error value 0, as it is on the source
    throw Error(Code::bad_data,
                {.object = describe(operation),
                 .cause = fmt::format("the target changed a value: {} {}", rows.text(i, "Code"), rows.text(i, "Message")),
                 .remedy = "widen the target's column; godwit check lists what does not fit"});
  }
}

void Session::close_transaction(const std::string& position_statement) {
  const auto answers = connection_.execute_many(position_statement.empty() ? checkpoint_.guard_statement() : position_statement);
  const bool is_ours = position_statement.empty() ? checkpoint_.is_own_epoch(answers.at(0).scalar.value_or("")) : answers.at(0).affected_rows == 1;
  if (!is_ours) checkpoint_.throw_fenced();
  failpoint(Fp::apply_job_written);
  connection_.execute("COMMIT");
}

void Session::begin() { connection_.execute("START TRANSACTION"); }

// What went before in the transaction must stay when a statement's answer is to be looked at closer.
void Session::apply_part(const Job& job) {
  if (must_go_row_by_row(job)) return write_row_by_row(job);
  try {
    write_in_packs(job, "SAVEPOINT godwit_part", {});
  } catch (const LookCloser& why) {
    log::debug("a statement's answer is looked at closer: {}", why.cause);
    connection_.execute("ROLLBACK TO SAVEPOINT godwit_part");
    write_row_by_row(job);
  }
}

void Session::finish(const std::string& position_statement) { close_transaction(position_statement); }

}  // namespace godwit::apply
