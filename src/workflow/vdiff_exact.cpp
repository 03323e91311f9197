#include "vdiff_exact.h"

#include <fmt/format.h>

#include <algorithm>

#include "godwit/db/snapshot.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "preparation.h"
#include "vdiff_difference.h"

namespace godwit::workflow {
namespace {

constexpr std::chrono::milliseconds kQuietMax{300};  // the stream stands meanwhile

using db::Side;
using vdiff::Kind;
using vdiff::Spread;

bool is_by_key(const vdiff::TablePlan& plan) { return plan.spread == Spread::by_key; }

std::vector<SeenRow> read_rows(db::Connection& connection, const vdiff::TablePlan& plan, Side side, const vdiff::Bound& key, std::string_view locking) {
  std::vector<SeenRow> rows;
  if (!is_by_key(plan)) {
    for (auto& values : vdiff::read_row(connection, plan, side, key, locking)) rows.push_back({.values = std::move(values)});
    return rows;
  }
  for (auto& row : vdiff::read_placed_row(connection, plan, side, key, locking)) rows.push_back({.values = std::move(row.values), .belongs = row.belongs});
  return rows;
}

std::vector<std::vector<std::optional<std::string>>> read_raw(db::Connection& source, const VdiffTarget& table, const vdiff::Bound& key, std::string_view locking) {
  std::vector<std::string> selects;
  for (const auto& transfer : table.transfers) selects.push_back(transfer.select);
  return source.query(fmt::format("SELECT {} FROM {} WHERE {}{}", join(selects, ", "), vdiff::table_name(table.plan, Side::source), vdiff::key_equals(table.plan, Side::source, key), locking)).rows;
}

bool is_spelled(const vdiff::TablePlan& plan, const SeenRow& row, const vdiff::Bound& key) { return vdiff::holds_spelling(plan, {row.values}, key); }

bool has_spelling(const vdiff::TablePlan& plan, const std::vector<SeenRow>& rows, const vdiff::Bound& key) {
  return std::any_of(rows.begin(), rows.end(), [&](const SeenRow& row) { return is_spelled(plan, row, key); });
}

// A row of the target alone is just that row: where one side tells keys apart and the other does not, its key finds a neighbour, which is
// another row's counterpart and must be neither compared with it nor deleted for it.
void leave_other_spellings(const vdiff::TablePlan& plan, const vdiff::Bound& key, Seen& seen) {
  for (auto* rows : {&seen.source, &seen.target}) {
    if (!has_spelling(plan, *rows, key)) rows->clear();
  }
}

// On shards that hold for each spelling: they may live on several, and none of them refuses what another has.
void leave_one_spelling(const vdiff::TablePlan& plan, const vdiff::Bound& key, Seen& seen) {
  for (auto* rows : {&seen.source, &seen.target}) {
    rows->erase(std::remove_if(rows->begin(), rows->end(), [&](const SeenRow& row) { return !is_spelled(plan, row, key); }), rows->end());
  }
}

bool are_equal(const std::vector<SeenRow>& a, const std::vector<SeenRow>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const SeenRow& x, const SeenRow& y) { return x.values == y.values; });
}

Kind kind_of(const Seen& seen) {
  if (seen.source.size() == seen.target.size()) return Kind::different;
  return seen.target.size() > seen.source.size() ? Kind::extra : Kind::missing;
}

// The row of the one side says where it belongs: one of another shard with its key is in the wrong place, whatever is in it.
Judgement judge_by_key(const Seen& seen, Side sharded) {
  const auto& one = sharded == Side::target ? seen.source : seen.target;
  const auto& many = sharded == Side::target ? seen.target : seen.source;
  Judgement result{.is_equal = one.empty() && many.empty(), .kind = kind_of(seen)};
  if (!seen.source.empty()) result.source = &seen.source[0];
  if (!seen.target.empty()) result.target = &seen.target[0];
  if (!many.empty()) result.shard = many[0].on;
  if (many.empty() && !one.empty()) result.shard = one[0].belongs;
  if (one.empty() || many.empty()) return result;
  const auto wrong = std::find_if(many.begin(), many.end(), [&](const SeenRow& row) { return row.on != one[0].belongs; });
  if (wrong == many.end()) {
    result.is_equal = are_equal(one, many);
    return result;
  }
  (sharded == Side::target ? result.target : result.source) = &*wrong;
  result.kind = Kind::misplaced;
  result.shard = wrong->on;
  result.belongs = one[0].belongs;
  return result;
}

}  // namespace

const VdiffTarget& table_of(const std::vector<VdiffTarget>& tables, const state::VdiffDifferenceRow& row) {
  const auto found = std::find_if(tables.begin(), tables.end(), [&](const VdiffTarget& t) { return t.row.id == row.table_id; });
  GODWIT_CHECK(found != tables.end());
  return *found;
}

Judgement judge(const vdiff::TablePlan& plan, const state::VdiffDifferenceRow& row, const Seen& seen, Side sharded) {
  if (is_by_key(plan)) return judge_by_key(seen, sharded);
  Judgement result{.is_equal = are_equal(seen.source, seen.target), .kind = kind_of(seen)};
  if (plan.spread == Spread::everywhere) result.shard = place_of(row).shard;
  if (!seen.source.empty()) result.source = &seen.source[0];
  if (!seen.target.empty()) result.target = &seen.target[0];
  return result;
}

