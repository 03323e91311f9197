#include "stream_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "godwit/db/snapshot.h"
#include "godwit/sql/quote.h"
#include "godwit/util/crew.h"
#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/live_objects.h"
#include "sidecar_checkpoint.h"

namespace godwit::workflow {
namespace {

// A server asked again for what follows the position may begin in a later file, and leave a transaction without a GTID out: having met
// one must not be forgotten.
bool is_final(const Error& error) {
  constexpr std::string_view kWord = "anonymous transaction";
  return error.code() == Code::event_unsupported && (error.cause().find(kWord) != std::string::npos || error.object().find(kWord) != std::string::npos);
}

void refuse_unready(const Definition& definition, const std::optional<state::StreamRow>& row) {
  if (row && row->state == "error") {
    throw Error(Code::stream_not_ready,
                {.object = fmt::format("workflow {}", definition.name), .cause = "the stream has ended for good: " + row->last_error, .remedy = "godwit cancel, and copy again"});
  }
  if (row && row->state == state::kCancelledState) state::refuse_cancelled(definition.name);
  // Since it was looked at whose turn it is: it will be looked at again.
  if (row && (row->state == "frozen" || row->state == state::kCompletedState)) {
    throw Error(Code::stream_fenced,
                {.object = fmt::format("workflow {}", definition.name),
                 .cause = row->state == "frozen" ? fmt::format("a switch has frozen its {} stream", row->key.direction) : std::string("the migration is completed"),
                 .remedy = "run the switch again: it finishes or undoes what it began"});
  }
  if (!row || !is_copied(*row)) refuse_uncopied(definition, row);
}

}  // namespace

// After a fail-over: the new server must know every transaction that the stream has behind it, or changes would be missed.
void StreamRun::move_source(const Stream& stream, state::Sidecar& sidecar) {
  const state::StreamRow& row = stream.row;
  const db::Server& server = stream.source->server();
  if (server.identity == row.source_identity) return require_history(stream, Code::position_foreign);
  if (!follows_moved_source()) require_same_server(row, server);
  const gtid::Flavour flavour = row.position->flavour;
  if (server.flavour != flavour) require_same_server(row, server);
  require_history(stream, Code::source_behind);
  sidecar.move_source(row.id, server.identity, server.version_text);
  state_.add_event(recorded_.name, "info", "source_moved", fmt::format("{} to {}", row.source_identity, server.identity));
  log::info("the stream follows {} from now on", db::describe(stream.source->endpoint()));
}

// A server that does not know what the stream has applied has lost it, or has another history: RESET, or a crash. Asked for what follows, it
// could name other transactions by the same GTIDs, or seem to have nothing more.
void StreamRun::require_history(const Stream& stream, Code code) {
  const gtid::Set known = gtid::Set::parse(db::end_of_binlog(*stream.source));
  // Up to the end of the overlap changes may be on the target already: a server without them would not bring what belongs to them.
  gtid::Set behind = gtid::Set::parse(*stream.row.position);
  if (stream.row.overlap_end) behind.add(gtid::Set::parse(*stream.row.overlap_end));
  if (!known.contains(behind)) {
    throw Error(code,
                {.object = db::describe(stream.source->endpoint()),
                 .cause = fmt::format("it has {}, the stream has applied {}", known.to_string(), behind.to_string()),
                 .remedy = "let it catch up, or name the server that has them; a server that lost them cannot be followed: godwit cancel, and copy again"});
  }
}

// It was said of the source that serves; where a switch has followed since, it says nothing of the stream back.
bool StreamRun::follows_moved_source() const { return tuning_.is_source_moved && is_forward(); }

void StreamRun::begin(Direction direction) {
  streams_.clear();
  for (const auto& shard : shards_) {
    auto& stream = *streams_.emplace_back(std::make_unique<Stream>());
    stream.definition = in_direction(shard, direction);
    stream.source = std::make_unique<db::Connection>(db::Connection::open(source_endpoint(stream.definition)));
    stream.target = std::make_unique<db::Connection>(db::Connection::open(target_endpoint(stream.definition)));
  }
}

// All of them can be, before the first is: whoever follows them now is fenced out of all or none.
void StreamRun::claim() {
  for (auto& stream : streams_) {
    state::Sidecar sidecar(*stream->target);
    const auto row = state::Sidecar::exists(*stream->target) ? sidecar.find(stream_key(stream->definition)) : std::nullopt;
    refuse_unready(stream->definition, row);
    sidecar.create();  // one of an earlier version is brought up to date
    stream->row = *row;
    move_source(*stream, sidecar);
  }
  if (follows_moved_source()) state_.move_source(recorded_.name, db::to_string(recorded_.source));
  state_.record_workflow(recorded_.name, to_options(recorded_));  // refuses other options, before anybody is fenced out
  for (auto& stream : streams_) claim(*stream);
  state_.set_phase(recorded_.name, "replicating");
  has_begun_ = true;
}

void StreamRun::claim(Stream& stream) {
  const db::Server& server = stream.source->server();
  state::Sidecar sidecar(*stream.target);
  // From here on any other godwit on this stream is fenced out (I3).
  stream.row = sidecar.claim(stream_key(stream.definition), gtid::to_string(server.flavour), server.identity, server.version_text);
  sidecar.set_state(stream.row.id, stream.row.epoch, "running");
  const std::string shard = shard_name(stream.definition);
  state_.add_event(recorded_.name, "info", "replicate_started", fmt::format("{}{}{}{}", is_forward() ? "" : "reverse: ", shard, shard.empty() ? "" : ": ", stream.row.position->text));
}

StreamRun::Goal StreamRun::goal(const Stream& stream) {
  if (tuning_.until_current) return gtid::Set::parse(db::end_of_binlog(*stream.source));
  if (tuning_.until.empty()) return std::nullopt;
  if (!is_forward() && streams_.size() > 1) {
    throw Error(Code::bad_usage, {.object = "--until", .cause = fmt::format("{} shards are followed, each at positions of its own", streams_.size()), .remedy = "--until-current"});
  }
  return gtid::Set::parse(stream.source->server().flavour, tuning_.until);
}

// From the catalogs of both sides; nothing when a stop comes while one of them is out of reach.
std::optional<RoutedBindings> StreamRun::bind(const Stream& stream, const Stop& stop) {
  while (true) {
    try {
      db::Connection source = db::Connection::open(source_endpoint(stream.definition));
      db::Connection target = db::Connection::open(target_endpoint(stream.definition));
      return bind_shard(stream.definition, layout_ ? &*layout_ : nullptr, source, target, stream.row.id, Definitions::present);
    } catch (const Error& error) {
      if (!error.is_retryable()) throw;
      log::warning("the tables' definitions are not read, and will be again in 1 s: {}", error.what());
    }
    if (!stop.sleep_for(std::chrono::seconds(1))) return std::nullopt;
  }
}

// A statement that every shard has run comes by every stream back: it would be run as often on the source.
apply::ApplyOptions StreamRun::options() const {
  apply::ApplyOptions options = tuning_.apply;
  options.takes_new_tables = recorded_.tables.empty();
  const bool is_repeated = !is_forward() && streams_.size() > 1;
  if (is_repeated && options.on_ddl == apply::OnDdl::exec) options.on_ddl = apply::OnDdl::stop;
  return options;
}

std::vector<ParkedWatch::Other> StreamRun::others(const Stream& stream) const {
  std::vector<ParkedWatch::Other> result;
  for (const auto& other : streams_) {
    if (other.get() != &stream) result.push_back({.follows = impatient(source_endpoint(other->definition)), .id = other->row.id});
  }
  return result;
}

// One reader for all.
apply::ApplyEnd StreamRun::follow_forward(const std::vector<Goal>& goals) {
  std::vector<RoutedBindings> bound;
  std::vector<std::unique_ptr<SidecarCheckpoint>> checkpoints;
  for (const auto& stream : streams_) {
    auto bindings = bind(*stream, stop_);
    if (!bindings) return apply::ApplyEnd::stopped;
    bound.push_back(std::move(*bindings));
    checkpoints.push_back(std::make_unique<SidecarCheckpoint>(stream->row.position->flavour, stream->row.id, stream->row.epoch));
  }
  std::vector<apply::Target> targets;
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    Stream& stream = *streams_[i];
    targets.push_back({.shard = is_sharded(recorded_) ? stream.definition.shard : "", .endpoint = target_endpoint(stream.definition), .tables = bound[i].tables(), .checkpoint = *checkpoints[i], .progress = stream.progress});
  }
  const Stream& first = *streams_.front();
  apply::Applier applier(source_endpoint(first.definition), std::move(targets), options(), stop_);
  applier.on_connected = [&](const db::Server& server) { require_same_server(first.row, server); };
  applier.on_window = [&] {
    if (throttle_.reason()) throttle_.wait(stop_);
  };
  return applier.run_each(goals);
}

