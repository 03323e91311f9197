#include "stream_turn.h"

#include "godwit/util/log.h"
#include "godwit/workflow/live_objects.h"
#include "godwit/workflow/switching.h"
#include "preparation.h"

namespace godwit::workflow {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookPause{20};
constexpr std::chrono::seconds kRetryPause{1};
constexpr std::chrono::seconds kSilenceMax{10};  // of a server that is asked nothing but short questions

}  // namespace

db::Connection& StreamTurn::session(db::Side side) {
  auto& session = side == db::Side::source ? source_ : target_;
  if (!session) {
    db::Endpoint endpoint = endpoint_of(definition_, side);
    endpoint.read_timeout = kSilenceMax;
    session = std::make_unique<db::Connection>(db::Connection::open(endpoint));
  }
  return *session;
}

// The row of a direction is in the sidecar of its passive side, which nobody has ever made there before the first switch.
StreamTurn::Seen StreamTurn::see(Direction direction) {
  Seen seen;
  seen.route = state::Authority(session(db::Side::target), definition_.name).read();
  db::Connection& passive = session(passive_side(direction));
  if (state::Sidecar::exists(passive)) seen.stream = state::Sidecar(passive).find({.workflow = definition_.name, .direction = std::string(to_string(direction)), .shard = definition_.shard});
  return seen;
}

StreamTurn::Turn StreamTurn::look() {
  const auto route = state::Authority(session(db::Side::target), definition_.name).read();
  const Direction direction = direction_of(route);
  const Seen seen = see(direction);
  return {.direction = direction, .is_routed = route.has_value(), .is_frozen = seen.stream && seen.stream->state == "frozen", .is_completed = seen.stream && seen.stream->state == state::kCompletedState};
}

void StreamTurn::let_go() {
  state::Authority authority(session(db::Side::target), definition_.name);
  const auto route = authority.read();
  if (route && route->is_switching) return;
  const Direction direction = direction_of(route);
  set_aside(definition_, passive_side(direction));  // first: once the stream is let go of, anybody may claim it, and must find no trigger there
  const state::StreamKey key{.workflow = definition_.name, .direction = std::string(to_string(direction)), .shard = definition_.shard};
  if (workflow::let_go(session(passive_side(direction)), authority, key)) log::info("the switch that had frozen the {} stream is over: it goes on", to_string(direction));
}

std::optional<StreamTurn::Turn> StreamTurn::await() {
  bool has_told = false;
  while (!stop_.is_requested()) {
    auto pause = kLookPause;
    try {
      const Turn turn = look();
      has_looked_ = true;
      if (!turn.is_frozen) {
        source_.reset();  // they would be idle for as long as the direction runs
        target_.reset();
        return turn;
      }
      if (!has_told) log::info("a switch has frozen the {} stream: waiting for what becomes of it", to_string(turn.direction));
      has_told = true;
      let_go();
    } catch (const Error& error) {
      source_.reset();
      target_.reset();
      if (!has_looked_ || !error.is_retryable()) throw;
      log::warning("which side serves is not known, and will be looked at again in 1 s: {}", error.what());
      pause = kRetryPause;
    }
    stop_.sleep_for(pause);
  }
  return std::nullopt;
}

bool StreamTurn::confirms(Direction direction) {
  const auto route = state::Authority(session(db::Side::target), definition_.name).read();
  return direction_of(route) == direction;
}

// A switch leaves the stream "frozen", or "copied" when it has let go of it again; a claim leaves it "running".
bool StreamTurn::is_by_switch(Direction direction) {
  while (true) {
    try {
      const Seen seen = see(direction);
      if (!seen.route || !seen.stream) return false;
      return direction_of(seen.route) != direction || seen.stream->state == "frozen" || seen.stream->state == "copied" || seen.stream->state == state::kCompletedState;
    } catch (const Error& error) {
      source_.reset();
      target_.reset();
      if (!error.is_retryable()) throw;
      log::warning("why the stream was taken away is not known, and will be looked at again in 1 s: {}", error.what());
    }
    if (!stop_.sleep_for(kRetryPause)) return true;  // await() ends too
  }
}

}  // namespace godwit::workflow
