#include "godwit/state/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "catch.h"
#include "godwit/util/error.h"

using namespace godwit;
using godwit::state::StateFile;

namespace {

struct Folder {
  Folder() {
    std::string name = "/tmp/godwit-state-XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

Code code_of_opening(const std::string& path) {
  try {
    StateFile file(path);
    return Code::internal_error;
  } catch (const Error& error) {
    return error.code();
  }
}

// Asked by a child: a process does not see its own locks. SQLite's byte range for readers, which a connection holds as long as it lives.
bool is_locked_for_others(const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    struct flock range{};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_start = 0x40000002;
    range.l_len = 510;
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    _exit(file >= 0 && ::fcntl(file, F_GETLK, &range) == 0 && range.l_type != F_UNLCK ? 1 : 0);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

}  // namespace

TEST_CASE("a second look at a state file does not take the locks of the first: another process would remove its write-ahead log", "[state]") {
  const Folder folder;
  const std::string path = folder.path + "/state";
  StateFile first(path);
  REQUIRE(is_locked_for_others(path));
  const StateFile second(path);
  CHECK(is_locked_for_others(path));
}

TEST_CASE("a state file may be a link to one that is not there yet", "[state]") {
  const Folder folder;
  std::filesystem::create_symlink(folder.path + "/elsewhere", folder.path + "/state");
  StateFile(folder.path + "/state").record_workflow("shop", {});
  CHECK(StateFile(folder.path + "/elsewhere").find_workflow("shop"));
}

TEST_CASE("a workflow is recorded once; other options are refused by name", "[state]") {
  StateFile file(":memory:");
  file.record_workflow("shop", {{"source", "a"}, {"target", "b"}});
  CHECK_NOTHROW(file.record_workflow("shop", {{"source", "a"}, {"target", "b"}}));
  try {
    file.record_workflow("shop", {{"source", "a"}, {"target", "c"}});
    FAIL("taken");
  } catch (const Error& error) {
    CHECK(error.code() == Code::workflow_differs);
    CHECK(error.cause() == "--target was b, is c");
  }
  CHECK(file.find_workflow("shop")->definition.at("target") == "b");
}

TEST_CASE("what is forgotten is gone with its events and journal", "[state]") {
  StateFile file(":memory:");
  file.record_workflow("shop", {});
  file.add_event("shop", "info", "copy_started", "");
  file.end_step(file.start_step("shop", "switch", "gate"), "done", "");
  CHECK(file.events("shop", 10).size() == 1);
  CHECK(file.journal("shop").at(0).state == "done");
  file.forget_workflow("shop");
  CHECK(file.events("shop", 10).empty());
  CHECK(file.journal("shop").empty());
}

TEST_CASE("the state file is for its owner alone", "[state]") {
  const Folder folder;
  const std::string path = folder.path + "/deep/er/godwit.db";
  const StateFile file(path);
  struct stat about {};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0600);
}

TEST_CASE("a state file that cannot be used is refused by what is wrong with it", "[state]") {
  const Folder folder;
  CHECK(code_of_opening(folder.path) == Code::state_unreadable);
  std::ofstream(folder.path + "/garbage") << std::string(8192, 'x');
  CHECK(code_of_opening(folder.path + "/garbage") == Code::state_unreadable);
  CHECK(code_of_opening("/proc/nothing/here.db") == Code::state_unreadable);
}

TEST_CASE("where a proxy has sent its clients is remembered of workflows that are not recorded", "[state]") {
  StateFile file(":memory:");
  CHECK_FALSE(file.remembered_serving("shop"));
  file.remember_serving("shop", {.source = "mysql://a:3306/shop", .target = "mysql://b:3306/shop", .serving = "source"});
  file.remember_serving("shop", {.source = "mysql://a:3306/shop", .target = "mysql://b:3306/shop", .serving = "target"});
  const auto seen = file.remembered_serving("shop");
  REQUIRE(seen);
  CHECK(seen->serving == "target");
  CHECK(seen->target == "mysql://b:3306/shop");
  CHECK(seen->at.size() == std::string("2026-11-26T19:00:00.000Z").size());
  CHECK_FALSE(file.remembered_serving("other"));
}
