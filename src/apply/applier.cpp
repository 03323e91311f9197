#include "godwit/apply/applier.h"

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "feed.h"
#include "follower.h"
#include "godwit/util/error.h"

namespace godwit::apply {
namespace {

constexpr std::chrono::milliseconds kStopLook{20};

// The followers of several targets, each in a thread. The first that fails ends the others.
class Crew {
 public:
  // follow: what the follower of that number does, until the stop that it is given.
  Crew(std::size_t count, std::function<ApplyEnd(std::size_t, const Stop&)> follow) : follow_(std::move(follow)), running_(count), ends_(count, ApplyEnd::stopped) {
    for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this, i] { work(i); });
  }
  ~Crew() {
    stop_.request();
    for (auto& thread : threads_) thread.join();
  }

  ApplyEnd await(const Stop& stop) {
    std::unique_lock lock(mutex_);
    while (!ended_.wait_for(lock, kStopLook, [&] { return running_ == 0; })) {
      if (stop.is_requested()) stop_.request();
    }
    if (failure_) std::rethrow_exception(failure_);
    for (const ApplyEnd end : {ApplyEnd::stopped, ApplyEnd::definitions_changed}) {
      if (std::find(ends_.begin(), ends_.end(), end) != ends_.end()) return end;
    }
    return ApplyEnd::reached;
  }

 private:
  void work(std::size_t number) {
    std::exception_ptr failure;
    ApplyEnd end = ApplyEnd::stopped;
    try {
      end = follow_(number, stop_);
    } catch (...) {
      failure = std::current_exception();
      stop_.request();
    }
    std::lock_guard lock(mutex_);
    ends_[number] = end;
    if (failure && !failure_) failure_ = failure;
    --running_;
    ended_.notify_all();
  }

  const std::function<ApplyEnd(std::size_t, const Stop&)> follow_;
  Stop stop_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t running_;
  std::vector<ApplyEnd> ends_;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

std::vector<TargetTables> tables_of(const std::vector<Target>& targets) {
  std::vector<TargetTables> tables;
  for (const auto& target : targets) tables.push_back(target.tables);
  return tables;
}

}  // namespace

std::uint64_t now_us() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

Applier::Applier(db::Endpoint source, std::vector<Target> targets, ApplyOptions options, const Stop& stop)
    : source_(std::move(source)), targets_(std::move(targets)), options_(std::move(options)), stop_(stop) {
  GODWIT_CHECK(!targets_.empty());
}

Applier::Applier(db::Endpoint source, db::Endpoint target, const std::vector<TableBinding>& bindings, ApplyOptions options, Checkpoint& checkpoint,
                 ApplyProgress& progress, const Stop& stop)
    : Applier(std::move(source),
              std::vector<Target>{{.shard = "", .endpoint = std::move(target), .tables = {.bindings = &bindings}, .checkpoint = checkpoint, .progress = progress}},
              std::move(options),
              stop) {}

ApplyEnd Applier::run(const std::optional<gtid::Set>& until) {
  Feed feed({.source = source_, .targets = tables_of(targets_), .apply = options_, .on_connected = on_connected, .bytes_read = targets_[0].progress.bytes_read});
  if (targets_.size() > 1) return run_all(feed, until);
  Follower follower(feed, 0, targets_[0], options_, stop_);
  follower.on_window = on_window;
  return follower.run(until);
}

ApplyEnd Applier::run_all(Feed& feed, const std::optional<gtid::Set>& until) {
  Crew crew(targets_.size(), [&](std::size_t i, const Stop& stop) {
    Follower follower(feed, i, targets_[i], options_, stop);
    follower.on_window = on_window;
    return follower.run(until);
  });
  return crew.await(stop_);
}

}  // namespace godwit::apply
