#include "godwit/state/state_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "sqlite.h"

namespace godwit::state {
namespace {

// Each brings the file from the version of its index to the next. Never edit one that was released: append.
constexpr std::array<std::string_view, 2> kMigrations{R"sql(
CREATE TABLE workflow (
  name TEXT PRIMARY KEY,
  phase TEXT NOT NULL,
  created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
  updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ'))
);
CREATE TABLE workflow_option (
  workflow TEXT NOT NULL REFERENCES workflow ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (workflow, name)
) WITHOUT ROWID;
CREATE TABLE journal (
  id INTEGER PRIMARY KEY,
  workflow TEXT NOT NULL REFERENCES workflow ON DELETE CASCADE,
  command TEXT NOT NULL,
  step TEXT NOT NULL,
  state TEXT NOT NULL,
  started TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
  ended TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT ''
);
CREATE TABLE event (
  id INTEGER PRIMARY KEY,
  workflow TEXT NOT NULL REFERENCES workflow ON DELETE CASCADE,
  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
  level TEXT NOT NULL,
  what TEXT NOT NULL,
  detail TEXT NOT NULL
);
CREATE INDEX event_by_workflow ON event (workflow, id);
CREATE TABLE progress (
  workflow TEXT NOT NULL REFERENCES workflow ON DELETE CASCADE,
  command TEXT NOT NULL,
  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
  json TEXT NOT NULL,
  PRIMARY KEY (workflow, command)
) WITHOUT ROWID;
)sql",
                                                            R"sql(
CREATE TABLE proxy (
  workflow TEXT PRIMARY KEY,
  source TEXT NOT NULL,
  target TEXT NOT NULL,
  serving TEXT NOT NULL,
  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ'))
);
)sql"};

[[noreturn]] void unreadable(const std::string& path, std::string cause) {
  throw Error(Code::state_unreadable,
              {.object = path,
               .cause = std::move(cause),
               .remedy = "name a readable, writable SQLite file with --state FILE"});
}

// SQLite would create the file with the umask's mode; what it holds is for its owner only.
void create_private(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty() && !std::filesystem::exists(folder, error)) {
    std::filesystem::create_directories(folder, error);
    if (error) unreadable(path, fmt::format("folder {}: {}", folder.string(), error.message()));
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  if (std::filesystem::is_directory(path, error)) unreadable(path, "it is a folder");
  // One that is there is not opened: closing it would take away the locks that SQLite has on it in this process.
  if (::access(path.c_str(), R_OK | W_OK) == 0) return;
  const int file = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) unreadable(path, std::error_code(errno, std::generic_category()).message());
  ::close(file);
}

std::string describe(const std::map<std::string, std::string>& options, const std::string& name) {
  const auto found = options.find(name);
  return found == options.end() ? "(not given)" : found->second;
}

}  // namespace

struct StateFile::Impl {
  explicit Impl(const std::string& path) : file(path), db(path) {}
  std::string file;
  Sqlite db;

  void migrate() {
    const auto version = [&] { return parse_u64(db.query("PRAGMA user_version").at(0).at(0)).value_or(0); };
    if (version() > kMigrations.size()) {
      throw Error(Code::state_newer,
                  {.object = file,
                   .cause = fmt::format("its version is {}, this godwit knows {}", version(), kMigrations.size()),
                   .remedy = "use the newer godwit, or another --state FILE"});
    }
    while (version() < kMigrations.size()) {
      db.transaction([&] {
        const std::uint64_t at = version();  // again, under the lock: another process may have been faster
        if (at >= kMigrations.size()) return;
        db.script(std::string(kMigrations[at]));
        db.script(fmt::format("PRAGMA user_version = {}", at + 1));
      });
    }
  }
};

StateFile::StateFile(const std::string& path) {
  if (path != ":memory:") create_private(path);
  impl_ = std::make_unique<Impl>(path);
  impl_->db.script("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
  impl_->migrate();
}
StateFile::StateFile(StateFile&&) noexcept = default;
StateFile::~StateFile() = default;

std::string StateFile::default_path() {
  if (const char* named = std::getenv("GODWIT_STATE"); named != nullptr && *named != '\0') return named;
  if (const char* base = std::getenv("XDG_STATE_HOME"); base != nullptr && *base != '\0') {
    return std::string(base) + "/godwit/godwit.db";
  }
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "." : home) + "/.local/state/godwit/godwit.db";
}

std::optional<Workflow> StateFile::find_workflow(std::string_view name) {
  for (auto& workflow : workflows()) {
    if (workflow.name == name) return std::move(workflow);
  }
  return std::nullopt;
}

std::vector<Workflow> StateFile::workflows() {
  std::vector<Workflow> result;
  for (const auto& row : impl_->db.query("SELECT name, phase, created, updated FROM workflow ORDER BY name")) {
    Workflow workflow{.name = row[0], .definition = {}, .phase = row[1], .created = row[2], .updated = row[3]};
    for (const auto& option : impl_->db.query("SELECT name, value FROM workflow_option WHERE workflow = ?", {row[0]})) {
      workflow.definition.emplace(option[0], option[1]);
    }
    result.push_back(std::move(workflow));
  }
  return result;
}

