#include "godwit/apply/applier.h"

#include <algorithm>

#include "feed.h"
#include "follower.h"
#include "godwit/util/crew.h"
#include "godwit/util/error.h"

namespace godwit::apply {
namespace {

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

ApplyEnd Applier::run(const std::optional<gtid::Set>& until) { return run_each(std::vector(targets_.size(), until)); }

ApplyEnd Applier::run_each(const std::vector<std::optional<gtid::Set>>& untils) {
  GODWIT_CHECK(untils.size() == targets_.size());
  Feed feed({.source = source_, .targets = tables_of(targets_), .apply = options_, .on_connected = on_connected, .bytes_read = targets_[0].progress.bytes_read});
  if (targets_.size() == 1) return follow(feed, 0, untils[0], stop_);
  std::vector<ApplyEnd> ends(targets_.size(), ApplyEnd::stopped);
  run_crew(targets_.size(), stop_, [&](std::size_t i, const Stop& stop) { ends[i] = follow(feed, i, untils[i], stop); });
  for (const ApplyEnd end : {ApplyEnd::stopped, ApplyEnd::definitions_changed}) {
    if (std::find(ends.begin(), ends.end(), end) != ends.end()) return end;
  }
  return ApplyEnd::reached;
}

ApplyEnd Applier::follow(Feed& feed, std::size_t target, const std::optional<gtid::Set>& until, const Stop& stop) {
  Follower follower(feed, target, targets_[target], options_, stop);
  follower.on_window = on_window;
  return follower.run(until);
}

}  // namespace godwit::apply
