// One session with the target that applies jobs. One thread at a time. Private to apply.
#pragma once

#include <optional>
#include <string>

#include "godwit/apply/applier.h"
#include "godwit/apply/checkpoint.h"
#include "godwit/db/connection.h"
#include "godwit/util/stop.h"
#include "plan.h"

namespace godwit::apply {

class Session {
 public:
  Session(const db::Endpoint& target, const Checkpoint& checkpoint, ApplyProgress& progress, const Stop& stop);

  // One transaction: the job's rows, and the position's statement (empty: the guard alone). Deadlocks and lock waits are tried again;
  // throws Error(drift) naming the row, Error(stream_fenced), or what the server says.
  void apply(const Job& job, const std::string& position_statement);
  // The same without commit, for a transaction that comes in parts: begin() first, then any number, then finish().
  void begin();
  void apply_part(const Job& job);
  void finish(const std::string& position_statement);

  // Puts those parked rows where they belong whose place is free by now (shared_rows.h). Notes how many are left.
  void bring_in_parked(const std::vector<TableBinding>& bindings);

  db::Connection& connection() { return connection_; }

 private:
  // What goes behind the rows, and what its answer must be: "position", "guard".
  struct Tail {
    std::string kind;
    std::string sql;
  };
  void write_in_packs(const Job& job, std::string_view head, const Tail& tail);
  void attempt(const Job& job, const std::string& position_statement);
  void run_pack(const std::string& pack, const std::vector<Statement>& batch, std::size_t leading);
  void write_row_by_row(const Job& job);
  void write_cascades(const Operation& operation);
  void move_if_there(const Operation& operation);
  void write_shared(const Operation& operation);
  void put(const Operation& operation);
  bool take(const Operation& operation);
  bool bring_in(const Change& change, const std::string& place);
  bool must_go_row_by_row(const Job& job) const;
  void check_warnings(const Operation& operation);
  void close_transaction(const std::string& position_statement);

  db::Connection connection_;
  const Checkpoint& checkpoint_;
  std::string oldest_parked_;
  ApplyProgress& progress_;
  const Stop& stop_;
};

}  // namespace godwit::apply
