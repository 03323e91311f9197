#include "hooks.h"

#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "godwit/util/environment.h"
#include "godwit/util/error.h"

namespace godwit::cutover {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLook{1};

// The signals that godwit awaits in a thread of its own are blocked in all others: a child would inherit that.
pid_t start(const std::string& path, std::vector<std::string> environment) {
  std::vector<std::string> arguments{path};
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);  // standard output is for results
  pid_t child = 0;
  const int error = posix_spawn(&child, path.c_str(), &actions, &attributes, pointers_to(arguments).data(), pointers_to(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) throw Error(Code::hook_failed, {.object = path, .cause = std::strerror(error), .remedy = "make it executable, or take it away"});
  return child;
}

// Its status as waitpid() gives it; nothing when it had to be killed.
bool await(pid_t child, int& status, std::chrono::milliseconds time_max) {
  const auto deadline = Clock::now() + time_max;
  while (true) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) return true;
    if (Clock::now() >= deadline) break;
    std::this_thread::sleep_for(kLook);
  }
  ::kill(-child, SIGKILL);
  ::waitpid(child, &status, 0);
  return false;
}

}  // namespace

Hooks::Hooks(std::string dir) : dir_(std::move(dir)) {
  struct stat about {};
  if (dir_.empty() || (::stat(dir_.c_str(), &about) == 0 && S_ISDIR(about.st_mode))) return;
  throw Error(Code::bad_usage, {.object = "--hook-dir " + dir_, .cause = "it is no folder", .remedy = "a folder with executables before-STEP and after-STEP"});
}

void Hooks::run(const std::string& when, const std::string& step, const std::map<std::string, std::string>& environment, std::chrono::milliseconds time_max) const {
  if (dir_.empty()) return;
  const std::string path = fmt::format("{}/{}-{}", dir_, when, step);
  if (::access(path.c_str(), F_OK) != 0) return;
  auto all = environment;
  all["GODWIT_STEP"] = step;
  all["GODWIT_WHEN"] = when;
  int status = 0;
  const bool has_ended = await(start(path, environment_with(all, Passwords::left_out)), status, time_max);
  if (has_ended && WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  const std::string cause = !has_ended              ? fmt::format("it did not end within {} ms and was killed", time_max.count())
                            : WIFSIGNALED(status) ? fmt::format("it ended by signal {}", WTERMSIG(status))
                                                  : fmt::format("it ended with status {}", WEXITSTATUS(status));
  throw Error(Code::hook_failed, {.object = path, .cause = cause, .remedy = "what it says is in the log"});
}

}  // namespace godwit::cutover
