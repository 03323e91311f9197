#include "stream_hold.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bindings.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/failpoint.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"
#include "sidecar_checkpoint.h"

namespace godwit::workflow {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kPause{2};
constexpr milliseconds kReachPause{20};
constexpr std::chrono::seconds kSilenceMax{60};  // of a replicate that is there and does not answer
constexpr std::chrono::seconds kAlive{15};       // one that has claimed the stream has sessions by then, if it has not ended
constexpr std::chrono::seconds kFresh{3};        // a replicate tells of itself every second
constexpr std::chrono::seconds kLookPause{1};    // whether it that was asked is there at all

[[noreturn]] void lose(std::string cause) {
  throw Error(Code::hold_lost, {.object = "the stream", .cause = std::move(cause), .remedy = "it is tried again"});
}

}  // namespace

StreamHold::StreamHold(const Definition& definition, const apply::ApplyOptions& options, state::StateFile& state, const state::StreamRow& stream, const Stop& stop)
    : definition_(definition), options_(options), state_(state), stream_(stream), stop_(stop), control_(db::Connection::open(target_endpoint(definition))), known_epoch_(stream.epoch) {
  if (!is_followed()) state::HoldStore(control_, stream_.id).drop();  // of a comparison that was killed
}

bool StreamHold::is_own() {
  is_claimed_ = is_claimed_ && row().epoch == stream_.epoch;
  return is_claimed_;
}

// Nobody else may be fenced out by a comparison, so that having no session is not enough. Whoever follows has claimed the stream first, and
// has its sessions a moment later: a claim that is young, or that was not there before, is waited for. And a replicate that is between two
// connections has a young word in the state file: it is there, and comes back.
bool StreamHold::is_followed() {
  if (is_own()) return false;
  constexpr milliseconds kLook = kReachPause * 10;
  for (auto waited = milliseconds(0);; waited += kLook) {
    if (state::has_sessions(control_, stream_.id)) return true;
    const auto told = state_.progress_age(definition_.name, "replicate");
    const bool is_alive = told && *told < kFresh;
    const state::StreamRow now = row();
    const std::uint64_t epoch = now.epoch;
    const bool is_begun = epoch != known_epoch_ || (now.state == "running" && state::Sidecar(control_).touched_ago(stream_.id) < kFresh);
    if (!is_alive && !is_begun) return false;
    if (waited >= kAlive) {
      known_epoch_ = epoch;
      return is_alive;
    }
    if (!stop_.sleep_for(kLook)) stop_.throw_if_requested();
  }
}

state::StreamRow StreamHold::row() {
  auto row = state::Sidecar(control_).find(stream_.key);
  if (!row) lose("its row in the sidecar is gone: was the workflow cancelled?");
  return std::move(*row);
}

void StreamHold::reach(const gtid::Position& goal) {
  const gtid::Set wanted = gtid::Set::parse(goal);
  auto told = Clock::now();
  while (true) {
    const auto now = row().position;
    if (now && gtid::Set::parse(*now).contains(wanted)) return;
    if (!is_followed()) {
      apply(goal);
      continue;
    }
    if (Clock::now() - told > std::chrono::seconds(10)) {
      log::info("waiting for the stream: it is at {}, the source at {}", now ? now->text : "", goal.text);
      told = Clock::now();
    }
    if (!stop_.sleep_for(kReachPause)) stop_.throw_if_requested();
  }
}

// As replicate would, up to the goal. Of shards this one alone: each reads the source by itself then.
void StreamHold::apply(const gtid::Position& goal) {
  if (is_sharded(definition_) && definition_.direction == Direction::reverse) {
    throw Error(Code::stream_not_ready, {.object = fmt::format("workflow {}, {}", definition_.name, shard_name(definition_)), .cause = "no replicate runs, and the source has to be brought forward", .remedy = "godwit replicate"});
  }
  try {
    db::Connection source = db::Connection::open(source_endpoint(definition_));
    if (!is_claimed_) {
      const db::Server& server = source.server();
      require_same_server(stream_, server);
      stream_ = state::Sidecar(control_).claim_idle(stream_.key, known_epoch_, server.identity);
      is_claimed_ = true;
    }
    const std::optional<shard::Layout> layout = is_sharded(definition_) ? std::optional(layout_of(definition_)) : std::nullopt;
    std::optional<catalog::Catalog> known;
    const auto bound = bind_shard(definition_, layout ? &*layout : nullptr, source, control_, stream_.id, Definitions::present, known);
    SidecarCheckpoint checkpoint(stream_.position->flavour, stream_.id, stream_.epoch);
    apply::ApplyOptions options = options_;
    options.attempts_max = 10;
    const apply::Target target{.shard = layout ? definition_.shard : "", .endpoint = target_endpoint(definition_), .tables = bound.tables(), .checkpoint = checkpoint, .progress = progress_};
    apply::Applier applier(source_endpoint(definition_), {target}, options, stop_);
    applier.on_connected = [&](const db::Server& server) { require_same_server(stream_, server); };
    applier.run(gtid::Set::parse(goal));
    stop_.throw_if_requested();
  } catch (const Error& error) {
    if (error.code() != Code::stream_fenced) throw;
    is_claimed_ = false;
    lose("another godwit has taken the stream over");
  }
}

