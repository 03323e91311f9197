#include "godwit/state/authority.h"

#include <fmt/format.h>

#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "sidecar_tables.h"

namespace godwit::state {
namespace {

using sql::quote_string;

constexpr unsigned kNoSuchDatabase = 1049;
constexpr unsigned kNoSuchTable = 1146;

std::string side_literal(db::Side side) { return quote_string(db::to_string(side)); }

Route route_of(const db::Rows& rows) {
  return {.epoch = rows.u64(0, "epoch"),
          .serving = rows.text(0, "serving") == "target" ? db::Side::target : db::Side::source,
          .is_switching = rows.u64(0, "is_switching") != 0,
          .coordinator = rows.text(0, "coordinator"),
          .fence = rows.text(0, "fence")};
}

}  // namespace

void require_hold(const std::optional<Route>& route, const std::string& workflow, std::uint64_t hold, db::Side serving) {
  if (route && route->is_switching && route->epoch == hold && route->serving == serving) return;
  const std::string now = route ? fmt::format("epoch {}, {}, the {} serves", route->epoch, route->is_switching ? "switching" : "not switching", db::to_string(route->serving)) : "no route";
  throw Error(Code::switch_fenced,
              {.object = fmt::format("workflow {}", workflow),
               .cause = fmt::format("hold {} is over: {}", hold, now),
               .remedy = "nothing is lost: run godwit switch again, if nobody else does"});
}

std::optional<Route> Authority::read() {
  db::Rows rows;
  try {
    rows = db_.query(fmt::format("SELECT epoch, serving, is_switching, coordinator, fence FROM {} WHERE workflow = {}", name("route"), quote_string(workflow_)));
  } catch (const Error&) {
    if (db_.last_errno() != kNoSuchTable && db_.last_errno() != kNoSuchDatabase) throw;
  }
  if (rows.empty()) return std::nullopt;
  return route_of(rows);
}

Route Authority::create() {
  db_.execute(fmt::format("INSERT IGNORE INTO {} (workflow, epoch, serving, is_switching, coordinator, fence, changed) VALUES ({}, 1, {}, 0, '', '', UTC_TIMESTAMP(3))",
                          name("route"),
                          quote_string(workflow_),
                          side_literal(db::Side::source)));
  const auto route = read();
  if (route) return *route;
  throw Error(Code::authority_lost,
              {.object = fmt::format("workflow {}", workflow_),
               .cause = "its row in _godwit.route was taken away while it was made",
               .remedy = "is a godwit cancel or complete at work? run this again when it has ended"});
}

void Authority::set_fence(const std::string& fence) {
  db_.execute(fmt::format("UPDATE {} SET fence = {}, changed = UTC_TIMESTAMP(3) WHERE workflow = {}", name("route"), quote_string(fence), quote_string(workflow_)));
}

// The statement commits by itself, and names all that it was decided upon: of two who read the same row one changes it, the other changes nothing.
bool Authority::change(std::uint64_t epoch, bool was_switching, const std::string& assignment) {
  const auto done = db_.execute(fmt::format("UPDATE {} SET epoch = epoch + 1, {}, changed = UTC_TIMESTAMP(3) WHERE workflow = {} AND epoch = {} AND is_switching = {}",
                                            name("route"),
                                            assignment,
                                            quote_string(workflow_),
                                            epoch,
                                            was_switching ? 1 : 0));
  return done.affected_rows == 1;
}

std::optional<Route> Authority::begin(std::uint64_t epoch, const std::string& coordinator) {
  auto route = read();
  if (!route || route->epoch != epoch || route->is_switching) return std::nullopt;
  // What was read holds as long as the epoch does, except the fence's kind, which is no part of the protocol.
  if (!change(epoch, false, fmt::format("is_switching = 1, coordinator = {}", quote_string(coordinator)))) return std::nullopt;
  route->epoch = epoch + 1;
  route->is_switching = true;
  route->coordinator = coordinator;
  return route;
}

bool Authority::commit(std::uint64_t hold) {
  return change(hold, true, fmt::format("is_switching = 0, serving = IF(serving = {}, {}, {})", side_literal(db::Side::source), side_literal(db::Side::target), side_literal(db::Side::source)));
}

bool Authority::abort(std::uint64_t hold) { return change(hold, true, "is_switching = 0"); }

bool Authority::forget_unswitched() {
  db_.execute(fmt::format("DELETE FROM {} WHERE workflow = {} AND serving = 'source' AND is_switching = 0", name("route"), quote_string(workflow_)));
  if (read()) return false;
  forget();
  return true;
}

void Authority::forget() {
  for (const auto* table : {"proxy", "route"}) {
    db_.execute(fmt::format("DELETE FROM {} WHERE workflow = {}", name(table), quote_string(workflow_)));
  }
}

}  // namespace godwit::state
