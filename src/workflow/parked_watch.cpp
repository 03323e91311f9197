#include "parked_watch.h"

#include <fmt/format.h>

#include "godwit/db/snapshot.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"

namespace godwit::workflow {
namespace {

constexpr std::uint64_t kMomentUs = 10'000'000;  // for a transaction across shards, and clocks
constexpr std::chrono::seconds kLookPause{1};

}  // namespace

void ParkedWatch::look() {
  const auto now = std::chrono::steady_clock::now();
  const std::uint64_t since = progress_.parked_us;
  if (progress_.parked == 0 || since == 0 || apply::now_us() < since + kMomentUs || now - looked_ < kLookPause) return;
  looked_ = now;
  if (since != since_us_) ends_.clear();
  since_us_ = since;
  try {
    look_closer();
  } catch (const Error& error) {
    if (!error.is_retryable()) throw;
    log::debug("whether parked rows wait in vain is not known: {}", error.what());
  }
}

void ParkedWatch::look_closer() {
  if (ends_.empty()) {
    std::vector<gtid::Set> ends;
    for (const auto& other : others_) {
      db::Connection shard = db::Connection::open(other.follows);
      ends.push_back(gtid::Set::parse(db::end_of_binlog(shard)));
    }
    ends_ = std::move(ends);
    return;  // and give them a moment
  }
  if (!have_others_arrived()) return;
  throw Error(Code::drift,
              {.object = fmt::format("{} rows in {}.parked_row", progress_.parked.load(), state::kSidecarSchema),
               .cause = "they came to their shard, and rows with the same unique values are on the source, though all that the other shards had is there",
               .remedy = "look at what is in their way (a write that did not come through godwit, or values that two shards have); mend it there, then run the same command again"});
}

bool ParkedWatch::have_others_arrived() {
  db::Connection source = db::Connection::open(source_);
  for (std::size_t i = 0; i < others_.size(); ++i) {
    const std::string position = source.scalar(fmt::format("SELECT position FROM {}.stream WHERE id = {}", state::kSidecarSchema, others_[i].id));
    if (!gtid::Set::parse(ends_[i].flavour(), position).contains(ends_[i])) return false;
  }
  return true;
}

}  // namespace godwit::workflow
