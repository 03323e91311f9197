#include "stream_turn.h"

#include <algorithm>

#include "godwit/util/log.h"
#include "godwit/workflow/live_objects.h"
#include "godwit/workflow/shards.h"
#include "godwit/workflow/switching.h"
#include "preparation.h"

namespace godwit::workflow {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookPause{20};
constexpr std::chrono::seconds kRetryPause{1};
constexpr std::chrono::seconds kSilenceMax{10};  // of a server that is asked nothing but short questions

}  // namespace

StreamTurn::StreamTurn(const Definition& definition, const Stop& stop) : definition_(definition), shards_(shard_definitions(definition)), stop_(stop), targets_(shards_.size()) {}

db::Connection& StreamTurn::session(db::Side side, std::size_t shard) {
  auto& session = side == db::Side::source ? source_ : targets_[shard];
  if (!session) {
    db::Endpoint endpoint = endpoint_of(shards_[shard], side);
    endpoint.read_timeout = kSilenceMax;
    session = std::make_unique<db::Connection>(db::Connection::open(endpoint));
  }
  return *session;
}

void StreamTurn::forget_sessions() {
  source_.reset();
  for (auto& target : targets_) target.reset();
}

bool StreamTurn::Seen::has_state(std::string_view state) const {
  return std::any_of(streams.begin(), streams.end(), [&](const auto& stream) { return stream && stream->state == state; });
}

bool StreamTurn::Seen::is_empty() const {
  return !route && std::none_of(streams.begin(), streams.end(), [](const auto& stream) { return stream.has_value(); });
}

// The row of a direction is in the sidecar of its passive side, which nobody has ever made there before the first switch.
StreamTurn::Seen StreamTurn::see(Direction direction) {
  Seen seen;
  seen.route = state::Authority(session(db::Side::target), definition_.name).read();
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    db::Connection& passive = session(passive_side(direction), i);
    const bool has_sidecar = state::Sidecar::exists(passive);
    seen.streams.push_back(has_sidecar ? state::Sidecar(passive).find(stream_key(in_direction(shards_[i], direction))) : std::nullopt);
  }
  return seen;
}

StreamTurn::Turn StreamTurn::look() {
  const auto route = state::Authority(session(db::Side::target), definition_.name).read();
  const Direction direction = direction_of(route);
  const Seen seen = see(direction);
  const Turn turn{.direction = direction, .is_routed = route.has_value(), .is_frozen = seen.has_state("frozen"), .over = why_over(seen)};
  was_routed_ = was_routed_ || turn.is_routed;
  was_there_ = was_there_ || (!seen.is_empty() && !seen.has_state(state::kCancelledState));
  return turn;
}

std::string StreamTurn::why_over(const Seen& seen) const {
  if (seen.has_state(state::kCompletedState)) return "the migration is completed";
  if (was_there_ && seen.has_state(state::kCancelledState)) return "the migration is cancelled";
  const bool is_gone = (was_routed_ && !seen.route) || (was_there_ && seen.is_empty());
  return is_gone ? "the target knows no such workflow any more: it was completed, or cancelled" : "";
}

// The authority says for all of them whether they go on.
void StreamTurn::let_go() {
  state::Authority authority(session(db::Side::target), definition_.name);
  const auto route = authority.read();
  if (route && route->is_switching) return;
  const Direction direction = direction_of(route);
  set_aside(shards_.front(), passive_side(direction));  // before: once a stream is let go of, anybody may claim it, and must find no trigger there
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    const state::StreamKey key = stream_key(in_direction(shards_[i], direction));
    if (workflow::let_go(session(passive_side(direction), i), authority, key)) log::info("the switch that had frozen the {} stream is over: it goes on", to_string(direction));
  }
}

std::optional<StreamTurn::Turn> StreamTurn::await() {
  bool has_told = false;
  while (!stop_.is_requested()) {
    auto pause = kLookPause;
    try {
      const Turn turn = look();
      has_looked_ = true;
      if (!turn.is_frozen) {
        forget_sessions();  // they would be idle for as long as the direction runs
        return turn;
      }
      if (!has_told) log::info("a switch has frozen the {} stream: waiting for what becomes of it", to_string(turn.direction));
      has_told = true;
      let_go();
    } catch (const Error& error) {
      forget_sessions();
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

bool StreamTurn::has_ended() {
  try {
    return !look().over.empty();
  } catch (const Error& error) {
    log::debug("whether the migration has ended is not known: {}", error.cause());
    forget_sessions();
  }
  return false;
}

// A switch leaves the stream "frozen", or "copied" when it has let go of it again; a claim leaves it "running".
bool StreamTurn::is_by_switch(Direction direction) {
  while (true) {
    try {
      const Seen seen = see(direction);
      if (!seen.route) return false;
      return direction_of(seen.route) != direction || seen.has_state("frozen") || seen.has_state("copied") || seen.has_state(state::kCompletedState);
    } catch (const Error& error) {
      forget_sessions();
      if (!error.is_retryable()) throw;
      log::warning("why the stream was taken away is not known, and will be looked at again in 1 s: {}", error.what());
    }
    if (!stop_.sleep_for(kRetryPause)) return true;  // await() ends too
  }
}

}  // namespace godwit::workflow
