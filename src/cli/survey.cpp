#include "survey.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <map>
#include <set>
#include <thread>

#include "godwit/cutover/cutover.h"
#include "godwit/db/snapshot.h"
#include "godwit/gtid/set.h"
#include "godwit/sql/quote.h"
#include "godwit/state/coordinator_lock.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "godwit/workflow/vdiff.h"

namespace godwit::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPatience{3};
constexpr std::chrono::hours kProxyForgotten{24};
constexpr milliseconds kLook{50};
constexpr unsigned kNoSuchDatabase = 1049;
constexpr unsigned kNoSuchTable = 1146;

std::string table(std::string_view name) { return sql::quote_table(state::kSidecarSchema, name); }

db::Connection open(const db::Dsn& given, db::Side side) {
  db::Dsn dsn = given;
  dsn.schema.clear();
  db::Endpoint endpoint{.side = side, .dsn = dsn};
  endpoint.connect_timeout = kPatience;
  endpoint.read_timeout = kPatience;
  return db::Connection::open(endpoint);
}

// A sidecar of an earlier version has fewer tables, and a source may have none at all.
db::Rows rows_if_any(db::Connection& server, const std::string& query) {
  try {
    return server.query(query);
  } catch (const Error&) {
    if (server.last_errno() != kNoSuchTable && server.last_errno() != kNoSuchDatabase) throw;
    return {};
  }
}

std::vector<CopiedTable> tables_of(db::Connection& server, std::uint64_t stream) {
  const db::Rows rows = server.query(fmt::format("SELECT t.source_schema, t.source_table, t.target_schema, t.target_table, t.state, COUNT(c.number) AS chunks, COALESCE(SUM(c.state = 'done'), 0) AS done, "
                                                 "COALESCE(SUM(IF(c.state = 'done', c.`rows`, 0)), 0) AS chunk_rows, COALESCE(SUM(IF(c.state = 'done', c.bytes, 0)), 0) AS chunk_bytes, t.`rows` AS table_rows, t.bytes AS table_bytes "
                                                 "FROM {} t LEFT JOIN {} c ON c.table_id = t.id WHERE t.stream = {} GROUP BY t.id ORDER BY t.id",
                                                 table("copy_table"), table("copy_chunk"), stream));
  std::vector<CopiedTable> result;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string state = rows.text(i, "state");
    const bool is_whole = state == "copied" || state == "finished";
    result.push_back({.source = rows.text(i, "source_schema") + "." + rows.text(i, "source_table"),
                      .target = rows.text(i, "target_schema") + "." + rows.text(i, "target_table"),
                      .state = state,
                      .rows = rows.u64(i, is_whole ? "table_rows" : "chunk_rows"),
                      .bytes = rows.u64(i, is_whole ? "table_bytes" : "chunk_bytes"),
                      .chunks = rows.u64(i, "chunks"),
                      .chunks_done = rows.u64(i, "done")});
  }
  return result;
}

seconds age_of(db::Connection& server, const std::string& stream_or_vdiff, const std::string& expression, std::uint64_t id) {
  const auto text = server.scalar(fmt::format("SELECT GREATEST(TIMESTAMPDIFF(SECOND, {}, UTC_TIMESTAMP()), 0) FROM {} WHERE id = {}", expression, table(stream_or_vdiff), id));
  return seconds(parse_u64(text).value_or(0));
}

StreamView view_of(db::Connection& server, const state::StreamRow& row) {
  return {.row = row,
          .moved_ago = std::max(state::Sidecar(server).touched_ago(row.id), milliseconds(0)),
          .age = age_of(server, "stream", "created", row.id),
          .is_followed = state::has_sessions(server, row.id),
          .is_compared = !server.scalar(fmt::format("SELECT IS_USED_LOCK({})", sql::quote_string(workflow::vdiff_lock(row.id)))).empty(),
          .failed = server.query(fmt::format("SELECT COUNT(*) AS failed FROM {} WHERE stream = {} AND state = 'failed'", table("post_copy"), row.id)).u64(0, "failed"),
          .tables = tables_of(server, row.id)};
}

void read_streams(ServerView& view, const std::string& workflow) {
  db::Connection& server = *view.connection;
  if (rows_if_any(server, fmt::format("SELECT id FROM {} LIMIT 1", table("stream"))).empty()) return;
  for (const auto& row : state::Sidecar(server).streams()) {
    if (row.key.workflow == workflow) view.streams.push_back(view_of(server, row));
  }
}

void read_vdiff(ServerView& view, const std::string& workflow) {
  db::Connection& server = *view.connection;
  if (rows_if_any(server, fmt::format("SELECT id FROM {} LIMIT 1", table("vdiff"))).empty()) return;
  const auto newest = state::VdiffStore(server).newest(workflow);
  if (newest) view.vdiff = VdiffView{.row = *newest, .age = age_of(server, "vdiff", "COALESCE(ended, started)", newest->id)};
}

// MariaDB forgets read_only when it restarts. Guard triggers cannot be looked at by everybody, and do not get lost.
void read_fence(ServerView& view, const std::string& workflow, db::Side side) {
  db::Connection& server = *view.connection;
  const db::Rows rows = rows_if_any(server, fmt::format("SELECT kind FROM {} WHERE workflow = {} AND side = {} AND is_set = 1", table("fence"), sql::quote_string(workflow), sql::quote_string(db::to_string(side))));
  if (rows.empty() || rows.text(0, "kind") != "read_only") return;
  const std::string is_set = server.scalar("SELECT @@GLOBAL.read_only");
  if (is_set == "0" || is_set == "OFF") view.open_fence = "read_only";
}

