// The tables of a stream as apply needs them, made from both catalogs and from how far the copy is. One thread.
#pragma once

#include <optional>
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

// The tables of one target's stream, in either direction, in the order in which its sidecar lists them. Of a shard, forward: and which rows of each are its own. Reverse:
// as they meet on the source with those of the other shards (apply::share); what every shard has comes from the first alone.
struct RoutedBindings {
  std::vector<apply::TableBinding> bindings;
  std::vector<shard::Route> routes;
  std::size_t shard = 0;

  apply::TargetTables tables() const { return {.bindings = &bindings, .routes = routes.empty() ? nullptr : &routes, .shard = shard}; }
};
// definition: of the shard, as its direction sees it. layout: nothing where there are no shards; must outlive the result. Throws Error(no_such_table) for a table
// that either side lacks, table_changed when its definition is not the recorded one, and as shard::Route.
// known: what the source has, forward; read where it is not, and there then for the next shard.
RoutedBindings bind_shard(const Definition& definition, const shard::Layout* layout, db::Connection& source, db::Connection& target, std::uint64_t stream, Definitions definitions, std::optional<catalog::Catalog>& known);

}  // namespace godwit::workflow
