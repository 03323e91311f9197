// The local SQLite file: definitions of workflows, the journal, the event log, reports. Never positions (I1). One
// process may hold it open several times; every call is one transaction. Any thread, one at a time per object.
// Format: docs/state-file.md; migrations by PRAGMA user_version.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace godwit::state {

struct Workflow {
  std::string name;
  std::map<std::string, std::string> definition;  // option → value, no secrets: "source" → "mysql://user@host:3306/shop"
  std::string phase;                              // "recorded", "copying", "copied", …
  std::string created;                            // UTC, ISO 8601 with milliseconds
  std::string updated;
};

struct Event {
  std::int64_t id = 0;
  std::string workflow;
  std::string at;     // UTC, ISO 8601 with milliseconds
  std::string level;  // info, warning, error
  std::string what;   // snake_case, stable: "copy_started"
  std::string detail;
};

struct JournalEntry {
  std::int64_t id = 0;
  std::string workflow;
  std::string command;  // copy, switch, …
  std::string step;
  std::string state;  // started, done, failed, undone
  std::string started;
  std::string ended;
  std::string detail;
};

// Where a proxy of this machine has sent its clients last, by the authority's word: what one that is started later knows when there is no authority any more.
struct ProxySide {
  std::string source;   // without passwords
  std::string target;
  std::string serving;  // "source", "target"
  std::string at{};     // UTC
};

class StateFile {
 public:
  // Creates it (mode 0600, folders 0700) when missing; ":memory:" for tests. Throws Error: state_unreadable, state_newer, state_busy.
  explicit StateFile(const std::string& path);
  StateFile(StateFile&&) noexcept;
  ~StateFile();

  // $GODWIT_STATE, else $XDG_STATE_HOME/godwit/godwit.db, else ~/.local/state/godwit/godwit.db.
  static std::string default_path();

  std::optional<Workflow> find_workflow(std::string_view name);
  std::vector<Workflow> workflows();
  // Throws Error(workflow_differs), naming every option that differs, when one of that name is recorded otherwise.
  void record_workflow(std::string_view name, const std::map<std::string, std::string>& definition);
  // The one option that may change: after a fail-over the source has another address.
  void move_source(std::string_view name, const std::string& source);
  void set_phase(std::string_view name, std::string_view phase);
  void forget_workflow(std::string_view name);  // with its journal and events

  void add_event(std::string_view workflow, std::string_view level, std::string_view what, std::string_view detail);
  std::vector<Event> events(std::string_view workflow, std::size_t newest_max);

  // While clients wait: what is written survives the end of this process at once, and of the machine a moment later. The outcome of a switch is not in this file.
  void set_relaxed(bool is_relaxed);
  std::int64_t start_step(std::string_view workflow, std::string_view command, std::string_view step);
  void end_step(std::int64_t id, std::string_view state, std::string_view detail);
  std::vector<JournalEntry> journal(std::string_view workflow);

  // Of a workflow that need not be recorded here.
  void remember_serving(std::string_view workflow, const ProxySide& side);
  std::optional<ProxySide> remembered_serving(std::string_view workflow);

  // What a running command last said of itself, for `status`: one JSON document per workflow and command.
  void set_progress(std::string_view workflow, std::string_view command, std::string_view json);
  std::optional<std::string> progress(std::string_view workflow, std::string_view command);
  // How long ago it said so.
  std::optional<std::chrono::milliseconds> progress_age(std::string_view workflow, std::string_view command);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::state
