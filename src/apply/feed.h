// Reads one binlog, once, for all targets of a stream: a thread that decodes, routes and hands out, into an inbox per target. Private to apply.
//
// A target comes (join) with its own position, and gets what is not in it. It goes when it ends or fails, whatever the others do; what its inbox
// held is dropped with it, and read again when it comes back: so a target whose server is away costs the others nothing, and nothing is held for it.
// The reader begins at what all that are there have behind them, and begins again there when another comes; each of the others gets on where it was
// (`handed`). A target that is slow holds the reader up: its inbox is full.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "godwit/apply/applier.h"
#include "godwit/apply/assembler.h"
#include "godwit/binlog/stream.h"
#include "inbox.h"

namespace godwit::apply {

// A target's part of the feed, from join() on. The inbox and is_current: for the applier; the rest is the reader's.
struct Lane {
  Lane(std::size_t number, gtid::Set position, const InboxLimits& limits) : target(number), inbox(limits), handed(std::move(position)) {}

  const std::size_t target;
  Inbox inbox;
  std::atomic<bool> is_current{false};  // the reader is not behind what this lane has: an empty inbox means that the source has no more
  gtid::Set handed;                     // what the target has, or was given
  bool has_part = false;                // of a transaction whose end it was not given yet
};

class Feed {
 public:
  struct Options {
    db::Endpoint source;
    std::vector<TargetTables> targets;
    const ApplyOptions& apply;
    std::function<void(const db::Server&)> on_connected;
    std::atomic<std::uint64_t>& bytes_read;
  };
  explicit Feed(Options options);
  ~Feed();

  std::shared_ptr<Lane> join(std::size_t target, const gtid::Set& position);
  void leave(const Lane& lane);
  // The target will not come again: nobody waits for it.
  void finish(std::size_t target);

 private:
  using Lanes = std::vector<std::shared_ptr<Lane>>;  // by target; nothing where one is away
  struct Interruptible;

  void run();
  bool await_lanes(Lanes& lanes);
  void read(Lanes& lanes, std::uint64_t generation);
  bool is_over(const Lanes& lanes, std::uint64_t generation);
  void hand_out(Lanes& lanes, Transaction transaction, bool is_end);
  void hand(std::shared_ptr<Lane>& lane, Transaction transaction, bool is_end);
  void fail(Lanes& lanes, const std::exception_ptr& failure);
  static void note_quiet(const Lanes& lanes);
  static gtid::Set common(const Lanes& lanes);
  void require_small(const Transaction& transaction) const;

  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Lanes joined_;                        // under mutex_, like what follows
  std::vector<bool> is_expected_;
  std::uint64_t generation_ = 0;        // of joined_: raised when one comes
  std::uint64_t read_generation_ = 0;   // the newest that the reader has taken up
  bool is_ending_ = false;
  binlog::Stream* stream_ = nullptr;
  std::thread thread_;
};

}  // namespace godwit::apply
