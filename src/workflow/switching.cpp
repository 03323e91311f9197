#include "godwit/workflow/switching.h"

#include <fmt/format.h>

#include <thread>

#include "godwit/db/snapshot.h"
#include "godwit/gtid/set.h"
#include "godwit/util/error.h"
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
      passive_(db::Connection::open(target_endpoint(running_))) {}

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
    const auto at = running_row().position;
    if (at && gtid::Set::parse(*at).contains(wanted)) return true;
    if (steady_clock::now() >= deadline) return false;
    if (!stop.sleep_for(kPause)) stop.throw_if_requested();
  }
}

std::uint64_t StreamSwitch::freeze() { return state::Sidecar(passive_).freeze(running_row().id); }

bool StreamSwitch::unfreeze() {
  const state::StreamRow stream = running_row();
  return stream.state == "frozen" && state::Sidecar(passive_).unfreeze(stream.id, stream.epoch);
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
// round (and so they would when both streams ran: nobody begins this one before the authority says so).
gtid::Position StreamSwitch::prepare_return() {
  const state::StreamRow stream = running_row();
  if (stream.state != "frozen") {
    throw Error(Code::stream_not_ready,
                {.object = fmt::format("the {} stream of {}", stream.key.direction, running_.name), .cause = "it is " + stream.state + ", not frozen", .remedy = "freeze it first"});
  }
  const auto tables = return_tables(stream.id);
  const db::Server& reads = passive_.server();
  const gtid::Position begin = db::end_of_binlog(passive_);
  state::Sidecar(serving_).prepare_stream(stream_key(back_), {.position = begin, .source_identity = reads.identity, .source_version = reads.version_text}, tables);
  return begin;
}

bool StreamSwitch::is_return_followed() {
  const auto back = find(serving_, stream_key(back_));
  return back && back->state == "running" && state::has_sessions(serving_, back->id);
}

}  // namespace godwit::workflow
