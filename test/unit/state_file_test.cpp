#include "godwit/state/state_file.h"

#include <sys/stat.h>

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

}  // namespace

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
