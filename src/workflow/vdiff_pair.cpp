#include "vdiff_pair.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "preparation.h"

namespace godwit::workflow {
namespace {

constexpr std::chrono::milliseconds kQuietMax{300};

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
  const db::Endpoint primary = compared_endpoint(definition, side);
  const std::string& dsn = is_source ? tuning.source_replica : tuning.target_replica;
  return dsn.empty() ? primary : replica_endpoint(primary, dsn, is_source ? "--source-replica" : "--target-replica");
}

vdiff::Sessions SnapshotPair::lane(std::size_t number) {
  vdiff::Sessions sessions;
  for (auto& source : sources) sessions.source.push_back(&source.readers[number]);
  for (auto& target : targets) sessions.target.push_back(&target[number]);
  return sessions;
}

std::vector<std::vector<db::Connection>> PairOpener::connect_targets(std::size_t sessions) const {
  std::vector<std::vector<db::Connection>> targets;
  for (const Definition* definition : servers_of(shards_, Side::target)) {
    auto& target = targets.emplace_back();
    for (std::size_t i = 0; i < sessions; ++i) {
      target.push_back(db::Connection::open(scanned_endpoint(*definition, tuning_, Side::target), db::Encoding::bytes));
      db::prepare_snapshot(target.back());
    }
  }
  return targets;
}

void PairOpener::await_source(db::Connection& scanned, const gtid::Position& position) const {
  if (!tuning_.source_replica.empty()) await_replica(Side::source, scanned, position);
}

void PairOpener::await_target(std::vector<db::Connection>& scanned) const {
  if (tuning_.target_replica.empty()) return;
  for (std::size_t i = 0; i < scanned.size(); ++i) await_replica(Side::target, scanned[i], db::end_of_binlog(targets_[i]));
}

void PairOpener::reach_sources(std::vector<db::SnapshotSessions>& sources) {
  std::vector<gtid::Position> near;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    near.push_back(db::end_of_binlog(sources_[i]));
    await_source(sources[i].watcher, near[i]);
  }
  for (std::size_t i = 0; i < shards_.size(); ++i) shards_[i].hold->reach(near[server_of(shards_, i, Side::source)]);
}

// Gives where it is.
gtid::Position PairOpener::open_source(db::SnapshotSessions sessions, const std::vector<std::string>& exact_tables, SnapshotPair& pair) const {
  const std::size_t readers = sessions.readers.size();
  const bool is_exact = !exact_tables.empty();
  // Neither a quiet instant nor a lock is waited for while the stream stands.
  const db::SnapshotOptions options{.readers = readers, .must_be_exact = is_exact, .exact_tables = exact_tables, .quiet_max = kQuietMax, .needs_low = false, .lock_total_max = std::chrono::seconds(1)};
  const db::Snapshot& snapshot = pair.sources.emplace_back(db::open_snapshot(std::move(sessions), options, stop_));
  pair.writes_held = std::max(pair.writes_held, snapshot.writes_held);
  return is_exact ? snapshot.low : snapshot.high;
}

SnapshotPair PairOpener::open(std::size_t sessions, const std::vector<std::string>& exact_tables) {
  SnapshotPair pair;
  std::vector<db::SnapshotSessions> sources;
  for (const Definition* definition : servers_of(shards_, Side::source)) sources.push_back(db::connect_snapshot(scanned_endpoint(*definition, tuning_, Side::source), sessions));
  pair.targets = connect_targets(sessions);
  std::vector<db::Connection> scanned_targets;
  for (const Definition* definition : servers_of(shards_, Side::target)) scanned_targets.push_back(db::Connection::open(scanned_endpoint(*definition, tuning_, Side::target)));
  reach_sources(sources);
  await_target(scanned_targets);

  Standings standings(shards_);
  for (std::size_t i = 0; i < shards_.size(); ++i) await_source(sources[server_of(shards_, i, Side::source)].watcher, standings.position(i));
  std::vector<gtid::Position> positions;
  for (auto& source : sources) positions.push_back(open_source(std::move(source), exact_tables, pair));
  standings.advance(positions);
  await_target(scanned_targets);
  for (auto& target : pair.targets) {
    for (auto& session : target) db::begin_snapshot(session);
  }
  pair.held = standings.release();
  pair.position = position_text(shards_, positions);
  return pair;
}

}  // namespace godwit::workflow
