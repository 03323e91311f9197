// What an operator asks of a workflow, answered from what was learned of it: may it be switched now, and what needs somebody. Pure. Private to cli.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "survey.h"

namespace godwit::cli {

struct Learned {
  std::string name;
  std::string phase;
  Survey survey;
  // What `replicate` has said of itself within seconds, by the state file.
  std::optional<std::chrono::milliseconds> lag;
  std::optional<std::chrono::seconds> retention_left;
  bool is_replicate_heard = false;
  // Of a copy that has not ended; by the state file, since sessions that copy rows are known to nobody else.
  std::optional<std::chrono::milliseconds> copy_silence;  // since it said how far it is
  std::string copy_error;                                 // it has stopped since
};

struct Permission {
  db::Side to = db::Side::target;
  std::optional<bool> is_given;  // nothing: not known
  std::string why;               // not, or not known
};

struct Need {
  std::string what;
  std::string remedy;  // a command, or what to do
};

// By what a switch looks at itself, as far as it can be seen without its proxies and sessions.
Permission may_switch(const Learned& learned);
// The most urgent first.
std::vector<Need> needs(const Learned& learned);

}  // namespace godwit::cli