StreamHold::Standing::Standing(StreamHold& hold) : hold_(hold), is_followed_(hold.is_followed()), began_(Clock::now()) {
  if (!is_followed_) {
    // Of the epoch in which nobody was seen to follow: one that began just now would not be noticed by its own.
    epoch_ = hold_.is_claimed_ ? hold_.stream_.epoch : hold_.known_epoch_;
    const state::StreamRow row = hold_.row();
    if (row.epoch != epoch_) lose("another godwit has taken it over");
    position_ = row.position.value();
    return;
  }
  try {
    ask(std::nullopt);
    await();
    began_ = Clock::now();
    failpoint(Fp::vdiff_held);
  } catch (...) {
    forget();
    throw;
  }
}

StreamHold::Standing::~Standing() {
  if (!is_released_ && is_followed_) forget();
}

void StreamHold::Standing::forget() {
  try {
    state::HoldStore(hold_.control_, hold_.stream_.id).drop();
  } catch (const Error& error) {
    log::debug("the request to stand still is not taken back: {}", error.what());  // the stream gives it up by itself
  }
}

void StreamHold::Standing::ask(const std::optional<std::string>& goal) {
  number_ = state::HoldStore(hold_.control_, hold_.stream_.id).ask(goal);
  asked_ = Clock::now();
}

void StreamHold::Standing::await() {
  state::HoldStore store(hold_.control_, hold_.stream_.id);
  auto looked = asked_;
  std::optional<std::string> at;
  while (!(at = store.held_at(number_))) {
    if (store.is_given_up(number_)) lose("it went on before the snapshots were taken");
    if (!hold_.stop_.sleep_for(kPause)) hold_.stop_.throw_if_requested();
    const auto now = Clock::now();
    if (now - asked_ > kSilenceMax) lose(fmt::format("it does not stand still within {}: is its replicate alive?", format_duration(kSilenceMax)));
    if (now - looked < kLookPause) continue;
    looked = now;
    if (!hold_.is_followed()) lose("its replicate has ended");
  }
  position_ = {.flavour = hold_.stream_.position->flavour, .text = *at};
}

// A source sends a transaction before it shows it: what the stream has applied may be missing in a view that was opened just then, and would
// look like a difference. There is no way back to such a goal.
void StreamHold::Standing::begin_advance(const gtid::Position& goal) {
  if (!gtid::Set::parse(goal).contains(gtid::Set::parse(position_))) lose(fmt::format("it is at {}, and what was read of the source at {}", position_.text, goal.text));
  goal_ = goal;
  if (!is_followed_) return;
  stood_ += Clock::now() - began_;
  ask(goal.text);
}

void StreamHold::Standing::end_advance() {
  if (is_followed_) {
    await();
    began_ = Clock::now();
    return;
  }
  if (gtid::Set::parse(position_).contains(gtid::Set::parse(goal_))) return;
  hold_.apply(goal_);
  epoch_ = hold_.stream_.epoch;
  position_ = goal_;
}

void StreamHold::Standing::lock(db::Connection& target) {
  if (!is_followed_) {
    const std::string epoch = target.scalar(fmt::format("SELECT epoch FROM {} WHERE id = {} FOR UPDATE", sql::quote_table(state::kSidecarSchema, "stream"), hold_.stream_.id));
    if (epoch != fmt::format("{}", epoch_)) lose("another godwit has taken it over");
    return;
  }
  const db::Rows rows = target.query(fmt::format("SELECT 1 FROM {} WHERE stream = {} AND number = {} AND state = 'held' FOR UPDATE",
                                                 sql::quote_table(state::kSidecarSchema, "stream_hold"),
                                                 hold_.stream_.id,
                                                 number_));
  if (rows.empty()) lose("it has gone on meanwhile");
}

std::chrono::microseconds StreamHold::Standing::release() {
  is_released_ = true;
  if (!is_followed_) {
    if (hold_.row().epoch != epoch_) lose("another godwit has taken it over");
    return std::chrono::microseconds(0);
  }
  if (!state::HoldStore(hold_.control_, hold_.stream_.id).end(number_)) lose("it went on before the snapshots were taken");
  return std::chrono::duration_cast<std::chrono::microseconds>(stood_ + (Clock::now() - began_));
}

}  // namespace godwit::workflow
