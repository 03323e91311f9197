#include "feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"

namespace godwit::apply {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kHeartbeat{1000};  // at least so often the reader looks whether another target has come
constexpr milliseconds kGathering{1000};  // that the first target waits for the others, so that one reading begins for all

bool has_nobody(const std::vector<std::shared_ptr<Lane>>& lanes) {
  return std::all_of(lanes.begin(), lanes.end(), [](const auto& lane) { return lane == nullptr; });
}

std::exception_ptr lost(std::string_view cause) {
  return std::make_exception_ptr(Error(Code::connection_lost, {.object = "binlog stream", .cause = std::string(cause), .remedy = "it connects again by itself; if it goes on, look into the source's error log"}));
}

}  // namespace

// While it lives, the feed can interrupt what the reader waits for.
struct Feed::Interruptible {
  Interruptible(Feed& f, binlog::Stream& stream) : feed(f) { set(&stream); }
  ~Interruptible() { set(nullptr); }
  void set(binlog::Stream* stream) const {
    std::lock_guard lock(feed.mutex_);
    feed.stream_ = stream;
    if (stream != nullptr && (feed.is_ending_ || has_nobody(feed.joined_))) stream->interrupt();
  }
  Feed& feed;
};

Feed::Feed(Options options)
    : options_(std::move(options)), joined_(options_.targets.size()), is_expected_(options_.targets.size(), true), thread_([this] { run(); }) {}

Feed::~Feed() {
  {
    std::lock_guard lock(mutex_);
    is_ending_ = true;
    for (const auto& lane : joined_) {
      if (lane != nullptr) lane->inbox.close();
    }
    if (stream_ != nullptr) stream_->interrupt();
  }
  changed_.notify_all();
  thread_.join();
}

std::shared_ptr<Lane> Feed::join(std::size_t target, const gtid::Set& position) {
  const InboxLimits limits{.bytes_max = options_.apply.window_bytes_max, .transactions_max = options_.apply.window_transactions_max};
  auto lane = std::make_shared<Lane>(target, position, limits);
  std::lock_guard lock(mutex_);
  joined_[target] = lane;
  ++generation_;
  changed_.notify_all();
  return lane;
}

void Feed::finish(std::size_t target) {
  std::lock_guard lock(mutex_);
  is_expected_[target] = false;
  changed_.notify_all();
}

void Feed::leave(const Lane& lane) {
  std::lock_guard lock(mutex_);
  auto& joined = joined_[lane.target];
  if (joined.get() == &lane) {
    joined->inbox.close();
    joined.reset();
  }
  if (has_nobody(joined_) && stream_ != nullptr) stream_->interrupt();
  changed_.notify_all();
}

void Feed::run() {
  Lanes lanes(joined_.size());
  while (await_lanes(lanes)) {
    try {
      read(lanes, read_generation_);
    } catch (...) {
      fail(lanes, std::current_exception());
    }
  }
}

// Takes up those that have come, and lets go of those that have gone. Where nobody is being read for, waits for somebody, and a moment for the
// others: they come at the same time, at the beginning and when the source has failed them all. False: it is over.
bool Feed::await_lanes(Lanes& lanes) {
  std::unique_lock lock(mutex_);
  const auto has_news = [&] { return is_ending_ || generation_ != read_generation_; };
  const bool was_reading = !has_nobody(lanes);
  if (!was_reading) changed_.wait(lock, has_news);
  const auto are_all = [&] {
    for (std::size_t i = 0; i < joined_.size(); ++i) {
      if (is_expected_[i] && joined_[i] == nullptr) return false;
    }
    return true;
  };
  if (!was_reading) changed_.wait_for(lock, kGathering, [&] { return is_ending_ || are_all(); });
  if (is_ending_) return false;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    if (lanes[i] != nullptr && lanes[i] == joined_[i] && lanes[i]->has_part) {
      // What it has of a transaction would come a second time.
      lanes[i]->inbox.fail(lost("it begins again within a transaction of which this target has a part"));
      joined_[i].reset();
    }
    lanes[i] = joined_[i];
  }
  read_generation_ = generation_;
  return true;
}

bool Feed::is_over(const Lanes& lanes, std::uint64_t generation) {
  if (has_nobody(lanes)) return true;
  std::lock_guard lock(mutex_);
  return is_ending_ || generation_ != generation || has_nobody(joined_);
}

