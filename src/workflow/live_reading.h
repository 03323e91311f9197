// Triggers and events as a server has them now, and what the serving side's become on the other side. One thread.
#pragma once

#include <string>
#include <vector>

#include "godwit/state/live_objects.h"
#include "godwit/state/sidecar.h"
#include "godwit/workflow/copy.h"

namespace godwit::workflow {

struct LiveTable {
  std::string schema;
  std::string name;
};

// Of these tables and their schemas; the guards of a fence are godwit's own, and left out. Throws Error(privilege_missing) for one that may be listed and not read.
std::vector<state::LiveObjectRow> read_live_objects(db::Connection& server, const std::vector<LiveTable>& tables);

// Those of the serving side, by the names and in the terms of the passive one. definition: of the direction that runs; tables: of its stream.
std::vector<state::LiveObjectRow> read_carried(const Definition& definition, db::Connection& serving, db::Connection& passive, const std::vector<state::TableRow>& tables);

}  // namespace godwit::workflow
