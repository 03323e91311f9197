// Prepared XA transactions of the side that serves. Private to cutover.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/util/stop.h"

namespace godwit::cutover {

// Those that stay prepared for as long as `patience`, as XA COMMIT and XA ROLLBACK name them: whoever prepared them decides nothing, or is gone. Throws Error(privilege_missing)
// where the account may not see them.
std::vector<std::string> forgotten_xa(db::Connection& server, std::chrono::milliseconds patience, const Stop& stop);

}  // namespace godwit::cutover