ServerView ask(const db::Dsn& dsn, db::Side side, const std::string& workflow) {
  ServerView view;
  try {
    view.connection.emplace(open(dsn, side));
    read_streams(view, workflow);
    read_vdiff(view, workflow);
    read_fence(view, workflow, side);
  } catch (const Error& error) {
    view.why_unknown = fmt::format("the {} {}: {}", db::to_string(side), error.is_retryable() ? "is unreachable" : "does not say it", error.cause());
  }
  return view;
}

milliseconds route_age(db::Connection& target, const std::string& workflow) {
  const auto text = target.scalar(fmt::format("SELECT GREATEST(TIMESTAMPDIFF(MICROSECOND, changed, UTC_TIMESTAMP(3)) DIV 1000, 0) FROM {} WHERE workflow = {}", table("route"), sql::quote_string(workflow)));
  return milliseconds(parse_u64(text).value_or(0));
}

// Of the authority's server.
void ask_authority(Survey& survey, const std::string& workflow, std::optional<db::Side> without) {
  ServerView& first = survey.targets.front();
  survey.why_unknown = first.why_unknown;
  if (!first.is_known()) return;
  try {
    db::Connection& target = *first.connection;
    survey.route = state::Authority(target, workflow).read();
    survey.serving = survey.route ? survey.route->serving : without.value_or(db::Side::source);
    if (survey.route) survey.route_age = route_age(target, workflow);
    survey.is_coordinated = state::CoordinatorLock::is_held(target, workflow);
    survey.proxies = state::ProxyRegistry(target, workflow).live(kProxyForgotten);
  } catch (const Error& error) {
    survey.why_unknown = fmt::format("the target {}: {}", error.is_retryable() ? "is unreachable" : "does not say it", error.cause());
  }
}

bool is_behind(ServerView& passive, std::string_view direction, const gtid::Set& end) {
  state::Sidecar sidecar(*passive.connection);
  return std::ranges::any_of(passive.streams, [&](const StreamView& stream) {
    if (stream.row.key.direction != direction) return false;
    const auto row = sidecar.find(stream.row.key);
    return !row || !row->position || !gtid::Set::parse(*row->position).contains(end);
  });
}

// A switch asks the same.
bool reaches(const std::vector<ServerView*>& passive, const gtid::Set& end, std::string_view direction) {
  const auto deadline = std::chrono::steady_clock::now() + cutover::kLagMax;
  while (true) {
    if (std::ranges::none_of(passive, [&](ServerView* one) { return is_behind(*one, direction, end); })) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kLook);
  }
}

void measure(Survey& survey) {
  if (!survey.serving || survey.streams().empty()) return;
  const bool is_forward = *survey.serving == db::Side::source;
  std::vector<ServerView*> sources;
  std::vector<ServerView*> targets;
  if (survey.source) sources.push_back(&*survey.source);
  for (auto& target : survey.targets) targets.push_back(&target);
  const auto& serving = is_forward ? sources : targets;
  const auto& passive = is_forward ? targets : sources;
  for (const auto* one : {&serving, &passive}) {
    if (one->empty()) survey.why_lag_unknown = "the source was not asked: --source";
    for (const auto* view : *one) {
      if (!view->is_known()) survey.why_lag_unknown = view->why_unknown;
    }
  }
  if (!is_forward && targets.size() > 1) survey.why_lag_unknown = "where shards serve, godwit replicate alone tells it";
  if (!survey.why_lag_unknown.empty()) return;
  try {
    const auto end = gtid::Set::parse(db::end_of_binlog(*serving.front()->connection));
    survey.is_near = reaches(passive, end, workflow::to_string(workflow::direction_serving(*survey.serving)));
  } catch (const Error& error) {
    survey.why_lag_unknown = error.cause();
  }
}

}  // namespace

std::vector<const StreamView*> Survey::streams() const {
  std::vector<const StreamView*> result;
  if (!serving) return result;
  const auto direction = workflow::to_string(workflow::direction_serving(*serving));
  const auto add = [&](const ServerView& view) {
    for (const auto& stream : view.streams) {
      // Two shards may be on one server.
      const bool is_there = std::ranges::any_of(result, [&](const StreamView* one) { return one->row.key.shard == stream.row.key.shard; });
      if (stream.row.key.direction == direction && !is_there) result.push_back(&stream);
    }
  };
  if (*serving == db::Side::source) std::ranges::for_each(targets, add);
  if (*serving == db::Side::target && source) add(*source);
  return result;
}

const ServerView* Survey::passive() const {
  if (!serving) return nullptr;
  const ServerView* view = *serving == db::Side::source ? &targets.front() : source ? &*source : nullptr;
  return view != nullptr && view->is_known() ? view : nullptr;
}

Survey survey(const Asked& asked, std::optional<db::Side> serving_without_authority) {
  Survey result;
  std::vector<std::future<ServerView>> answers;
  for (const auto& target : asked.targets) answers.push_back(std::async(std::launch::async, [&] { return ask(target, db::Side::target, asked.name); }));
  if (asked.source) result.source = ask(*asked.source, db::Side::source, asked.name);
  for (auto& answer : answers) result.targets.push_back(answer.get());
  ask_authority(result, asked.name, serving_without_authority);
  measure(result);
  return result;
}

std::vector<std::string> workflows_on(const db::Dsn& dsn) {
  db::Connection target = open(dsn, db::Side::target);
  std::set<std::string> names;
  for (const char* one : {"stream", "route"}) {
    const db::Rows rows = rows_if_any(target, fmt::format("SELECT DISTINCT workflow FROM {}", table(one)));
    for (std::size_t i = 0; i < rows.size(); ++i) names.insert(rows.text(i, "workflow"));
  }
  return {names.begin(), names.end()};
}

}  // namespace godwit::cli
