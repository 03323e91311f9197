#include "stream_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "bindings.h"
#include "godwit/db/snapshot.h"
#include "godwit/sql/quote.h"
#include "godwit/util/duration.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/live_objects.h"
#include "heartbeat.h"
#include "sidecar_checkpoint.h"
#include "stream_watch.h"

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
void StreamRun::move_source(state::Sidecar& sidecar, const state::StreamRow& row) {
  const db::Server& server = source_->server();
  if (server.identity == row.source_identity) return require_history(row, Code::position_foreign);
  if (!follows_moved_source()) require_same_server(row, server);
  const gtid::Flavour flavour = row.position->flavour;
  if (server.flavour != flavour) require_same_server(row, server);
  require_history(row, Code::source_behind);
  sidecar.move_source(row.id, server.identity, server.version_text);
  state_.add_event(definition_.name, "info", "source_moved", fmt::format("{} to {}", row.source_identity, server.identity));
  log::info("the stream follows {} from now on", db::describe(source_->endpoint()));
}

// A server that does not know what the stream has applied has lost it, or has another history: RESET, or a crash. Asked for what follows, it
// could name other transactions by the same GTIDs, or seem to have nothing more.
void StreamRun::require_history(const state::StreamRow& row, Code code) {
  const gtid::Set known = gtid::Set::parse(db::end_of_binlog(*source_));
  // Up to the end of the overlap changes may be on the target already: a server without them would not bring what belongs to them.
  gtid::Set behind = gtid::Set::parse(*row.position);
  if (row.overlap_end) behind.add(gtid::Set::parse(*row.overlap_end));
  if (!known.contains(behind)) {
    throw Error(code,
                {.object = db::describe(source_->endpoint()),
                 .cause = fmt::format("it has {}, the stream has applied {}", known.to_string(), behind.to_string()),
                 .remedy = "let it catch up, or name the server that has them; a server that lost them cannot be followed: godwit cancel, and copy again"});
  }
}

// It was said of the source that serves; where a switch has followed since, it says nothing of the stream back.
bool StreamRun::follows_moved_source() const { return tuning_.is_source_moved && definition_.direction == Direction::forward; }

void StreamRun::claim() {
  state::Sidecar sidecar(*target_);
  const state::StreamKey key = stream_key(definition_);
  const auto row = state::Sidecar::exists(*target_) ? sidecar.find(key) : std::nullopt;
  refuse_unready(definition_, row);
  sidecar.create();  // one of an earlier version is brought up to date
  move_source(sidecar, *row);
  if (follows_moved_source()) state_.move_source(definition_.name, db::to_string(recorded_.source));
  state_.record_workflow(definition_.name, to_options(recorded_));  // refuses other options, before anybody is fenced out
  const db::Server& server = source_->server();
  // From here on any other godwit on this stream is fenced out (I3).
  stream_ = sidecar.claim(key, gtid::to_string(server.flavour), server.identity, server.version_text);
  sidecar.set_state(stream_.id, stream_.epoch, "running");
  state_.set_phase(definition_.name, "replicating");
  const bool is_forward = definition_.direction == Direction::forward;
  state_.add_event(definition_.name, "info", "replicate_started", (is_forward ? "" : "reverse: ") + stream_.position->text);
  has_begun_ = true;
}

std::optional<gtid::Set> StreamRun::goal() {
  if (tuning_.until_current) return gtid::Set::parse(db::end_of_binlog(*source_));
  if (tuning_.until.empty()) return std::nullopt;
  return gtid::Set::parse(source_->server().flavour, tuning_.until);
}

// From the catalogs of both sides; nothing when a stop comes while one of them is out of reach.
std::optional<std::vector<apply::TableBinding>> StreamRun::bind() {
  while (true) {
    try {
      db::Connection source = db::Connection::open(source_endpoint(definition_));
      db::Connection target = db::Connection::open(target_endpoint(definition_));
      return bind_tables(prepare(definition_, source, target), source, target, stream_.id, Definitions::present);
    } catch (const Error& error) {
      if (!error.is_retryable()) throw;
      log::warning("the tables' definitions are not read, and will be again in 1 s: {}", error.what());
    }
    if (!stop_.sleep_for(std::chrono::seconds(1))) return std::nullopt;
  }
}

apply::ApplyEnd StreamRun::follow(const std::optional<gtid::Set>& until) {
  const auto bindings = bind();
  if (!bindings) return apply::ApplyEnd::stopped;
  SidecarCheckpoint checkpoint(stream_.position->flavour, stream_.id, stream_.epoch);
  apply::ApplyOptions options = tuning_.apply;
  options.takes_new_tables = recorded_.tables.empty();
  apply::Applier applier(source_endpoint(definition_), target_endpoint(definition_), *bindings, options, checkpoint, progress_, stop_);
  applier.on_connected = [&](const db::Server& server) { require_same_server(stream_, server); };
  applier.on_window = [&] {
    if (throttle_.reason()) throttle_.wait(stop_);
  };
  return applier.run(until);
}

