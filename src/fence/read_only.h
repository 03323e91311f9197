// The fence of a whole server: its variable read_only. It is set when no statement that writes is running; from then on a transaction of an ordinary
// account that wrote before is refused at COMMIT (1290). MySQL keeps it across a restart, MariaDB does not. Private to fence.
#pragma once

#include <optional>
#include <string>

#include "patience.h"
#include "record.h"

namespace godwit::fence {

bool is_read_only(db::Connection& server);
// What MySQL will set when it restarts; nothing on MariaDB, and where nothing is persisted.
std::optional<std::string> persisted_read_only(db::Connection& server);

// `stops_events`: events run as their definers, who may be privileged.
void set_read_only(db::Connection& server, const Plan& plan, const Record& record, const Patience& patience, bool stops_events);
// Ahead of the former: what it records.
void announce_read_only(db::Connection& server, const Plan& plan);
// Lets writers in, and no more than that: what is left for lift_read_only() to do; nothing where there is nothing to lift.
std::optional<Record> open_read_only(db::Connection& server, const Plan& plan, const Patience& patience);
void lift_read_only(db::Connection& server, const Plan& plan, const Patience& patience);
// Back to what was before godwit came, if it is set now.
void restore_read_only(db::Connection& server, const Plan& plan, const Patience& patience);

// Events are stopped, if they were when it was fenced.
bool are_events_as_recorded(db::Connection& server, const Record& record);
// Throws while an XA transaction can still commit: read_only keeps none from it on MySQL, and on MariaDB none that is prepared may be lost. Whoever
// may not look cannot know that the position is final, and is refused.
void require_no_xa(db::Connection& server, const Patience& patience);

}  // namespace godwit::fence
