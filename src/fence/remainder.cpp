// What a fence leaves behind where it is left: in the words and statements of one who knows nothing of godwit.
#include <fmt/format.h>

#include "godwit/fence/fence.h"
#include "guards.h"
#include "read_only.h"
#include "record.h"

namespace godwit::fence {
namespace {

std::string describe_read_only(db::Connection& server, const std::optional<Record>& record) {
  const bool is_ours = record && record->is_set && record->kind == to_string(Kind::read_only) && record->read_only_before != "ON";
  if (!is_ours) return "the server is read-only, as it was before the migration";
  if (server.server().is_mariadb()) return "the server is read-only until it restarts (read_only = 1 in its configuration keeps it so)";
  return persisted_read_only(server) == "ON" ? "the server is read-only, also when it restarts (SET PERSIST)" : "the server is read-only until it restarts";
}

Remainder read_only_remainder(db::Connection& server, const std::optional<Record>& record) {
  Remainder found{.what = describe_read_only(server, record), .statements = {}};
  if (persisted_read_only(server)) found.statements.emplace_back("RESET PERSIST IF EXISTS read_only");
  found.statements.emplace_back("SET GLOBAL read_only = OFF");
  return found;
}

// Their row goes with the sidecar: no writer can read it then, which keeps writers off as well.
Remainder guards_remainder(const std::vector<std::string>& guards) {
  Remainder found{.what = fmt::format("{} guard triggers refuse what writes to the migrated tables (1644, and 1146 once `_godwit` is gone)", guards.size()), .statements = {}};
  for (const auto& name : guards) found.statements.push_back("DROP TRIGGER IF EXISTS " + name);
  return found;
}

}  // namespace

std::vector<Remainder> what_stays(db::Connection& server, const Plan& plan) {
  std::vector<Remainder> found;
  const auto record = read_record(server, plan);
  const auto guards = guard_names(server, plan);
  if (!guards.empty()) found.push_back(guards_remainder(guards));
  if (is_read_only(server)) found.push_back(read_only_remainder(server, record));
  if (record && record->events_before == "ON") found.push_back({.what = "the event scheduler of the whole server is off", .statements = {"SET GLOBAL event_scheduler = ON"}});
  return found;
}

}  // namespace godwit::fence
