#include "vdiff_pair.h"

#include <fmt/format.h>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "preparation.h"

namespace godwit::workflow {
namespace {

using db::Side;

void await_replica(Side side, db::Connection& replica, const gtid::Position& position) {
  constexpr int kPatienceSeconds = 2;  // the stream may be standing meanwhile
  const std::string option = side == Side::source ? "--source-replica" : "--target-replica";
  const std::string name = fmt::format("{} {}", option, db::address(replica.endpoint().dsn));
  const bool is_mariadb = replica.server().is_mariadb();
  // Its snapshots have their positions in its own binlog.
  if (is_mariadb && side == Side::source && replica.scalar("SELECT @@GLOBAL.log_bin AND @@GLOBAL.log_slave_updates") != "1") {
    throw Error(Code::position_unavailable, {.object = name, .cause = "its own binlog does not hold what it replicates", .remedy = "log_bin and log_slave_updates must be on there; or compare on the source itself"});
  }
  const std::string answer = replica.scalar(fmt::format("SELECT {}({}, {})", is_mariadb ? "MASTER_GTID_WAIT" : "WAIT_FOR_EXECUTED_GTID_SET", sql::quote_string(position.text), kPatienceSeconds));
  if (answer == "0") return;
  throw Error(Code::replica_behind,
              {.object = name,
               .cause = fmt::format("it does not reach {} within {} s", position.text, kPatienceSeconds),
               .remedy = "let it catch up, or leave the option out"});
}

}  // namespace

db::Endpoint scanned_endpoint(const Definition& definition, const VdiffTuning& tuning, Side side) {
  const bool is_source = side == Side::source;
  const db::Endpoint primary = is_source ? source_endpoint(definition) : target_endpoint(definition);
  const std::string& dsn = is_source ? tuning.source_replica : tuning.target_replica;
  return dsn.empty() ? primary : replica_endpoint(primary, dsn, is_source ? "--source-replica" : "--target-replica");
}

std::vector<db::Connection> PairOpener::connect_target(std::size_t sessions) const {
  std::vector<db::Connection> target;
  for (std::size_t i = 0; i < sessions; ++i) {
    target.push_back(db::Connection::open(scanned_endpoint(definition_, tuning_, Side::target), db::Encoding::bytes));
    db::prepare_snapshot(target.back());
  }
  return target;
}

void PairOpener::await_source(db::Connection& scanned, const gtid::Position& position) const {
  if (!tuning_.source_replica.empty()) await_replica(Side::source, scanned, position);
}

void PairOpener::await_target(db::Connection& scanned) const {
  if (!tuning_.target_replica.empty()) await_replica(Side::target, scanned, db::end_of_binlog(target_));
}

SnapshotPair PairOpener::open(std::size_t sessions, const std::vector<std::string>& exact_tables) {
  db::SnapshotSessions source = db::connect_snapshot(scanned_endpoint(definition_, tuning_, Side::source), sessions);
  SnapshotPair pair;
  pair.target = connect_target(sessions);
  db::Connection scanned_target = db::Connection::open(scanned_endpoint(definition_, tuning_, Side::target));
  const gtid::Position near = db::end_of_binlog(source_);
  await_source(source.watcher, near);
  hold_.reach(near);
  await_target(scanned_target);

  StreamHold::Standing standing(hold_);
  await_source(source.watcher, standing.position());
  const bool is_exact_by_itself = source.watcher.server().is_mariadb() && sessions == 1;
  const bool is_exact = is_exact_by_itself || !exact_tables.empty();
  // A lock that is not granted at once is not waited for while the stream stands.
  pair.source = db::open_snapshot(std::move(source), {.readers = sessions, .exact_tables = is_exact_by_itself ? std::vector<std::string>{} : exact_tables, .needs_low = is_exact, .lock_total_max = std::chrono::seconds(1)}, stop_);
  pair.position = is_exact ? pair.source.low : pair.source.high;
  standing.advance(pair.position);
  await_target(scanned_target);
  for (auto& session : pair.target) db::begin_snapshot(session);
  pair.held = standing.release();
  return pair;
}

}  // namespace godwit::workflow
