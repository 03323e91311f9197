#include "godwit/util/failpoint.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"

namespace godwit {
namespace {

enum class Action { none, kill, error, fatal, sleep };

struct Armed {
  Action action = Action::none;
  unsigned first_hit = 1;
  std::chrono::milliseconds sleep{0};
  unsigned hits = 0;
};

constexpr std::size_t kCount = [] {
  std::size_t n = 0;
#define GODWIT_FAILPOINT_COUNT(identifier, name, where) ++n;
  GODWIT_FAILPOINTS_LIST(GODWIT_FAILPOINT_COUNT)
#undef GODWIT_FAILPOINT_COUNT
  return n;
}();

std::mutex mutex;
std::array<Armed, kCount> armed;

[[noreturn]] void refuse(std::string_view item, const char* cause) {
  throw Error(Code::bad_usage,
              {.object = "GODWIT_FAILPOINTS \"" + std::string(item) + "\"",
               .cause = cause,
               .remedy = "godwit inspect failpoints lists the names; name=kill|error|fatal|sleep:MS[@hit]"});
}

std::size_t index_of(std::string_view item, std::string_view name) {
  const auto& all = all_failpoints();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].name == name) return i;
  }
  refuse(item, "no failpoint has this name");
}

Armed parse_action(std::string_view item, std::string_view text) {
  Armed result;
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    const auto hit = parse_u64(text.substr(at + 1));
    if (!hit || *hit == 0) refuse(item, "the hit is not a positive number");
    result.first_hit = static_cast<unsigned>(*hit);
    text = text.substr(0, at);
  }
  if (text == "kill") {
    result.action = Action::kill;
  } else if (text == "error") {
    result.action = Action::error;
  } else if (text == "fatal") {
    result.action = Action::fatal;
  } else if (text.starts_with("sleep:")) {
    const auto ms = parse_u64(text.substr(6));
    if (!ms) refuse(item, "the sleep is not a number of milliseconds");
    result.action = Action::sleep;
    result.sleep = std::chrono::milliseconds(*ms);
  } else {
    refuse(item, "unknown action");
  }
  return result;
}

}  // namespace

std::atomic<bool> failpoints_armed{false};

const std::vector<Failpoint>& all_failpoints() {
#define GODWIT_FAILPOINT_INFO(identifier, name, where) {name, where},
  static const std::vector<Failpoint> all{GODWIT_FAILPOINTS_LIST(GODWIT_FAILPOINT_INFO)};
#undef GODWIT_FAILPOINT_INFO
  return all;
}

void arm_failpoints_from_environment() {
  const char* value = std::getenv("GODWIT_FAILPOINTS");
  if (value == nullptr) return;
  std::lock_guard lock(mutex);
  armed.fill({});
  failpoints_armed.store(false);
  for (const auto& item : split(value, ';')) {
    if (item.empty()) continue;
    const auto equals = item.find('=');
    if (equals == std::string::npos) refuse(item, "there is no '='");
    const std::string_view view = item;
    armed[index_of(item, view.substr(0, equals))] = parse_action(item, view.substr(equals + 1));
    failpoints_armed.store(true);
  }
}

void hit_failpoint_slow(Fp point) {
  const auto index = static_cast<std::size_t>(point);
  Armed now;
  {
    std::lock_guard lock(mutex);
    ++armed[index].hits;
    now = armed[index];
  }
  if (now.action == Action::none || now.hits < now.first_hit) return;
  const auto name = std::string(all_failpoints()[index].name);
  switch (now.action) {
    case Action::none:
      return;
    case Action::kill:
      ::kill(::getpid(), SIGKILL);
      ::pause();
      return;
    case Action::error:
      if (now.hits > now.first_hit) return;
      throw Error(Code::failpoint_hit, {.object = name, .cause = "armed", .remedy = "unset GODWIT_FAILPOINTS"});
    case Action::fatal:
      throw Error(Code::internal_error, {.object = name, .cause = "armed", .remedy = "unset GODWIT_FAILPOINTS"});
    case Action::sleep:
      log::warning("failpoint {}: sleeps for {} ms", name, now.sleep.count());
      std::this_thread::sleep_for(now.sleep);
      return;
  }
}

}  // namespace godwit
