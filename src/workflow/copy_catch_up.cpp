#include "copy_catch_up.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "bindings.h"
#include "godwit/util/error.h"
#include "godwit/workflow/shards.h"
#include "preparation.h"
#include "sidecar_checkpoint.h"

namespace godwit::workflow {
namespace {

// One target, as apply sees it: what it refers to lives here.
struct Followed {
  Followed(const CatchUp::Part& part, const std::optional<shard::Layout>& layout, db::Connection& source, std::optional<catalog::Catalog>& known) : checkpoint(source.server().flavour, part.stream.id, part.stream.epoch) {
    db::Connection target = db::Connection::open(target_endpoint(part.definition));
    bound = bind_shard(part.definition, layout ? &*layout : nullptr, source, target, part.stream.id, Definitions::recorded, known);
  }

  SidecarCheckpoint checkpoint;
  RoutedBindings bound;
};

}  // namespace

std::uint64_t BinlogCatchUp::transactions() const {
  std::uint64_t most = 0;  // each of them has been through the same ones
  for (const auto& [shard, progress] : progress_) most = std::max<std::uint64_t>(most, progress.transactions);
  return most;
}

std::uint64_t BinlogCatchUp::rows() const {
  std::uint64_t all = 0;
  for (const auto& [shard, progress] : progress_) all += progress.rows;
  return all;
}

// One binlog is read for all of them.
void BinlogCatchUp::reach(const std::vector<Part>& parts, const gtid::Position& position) {
  const Definition& first = parts.front().definition;
  const auto layout = is_sharded(first) ? std::optional(layout_of(first)) : std::nullopt;
  std::vector<std::unique_ptr<Followed>> followed;
  std::vector<apply::Target> targets;
  {
    db::Connection source = db::Connection::open(source_endpoint(first));
    std::optional<catalog::Catalog> known;
    for (const auto& part : parts) {
      Followed& one = *followed.emplace_back(std::make_unique<Followed>(part, layout, source, known));
      targets.push_back({.shard = layout ? part.definition.shard : "",
                         .endpoint = target_endpoint(part.definition),
                         .tables = one.bound.tables(),
                         .checkpoint = one.checkpoint,
                         .progress = progress_[part.definition.shard]});
    }
  }
  apply::Applier applier(source_endpoint(first), targets, options_, stop_);
  applier.on_connected = [&](const db::Server& server) {
    for (const auto& part : parts) require_same_server(part.stream, server);
  };
  switch (applier.run(gtid::Set::parse(position))) {
    case apply::ApplyEnd::reached:
      return;
    case apply::ApplyEnd::stopped:
      stop_.throw_if_requested();
      return;
    case apply::ApplyEnd::definitions_changed:
      throw Error(Code::table_changed,
                  {.object = "source", .cause = "a DDL statement came during the copy", .remedy = "let DDL wait until the copy is done: godwit cancel, and copy again"});
  }
}

}  // namespace godwit::workflow
