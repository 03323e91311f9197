// The two directions of a migration's stream. `source` and `target` keep their names for its life; forward leads to the target, reverse to the source. A Definition that is
// reversed() has the sides exchanged: what is followed is its `source`, what is written its `target`, whichever they are. Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

#include "godwit/db/connection.h"
#include "godwit/state/authority.h"
#include "godwit/state/sidecar.h"

namespace godwit::workflow {

struct Definition;

enum class Direction { forward, reverse };
std::string_view to_string(Direction direction);  // as in the sidecar
Direction other(Direction direction);
db::Side other(db::Side side);
db::Side serving_side(Direction direction);   // what it follows
db::Side passive_side(Direction direction);   // what it writes to
Direction direction_serving(db::Side serving);
Direction direction_of(const std::optional<state::Route>& route);  // where there is none: forward

// The same migration seen from the other end.
Definition reversed(const Definition& definition);
// Of one as it is recorded.
Definition in_direction(const Definition& definition, Direction direction);
state::StreamKey stream_key(const Definition& definition);
db::Endpoint endpoint_of(const Definition& definition, db::Side side);

}  // namespace godwit::workflow
