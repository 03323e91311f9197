// The step that can refuse: everything is looked at before anything is changed, and before anybody is held.
#include <fmt/format.h>

#include <algorithm>

#include "godwit/fence/plan.h"
#include "godwit/sql/quote.h"
#include "godwit/state/proxy_registry.h"
#include "godwit/state/sidecar.h"
#include "godwit/state/vdiff_store.h"
#include "godwit/util/duration.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/head.h"
#include "godwit/workflow/live_objects.h"
#include "godwit/workflow/shards.h"
#include "godwit/workflow/switching.h"
#include "godwit/workflow/vdiff.h"
#include "prepared_xa.h"
#include "switch_run.h"

namespace godwit::cutover {
namespace {

constexpr std::chrono::milliseconds kStreamPatience{15'000};
constexpr std::chrono::milliseconds kStreamLook{50};
constexpr std::chrono::seconds kVdiffPatience{3};
constexpr std::chrono::milliseconds kXaPatience{2'000};  // from XA PREPARE to XA COMMIT it is a moment

[[noreturn]] void refuse(std::string object, std::string cause, std::string remedy) { throw Error(Code::switch_refused, {std::move(object), std::move(cause), std::move(remedy)}); }

std::string variable(db::Connection& server, std::string_view name) {
  const db::Rows rows = server.query(fmt::format("SHOW GLOBAL VARIABLES LIKE '{}'", name));
  return rows.empty() ? "" : lower(rows.text(0, "Value"));
}

bool is_on(const std::string& value) { return value == "on" || value == "1"; }

}  // namespace

std::string SwitchRun::check() {
  check_no_vdiff_runs();
  check_stream();
  check_vdiff();
  check_fence();
  check_prepared_xa();
  check_return_stream();
  check_objects();
  check_definers();
  newest_rows_ = std::make_unique<NewestRows>(definition_);
  check_proxies();
  return "nothing stands in the way";
}

// It must run, and be near: else clients would wait for it.
void SwitchRun::check_stream() {
  for (auto& stream : streams()) check_stream(stream);
  if (!await_stream(false, kStreamPatience)) refuse("workflow " + definition_.name, "no `godwit replicate` is at work on its stream", fmt::format("godwit replicate {}", definition_.name));
  for_each_stream([&](ShardStream& stream) {
    const bool is_to_be_let_go = options_.is_dry_run && stream.get().row()->state == "frozen";  // of what is undone first
    if (is_to_be_let_go || stream.get().reaches(stream.get().end_of_serving(), Clock::now() + options_.lag_max, stop_)) return;
    refuse(stream.object(), fmt::format("the {} is more than {} behind (--lag-max)", db::to_string(to_), format_duration(options_.lag_max)), "wait until godwit status says that it is caught up");
  });
}

void SwitchRun::check_stream(ShardStream& stream) {
  const auto row = stream.get().row();
  if (!row || !row->position) refuse(stream.object(), fmt::format("there is no stream to the {}", db::to_string(to_)), fmt::format("godwit copy {0}, then godwit replicate {0}", definition_.name));
  const bool is_to_be_let_go = options_.is_dry_run && row->state == "frozen";
  if (!is_to_be_let_go && row->state != "running" && row->state != "copied") refuse(stream.object(), fmt::format("its stream is {}", row->state), fmt::format("godwit replicate {}", definition_.name));
}

// The one that runs until the commit, or the one that leads back; of shards, all of them.
bool SwitchRun::await_stream(bool is_back, std::chrono::milliseconds time_max) {
  const auto deadline = Clock::now() + time_max;
  const auto is_there = [&](ShardStream& stream) {
    const auto row = is_back ? std::nullopt : stream.get().row();
    if (row && options_.is_dry_run && row->state == "frozen") return true;
    return is_back ? stream.get().is_return_followed() : stream.get().is_followed();
  };
  while (true) {
    if (std::all_of(streams().begin(), streams().end(), is_there)) return true;
    if (Clock::now() >= deadline || !stop_.sleep_for(kStreamLook)) return false;
  }
}

// One that is at work stops the stream for seconds now and then, and clients would wait for that.
void SwitchRun::check_no_vdiff_runs() {
  const auto row = streams().front().get().row();
  if (!row) return;
  db::Connection& target = server(to_);
  const std::string lock = sql::quote_string(workflow::vdiff_lock(row->id));
  if (target.scalar(fmt::format("SELECT GET_LOCK({}, {})", lock, kVdiffPatience.count())) != "1") {
    refuse("vdiff of " + definition_.name, fmt::format("one is at work, and stops the stream now and then: session {} of the {}", target.scalar(fmt::format("SELECT IS_USED_LOCK({})", lock)), db::to_string(to_)), "let it end, or end it: it goes on where it was when it is run again");
  }
  target.scalar(fmt::format("SELECT RELEASE_LOCK({})", lock));
}

// A comparison that found differences stands until another has passed (I10).
void SwitchRun::check_vdiff() {
  state::VdiffStore store(server(to_));  // where the stream keeps its position, a comparison keeps its verdict
  const auto newest = store.newest(definition_.name);
  const std::string object = "vdiff of " + definition_.name;
  if (newest && newest->state == "different") refuse(object, fmt::format("the one of {} found differences", newest->started), "godwit vdiff --repair, or find out why; the switch follows when one has passed");
  if (!options_.vdiff_age_max) {
    if (!newest || newest->state != "equal") report_.warnings.emplace_back("no vdiff has passed: --require-vdiff would refuse");
    return;
  }
  if (!newest || newest->state != "equal") refuse(object, newest ? fmt::format("the one of {} is {}", newest->started, newest->state) : "there is none", fmt::format("godwit vdiff {}", definition_.name));
  const auto age = server(db::Side::target).scalar(fmt::format("SELECT TIMESTAMPDIFF(SECOND, '{}', UTC_TIMESTAMP())", newest->ended));
  const auto seconds = parse_u64(age).value_or(0);
  if (std::chrono::seconds(seconds) > *options_.vdiff_age_max) refuse(object, fmt::format("it ended {} s ago, {} are accepted", seconds, format_duration(*options_.vdiff_age_max)), fmt::format("godwit vdiff {} --resume", definition_.name));
}

// The whole server where the migration has each of them to itself.
std::string SwitchRun::fitting_fence() {
  for (const auto side : {db::Side::source, db::Side::target}) {
    const auto ours = fence::read_plan(server(db::Side::target), workflow::stream_key(streams().front().definition), side, "triggers").tables;
    for (auto* one : sides_.all(side)) {
      if (fence::has_others(one->session(), ours)) return "triggers";
    }
  }
  return "read_only";
}

void SwitchRun::check_fence() {
  const std::string wish = options_.fence == "auto" ? (route_.fence.empty() ? fitting_fence() : route_.fence) : options_.fence;
  if (!route_.fence.empty() && wish != route_.fence) {
    refuse("--fence " + options_.fence, fmt::format("this migration is fenced by {} already", route_.fence), "leave --fence out");
  }
  if (wish == "none") {
    report_.warnings.emplace_back("--fence none: a writer that does not come through a proxy is lost without a word");
    log::warning("{}", report_.warnings.back());
  }
  fence_wish_ = wish;
}

// One that was prepared ends where it began: its session the gate waits for, but one that has none, or whose client never comes back, nobody would end. Fences wait for
// it in vain, and with none its rows, once committed, are on the old side only.
void SwitchRun::check_prepared_xa() {
  const auto servers = sides_.all(from_);
  for_each(servers.size(), [&](std::size_t i) { check_prepared_xa(servers[i]->session()); });
}

void SwitchRun::check_prepared_xa(db::Connection& serving) {
  std::vector<std::string> forgotten;
  try {
    forgotten = forgotten_xa(serving, kXaPatience, stop_);
  } catch (const Error& error) {
    if (error.code() != Code::privilege_missing || fence_wish_ != "triggers") throw;
    log::debug("{}", error.what());  // guards see those that wrote to the migrated tables: the fence is not closed while there is one
  }
  if (forgotten.empty()) return;
  refuse(db::describe(serving.endpoint()), fmt::format("XA transactions are prepared, and nobody ends them: {}", join(forgotten, "; ")), "XA COMMIT or XA ROLLBACK each of them, as its transaction manager has decided");
}

// What serves next must be followed on the way back, by the rules that the first stream had.
void SwitchRun::check_return_stream() {
  for (auto* one : sides_.databases(to_)) check_return_stream(one->session());
}

void SwitchRun::check_return_stream(db::Connection& next) {
  const std::string object = db::describe(next.endpoint());
  if (!is_on(variable(next, "log_bin"))) throw Error(Code::binlog_disabled, {.object = object, .cause = "log_bin is OFF: there would be no way back", .remedy = "start it with log_bin"});
  if (variable(next, "binlog_format") != "row") throw Error(Code::binlog_format_wrong, {.object = object, .cause = "binlog_format is " + variable(next, "binlog_format"), .remedy = "SET GLOBAL binlog_format = 'ROW', and let its sessions begin anew"});
  if (variable(next, "binlog_row_image") != "full") throw Error(Code::binlog_format_wrong, {.object = object, .cause = "binlog_row_image is " + variable(next, "binlog_row_image"), .remedy = "SET GLOBAL binlog_row_image = 'FULL'"});
  if (!next.server().is_mariadb() && variable(next, "gtid_mode") != "on") throw Error(Code::gtid_off, {.object = object, .cause = "gtid_mode is " + variable(next, "gtid_mode"), .remedy = "enforce_gtid_consistency = ON, and gtid_mode = ON step by step"});
}

// A fence, and what is compared, is by one name for all of them.
void SwitchRun::check_schema_names() {
  const std::string& name = definition_.target.schema;
  std::vector<db::Dsn> others = definition_.shard_targets;
  if (sides_.head() != nullptr && !definition_.serve->schema.empty()) others.push_back(*definition_.serve);
  for (const auto& other : others) {
    if (other.schema != name) refuse(db::to_string(other), fmt::format("its schema has another name than that of the first shard, {}", name), "one name on all shards and on what is over them");
  }
}

// A column that the shards have and the head does not know would be an error to the application from the switch on.
void SwitchRun::check_head_tables() {
  const auto outdated = workflow::outdated_on_head(definition_);
  if (outdated.empty()) return;
  refuse(join(outdated, ", "), "on the head it is defined as the source's was before its definition was changed", fmt::format("godwit shard ddl {} --engine spider --apply", definition_.name));
}

// On a shard a trigger would see the rows of that shard alone, and an event run as often as there are shards.
void SwitchRun::check_objects() {
  check_schema_names();
  if (!sides_.are_shards() || from_ == db::Side::target) return;
  if (sides_.head() != nullptr) return check_head_tables();
  const auto homeless = workflow::to_set_aside(definition_, from_);
  if (homeless.empty()) return;
  refuse(join(homeless, ", "), "the target is shards, and nothing over them that could have triggers and events", "--serve with a Spider head; or do without them");
}

void SwitchRun::check_definers() {
  std::vector<std::string> missing;
  for (const auto& one : workflow::missing_definers(definition_, to_)) missing.push_back(fmt::format("{} of {}", one.account, one.object));
  if (missing.empty()) return;
  refuse(sides_.all(to_).back()->describe(), fmt::format("definers of triggers and events do not exist there: {}", join(missing, ", ")), "godwit copy --accounts carries accounts; or create them");
}

void SwitchRun::check_proxies() {
  if (proxies_.empty() && !options_.proxies.are_none) refuse("--proxy", "no proxy is named", "--proxy HOST:PORT for each of them; or --no-proxy, and every client of the old side gets errors from the fence on");
  proxies_.connect();
  check_unnamed_proxies();
  // Of a dry run: an unfinished switch may hold them still, on either side, and what sessions are made of can be seen when it is undone.
  if (route_.is_switching) {
    report_.warnings.emplace_back("sessions were not looked at: the unfinished switch may hold them still");
    return;
  }
  proxies_.require_side(from_);
  proxies_.warm(to_);  // a login of every account to the other side; and each session says what keeps it
  const auto immovable = proxies_.immovable();
  report_.immovable = immovable;
  for (const auto& one : immovable) log::info("{}: {}", command_, one);
  check_refused_sessions();
}

// The gate would hold them, and the move find out: clients would wait for a switch that is undone, each time. With `kill` they end when nothing else can refuse any more.
void SwitchRun::check_refused_sessions() {
  if (options_.on_straggler == OnStraggler::kill) return;
  const auto refused = proxies_.refused(to_);
  if (refused.empty()) return;
  std::vector<std::string> reasons;
  for (const auto& one : refused) reasons.push_back(fmt::format("{}: {}", one.who, one.why));
  const std::string kill = fmt::format("KILL {} by the admin account of {}", refused.front().id, options_.proxies.endpoints.at(refused.front().proxy));
  refuse(fmt::format("session {}", refused.front().id), fmt::format("the {} refuses what a session is made of: {}", db::to_string(to_), join(reasons, "; ")), fmt::format("let its client change that, or end it: {}; or --on-straggler kill", kill));
}

void SwitchRun::end_refused_sessions() {
  if (options_.on_straggler != OnStraggler::kill) return;
  for (const auto& one : proxies_.refused(to_)) {
    proxies_.kill(one);
    report_.warnings.push_back(fmt::format("{} was ended, the {} refuses what it is made of: {}", one.who, db::to_string(to_), one.why));
    log::warning("{}: {}", command_, report_.warnings.back());
  }
}

// One that was killed is in the registry for a while still. It is waited for, whether it shows a sign of life, until three of these are missing. And a registry
// that is young is not known to all: the sidecar came with the copy, which may just have ended.
void SwitchRun::check_unnamed_proxies() {
  for (auto waited = std::chrono::milliseconds(0); waited <= state::kProxiesKnownAfter; waited += kStreamLook) {
    const auto age = state::ProxyRegistry(server(db::Side::target), definition_.name).age();
    if (!age || *age >= state::kProxiesKnownAfter || !stop_.sleep_for(kStreamLook)) break;
  }
  std::map<std::string, std::chrono::milliseconds> seen_ago;
  std::vector<std::string> alive;
  while (true) {
    std::vector<std::string> doubtful;
    for (const auto& proxy : state::ProxyRegistry(server(db::Side::target), definition_.name).live(state::kProxySilenceMax)) {
      if (proxies_.has(proxy.instance)) continue;
      const auto [known, is_new] = seen_ago.try_emplace(proxy.instance, proxy.seen_ago);
      (!is_new && proxy.seen_ago < known->second ? alive : doubtful).push_back(proxy.endpoint);
      known->second = proxy.seen_ago;
    }
    if (!alive.empty() || doubtful.empty()) break;
    if (!stop_.sleep_for(kStreamLook)) alive = doubtful;
  }
  if (alive.empty()) return;
  refuse("--proxy", fmt::format("a proxy of this workflow is alive and not named: {}", join(alive, ", ")), "name every one of them; or end it");
}

// --- dry run --------------------------------------------------------------------------------------------------------

SwitchReport SwitchRun::plan() {
  if (const auto route = authority().read()) route_ = *route;
  report_.serving = route_.serving;
  report_.epoch = route_.epoch;
  note_unfinished();
  if (route_.serving == to_) {
    report_.was_done = true;
    if (!route_.is_switching) note_uncompleted();
    return report_;
  }
  check();
  for (const auto& step : switch_steps()) report_.steps.push_back({.name = std::string(step.name), .state = "planned", .detail = std::string(step.what)});
  report_.objects = objects_to_change();
  report_.objects.push_back(fmt::format("fence: {}", fence_wish_));
  report_.expected_pause = expected_pause();
  return report_;
}

std::vector<std::string> SwitchRun::objects_to_change() {
  std::vector<std::string> objects;
  if (!state::Sidecar(server(db::Side::target)).is_current()) objects.emplace_back("schema `_godwit` on the target, of an earlier version, is brought up to date");
  for (const auto& stream : streams()) {
    const auto counters = workflow::Counters(stream.definition, to_).lacking(kCounterMargin);
    require_counters(counters);
    const std::string where = to_ == db::Side::target && sides_.are_shards() ? workflow::shard_name(stream.definition) : fmt::format("the {}", db::to_string(to_));
    for (const auto& counter : counters.names) objects.push_back(fmt::format("{} is raised on {}", counter, where));
  }
  for (const auto& object : workflow::to_bring_back(definition_, to_)) objects.push_back(fmt::format("{} is created on the {}", object, db::to_string(to_)));
  for (const auto& object : workflow::to_set_aside(definition_, from_)) objects.push_back(fmt::format("{} is set aside on the {}", object, db::to_string(from_)));
  return objects;
}

// What the round trips of the steps take on these servers now; sessions are counted as they were measured: half a millisecond each.
std::chrono::milliseconds SwitchRun::expected_pause() {
  constexpr int kSamples = 5;
  constexpr int kRoundTrips = 30;
  const auto began = Clock::now();
  for (int i = 0; i < kSamples; ++i) {
    server(db::Side::source).scalar("SELECT 1");
    server(db::Side::target).scalar("SELECT 1");
  }
  const auto trip = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began) / (2 * kSamples);
  const auto tables = fence_wish_ == "triggers" ? fence::read_plan(server(db::Side::target), workflow::stream_key(streams().front().definition), from_, "triggers").tables.size() : 0;
  const auto total = trip * kRoundTrips + std::chrono::microseconds(500) * static_cast<std::int64_t>(proxies_.sessions()) + std::chrono::milliseconds(10) * static_cast<std::int64_t>(tables) + std::chrono::milliseconds(15);
  return std::chrono::duration_cast<std::chrono::milliseconds>(total);
}

}  // namespace godwit::cutover
