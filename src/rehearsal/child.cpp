#include "child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "godwit/util/environment.h"
#include "godwit/util/error.h"

namespace godwit::rehearsal {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLook{5};
constexpr std::chrono::milliseconds kPatience{15'000};  // a proxy waits for its sessions, a switch undoes what it has begun

int open_new(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) throw Error(Code::bad_usage, {.object = path, .cause = std::strerror(errno), .remedy = "--state in a folder that can be written"});
  return file;
}

// Between fork and exec, where only async-signal-safe functions may be called: other threads may have held any lock.
[[noreturn]] void become(pid_t parent, int out, int err, char** arguments, char** environment) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);  // what godwit awaits in a thread is blocked in all others, and would be inherited
  signal(SIGPIPE, SIG_DFL);
  ::setpgid(0, 0);  // Ctrl-C is for the rehearsal, which ends its steps in order
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) _exit(127);  // it was gone before
  const int in = ::open("/dev/null", O_RDONLY);
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::execve("/proc/self/exe", arguments, environment);
  _exit(127);
}

}  // namespace

Child::Child(const Start& start) {
  std::vector<std::string> words{"godwit"};
  words.insert(words.end(), start.words.begin(), start.words.end());
  std::vector<std::string> environment = environment_with(start.environment, Passwords::kept);
  const auto arguments = pointers_to(words);
  const auto variables = pointers_to(environment);
  const int out = open_new(start.out);
  const int err = open_new(start.err);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) become(parent, out, err, const_cast<char**>(arguments.data()), const_cast<char**>(variables.data()));
  const int error = errno;
  ::close(out);
  ::close(err);
  if (pid_ < 0) throw Error(Code::internal_error, {.object = "fork", .cause = std::strerror(error), .remedy = "run the same command again"});
}

Child::~Child() {
  if (!status()) end(kPatience);
}

void Child::ask_to_end() const {
  if (pid_ > 0 && !status_) ::kill(pid_, SIGTERM);
}

std::optional<int> Child::status() {
  if (status_) return status_;
  int how = 0;
  const pid_t ended = ::waitpid(pid_, &how, WNOHANG);
  if (ended == pid_) status_ = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
  if (ended < 0 && errno != EINTR) status_ = 127;
  return status_;
}

int Child::end(std::chrono::milliseconds patience) {
  ask_to_end();
  const auto deadline = Clock::now() + patience;
  while (!status() && Clock::now() < deadline) std::this_thread::sleep_for(kLook);
  if (!status_) ::kill(pid_, SIGKILL);
  while (!status()) std::this_thread::sleep_for(kLook);
  return *status_;
}

}  // namespace godwit::rehearsal