void StreamRun::record_error(const Error& error) {
  state_.add_event(definition_.name, "error", "replicate_stopped", error.what());
  if (error.code() == Code::stream_fenced) return;  // the row is another's now
  try {
    db::Connection target = db::Connection::open(target_endpoint(definition_));
    state::Sidecar sidecar(target);
    sidecar.set_error(stream_.id, stream_.epoch, error.what());
    if (is_final(error)) sidecar.set_state(stream_.id, stream_.epoch, "error");
  } catch (const Error& second) {
    log::debug("the error is not recorded on the target: {}", second.what());  // it is in the state file and on the way up
  }
}

// A stop may come while the target is out of reach: it ends cleanly all the same.
std::string StreamRun::position_at_end(bool was_stopped) {
  try {
    db::Connection target = db::Connection::open(impatient(target_endpoint(definition_)));
    const auto row = state::Sidecar(target).find(stream_.key);
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

StreamRun::End StreamRun::follow_to_its_end(const std::optional<gtid::Set>& until) {
  apply::ApplyEnd end;
  while ((end = follow(until)) == apply::ApplyEnd::definitions_changed) log::info("the tables' definitions are read again");
  return end == apply::ApplyEnd::stopped ? End::stopped : End::reached;
}

// The other direction's row is on the side that serves. A session of a process that has not noticed yet that its stream was frozen can commit nothing, and
// is ended. One that follows it rightly, while this stream is still ours, would send every row round for ever: that must not be.
void StreamRun::require_alone() {
  const state::StreamKey other_key{.workflow = definition_.name, .direction = std::string(to_string(other(definition_.direction)))};
  const auto other_stream = state::Sidecar::exists(*source_) ? state::Sidecar(*source_).find(other_key) : std::nullopt;
  if (!other_stream || !state::has_sessions(*source_, other_stream->id)) return;
  if (other_stream->state != "running") return state::end_sessions(*source_, other_stream->id);
  const auto own = state::Sidecar(*target_).find(stream_.key);
  GODWIT_CHECK(!own || own->epoch != stream_.epoch || own->state == "frozen");
}

// Triggers and events live on the serving side only: on the other they would run once more for what the stream brings. A session that has one of the tables
// open is waited for. False: a stop was requested.
// Those of the side that serves are all at work, also where the switch that brought them was killed.
bool StreamRun::settle_objects() {
  while (true) {
    try {
      const auto names = set_aside(recorded_, passive_side(definition_.direction));
      if (!names.empty()) log::info("set aside on the {} until it serves: {}", db::to_string(passive_side(definition_.direction)), join(names, ", "));
      const auto enabled = enable_events(recorded_, serving_side(definition_.direction));
      if (!enabled.empty()) log::info("enabled on the {}, which serves: {}", db::to_string(serving_side(definition_.direction)), join(enabled, ", "));
      return true;
    } catch (const Error& error) {
      if (!error.is_retryable()) throw;
      log::warning("triggers and events are not yet where they belong, set aside on the side that does not serve, enabled on the other: {}", error.what());
    }
    if (!stop_.sleep_for(std::chrono::seconds(1))) return false;
  }
}

// The claim before the look (confirms): a switch that begins after the claim takes the stream from us by freezing it, and one that has ended before is
// seen. So the two directions never run at once, and no row comes back to where it was written.
StreamRun::End StreamRun::run(const StreamTurn::Turn& turn) {
  definition_ = in_direction(recorded_, turn.direction);
  if (tuning_.is_source_moved && !has_begun_ && turn.direction == Direction::reverse) {
    throw Error(Code::bad_usage,
                {.object = "--source-moved", .cause = "the target serves, and the stream follows it: nothing is read from the source", .remedy = "leave it out; or switch back first"});
  }
  source_ = std::make_unique<db::Connection>(db::Connection::open(source_endpoint(definition_)));
  target_ = std::make_unique<db::Connection>(db::Connection::open(target_endpoint(definition_)));
  claim();
  if (turn.is_routed && !turn_.confirms(turn.direction)) return End::out_of_turn;
  if (turn.is_routed) require_alone();
  if (turn.is_routed && !settle_objects()) return End::stopped;
  const auto until = goal();
  source_.reset();
  target_.reset();
  std::unique_ptr<Heartbeat> heartbeat;
  if (tuning_.writes_heartbeat) heartbeat = std::make_unique<Heartbeat>(impatient(source_endpoint(definition_)), tuning_.heartbeat_interval);

  const copy::Sampler sampler(throttle_, {.source = impatient(source_endpoint(definition_)), .target = impatient(target_endpoint(definition_)), .replica = std::nullopt});
  try {
    const StreamWatch watch({.workflow = definition_.name,
                             .direction = std::string(to_string(definition_.direction)),
                             .source = impatient(source_endpoint(definition_)),
                             .metrics_address = tuning_.metrics_address},
                            progress_,
                            throttle_,
                            state_);
    return follow_to_its_end(until);
  } catch (const Error& error) {
    if (error.code() == Code::stream_fenced && turn_.is_by_switch(turn.direction)) return End::out_of_turn;
    record_error(error);
    throw;
  }
}

void StreamRun::add_to(ReplicateReport& report, End end) {
  if (end != End::out_of_turn) report.position = position_at_end(end == End::stopped);
  report.transactions += progress_.transactions;
  report.rows += progress_.rows;
  report.was_stopped = end == End::stopped;
}

}  // namespace godwit::workflow