bool ExactReader::Row::is_on(std::size_t shard) const { return std::find(places.begin(), places.end(), shard) != places.end(); }

ExactReader::Row ExactReader::row_of(const state::VdiffDifferenceRow& difference) const {
  Row row{.table = table_of(tables_, difference), .key = vdiff::bound_from_text(difference.row_key), .has_one_spelling = difference.kind == "extra", .places = {}};
  const Spread spread = row.table.plan.spread;
  for (std::size_t i = 0; i < shards_.size() && spread == Spread::by_key; ++i) row.places.push_back(i);
  if (spread == Spread::first_shard) row.places = {0};
  if (spread == Spread::everywhere) row.places = {place_of(difference).shard.value_or(0)};
  return row;
}

void ExactReader::read_source(db::Connection& source, std::size_t server, const Row& row, bool for_repair, std::string_view locking, Seen& seen) {
  auto rows = read_rows(source, row.table.plan, Side::source, row.key, locking);
  auto raw = for_repair ? read_raw(source, row.table, row.key, locking) : std::vector<std::vector<std::optional<std::string>>>();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].on = server;
    if (i < raw.size()) rows[i].raw = std::move(raw[i]);
    seen.source.push_back(std::move(rows[i]));
  }
}

gtid::Position ExactReader::read_mariadb(std::size_t server, const std::vector<Row>& rows, bool for_repair, std::vector<Seen>& seen) {
  const Definition& definition = *servers_of(shards_, Side::source)[server];
  const db::Endpoint source = compared_endpoint(definition, Side::source);
  try {
    db::Snapshot snapshot = db::open_snapshot(source, {.readers = 1, .must_be_exact = true, .exact_tables = {}, .quiet_max = kQuietMax}, stop_);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (is_wanted(rows[i], Side::source, server)) read_source(snapshot.readers[0], server, rows[i], for_repair, "", seen[i]);
    }
    return snapshot.low;
  } catch (const Error& error) {
    if (error.code() != Code::lock_contention) throw;
    for (std::size_t i = 0; i < rows.size(); ++i) seen[i].is_read = seen[i].is_read && !is_wanted(rows[i], Side::source, server);
    db::Connection session = db::Connection::open(source);
    return db::end_of_binlog(session);
  }
}

// Whoever has one of the rows locked is not waited for: the stream stands still meanwhile. That row is read in a later round.
gtid::Position ExactReader::read_mysql(std::size_t server, const std::vector<Row>& rows, bool for_repair, std::vector<Seen>& seen) {
  const Definition& definition = *servers_of(shards_, Side::source)[server];
  db::Connection source = db::Connection::open(compared_endpoint(definition, Side::source), db::Encoding::bytes);
  source.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  source.execute("START TRANSACTION");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!seen[i].is_read || !is_wanted(rows[i], Side::source, server)) continue;
    try {
      read_source(source, server, rows[i], for_repair, " FOR SHARE NOWAIT", seen[i]);
    } catch (const Error& error) {
      if (error.code() != Code::lock_contention) throw;
      seen[i].is_read = false;
    }
  }
  const gtid::Position end = db::end_of_binlog(source);
  source.execute("ROLLBACK");
  return end;
}

void ExactReader::read_targets(const std::vector<Row>& rows, std::vector<Seen>& seen) {
  const auto servers = servers_of(shards_, Side::target);
  for (std::size_t server = 0; server < servers.size(); ++server) {
    db::Connection target = db::Connection::open(compared_endpoint(*servers[server], Side::target), db::Encoding::bytes);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!seen[i].is_read || !is_wanted(rows[i], Side::target, server)) continue;
      for (auto& row : read_rows(target, rows[i].table.plan, Side::target, rows[i].key, "")) {
        row.on = server;
        seen[i].target.push_back(std::move(row));
      }
    }
  }
}

std::vector<Seen> ExactReader::read(const Batch& batch, bool for_repair, Standings& standings) {
  std::vector<Row> rows;
  for (const auto& difference : batch) rows.push_back(row_of(difference));
  std::vector<Seen> seen(batch.size(), Seen{.source = {}, .target = {}, .is_read = true});
  std::vector<gtid::Position> positions;
  for (std::size_t server = 0; server < servers_of(shards_, Side::source).size(); ++server) {
    const bool is_mariadb = shards_[0].stream.position->flavour == gtid::Flavour::mariadb;
    positions.push_back(is_mariadb ? read_mariadb(server, rows, for_repair, seen) : read_mysql(server, rows, for_repair, seen));
  }
  standings.advance(positions);
  read_targets(rows, seen);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const vdiff::TablePlan& plan = rows[i].table.plan;
    if (is_by_key(plan)) leave_one_spelling(plan, rows[i].key, seen[i]);
    if (!is_by_key(plan) && rows[i].has_one_spelling) leave_other_spellings(plan, rows[i].key, seen[i]);
  }
  return seen;
}

}  // namespace godwit::workflow
