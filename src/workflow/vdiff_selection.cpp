#include "vdiff_selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"

namespace godwit::workflow {
namespace {

using db::Side;

// Thirty-two digits of each.
std::string hash_of_both(const catalog::Table& source, const catalog::Table& target) { return definition_hash(source) + definition_hash(target); }

const state::VdiffTableRow* find(const std::vector<state::VdiffTableRow>& rows, const state::VdiffTableRow& table) {
  const auto is_same = [&](const state::VdiffTableRow& row) { return row.source_schema == table.source_schema && row.source_table == table.source_table; };
  const auto found = std::find_if(rows.begin(), rows.end(), is_same);
  return found == rows.end() ? nullptr : &*found;
}

// InnoDB keeps the time of a table's last commit in memory: where it has one, it is right; where it has none, nothing is known. Ages are compared,
// each by its server's own clock.
bool is_untouched(db::Connection& connection, const std::string& schema, const std::string& table, std::uint64_t elapsed_s) {
  const db::Rows rows = connection.query(fmt::format(
      "SELECT TIMESTAMPDIFF(SECOND, UPDATE_TIME, NOW()) AS age FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND UPDATE_TIME IS NOT NULL AND CREATE_OPTIONS NOT LIKE '%partitioned%'",
      sql::quote_string(schema),
      sql::quote_string(table)));
  constexpr std::uint64_t kMarginSeconds = 2;
  return !rows.empty() && rows.u64(0, "age") > elapsed_s + kMarginSeconds;
}

void read_fresh_update_times(db::Connection& connection) {
  if (!connection.server().is_mariadb()) connection.execute("SET SESSION information_schema_stats_expiry = 0");
}

}  // namespace

std::string selection_text(const VdiffTuning& tuning) { return nlohmann::json{{"tables", tuning.tables}, {"only_keys", tuning.only_keys}}.dump(); }

bool VdiffSelection::is_selected(const state::TableRow& table) const {
  // By the names of the migration's source, whichever side serves.
  const bool is_reversed = definition_.direction == Direction::reverse;
  const std::string& schema = is_reversed ? table.target_schema : table.source_schema;
  const std::string& name = is_reversed ? table.target_table : table.source_table;
  const auto matches = [&](const std::string& pattern) { return catalog::matches_table(pattern, schema, name); };
  return tuning_.tables.empty() || std::any_of(tuning_.tables.begin(), tuning_.tables.end(), matches);
}

void VdiffSelection::require_any() {
  const auto tables = state::Sidecar(target_).tables(stream_);
  if (std::any_of(tables.begin(), tables.end(), [&](const state::TableRow& table) { return is_selected(table); })) return;
  throw Error(Code::nothing_selected, {.object = "--tables " + join(tuning_.tables, ","), .cause = "no table of the migration matches", .remedy = "name tables of the source: shop.orders, or orders*"});
}

VdiffTarget VdiffSelection::plan_table(const state::TableRow& names, const Preparation& prepared) {
  const auto source = std::find_if(prepared.source.tables.begin(), prepared.source.tables.end(), [&](const catalog::Table& t) {
    return t.schema == names.source_schema && t.name == names.source_table;
  });
  if (source == prepared.source.tables.end()) {
    throw Error(Code::no_such_table,
                {.object = sql::quote_table(names.source_schema, names.source_table), .cause = "it belongs to the migration, and the source has it no more", .remedy = "leave it out: --tables"});
  }
  const catalog::Table target = catalog::read_table(target_, names.target_schema, names.target_table);
  VdiffTarget result;
  result.plan = vdiff::plan_table(*source, target, source_.server(), target_.server(), {.only_keys = tuning_.only_keys, .never_hash = tuning_.never_hash});
  result.transfers = catalog::transfers(*source, target, prepared.ddl);
  result.row = {.source_schema = names.source_schema,
                .source_table = names.source_table,
                .target_schema = names.target_schema,
                .target_table = names.target_table,
                .state = "pending",
                .definition_hash = hash_of_both(*source, target)};
  if (layout_) place(result, *source, target);
  return result;
}

// The placements name the tables of the migration's source, whichever side serves.
void VdiffSelection::place(VdiffTarget& table, const catalog::Table& source, const catalog::Table& target) {
  const bool is_forward = sharded_side(definition_) == db::Side::target;
  const catalog::Table& routed = is_forward ? source : target;
  table.route = std::make_shared<const shard::Route>(*layout_, routed);
  vdiff::place(table.plan, {.route = *table.route, .routed = routed}, source, target);
  if (has_own_names(servers_of(shards_, sharded_side(definition_)), is_forward ? target.schema : source.schema)) table.plan.by_session = sharded_side(definition_);
  if (table.plan.spread == vdiff::Spread::by_key) table.plan.rows_estimate = routed.rows_estimate;  // the first shard has a part of them
  if (table.plan.spread != vdiff::Spread::first_shard) require_same_on_shards(is_forward ? target : source);
}

std::vector<std::string> VdiffSelection::names_on_shards(const std::string& first) const { return workflow::names_on_shards(servers_of(shards_, sharded_side(definition_)), first); }

// One form of each value for all of them.
void VdiffSelection::require_same_on_shards(const catalog::Table& first) {
  auto& shards = sharded_side(definition_) == db::Side::target ? targets_ : sources_;
  const auto is_same = [](const catalog::Column& a, const catalog::Column& b) { return a.name == b.name && a.column_type == b.column_type && a.charset == b.charset && a.is_nullable == b.is_nullable; };
  const auto databases = names_on_shards(first.schema);
  for (std::size_t i = 1; i < shards.size(); ++i) {
    const catalog::Table other = catalog::read_table(shards[i], databases[i], first.name);
    const bool is_one_flavour = shards[i].server().flavour == shards[0].server().flavour;
    if (is_one_flavour && std::equal(first.columns.begin(), first.columns.end(), other.columns.begin(), other.columns.end(), is_same)) continue;
    throw Error(Code::schema_differs,
                {.object = fmt::format("{} on shard {}", sql::quote_table(databases[i], first.name), shard::to_string(layout_->shards[i].range)),
                 .cause = is_one_flavour ? "its columns are others than on the first shard" : "the server is of another flavour than the first shard's",
                 .remedy = "shards of one flavour, with the same tables: docs/sharding.md"});
  }
}

std::vector<VdiffTarget> VdiffSelection::plan(std::uint64_t vdiff) {
  const Preparation prepared = prepare(definition_, source_, target_);
  state::VdiffStore store(target_);
  std::vector<VdiffTarget> tables;
  for (const auto& names : state::Sidecar(target_).tables(stream_)) {
    if (!is_selected(names)) continue;
    tables.push_back(plan_table(names, prepared));
    store.add_table(vdiff, tables.back().row);
  }
  const auto rows = store.tables(vdiff);
  for (auto& table : tables) {
    const auto* own = find(rows, table.row);
    GODWIT_CHECK(own != nullptr);
    if (own->definition_hash != table.row.definition_hash) {
      throw Error(Code::table_changed,
                  {.object = sql::quote_table(table.row.source_schema, table.row.source_table), .cause = "DDL has changed it since the comparison began", .remedy = "godwit vdiff --restart"});
    }
    table.row = *own;
  }
  return tables;
}

bool VdiffSelection::is_unchanged(const VdiffTarget& table, std::uint64_t elapsed_s) {
  const state::VdiffTableRow& names = table.row;
  const bool is_on_first = table.plan.spread == vdiff::Spread::first_shard;
  const auto are_untouched = [&](Side side, const std::string& schema, const std::string& name) {
    auto& servers = side == Side::source ? sources_ : targets_;
    const auto databases = side == sharded_side(definition_) ? names_on_shards(schema) : std::vector<std::string>{schema};
    for (std::size_t i = 0; i < (is_on_first ? 1 : servers.size()); ++i) {
      if (!is_untouched(servers[i], databases[i], name, elapsed_s)) return false;
    }
    return true;
  };
  return are_untouched(Side::source, names.source_schema, names.source_table) && are_untouched(Side::target, names.target_schema, names.target_table);
}

void VdiffSelection::leave_out_unchanged(std::uint64_t vdiff, std::vector<VdiffTarget>& tables) {
  state::VdiffStore store(target_);
  const auto before = store.finished_before(vdiff, {.workflow = definition_.name, .options = selection_text(tuning_)});
  if (!before) {
    log::warning("--resume: there is no finished comparison of the same tables to go on from; all of them are compared");
    return;
  }
  for (auto* servers : {&sources_, &targets_}) {
    for (auto& server : *servers) read_fresh_update_times(server);
  }
  std::set<std::uint64_t> differed;
  for (const auto& difference : store.differences(before->id, "confirmed")) differed.insert(difference.table_id);
  const auto earlier = store.tables(before->id);
  for (auto& table : tables) {
    const auto* own = find(earlier, table.row);
    const bool was_equal = own != nullptr && (own->state == "compared" || own->state == "unchanged") && own->definition_hash == table.row.definition_hash && differed.count(own->id) == 0;
    if (table.row.state != "pending" || !was_equal || !is_unchanged(table, before->elapsed_s)) continue;
    table.row.state = "unchanged";
    table.row.source_rows = own->source_rows;
    table.row.target_rows = own->target_rows;
    store.advance(table.row, {});
  }
}

}  // namespace godwit::workflow
