#include "process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace godwit::test {
namespace {

std::string temporary_file() {
  std::string path = "/tmp/godwit-test-XXXXXX";
  const int file = ::mkstemp(path.data());
  if (file < 0) throw std::runtime_error("no temporary file");
  ::close(file);
  return path;
}

std::string slurp(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string godwit_binary() {
  const char* path = std::getenv("GODWIT_BIN");
  if (path == nullptr) throw std::runtime_error("GODWIT_BIN is not set");
  return path;
}

void redirect(const std::string& path, int descriptor) {
  const int file = ::open(path.c_str(), O_WRONLY | O_TRUNC);
  ::dup2(file, descriptor);
  ::close(file);
}

}  // namespace

std::map<std::string, std::string> armed(const std::string& failpoints) {
  if (failpoints.empty()) return {};
  return {{"GODWIT_FAILPOINTS", failpoints}};
}

Process::Process(std::vector<std::string> arguments, const std::map<std::string, std::string>& environment)
    : out_path_(temporary_file()), err_path_(temporary_file()) {
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ != 0) return;
  redirect(out_path_, STDOUT_FILENO);
  redirect(err_path_, STDERR_FILENO);
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

Process::Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)), out_path_(std::exchange(other.out_path_, "")), err_path_(std::exchange(other.err_path_, "")), outcome_(std::move(other.outcome_)) {}

Process::~Process() {
  if (is_running()) {
    ::kill(pid_, SIGKILL);
    wait();
  }
  ::unlink(out_path_.c_str());
  ::unlink(err_path_.c_str());
}

void Process::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

bool Process::is_running() {
  if (pid_ < 0) return false;
  int status = 0;
  rusage usage{};
  if (::wait4(pid_, &status, WNOHANG, &usage) == 0) return true;
  outcome_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome_.rss_kib_max = usage.ru_maxrss;
  outcome_.out = slurp(out_path_);
  outcome_.err = slurp(err_path_);
  pid_ = -1;
  return false;
}

long Process::rss_kib() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::strtol(line.c_str() + 6, nullptr, 10);
  }
  throw std::runtime_error("the process has ended");
}

std::size_t Process::descriptors() const {
  const std::filesystem::directory_iterator open("/proc/" + std::to_string(pid_) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(open), end(open)));
}

std::string Process::log() const { return slurp(err_path_); }

Outcome Process::wait(std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (is_running()) {
    if (std::chrono::steady_clock::now() > deadline) {
      ::kill(pid_, SIGKILL);
      throw std::runtime_error("godwit did not end in time: " + slurp(err_path_));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return outcome_;
}

Migration::Migration(const Server& source, const Server& target, std::string schema, std::string target_schema)
    : source_dsn(source.dsn(schema)),
      target_dsn(target.dsn(target_schema.empty() ? schema : target_schema)),
      state(temporary_file()),
      source_(source),
      target_(target),
      schema_(schema),
      target_schema_(target_schema.empty() ? schema : target_schema) {
  ::unlink(state.c_str());
}

Migration::~Migration() {
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((state + suffix).c_str());
}

std::vector<std::string> Migration::arguments(const std::string& command, const std::vector<std::string>& more) const {
  std::vector<std::string> all{godwit_binary(), command, name, "--source", source_dsn, "--state", state};
  if (target_options.empty()) all.insert(all.end(), {"--target", target_dsn});
  all.insert(all.end(), target_options.begin(), target_options.end());
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Process Migration::start(const std::string& command, const std::vector<std::string>& more,
                         const std::map<std::string, std::string>& environment) const {
  std::map<std::string, std::string> all{{"GODWIT_SOURCE_PASSWORD", "godwit"}, {"GODWIT_TARGET_PASSWORD", "godwit"}};
  for (const auto& [key, value] : environment) all[key] = value;
  return Process(arguments(command, more), all);
}

Outcome Migration::run(const std::string& command, const std::vector<std::string>& more,
                       const std::map<std::string, std::string>& environment) const {
  return start(command, more, environment).wait();
}

Outcome Migration::run_plain(const std::vector<std::string>& command_and_options) const {
  std::vector<std::string> all{godwit_binary()};
  all.insert(all.end(), command_and_options.begin(), command_and_options.end());
  return Process(all, {}).wait();
}

std::vector<std::string> Migration::failpoints(const std::string& prefix) const {
  const auto document = nlohmann::json::parse(run_plain({"inspect", "failpoints", "--json"}).out);
  std::vector<std::string> names;
  for (const auto& point : document["failpoints"]) {
    const std::string name_of_point = point["name"];
    if (name_of_point.rfind(prefix, 0) == 0) names.push_back(name_of_point);
  }
  return names;
}

void Migration::clean() const {
  source_.client().execute("DROP DATABASE IF EXISTS `" + schema_ + "`");
  target_.client().execute("DROP DATABASE IF EXISTS `" + target_schema_ + "`");
  target_.client().execute("DROP DATABASE IF EXISTS _godwit");
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((state + suffix).c_str());
}

}  // namespace godwit::test