// Of the way back, each by itself.
apply::ApplyEnd StreamRun::follow_alone(Stream& stream, const Goal& goal, const Stop& stop) {
  ParkedWatch parked(stream.progress, impatient(target_endpoint(stream.definition)), others(stream));
  while (true) {
    const auto bound = bind(stream, stop);
    if (!bound) return apply::ApplyEnd::stopped;
    SidecarCheckpoint checkpoint(stream.row.position->flavour, stream.row.id, stream.row.epoch);
    const apply::Target target{.shard = is_sharded(recorded_) ? stream.definition.shard : "", .endpoint = target_endpoint(stream.definition), .tables = bound->tables(), .checkpoint = checkpoint, .progress = stream.progress};
    apply::Applier applier(source_endpoint(stream.definition), {target}, options(), stop);
    applier.on_connected = [&](const db::Server& server) { require_same_server(stream.row, server); };
    applier.on_window = [&] {
      if (throttle_.reason()) throttle_.wait(stop);
      parked.look();
    };
    const auto end = applier.run(goal);
    if (end != apply::ApplyEnd::definitions_changed) return end;
    log::info("the tables' definitions are read again");
  }
}

StreamRun::End StreamRun::follow_all(const std::vector<Goal>& goals) {
  if (is_forward()) {
    apply::ApplyEnd end;
    while ((end = follow_forward(goals)) == apply::ApplyEnd::definitions_changed) log::info("the tables' definitions are read again");
    return end == apply::ApplyEnd::stopped ? End::stopped : End::reached;
  }
  std::vector<apply::ApplyEnd> ends(streams_.size(), apply::ApplyEnd::stopped);
  run_crew(streams_.size(), stop_, [&](std::size_t i, const Stop& stop) { ends[i] = follow_alone(*streams_[i], goals[i], stop); });
  return std::find(ends.begin(), ends.end(), apply::ApplyEnd::stopped) != ends.end() ? End::stopped : End::reached;
}

