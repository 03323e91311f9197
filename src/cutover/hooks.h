// The operator's executables around steps: HOOK_DIR/before-STEP and HOOK_DIR/after-STEP, with GODWIT_WORKFLOW, GODWIT_STEP, GODWIT_WHEN (before, after),
// GODWIT_FROM, GODWIT_TO (source, target), GODWIT_EPOCH. Their output goes to standard error. One thread. Private to cutover.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace godwit::cutover {

class Hooks {
 public:
  explicit Hooks(std::string dir);  // "": none. Throws Error(bad_usage) where it is no folder

  // Nothing where there is none of that name. Throws Error(hook_failed): not status 0, or not ended within `time_max`, when it is killed.
  void run(const std::string& when, const std::string& step, const std::map<std::string, std::string>& environment, std::chrono::milliseconds time_max) const;

 private:
  std::string dir_;
};

}  // namespace godwit::cutover
