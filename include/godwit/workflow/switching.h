// (draft by the driver's author: these are the calls that src/cutover makes. Change the inside as you like; keep names and arguments unless they cannot be, and say so.)
// What a switch does to the streams. Each can be repeated: a coordinator that was killed is followed by another. `to` is a session with the side that the
// direction writes to. One thread per connection.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/gtid/position.h"
#include "godwit/workflow/direction.h"

namespace godwit::workflow {

// The sidecar on the side that serves: the stream back will keep its position there. Idempotent.
void prepare_sidecar(db::Connection& server);
// Whether a `replicate` is at work on the stream, by `time_max` at the latest.
bool await_running(const Definition& definition, Direction direction, db::Connection& to, std::chrono::milliseconds time_max);
// Whether the stream contains the position by then.
bool await_position(const Definition& definition, Direction direction, db::Connection& to, const gtid::Position& position, std::chrono::milliseconds time_max);
// On return it can commit nothing more.
void freeze_stream(const Definition& definition, Direction direction, db::Connection& to);
void unfreeze_stream(const Definition& definition, Direction direction, db::Connection& to);  // nothing where it is not frozen
// `direction` is that of the frozen stream. Reads the end of the binlog of the side it wrote to, and records it as where the other direction begins. Gives it.
gtid::Position prepare_return_stream(const Definition& definition, Direction direction, db::Connection& source, db::Connection& target);
// For good (`complete`): whoever runs it ends with status 0. False where there is none.
bool end_stream(const Definition& definition, Direction direction, db::Connection& to);

}  // namespace godwit::workflow
