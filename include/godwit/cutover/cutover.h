// `godwit switch` and `godwit reverse`: the other side serves, and no client notices. One coordinator at a time; it may be killed at any instruction: the next run
// finishes or undoes what it began, and where nobody runs it again the proxies come back by themselves when their lease is over. Steps: steps.h; why their order
// is safe: docs/model/. `godwit complete` ends the migration. Runs in the caller's thread and threads of its own, which have ended when it returns.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/db/connection.h"
#include "godwit/fence/fence.h"
#include "godwit/state/state_file.h"
#include "godwit/util/stop.h"
#include "godwit/workflow/copy.h"

namespace godwit::cutover {

enum class OnStraggler { abort, kill };  // a session that comes to no safe point in time

struct Proxies {
  std::vector<std::string> endpoints;  // "10.0.0.7:6033": where it listens; the admin's account says what follows
  std::string admin_user;
  std::string admin_password;
  bool are_none = false;  // the operator's word that nobody uses a proxy
};

inline constexpr std::chrono::milliseconds kLagMax{1'000};

struct SwitchOptions {
  db::Side to = db::Side::target;
  Proxies proxies;
  OnStraggler on_straggler = OnStraggler::abort;
  std::chrono::milliseconds drain_timeout{10'000};  // how long moments are looked for in which every session is at a safe point
  std::chrono::milliseconds pause_max{1'000};       // from the gate's closing to the commit; beyond it everything is undone
  std::chrono::milliseconds lag_max = kLagMax;      // a stream further behind refuses the switch
  std::chrono::milliseconds return_wait{15'000};    // for the stream back, after the release: a warning when it does not run by then
  std::optional<std::chrono::milliseconds> vdiff_age_max;  // --require-vdiff: one that passed, and is not older
  std::string fence = "auto";  // "auto", "read_only", "triggers", "none"
  std::string hook_dir;
  bool is_dry_run = false;
};

struct StepReport {
  std::string name;
  std::string state;  // "done", "failed", "undone", "planned"
  std::string detail;
  std::chrono::microseconds took{0};
};

struct ProxyPause {  // of the sessions that waited, as the proxy measured it
  std::string endpoint;
  std::uint64_t sessions = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double max_ms = 0;
  std::string failure{};  // it did not answer: why not
};

struct SwitchReport {
  db::Side serving = db::Side::source;
  std::uint64_t epoch = 0;
  bool was_done = false;                  // that side served already
  std::vector<std::string> finished;      // what was left over by an earlier run, and is settled now; of a dry run: what would be settled first
  std::vector<StepReport> steps;
  std::chrono::microseconds pause{0};     // from the first proxy's closing to the last one's release
  std::chrono::milliseconds expected_pause{0};  // of a dry run
  std::vector<ProxyPause> proxies;
  std::vector<std::string> immovable;     // of a dry run: sessions that could not be moved now, and why
  std::vector<std::string> objects;       // what is changed on the servers
  std::vector<std::string> warnings;
};

// Throws Error: switch_refused (and what the checks name) before anything is changed; switch_undone when it was undone; switch_fenced when another ended it;
// authority_lost when the outcome is not known yet: run it again.
SwitchReport run_switch(const workflow::Definition& definition, const SwitchOptions& options, state::StateFile& state, const Stop& stop);

// Phases of a workflow in the state file, once `complete` has begun: the target serves, whether the authority is there still or not.
inline constexpr std::string_view kCompletingPhase = "completing";
inline constexpr std::string_view kCompletedPhase = "completed";
constexpr bool is_completed_phase(std::string_view phase) { return phase == kCompletingPhase || phase == kCompletedPhase; }

enum class OldSide { read_only, writable, rename };

struct CompleteOptions {
  OldSide old_side = OldSide::read_only;
};

struct CompleteReport {
  std::vector<std::string> done;
  std::vector<fence::Remainder> left;  // what keeps writers off the source from now on, and godwit does not know of any more
  std::vector<std::string> hints;  // what is to be known from now on
  bool was_done = false;
};

// Throws Error(complete_refused) unless the target serves and no switch is under way, and where it was completed with another OldSide. Run again it goes on where it
// stopped; once it is done it says again what is left.
CompleteReport complete(const workflow::Definition& definition, const CompleteOptions& options, state::StateFile& state, const Stop& stop);

}  // namespace godwit::cutover
