// For the rest of the scope a failpoint of the test's own process, whichever thread hits it.
#pragma once

#include <cstdlib>
#include <string>

#include "godwit/util/failpoint.h"

namespace godwit::test {

struct Armed {
  explicit Armed(const std::string& what) { arm(what); }
  ~Armed() { arm(""); }
  Armed(const Armed&) = delete;
  Armed& operator=(const Armed&) = delete;

 private:
  static void arm(const std::string& what) {
    ::setenv("GODWIT_FAILPOINTS", what.c_str(), 1);
    arm_failpoints_from_environment();
  }
};

}  // namespace godwit::test
