#include "lock.h"

#include <fmt/format.h>

#include <thread>

#include "godwit/util/error.h"
#include "godwit/util/log.h"

namespace godwit::fence {
namespace {

constexpr const char* kLock = "'godwit_fence'";
// A holder whose machine is gone without a word: the server ends its session, and gives the lock on, after this.
constexpr int kIdleMaxSeconds = 15;
constexpr std::chrono::milliseconds kPollInterval{1};

}  // namespace

ServerLock::ServerLock(db::Connection& server, const Patience& patience) : server_(server) {
  // MySQL takes whole seconds only, so it is asked again and again.
  while (server.scalar(fmt::format("SELECT GET_LOCK({}, 0)", kLock)) != "1") {
    const std::string holder = server.scalar(fmt::format("SELECT IS_USED_LOCK({})", kLock));
    if (patience.left().count() == 0) patience.give_up(server, "the lock godwit_fence", fmt::format("connection {} has it", holder));
    std::this_thread::sleep_for(kPollInterval);
  }
  const auto wait_s = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(patience.left()).count());
  try {
    server.execute(fmt::format("SET @_godwit_idle = @@SESSION.wait_timeout, @_godwit_lock_wait = @@SESSION.lock_wait_timeout, @_godwit_row_wait = @@SESSION.innodb_lock_wait_timeout, "
                               "SESSION wait_timeout = {}, SESSION lock_wait_timeout = {}, SESSION innodb_lock_wait_timeout = {}",
                               kIdleMaxSeconds,
                               wait_s,
                               wait_s));
  } catch (const Error&) {
    server.shut();  // the lock with it
    throw;
  }
}

ServerLock::~ServerLock() {
  try {
    server_.execute(fmt::format("SET SESSION wait_timeout = @_godwit_idle, SESSION lock_wait_timeout = @_godwit_lock_wait, SESSION innodb_lock_wait_timeout = @_godwit_row_wait, "
                                "@_godwit_released = RELEASE_LOCK({})",
                                kLock));
  } catch (const Error& error) {
    log::debug("the lock godwit_fence went with its session: {}", error.what());
    server_.shut();
  }
}

}  // namespace godwit::fence
