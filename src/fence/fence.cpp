#include "godwit/fence/fence.h"

#include <fmt/format.h>

#include "godwit/sql/guard.h"
#include "godwit/util/error.h"
#include "guards.h"
#include "lock.h"
#include "read_only.h"
#include "record.h"
#include "view.h"

namespace godwit::fence {
namespace {

constexpr std::chrono::seconds kRemovePatience{30};

// What a server refuses for want of a privilege, or by its own settings, is a fence that cannot be had. What took too long may be tried again.
template <typename Act>
void in_terms_of_fences(const Plan& plan, const Act& act) {
  try {
    act();
  } catch (const Error& error) {
    if (error.reaction() != Reaction::precondition || error.code() == Code::fence_failed || error.code() == Code::switch_fenced) throw;
    throw Error(Code::fence_failed,
                {.object = error.object(),
                 .cause = error.cause(),
                 .remedy = fmt::format("godwit check {} prints the GRANT that is missing; --fence {} needs others", plan.workflow, plan.kind == Kind::read_only ? "triggers" : "read_only")});
  }
}

// Gives the record, where there is one of that kind.
std::optional<Record> refuse_other_kind(db::Connection& server, const Plan& plan) {
  auto record = read_record(server, plan);
  const auto kind = to_string(plan.kind);
  if (!record || record->kind == kind) return record;
  if (!record->is_set) {
    drop_record(server, plan);  // it is made anew, with what it needs
    return std::nullopt;
  }
  throw Error(Code::fence_failed,
              {.object = db::describe(server.endpoint()),
               .cause = fmt::format("it is fenced by {}, and is to be by {}", record->kind, kind),
               .remedy = fmt::format("go on with --fence {}", record->kind)});
}

void set(db::Connection& server, const Plan& plan, const Patience& patience, bool is_closing) {
  const auto known = refuse_other_kind(server, plan);
  switch (plan.kind) {
    case Kind::read_only:
      set_read_only(server, plan, known ? *known : ensure_record(server, plan), patience, is_closing);
      if (is_closing) require_no_xa(server, patience);
      return;
    case Kind::triggers:
      return close_guards(server, plan, patience);
    case Kind::none:
      return;
  }
}

void let_writers_in(db::Connection& server, const Plan& plan, const Patience& patience) {
  switch (plan.kind) {
    case Kind::read_only:
      open_read_only(server, plan, patience);
      return;
    case Kind::triggers:
      return open_guards(server, plan);
    case Kind::none:
      return;
  }
}

void lift(db::Connection& server, const Plan& plan, const Patience& patience) {
  switch (plan.kind) {
    case Kind::read_only:
      return lift_read_only(server, plan, patience);
    case Kind::triggers:
      return open_guards(server, plan);
    case Kind::none:
      return;
  }
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::read_only:
      return "read_only";
    case Kind::triggers:
      return "triggers";
    case Kind::none:
      return "none";
  }
  return "";
}

std::optional<Kind> kind_of(std::string_view name) {
  for (const auto kind : {Kind::read_only, Kind::triggers, Kind::none}) {
    if (to_string(kind) == name) return kind;
  }
  return std::nullopt;
}

std::string pass_statement() { return std::string(sql::kPassStatement); }
bool is_guard(std::string_view trigger) { return sql::is_guard(trigger); }

View look(db::Connection& server, const Plan& plan) {
  if (plan.kind == Kind::none) return {};
  const auto record = read_record(server, plan);
  View view;
  view.is_recorded = record && record->is_set && record->kind == to_string(plan.kind);
  if (plan.kind == Kind::triggers) {
    view.is_fenced = view.is_recorded && is_armed(server, plan);
    view.is_whole = view.is_fenced;
  } else {
    view.is_fenced = is_read_only(server);
    view.is_whole = view.is_fenced && view.is_recorded && are_events_as_recorded(server, *record);
  }
  return view;
}

Wanted wanted(const std::optional<state::Route>& route, db::Side side) {
  if (!route || route->fence.empty()) return Wanted::as_it_is;
  if (route->serving != side) return Wanted::fenced;
  return route->is_switching ? Wanted::as_it_is : Wanted::open;
}

bool is_as_wanted(const View& view, Wanted wanted, Kind kind) {
  switch (wanted) {
    case Wanted::fenced:
      return kind == Kind::none || view.is_whole;
    case Wanted::open:
      return !view.is_recorded;  // what somebody else has set is not ours to lift
    case Wanted::as_it_is:
      return true;
  }
  return true;
}

void prepare(db::Connection& server, const Plan& plan, std::chrono::milliseconds patience) {
  const Patience limit(patience);
  const ServerLock lock(server, limit);
  in_terms_of_fences(plan, [&] {
    refuse_other_kind(server, plan);
    if (plan.kind != Kind::none) ensure_record(server, plan);
    if (plan.kind == Kind::triggers) arm(server, plan, limit);
  });
}

// The authority is read when the lock is had, and what is done about it is done in the session that has it (R1).
Seen follow(db::Connection& server, state::Authority& authority, const Plan& plan, std::chrono::milliseconds patience) {
  const Patience limit(patience);
  const ServerLock lock(server, limit);
  Seen seen;
  const auto route = authority.read();
  if (route) seen.route = *route;
  const Wanted goal = wanted(route, plan.side);
  View view = look(server, plan);
  if (!is_as_wanted(view, goal, plan.kind)) {
    in_terms_of_fences(plan, [&] { goal == Wanted::fenced ? set(server, plan, limit, false) : lift(server, plan, limit); });
    seen.was_changed = true;
    view = look(server, plan);
  }
  seen.is_fenced = view.is_fenced;
  return seen;
}

// A record without a fence is one that was killed in between (see set_read_only): whoever follows the authority takes it back, once the hold is over.
void announce(db::Connection& server, state::Authority& authority, const Plan& plan, std::uint64_t hold, std::chrono::milliseconds patience) {
  if (plan.kind != Kind::read_only) return;
  const Patience limit(patience);
  const ServerLock lock(server, limit);
  state::require_hold(authority.read(), plan.workflow, hold, plan.side);
  in_terms_of_fences(plan, [&] {
    refuse_other_kind(server, plan);
    announce_read_only(server, plan);
  });
}

Seen open(db::Connection& server, state::Authority& authority, const Plan& plan, std::chrono::milliseconds patience) {
  const Patience limit(patience);
  const ServerLock lock(server, limit);
  Seen seen;
  const auto route = authority.read();
  if (route) seen.route = *route;
  seen.was_changed = wanted(route, plan.side) == Wanted::open;
  if (seen.was_changed) in_terms_of_fences(plan, [&] { let_writers_in(server, plan, limit); });
  seen.is_fenced = is_fenced(server, plan);
  return seen;
}

void close(db::Connection& server, state::Authority& authority, const Plan& plan, std::uint64_t hold, std::chrono::milliseconds patience) {
  const Patience limit(patience);
  const ServerLock lock(server, limit);
  state::require_hold(authority.read(), plan.workflow, hold, plan.side);
  in_terms_of_fences(plan, [&] { set(server, plan, limit, true); });
}

// Without what look() knows besides: it is asked while clients wait.
bool is_fenced(db::Connection& server, const Plan& plan) { return plan.kind == Kind::read_only ? is_read_only(server) : look(server, plan).is_fenced; }

void await_others(db::Connection& server, std::chrono::milliseconds patience) {
  const Patience limit(patience);
  const ServerLock lock(server, limit);
}

std::optional<Kind> recorded_kind(db::Connection& server, const std::string& workflow, db::Side side) {
  const auto record = read_record(server, {.workflow = workflow, .side = side});
  return record ? kind_of(record->kind) : std::nullopt;
}

bool is_prepared(db::Connection& server, const Plan& plan) { return plan.kind != Kind::triggers || is_armed(server, plan); }

// The record goes last: without it nobody would know what is left to take away.
void remove(db::Connection& server, const Plan& plan) {
  const Patience limit(kRemovePatience);
  const ServerLock lock(server, limit);
  const auto record = read_record(server, plan);
  disarm(server, plan, limit);
  if (!record) return;
  if (record->kind == to_string(Kind::read_only)) restore_read_only(server, plan, limit);
  drop_record(server, plan);
}

}  // namespace godwit::fence
