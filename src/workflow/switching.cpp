#include "godwit/workflow/switching.h"

#include <fmt/format.h>

#include <thread>

#include "godwit/db/snapshot.h"
#include "godwit/gtid/set.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/workflow/shards.h"
#include "preparation.h"

namespace godwit::workflow {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPause{1};  // clients are held meanwhile

state::TableRow turned(const state::TableRow& table) {
  return {.source_schema = table.target_schema,
          .source_table = table.target_table,
          .target_schema = table.source_schema,
          .target_table = table.source_table,
          .state = "finished",
          .definition_hash = ""};  // compared by the copy alone, which nothing of this stream is
}

std::optional<state::StreamRow> find(db::Connection& passive, const state::StreamKey& key) {
  if (!state::Sidecar::exists(passive)) return std::nullopt;
  return state::Sidecar(passive).find(key);
}

}  // namespace

StreamSwitch::StreamSwitch(const Definition& definition, Direction running)
    : running_(in_direction(definition, running)),
      back_(in_direction(definition, other(running))),
      serving_(db::Connection::open(source_endpoint(running_))),
      passive_(db::Connection::open(target_endpoint(running_))),
      authority_(db::Connection::open(authority_endpoint(running_))),
      meets_others_(is_sharded(definition) && running == Direction::reverse) {}

std::optional<state::StreamRow> StreamSwitch::row() {
  auto found = is_row_known_ ? state::Sidecar(passive_).find(stream_key(running_)) : find(passive_, stream_key(running_));
  is_row_known_ = found.has_value();
  return found;
}

state::StreamRow StreamSwitch::running_row() {
  auto found = row();
  if (!found) refuse_uncopied(running_, found);
  return std::move(*found);
}

bool StreamSwitch::is_followed() { return state::has_sessions(passive_, running_row().id); }

gtid::Position StreamSwitch::end_of_serving() { return db::end_of_binlog(serving_); }

bool StreamSwitch::reaches(const gtid::Position& position, steady_clock::time_point deadline, const Stop& stop) {
  const gtid::Set wanted = gtid::Set::parse(position);
  while (true) {
    const auto stream = running_row();
    const bool is_there = stream.position && gtid::Set::parse(*stream.position).contains(wanted);
    // A row that waits for another shard's to go is behind the position, and in no table: once the stream is frozen nobody would bring it in.
    if (is_there && !(meets_others_ && state::has_parked_rows(passive_, stream.id))) return true;
    if (steady_clock::now() >= deadline) return false;
    if (!stop.sleep_for(kPause)) stop.throw_if_requested();
  }
}

// R1 for a stream's row. Two servers, and no transaction across them; the order makes up for it: the row is locked where it is, the authority is read, the row is
// written and the lock given back by one commit. What is read may be over a moment later. What that can do:
//   The hold is committed by its own coordinator only, which is this one, and does so later. Otherwise it is aborted, and the same side serves still.
//   So the next commit of all is that of a later hold in the same direction, and that one must, after its begin and before its commit, freeze and position these
//   very rows: for each it needs the lock. Where it comes first, this one has read the authority after that begin, and was refused. Where it comes second, it
//   raises the epoch and writes the position anew, over whatever this one has left.
//   Before that commit, what this one leaves is harmless: a frozen stream is let go of once no switch is under way (let_go), or ends a hold that waits for it,
//   which is undone; the position is that of a stream which nobody may follow while this side serves.
// So it is the lock that must be the row's own, and the authority that must be read while it is had; a session that is lost in between loses the lock, and
// can write nothing any more. docs/model/: STREAMS_OUTSIDE_LOCK is the mistake.
void StreamSwitch::require_hold(std::uint64_t hold) {
  state::require_hold(state::Authority(authority_, running_.name).read(), running_.name, hold, serving_side(running_.direction));
  failpoint(Fp::stream_row_locked);
}

std::uint64_t StreamSwitch::freeze(std::uint64_t hold) {
  return state::Sidecar(passive_).freeze(running_row().id, [&] { require_hold(hold); });
}

// It names the freezing: that of a later hold has another epoch, and stays.
bool StreamSwitch::unfreeze(std::uint64_t frozen_epoch) { return state::Sidecar(passive_).unfreeze(running_row().id, frozen_epoch); }

bool StreamSwitch::let_go() {
  state::Authority authority(authority_, running_.name);
  return workflow::let_go(passive_, authority, stream_key(running_));
}

// The row is read before the authority: what froze it had begun by then, so that where no switch is under way afterwards, and the same side serves, that hold is
// over. The next hold raises the epoch when it freezes, and this one's is named: it is not let go of by this.
bool let_go(db::Connection& passive, state::Authority& authority, const state::StreamKey& key) {
  const auto stream = find(passive, key);
  if (!stream || stream->state != "frozen") return false;
  const auto route = authority.read();
  if (!route || route->is_switching || to_string(direction_of(route)) != key.direction) return false;
  return state::Sidecar(passive).unfreeze(stream->id, stream->epoch);
}

std::vector<state::TableRow> StreamSwitch::return_tables(std::uint64_t running) {
  std::vector<state::TableRow> tables;
  for (const auto& table : state::Sidecar(passive_).tables(running)) tables.push_back(turned(table));
  return tables;
}

void StreamSwitch::announce_return() {
  const db::Server& reads = passive_.server();
  const state::StreamBegin begin{.position = db::end_of_binlog(passive_), .source_identity = reads.identity, .source_version = reads.version_text};
  state::Sidecar(serving_).announce_stream(stream_key(back_), begin, return_tables(running_row().id));
}

// Frozen first: the end of the passive side's binlog, read after that, has every transaction of the stream that runs behind it, or its rows would go
// round (and so they would when both streams ran: nobody begins this one before the authority says so). Read before the row is locked: a hold that is under way
// when the lock is had was so when the stream was frozen and all the time since.
gtid::Position StreamSwitch::prepare_return(std::uint64_t hold) {
  const state::StreamRow stream = running_row();
  if (stream.state != "frozen") {
    throw Error(Code::stream_not_ready,
                {.object = fmt::format("the {} stream of {}", stream.key.direction, running_.name), .cause = "it is " + stream.state + ", not frozen", .remedy = "freeze it first"});
  }
  const auto tables = return_tables(stream.id);
  const db::Server& reads = passive_.server();
  const gtid::Position begin = db::end_of_binlog(passive_);
  const state::StreamBegin where{.position = begin, .source_identity = reads.identity, .source_version = reads.version_text};
  state::Sidecar(serving_).prepare_stream(stream_key(back_), where, tables, [&] { require_hold(hold); });
  return begin;
}

std::optional<gtid::Position> StreamSwitch::return_begins_at() {
  const auto back = find(serving_, stream_key(back_));
  return back ? back->position : std::nullopt;
}

bool StreamSwitch::is_return_followed() {
  const auto back = find(serving_, stream_key(back_));
  return back && back->state == "running" && state::has_sessions(serving_, back->id);
}

}  // namespace godwit::workflow
