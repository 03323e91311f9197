// Several threads for one piece of work, that end together: the first that fails, or a stop, ends the others. One thread runs a crew.
#pragma once

#include <cstddef>
#include <functional>

#include "godwit/util/stop.h"

namespace godwit {

// Calls work(0) … work(count - 1), each in a thread of its own, with a stop of theirs, which is requested when `stop` is and when one of them throws.
// Returns when all have ended; throws the first failure then.
void run_crew(std::size_t count, const Stop& stop, const std::function<void(std::size_t, const Stop&)>& work);

}  // namespace godwit