// Which of the streams has failed is in the words; all have ended with it.
void StreamRun::record_error(const Error& error) {
  state_.add_event(recorded_.name, "error", "replicate_stopped", error.what());
  if (error.code() == Code::stream_fenced) return;  // the row is another's now
  for (const auto& stream : streams_) {
    try {
      db::Connection target = db::Connection::open(impatient(target_endpoint(stream->definition)));
      state::Sidecar sidecar(target);
      sidecar.set_error(stream->row.id, stream->row.epoch, error.what());
      if (is_final(error)) sidecar.set_state(stream->row.id, stream->row.epoch, "error");
    } catch (const Error& second) {
      log::debug("the error is not recorded on the target: {}", second.what());  // it is in the state file and on the way up
    }
  }
}

// A stop may come while the target is out of reach: it ends cleanly all the same.
std::string StreamRun::position_at_end(const Stream& stream, bool was_stopped) {
  try {
    db::Connection target = db::Connection::open(impatient(target_endpoint(stream.definition)));
    const auto row = state::Sidecar(target).find(stream.row.key);
    return row && row->position ? row->position->text : "";
  } catch (const Error& error) {
    if (!was_stopped) throw;
    log::warning("the position on the target is not read: {}", error.cause());
    return "";
  }
}

// For sessions whose statements are all short.
db::Endpoint StreamRun::impatient(db::Endpoint endpoint) const {
  endpoint.read_timeout = tuning_.apply.deadline;
  return endpoint;
}

// The other direction's row is on the side that serves. A session of a process that has not noticed yet that its stream was frozen can commit nothing, and
// is ended. One that follows it rightly, while this stream is still ours, would send every row round for ever: that must not be.
void StreamRun::require_alone(const Stream& stream) {
  const state::StreamKey other_key{.workflow = recorded_.name, .direction = std::string(to_string(other(stream.definition.direction))), .shard = stream.row.key.shard};
  const auto other_stream = state::Sidecar::exists(*stream.source) ? state::Sidecar(*stream.source).find(other_key) : std::nullopt;
  if (!other_stream || !state::has_sessions(*stream.source, other_stream->id)) return;
  if (other_stream->state != "running") return state::end_sessions(*stream.source, other_stream->id);
  const auto own = state::Sidecar(*stream.target).find(stream.row.key);
  GODWIT_CHECK(!own || own->epoch != stream.row.epoch || own->state == "frozen");
}

