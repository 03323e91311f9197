// Which side of a workflow serves, as its target says it: for `status`, which must not wait for a server that is away. Private to cli.
#pragma once

#include <optional>
#include <string>

#include "godwit/db/connection.h"
#include "godwit/state/authority.h"
#include "godwit/state/state_file.h"

namespace godwit::cli {

struct Serving {
  std::optional<db::Side> side;        // nothing: not known
  std::optional<state::Route> route;   // the authority; nothing before a switch was prepared, and after `complete`
  std::string why_unknown;             // "the target is unreachable: …"
};

// Bounded by seconds; throws nothing that a server has said.
Serving ask_who_serves(const state::Workflow& recorded, const std::string& target_defaults_file);

}  // namespace godwit::cli
