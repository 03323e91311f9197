#include "godwit/state/coordinator_lock.h"

#include <fmt/format.h>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"

namespace godwit::state {
namespace {

constexpr std::size_t kLockNameMax = 64;  // MySQL's limit

std::string lock_of(const std::string& workflow) { return sql::quote_string(("godwit_switch_" + workflow).substr(0, kLockNameMax)); }

}  // namespace

bool CoordinatorLock::is_held(db::Connection& authority, const std::string& workflow) { return !authority.scalar(fmt::format("SELECT IS_USED_LOCK({})", lock_of(workflow))).empty(); }

CoordinatorLock::CoordinatorLock(const db::Endpoint& authority, const std::string& workflow)
    : session_(db::Connection::open(authority)), workflow_(workflow), lock_(lock_of(workflow)) {
  if (session_.scalar(fmt::format("SELECT GET_LOCK({}, 1)", lock_)) == "1") return;
  const std::string holder = session_.scalar(fmt::format("SELECT IS_USED_LOCK({})", lock_));
  throw Error(Code::switch_refused,
              {.object = "workflow " + workflow_,
               .cause = fmt::format("another coordinator is at work: session {} of the target", holder),
               .remedy = "let it end; if it hangs, end it, and run this again"});
}

void CoordinatorLock::require() {
  std::string why = "its session on the target has lost it";
  try {
    if (session_.scalar(fmt::format("SELECT IS_USED_LOCK({}) = CONNECTION_ID()", lock_)) == "1") return;
  } catch (const Error& error) {
    why = error.cause();
  }
  throw Error(Code::switch_fenced,
              {.object = "workflow " + workflow_,
               .cause = "the coordinators' lock is gone, and another coordinator may be at work: " + why,
               .remedy = "nothing is lost: run it again, if nobody else does"});
}

}  // namespace godwit::state