// Whoever was read for comes again, or gives up, as it thinks best of the failure.
void Feed::fail(Lanes& lanes, const std::exception_ptr& failure) {
  std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    if (lanes[i] == nullptr) continue;
    lanes[i]->inbox.fail(failure);
    if (joined_[i] == lanes[i]) joined_[i].reset();
    lanes[i].reset();
  }
}

gtid::Set Feed::common(const Lanes& lanes) {
  std::optional<gtid::Set> common;
  for (const auto& lane : lanes) {
    if (lane == nullptr) continue;
    if (common) {
      common->intersect(lane->handed);
    } else {
      common = lane->handed;
    }
  }
  return *common;
}

// Returns when another target has come, or all have gone; throws what ends the reading for all of them.
void Feed::read(Lanes& lanes, std::uint64_t generation) {
  if (has_nobody(lanes)) return;
  const gtid::Set begin = common(lanes);
  Lanes at_begin;  // an answer of the source is all that they wait for
  for (const auto& lane : lanes) {
    if (lane == nullptr) continue;
    lane->is_current = false;
    if (lane->handed == begin) at_begin.push_back(lane);
  }
  binlog::Stream stream(options_.source, {.from = begin.position(), .deadline = options_.apply.deadline, .heartbeat = kHeartbeat});
  const Interruptible interruptible(*this, stream);
  if (options_.on_connected) options_.on_connected(stream.server());
  Assembler assembler(options_.targets, {.part_bytes_max = options_.apply.window_bytes_max, .takes_new_tables = options_.apply.takes_new_tables});
  assembler.is_wanted = [&](std::size_t target, const gtid::Gtid& gtid) { return lanes[target] != nullptr && !lanes[target]->handed.contains(gtid); };
  while (true) {
    const binlog::Event* event = nullptr;
    try {
      event = stream.next();
    } catch (...) {
      if (is_over(lanes, generation)) return;  // it was interrupted
      throw;
    }
    if (event == nullptr) std::rethrow_exception(lost("the server ended it"));
    options_.bytes_read += event->header.size;
    for (const auto& lane : std::exchange(at_begin, {})) lane->is_current = true;
    if (event->as<binlog::Heartbeat>() != nullptr) {
      note_quiet(lanes);
    } else {
      if (auto transaction = assembler.take(*event)) hand_out(lanes, std::move(*transaction), !assembler.is_inside_transaction());
    }
    if (!assembler.is_inside_transaction() && is_over(lanes, generation)) return;
  }
}

// The source has sent all that it had.
void Feed::note_quiet(const Lanes& lanes) {
  for (const auto& lane : lanes) {
    if (lane != nullptr) lane->is_current = true;
  }
}

void Feed::require_small(const Transaction& transaction) const {
  if (transaction.kind != TransactionKind::xa_prepared || transaction.bytes <= options_.apply.xa_bytes_max) return;
  throw Error(Code::event_unsupported,
              {.object = gtid::to_string(transaction.gtid),
               .cause = fmt::format("an XA transaction of {} is prepared; {} is the limit", format_bytes(transaction.bytes), format_bytes(options_.apply.xa_bytes_max)),
               .remedy = "split it on the source; or godwit cancel, and copy again after it has ended"});
}

void Feed::hand_out(Lanes& lanes, Transaction transaction, bool is_end) {
  require_small(transaction);
  if (lanes.size() == 1) return hand(lanes[0], std::move(transaction), is_end);
  std::vector<Transaction> parts(lanes.size());
  for (Transaction& part : parts) {
    part.kind = transaction.kind;
    part.gtid = transaction.gtid;
    part.committed_us = transaction.committed_us;
    part.statement = transaction.statement;
    part.xid = transaction.xid;
    part.heartbeat_us = transaction.heartbeat_us;
  }
  for (Change& change : transaction.changes) {
    Transaction& part = parts[change.target];
    part.bytes += change.bytes();
    part.changes.push_back(std::move(change));
  }
  for (std::size_t i = 0; i < lanes.size(); ++i) hand(lanes[i], std::move(parts[i]), is_end);
}

// Only the end of a transaction makes it handed: until then it is begun.
void Feed::hand(std::shared_ptr<Lane>& lane, Transaction transaction, bool is_end) {
  if (lane == nullptr || lane->handed.contains(transaction.gtid)) return;
  const bool is_part = transaction.kind == TransactionKind::part;
  if (is_part && transaction.changes.empty()) return;
  const gtid::Gtid gtid = transaction.gtid;
  lane->is_current = true;
  if (!lane->inbox.push(std::move(transaction))) return lane.reset();
  lane->has_part = is_part;
  if (is_end) lane->handed.add(gtid);
}

}  // namespace godwit::apply
