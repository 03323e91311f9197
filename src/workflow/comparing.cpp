#include "godwit/workflow/comparing.h"

#include <algorithm>

#include "godwit/sql/quote.h"
#include "godwit/state/sidecar.h"
#include "godwit/util/error.h"
#include "godwit/workflow/shards.h"
#include "preparation.h"

namespace godwit::workflow {

// Every table of the migration is on the first shard.
ComparisonPlans comparison_plans(const Definition& recorded) {
  const auto shards = shard_definitions(recorded);
  const Definition& definition = shards.front();
  std::vector<const Definition*> every;
  for (const auto& shard : shards) every.push_back(&shard);
  db::Connection source = db::Connection::open(source_endpoint(definition));
  db::Connection target = db::Connection::open(target_endpoint(definition));
  const auto prepared = prepare(definition, source, target);
  state::Sidecar sidecar(target);
  const auto stream = sidecar.find(stream_key(definition));
  if (!stream) refuse_uncopied(definition, stream);
  ComparisonPlans plans;
  if (is_sharded(definition)) plans.layout = std::make_unique<const shard::Layout>(layout_of(definition));
  for (const auto& names : sidecar.tables(stream->id)) {
    const auto table = std::find_if(prepared.source.tables.begin(), prepared.source.tables.end(), [&](const catalog::Table& t) { return t.schema == names.source_schema && t.name == names.source_table; });
    if (table == prepared.source.tables.end()) {
      throw Error(Code::no_such_table, {.object = sql::quote_table(names.source_schema, names.source_table), .cause = "it belongs to the migration, and the source has it no more", .remedy = "godwit vdiff says what both sides have"});
    }
    const catalog::Table there = catalog::read_table(target, names.target_schema, names.target_table);
    plans.tables.push_back(vdiff::plan_table(*table, there, source.server(), target.server(), {}));
    if (!plans.layout) continue;
    plans.routes.push_back(std::make_unique<const shard::Route>(*plans.layout, *table));
    vdiff::place(plans.tables.back(), {.route = *plans.routes.back(), .routed = *table}, *table, there);
    if (has_own_names(every, there.schema)) plans.tables.back().by_session = db::Side::target;
  }
  return plans;
}

}  // namespace godwit::workflow
