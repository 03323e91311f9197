// The tables of a stream as apply needs them, made from both catalogs and from how far the copy is. One thread.
#pragma once

#include <vector>

#include "godwit/apply/assembler.h"
#include "godwit/apply/binding.h"
#include "godwit/shard/layout.h"
#include "godwit/state/sidecar.h"
#include "preparation.h"

namespace godwit::workflow {

// Whether rows that foreign keys change are in the binlog (measured: MySQL from 9.6 on logs them unless InnoDB does the cascades itself;
// MariaDB does not).
bool logs_cascades(db::Connection& source);

// Which definitions of the source's tables are accepted: those that the copy began with, or whatever they are now.
enum class Definitions { recorded, present };

// Of each table that the sidecar lists, in its order. Throws Error(no_such_table) for one that either side lacks, table_changed when its
// definition is not the recorded one.
std::vector<apply::TableBinding> bind_tables(const Preparation& prepared, db::Connection& source, db::Connection& target, std::uint64_t stream,
                                             Definitions definitions);

// Which rows of each are the shard's own: one per binding, of tables of a source that the layout was made for. The layout must outlive it. Throws as shard::Route.
std::vector<shard::Route> bind_routes(const shard::Layout& layout, const catalog::Catalog& source, const std::vector<apply::TableBinding>& bindings);

// Of one shard, in either direction. Forward: which rows are its own. Reverse: its tables as they meet on the source with those of the other shards
// (apply::share); what every shard has comes from the first alone. Of a migration without shards: the bindings alone.
struct RoutedBindings {
  std::vector<apply::TableBinding> bindings;
  std::vector<shard::Route> routes;
  std::size_t shard = 0;

  apply::TargetTables tables() const { return {.bindings = &bindings, .routes = routes.empty() ? nullptr : &routes, .shard = shard}; }
};
// definition: of the shard, as its direction sees it. layout: nothing where there are no shards; must outlive the result. Throws as bind_tables and shard::Route.
RoutedBindings bind_shard(const Definition& definition, const shard::Layout* layout, db::Connection& source, db::Connection& target, std::uint64_t stream);

}  // namespace godwit::workflow