void StateFile::record_workflow(std::string_view name, const std::map<std::string, std::string>& definition) {
  if (const auto recorded = find_workflow(name)) {
    std::vector<std::string> differences;
    std::map<std::string, std::string> both = definition;
    both.insert(recorded->definition.begin(), recorded->definition.end());
    for (const auto& [option, unused] : both) {
      const std::string before = describe(recorded->definition, option);
      const std::string now = describe(definition, option);
      if (before != now) differences.push_back(fmt::format("--{} was {}, is {}", option, before, now));
    }
    if (differences.empty()) return;
    throw Error(Code::workflow_differs,
                {.object = std::string(name),
                 .cause = join(differences, "; "),
                 .remedy = fmt::format("give the recorded options or none but the name; or godwit cancel {}", name)});
  }
  impl_->db.transaction([&] {
    impl_->db.execute("INSERT INTO workflow (name, phase) VALUES (?, 'recorded')", {std::string(name)});
    for (const auto& [option, value] : definition) {
      impl_->db.execute("INSERT INTO workflow_option VALUES (?, ?, ?)", {std::string(name), option, value});
    }
  });
}

void StateFile::move_source(std::string_view name, const std::string& source) {
  impl_->db.execute("UPDATE workflow_option SET value = ? WHERE workflow = ? AND name = 'source'", {source, std::string(name)});
}

void StateFile::set_phase(std::string_view name, std::string_view phase) {
  impl_->db.execute("UPDATE workflow SET phase = ?, updated = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE name = ?",
                    {std::string(phase), std::string(name)});
}

void StateFile::forget_workflow(std::string_view name) {
  impl_->db.execute("DELETE FROM workflow WHERE name = ?", {std::string(name)});
}

void StateFile::add_event(std::string_view workflow, std::string_view level, std::string_view what,
                          std::string_view detail) {
  impl_->db.execute("INSERT INTO event (workflow, level, what, detail) VALUES (?, ?, ?, ?)",
                    {std::string(workflow), std::string(level), std::string(what), std::string(detail)});
}

std::vector<Event> StateFile::events(std::string_view workflow, std::size_t newest_max) {
  std::vector<Event> result;
  for (const auto& row : impl_->db.query(
           "SELECT * FROM (SELECT id, workflow, at, level, what, detail FROM event WHERE workflow = ? "
           "ORDER BY id DESC LIMIT ?) ORDER BY id",
           {std::string(workflow), static_cast<std::int64_t>(newest_max)})) {
    result.push_back({.id = parse_i64(row[0]).value_or(0),
                      .workflow = row[1],
                      .at = row[2],
                      .level = row[3],
                      .what = row[4],
                      .detail = row[5]});
  }
  return result;
}

void StateFile::set_relaxed(bool is_relaxed) { impl_->db.script(is_relaxed ? "PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 200;" : "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;"); }

std::int64_t StateFile::start_step(std::string_view workflow, std::string_view command, std::string_view step) {
  impl_->db.execute("INSERT INTO journal (workflow, command, step, state) VALUES (?, ?, ?, 'started')",
                    {std::string(workflow), std::string(command), std::string(step)});
  return impl_->db.last_id();
}

void StateFile::end_step(std::int64_t id, std::string_view state, std::string_view detail) {
  impl_->db.execute(
      "UPDATE journal SET state = ?, detail = ?, ended = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE id = ?",
      {std::string(state), std::string(detail), id});
}

std::vector<JournalEntry> StateFile::journal(std::string_view workflow) {
  std::vector<JournalEntry> result;
  for (const auto& row : impl_->db.query(
           "SELECT id, workflow, command, step, state, started, ended, detail FROM journal WHERE workflow = ? "
           "ORDER BY id",
           {std::string(workflow)})) {
    result.push_back({.id = parse_i64(row[0]).value_or(0),
                      .workflow = row[1],
                      .command = row[2],
                      .step = row[3],
                      .state = row[4],
                      .started = row[5],
                      .ended = row[6],
                      .detail = row[7]});
  }
  return result;
}

void StateFile::remember_serving(std::string_view workflow, const ProxySide& side) {
  impl_->db.execute(
      "INSERT INTO proxy (workflow, source, target, serving) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
      "source = excluded.source, target = excluded.target, serving = excluded.serving, at = strftime('%Y-%m-%dT%H:%M:%fZ')",
      {std::string(workflow), side.source, side.target, side.serving});
}

std::optional<ProxySide> StateFile::remembered_serving(std::string_view workflow) {
  const auto rows = impl_->db.query("SELECT source, target, serving, at FROM proxy WHERE workflow = ?", {std::string(workflow)});
  if (rows.empty()) return std::nullopt;
  return ProxySide{.source = rows[0][0], .target = rows[0][1], .serving = rows[0][2], .at = rows[0][3]};
}

void StateFile::set_progress(std::string_view workflow, std::string_view command, std::string_view json) {
  impl_->db.execute(
      "INSERT INTO progress (workflow, command, json) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
      "json = excluded.json, at = strftime('%Y-%m-%dT%H:%M:%fZ')",
      {std::string(workflow), std::string(command), std::string(json)});
}

std::optional<std::string> StateFile::progress(std::string_view workflow, std::string_view command) {
  const auto rows = impl_->db.query("SELECT json FROM progress WHERE workflow = ? AND command = ?",
                                    {std::string(workflow), std::string(command)});
  if (rows.empty()) return std::nullopt;
  return rows[0][0];
}

std::optional<std::chrono::milliseconds> StateFile::progress_age(std::string_view workflow, std::string_view command) {
  const auto rows = impl_->db.query("SELECT CAST((julianday('now') - julianday(at)) * 86400000 AS INTEGER) FROM progress WHERE workflow = ? AND command = ?",
                                    {std::string(workflow), std::string(command)});
  if (rows.empty()) return std::nullopt;
  return std::chrono::milliseconds(parse_i64(rows[0][0]).value_or(0));
}

}  // namespace godwit::state
