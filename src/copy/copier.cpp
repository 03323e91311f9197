#include "godwit/copy/copier.h"

#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "lane.h"
#include "scheduler.h"

namespace godwit::copy {

Copier::Copier(std::vector<Target>& targets, WriterOptions writer, CopyLimits limits, Throttle& throttle, const Stop& stop)
    : targets_(targets), writer_(writer), limits_(limits), throttle_(throttle), stop_(stop) {
  GODWIT_CHECK(!targets.empty());
  for (const auto& target : targets) GODWIT_CHECK(target.tasks.size() == targets[0].tasks.size() && target.progress.size() == target.tasks.size());
}

CycleEnd Copier::copy_from(db::Snapshot& snapshot, db::Connection& planner, const OnTableCopied& on_table_copied) {
  Scheduler scheduler(planner, targets_, limits_);
  const auto is_too_old = [&] {
    return std::chrono::steady_clock::now() - snapshot.opened >= limits_.snapshot_age_max ||
           throttle_.is_history_too_long();
  };
  const LaneContext context{.scheduler = scheduler,
                            .targets = targets_,
                            .writer = writer_,
                            .limits = limits_,
                            .throttle = throttle_,
                            .stop = stop_,
                            .is_cycle_over = is_too_old,
                            .on_table_copied = on_table_copied};

  std::mutex mutex;
  std::exception_ptr failure;
  bool is_snapshot_lost = false;
  std::vector<std::thread> threads;
  for (auto& reader : snapshot.readers) {
    threads.emplace_back([&] {
      try {
        Lane(reader, context).run();
      } catch (const SnapshotLost& lost) {
        log::warning("the snapshot is lost: {}", lost.cause);
        std::lock_guard lock(mutex);
        is_snapshot_lost = true;
        scheduler.close();
      } catch (...) {
        std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        scheduler.close();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
  if (is_snapshot_lost) return CycleEnd::snapshot_lost;
  return scheduler.is_all_copied() ? CycleEnd::all_copied : CycleEnd::snapshot_too_old;
}

}  // namespace godwit::copy
