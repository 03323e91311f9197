#include "post_copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "godwit/sql/quote.h"
#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"

namespace godwit::workflow {
namespace {

using sql::quote_string;

constexpr std::string_view kOwnMode = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES";
constexpr std::string_view kCreating = "creating";

bool is_kind(const state::PostCopyRow& row, catalog::PostCopyKind kind) { return row.kind == catalog::to_string(kind); }

std::uint64_t count_present(db::Connection& connection, const state::PostCopyRow& row,
                            const std::vector<std::string>& names) {
  std::vector<std::string> quoted;
  for (const auto& name : names) quoted.push_back(quote_string(name));
  const std::string in_names = join(quoted, ", ");
  const std::string schema = quote_string(row.schema_name);
  const std::string table = quote_string(row.object_name);
  std::string question;
  if (is_kind(row, catalog::PostCopyKind::foreign_keys)) {
    question = fmt::format(
        "SELECT COUNT(*) FROM information_schema.TABLE_CONSTRAINTS WHERE CONSTRAINT_TYPE = 'FOREIGN KEY' AND "
        "TABLE_SCHEMA = {} AND TABLE_NAME = {} AND CONSTRAINT_NAME IN ({})",
        schema, table, in_names);
  } else if (is_kind(row, catalog::PostCopyKind::view)) {
    question = fmt::format("SELECT COUNT(*) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}", schema, table);
  } else if (is_object(row)) {
    question = fmt::format(
        "SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {} AND ROUTINE_NAME = {} AND ROUTINE_TYPE = {}",
        schema, table, quote_string(row.kind));
  } else {
    question = fmt::format(
        "SELECT COUNT(DISTINCT INDEX_NAME) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = {} AND "
        "TABLE_NAME = {} AND INDEX_NAME IN ({})",
        schema, table, in_names);
  }
  return parse_u64(connection.scalar(question)).value_or(0);
}

// ALTER is atomic: all of its keys are there, or none is.
bool is_there(db::Connection& connection, const state::PostCopyRow& row) {
  const auto names = nlohmann::json::parse(row.creates).get<std::vector<std::string>>();
  return count_present(connection, row, names) >= names.size();
}

void mark(SidecarLedger& ledger, const state::PostCopyRow& row, std::string_view state, std::string_view error) {
  ledger.guarded([&](state::Sidecar& sidecar) { sidecar.set_post_copy_state(row.id, state, error); });
}

// An object is marked before it is created: one that is there under a mark is ours, one that is there without is not.
std::optional<std::string> claim_object(db::Connection& connection, SidecarLedger& ledger, const state::PostCopyRow& row) {
  if (!is_object(row) || row.state == kCreating) return std::nullopt;
  if (is_there(connection, row)) {
    const std::string why = fmt::format("a {} of that name is on the target already, and is not of this workflow", row.kind);
    mark(ledger, row, "failed", why);
    return why;
  }
  mark(ledger, row, kCreating, "");
  return std::nullopt;
}

// What a server says of a key, a foreign key, a view or a routine that is there already.
constexpr std::array kThereAlready{1061U, 1826U, 1050U, 1304U};

}  // namespace

bool is_object(const state::PostCopyRow& row) {
  return is_kind(row, catalog::PostCopyKind::view) || is_kind(row, catalog::PostCopyKind::procedure) ||
         is_kind(row, catalog::PostCopyKind::function);
}

std::optional<std::string> run_post_copy(db::Connection& connection, SidecarLedger& ledger,
                                         const state::PostCopyRow& row) {
  if (row.state == "done") return std::nullopt;
  failpoint(Fp::copy_keys_building);
  if (auto why = claim_object(connection, ledger, row)) return why;
  try {
    if (!is_there(connection, row)) {
      connection.execute("USE " + sql::quote_identifier(row.schema_name));
      // A routine keeps the mode it was written under, the empty one too. Each time: a statement that failed has left its own behind.
      const bool is_routine = is_kind(row, catalog::PostCopyKind::procedure) || is_kind(row, catalog::PostCopyKind::function);
      const bool has_mode = !row.sql_mode.empty() || is_routine;
      connection.execute("SET SESSION sql_mode = " + quote_string(has_mode ? std::string_view(row.sql_mode) : kOwnMode));
      connection.execute(row.sql);
    }
  } catch (const Error& error) {
    // A statement of a run that was killed went on in the server and has just ended: what it made is what we want.
    const bool was_made = std::ranges::find(kThereAlready, connection.last_errno()) != kThereAlready.end();
    if (!was_made || !is_there(connection, row)) {
      if (error.is_retryable() || error.code() == Code::interrupted) throw;
      mark(ledger, row, "failed", error.cause());
      return error.cause();
    }
  }
  failpoint(Fp::copy_keys_built);
  mark(ledger, row, "done", "");
  return std::nullopt;
}

KeyBuilder::KeyBuilder(const db::Endpoint& target, const CopyTuning& tuning, SidecarLedger& ledger, catalog::PostCopyKind kind)
    : ledger_(ledger), kind_(kind) {
  for (std::size_t i = 0; i < tuning.key_builders; ++i) {
    threads_.emplace_back([this, target, skip = tuning.writer.skip_binlog] { work(target, skip); });
  }
}

KeyBuilder::~KeyBuilder() {
  jobs_.abort();
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void KeyBuilder::add(const std::string& target_schema, const std::string& target_table) {
  {
    std::lock_guard lock(mutex_);
    if (!added_.emplace(target_schema, target_table).second) return;
  }
  jobs_.push({target_schema, target_table}, 1);
}

void KeyBuilder::finish() {
  jobs_.close();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  if (failure_) std::rethrow_exception(failure_);
}

std::vector<PendingStatement> KeyBuilder::pending() {
  std::lock_guard lock(mutex_);
  return pending_;
}

std::vector<std::string> KeyBuilder::at_work() {
  std::lock_guard lock(mutex_);
  return at_work_;
}

void KeyBuilder::work(const db::Endpoint& target, bool skip_binlog) {
  try {
    std::optional<db::Connection> connection;
    while (const auto job = jobs_.pop()) {
      for (unsigned attempt = 1;; ++attempt) {
        try {
          if (!connection) {
            connection.emplace(db::Connection::open(target));
            // An ALTER of a killed run may still be at work: its end is waited for. Nor is one of hours given up at its end, where it needs the table alone.
            connection->execute("SET SESSION lock_wait_timeout = 86400");
            if (skip_binlog) connection->execute("SET SESSION sql_log_bin = 0");
          }
          build(*connection, *job);
          break;
        } catch (const Error& error) {
          connection.reset();
          if (!error.is_retryable() || attempt >= 10) throw;
          log::warning("keys of {} are tried again: {}", sql::quote_table(job->schema, job->table), error.what());
          std::this_thread::sleep_for(std::chrono::milliseconds(100) * (1U << attempt));
        }
      }
    }
  } catch (...) {
    std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
    jobs_.abort();
  }
}

void KeyBuilder::build(db::Connection& connection, const Job& job) {
  const std::string object = sql::quote_table(job.schema, job.table);
  {
    std::lock_guard lock(mutex_);
    if (std::ranges::find(at_work_, object) == at_work_.end()) at_work_.push_back(object);
  }
  const auto began = std::chrono::steady_clock::now();
  std::vector<state::PostCopyRow> rows;
  std::vector<state::TableRow> tables;
  ledger_.guarded([&](state::Sidecar& sidecar) {
    rows = sidecar.post_copy(ledger_.stream());
    tables = sidecar.tables(ledger_.stream());
  });
  for (const auto& row : rows) {
    if (!is_kind(row, kind_) || row.schema_name != job.schema || row.object_name != job.table) continue;
    if (const auto why = run_post_copy(connection, ledger_, row)) {
      std::lock_guard lock(mutex_);
      pending_.push_back({.kind = row.kind, .object = object, .error = *why});
    }
  }
  const auto took = since(began);
  ledger_.guarded([&](state::Sidecar& sidecar) {
    for (auto table : tables) {
      if (table.target_schema != job.schema || table.target_table != job.table) continue;
      table.state = "finished";
      table.keys_ms += static_cast<std::uint64_t>(took.count());
      sidecar.set_table_state(ledger_.stream(), table);
    }
  });
  std::lock_guard lock(mutex_);
  std::erase(at_work_, object);
}

}  // namespace godwit::workflow