// Triggers and events live on the serving side only: on the other they would run once more for what the stream brings. A session that has one of the tables
// open is waited for. False: a stop was requested.
// Those of the side that serves are all at work, also where the switch that brought them was killed. Shards have none.
bool StreamRun::settle_objects() {
  const Direction direction = streams_.front()->definition.direction;
  while (true) {
    try {
      const auto names = set_aside(shards_.front(), passive_side(direction));
      if (!names.empty()) log::info("set aside on the {} until it serves: {}", db::to_string(passive_side(direction)), join(names, ", "));
      const auto enabled = enable_events(shards_.front(), serving_side(direction));
      if (!enabled.empty()) log::info("enabled on the {}, which serves: {}", db::to_string(serving_side(direction)), join(enabled, ", "));
      return true;
    } catch (const Error& error) {
      if (!error.is_retryable()) throw;
      log::warning("triggers and events are not yet where they belong, set aside on the side that does not serve, enabled on the other: {}", error.what());
    }
    if (!stop_.sleep_for(std::chrono::seconds(1))) return false;
  }
}

// One per server that is followed.
std::vector<std::unique_ptr<Heartbeat>> StreamRun::heartbeats() const {
  std::vector<std::unique_ptr<Heartbeat>> result;
  if (!tuning_.writes_heartbeat) return result;
  for (std::size_t i = 0; i < (is_forward() ? 1 : streams_.size()); ++i) {
    result.push_back(std::make_unique<Heartbeat>(impatient(source_endpoint(streams_[i]->definition)), tuning_.heartbeat_interval));
  }
  return result;
}

copy::SampledServers StreamRun::sampled() const {
  const Definition& first = streams_.front()->definition;
  copy::SampledServers servers{.source = impatient(source_endpoint(first)), .target = impatient(target_endpoint(first)), .replica = std::nullopt, .more_targets = {}};
  for (std::size_t i = 1; i < streams_.size() && is_forward(); ++i) servers.more_targets.push_back(impatient(target_endpoint(streams_[i]->definition)));
  return servers;
}

std::vector<WatchedStream> StreamRun::watched() const {
  std::vector<WatchedStream> result;
  for (const auto& stream : streams_) result.push_back({.shard = is_sharded(recorded_) ? stream->definition.shard : "", .progress = stream->progress});
  return result;
}

// The claim before the look (confirms): a switch that begins after the claim takes the stream from us by freezing it, and one that has ended before is
// seen. So the two directions never run at once, and no row comes back to where it was written.
StreamRun::End StreamRun::run(const StreamTurn::Turn& turn) {
  if (tuning_.is_source_moved && !has_begun_ && turn.direction == Direction::reverse) {
    throw Error(Code::bad_usage,
                {.object = "--source-moved", .cause = "the target serves, and the stream follows it: nothing is read from the source", .remedy = "leave it out; or switch back first"});
  }
  begin(turn.direction);
  claim();
  if (turn.is_routed && !turn_.confirms(turn.direction)) return End::out_of_turn;
  for (const auto& stream : streams_) {
    if (turn.is_routed) require_alone(*stream);
  }
  if (turn.is_routed && !settle_objects()) return End::stopped;
  std::vector<Goal> goals;
  for (auto& stream : streams_) {
    // Forward there is one source, and one end of it for all.
    goals.push_back(is_forward() && !goals.empty() ? goals.front() : goal(*stream));
  }
  for (auto& stream : streams_) {
    stream->source.reset();
    stream->target.reset();
  }
  const auto beating = heartbeats();
  const copy::Sampler sampler(throttle_, sampled());
  try {
    const StreamWatch watch({.workflow = recorded_.name,
                             .direction = std::string(to_string(turn.direction)),
                             .source = impatient(source_endpoint(streams_.front()->definition)),
                             .metrics_address = tuning_.metrics_address},
                            watched(),
                            throttle_,
                            state_);
    return follow_all(goals);
  } catch (const Error& error) {
    if (error.code() == Code::stream_fenced && turn_.is_by_switch(turn.direction)) return End::out_of_turn;
    record_error(error);
    throw;
  }
}

void StreamRun::add_to(ReplicateReport& report, End end) {
  report.shards.clear();
  for (const auto& stream : streams_) {
    ShardReport shard{.shard = stream->definition.shard, .position = {}, .rows = stream->progress.rows};
    if (end != End::out_of_turn) shard.position = position_at_end(*stream, end == End::stopped);
    // Every shard has all of the one source's transactions, or what is in them for it.
    report.transactions += is_forward() && !report.shards.empty() ? 0 : stream->progress.transactions.load();
    report.rows += shard.rows;
    report.shards.push_back(std::move(shard));
  }
  if (end != End::out_of_turn) report.position = report.shards.front().position;
  if (!is_sharded(recorded_)) report.shards.clear();
  report.was_stopped = end == End::stopped;
}

}  // namespace godwit::workflow
