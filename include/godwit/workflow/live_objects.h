// (draft by the driver's author: these are the calls that src/cutover makes. Change the inside as you like; keep names and arguments unless they cannot be, and say so.)
// What lives on the serving side alone: triggers and events; and what must never be handed out twice: auto_increment and sequences. One thread per connection.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/workflow/copy.h"

namespace godwit::workflow {

// Each gives what it did, "trigger `shop`.`t`". `server` is a session with `side`.
std::vector<std::string> set_aside(const Definition& definition, db::Side side, db::Connection& server);
std::vector<std::string> bring_back(const Definition& definition, db::Side side, db::Connection& server);
// Accounts that triggers and events to be brought to `to` need, and that it lacks.
std::vector<std::string> missing_definers(const Definition& definition, db::Side to, db::Connection& source, db::Connection& target);
// What a switch to `to` would create there, and set aside on the other side.
std::vector<std::string> objects_to_change(const Definition& definition, db::Side to, db::Connection& source, db::Connection& target);
// auto_increment and sequences of `to`: above everything that `from` ever handed out, by `margin`; only where something is lacking. Gives how many were changed.
std::uint64_t raise_counters(const Definition& definition, db::Side to, db::Connection& from_server, db::Connection& to_server, std::uint64_t margin);

}  // namespace godwit::workflow
