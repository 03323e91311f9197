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

Copier::Copier(db::Endpoint target, WriterOptions writer, CopyLimits limits, Ledger& ledger, Throttle& throttle,
               const Stop& stop)
    : target_(std::move(target)),
      writer_(writer),
      limits_(limits),
      ledger_(ledger),
      throttle_(throttle),
      stop_(stop) {}

CycleEnd Copier::copy_from(db::Snapshot& snapshot, db::Connection& planner, const std::vector<TableTask>& tasks,
                           std::vector<TableProgress>& progress,
                           const std::function<void(const TableTask&)>& on_table_copied) {
  GODWIT_CHECK(progress.size() == tasks.size());
  Scheduler scheduler(planner, tasks, limits_, ledger_, progress);
  const auto is_too_old = [&] {
    return std::chrono::steady_clock::now() - snapshot.opened >= limits_.snapshot_age_max ||
           throttle_.is_history_too_long();
  };
  const LaneContext context{.scheduler = scheduler,
                            .tasks = tasks,
                            .target = target_,
                            .writer = writer_,
                            .limits = limits_,
                            .ledger = ledger_,
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
