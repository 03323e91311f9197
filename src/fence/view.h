// What is seen of a fence, and what the authority wants of it. Private to fence.
#pragma once

#include <optional>

#include "godwit/fence/fence.h"

namespace godwit::fence {

struct View {
  bool is_fenced = false;    // ordinary writers are kept off, whoever sees to it
  bool is_recorded = false;  // by us: there is something to lift
  bool is_whole = false;     // by us, and nothing of it is missing
};
View look(db::Connection& server, const Plan& plan);

enum class Wanted { fenced, open, as_it_is };
Wanted wanted(const std::optional<state::Route>& route, db::Side side);
bool is_as_wanted(const View& view, Wanted wanted, Kind kind);

}  // namespace godwit::fence
