// `godwit rehearse`: the whole migration beforehand, on throwaway schemas, then cleaned up. docs/howto/rehearse.md says what is created where, and why it does the source no harm. Its
// steps are commands of this same binary, run as child processes with a state file of their own. The caller's thread, and threads that have ended when it returns.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/util/stop.h"
#include "godwit/workflow/copy.h"

namespace godwit::rehearsal {

struct Options {
  workflow::Definition definition;      // of the migration, with passwords
  std::vector<std::string> copy_words;  // options of `copy` as they were given: --readers=8
  std::vector<std::string> apply_words;   // those of them that `replicate` takes too
  std::vector<std::string> switch_words;  // those that the copy of the switch part takes too
  std::string folder;                   // its own: state file, logs and documents of the steps
  bool has_switch = true;
  unsigned rounds = 3;                  // of switch and reverse
  unsigned clients = 8;
  std::string client_user;              // "": an account is created on both sides
  std::string client_password;
  std::chrono::milliseconds watch{5'000};  // how long the caught-up stream is looked at
  std::chrono::milliseconds pause_max{1'000};
  bool is_kept = false;
  bool is_dry_run = false;
};

struct Phase {
  std::string name;
  std::string state;  // "done", "failed", "left out"
  std::chrono::milliseconds took{0};
  std::string detail;
};

struct Finding {
  std::string code;
  std::string object;
  std::string cause;
  std::string remedy;
};

struct Move {  // one switch or reverse
  std::string command;
  double held_ms = 0;     // from the gate to the release
  double longest_ms = 0;  // that a client has waited for an answer
  double p50_ms = 0;      // of the longest of each client
};

struct Report {
  std::vector<Phase> phases;
  std::vector<Finding> warnings;
  std::vector<std::string> why;  // it is not ready; empty: it is
  int status = 0;                // of the process
  std::vector<std::string> created;  // names of the throwaway schemas, "on the target: …"
  std::vector<std::string> left;     // what could not be taken back, or was kept
  std::uint64_t tables = 0;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::chrono::milliseconds copy{0};
  std::chrono::milliseconds catch_up{0};
  std::chrono::milliseconds compare{0};
  std::optional<std::int64_t> lag_ms;  // the median while it was watched
  std::optional<std::int64_t> lag_ms_max;
  std::string verdict;  // of the comparison of the data
  std::vector<Move> moves;
  std::uint64_t acknowledged = 0;  // transactions of the synthetic client
  std::uint64_t errors = 0;        // that it saw
  std::uint64_t lost = 0;          // that were acknowledged and are not there
  double usual_ms = 0;             // median of one transaction
  bool is_dry_run = false;

  bool is_ready() const { return why.empty(); }
  double pause_ms() const;  // the longest wait of all moves
  std::chrono::milliseconds until_switch() const { return copy + catch_up + compare; }
};

// Throws Error(rehearsal_running) where another one of that name is at work; everything else is told by the report.
Report rehearse(const Options& options, const Stop& stop);

// Takes back what a rehearsal of that name has left, whoever ended it. Gives what was dropped.
std::vector<std::string> clean(const Options& options);

// What the folder of a rehearsal knows of its sides, and of where its rows go, without passwords; nothing where there is none. Its source has no host where the file was cut short.
std::optional<workflow::Definition> recorded_sides(const std::string& folder);

}  // namespace godwit::rehearsal
