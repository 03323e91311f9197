#include "preparation.h"

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "godwit/workflow/shards.h"

namespace godwit::workflow {
namespace {

catalog::Selection selection_of(const Definition& definition) {
  catalog::Selection selection{
      .schemas = definition.databases, .tables = definition.tables, .exclude_tables = definition.exclude_tables};
  if (selection.schemas.empty() && !definition.source.schema.empty()) selection.schemas = {definition.source.schema};
  return selection;
}

bool is_there(db::Connection& connection, const state::TableRow& table) {
  return !connection
              .query(fmt::format("SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}", sql::quote_string(table.source_schema), sql::quote_string(table.source_table)))
              .empty();
}

// What the target holds besides is none of the migration's: exactly the tables of the stream, as far as they are there. One that DDL has taken away,
// further on than the stream is, is missed by whoever needs it.
catalog::Selection selection_in_reverse(const Definition& definition, db::Connection& source, db::Connection& target) {
  catalog::Selection selection;
  state::Sidecar sidecar(target);
  const auto stream = sidecar.find(stream_key(definition));
  if (!stream) return selection_of(definition);
  for (const auto& table : sidecar.tables(stream->id)) {
    if (!is_there(source, table)) continue;
    if (std::find(selection.schemas.begin(), selection.schemas.end(), table.source_schema) == selection.schemas.end()) selection.schemas.push_back(table.source_schema);
    selection.tables.push_back(table.source_schema + "." + table.source_table);
  }
  return selection;
}

// The source has them still: what they change there without a word is made by the stream (apply::bind_cascades).
void leave_out_keys_between(const shard::Layout& layout, Preparation& prepared) {
  for (const auto& table : prepared.source.tables) {
    for (const auto& key : table.foreign_keys) {
      if (!shard::are_colocated(layout, table, key)) prepared.ddl.left_out_keys.insert(sql::quote_table(table.schema, table.name) + "." + sql::quote_identifier(key.name));
    }
  }
}

// In reverse the stream's tables are those that are on the shard.
void keep_placed(const Definition& definition, Preparation& prepared) {
  if (!is_sharded(definition) || definition.direction != Direction::forward) return;
  const shard::Layout layout = layout_of(definition);
  const std::size_t number = shard_number(definition, layout);
  std::erase_if(prepared.source.tables, [&](const catalog::Table& table) { return !shard::has_place(layout, table, number); });
  if (layout.shards.size() > 1) prepared.source.objects.clear();
  leave_out_keys_between(layout, prepared);
}

check::Request check_request(const Definition& definition, const CopyTuning& tuning) {
  return {.source = source_endpoint(definition),
          .target = target_endpoint(definition),
          .selection = selection_of(definition),
          .names = names_of(definition),
          .is_schema_created = definition.is_schema_created,
          .allow_no_key = definition.allow_no_key,
          .skip_target_binlog = tuning.writer.skip_binlog,
          .collation_map = collation_map_of(definition),
          .skipped = tuning.skipped_checks,
          .accounts = tuning.accounts,
          .workflow = definition.name};
}

}  // namespace

catalog::NameMap names_of(const Definition& definition) {
  catalog::NameMap names(definition.map);
  const bool has_both = !definition.source.schema.empty() && !definition.target.schema.empty();
  if (has_both) names.set_default(definition.source.schema, definition.target.schema);
  return names;
}

std::map<std::string, std::string> collation_map_of(const Definition& definition) {
  std::map<std::string, std::string> map;
  for (const auto& rule : definition.collation_map) {
    const auto equals = rule.find('=');
    if (equals == std::string::npos) {
      throw Error(Code::bad_usage,
                  {.object = "--collation-map " + rule, .cause = "it is not old=new", .remedy = "--collation-map utf8mb4_0900_ai_ci=utf8mb4_general_ci"});
    }
    map.emplace(rule.substr(0, equals), rule.substr(equals + 1));
  }
  return map;
}

db::Endpoint source_endpoint(const Definition& definition) {
  return {.side = db::Side::source, .is_reversed = definition.direction == Direction::reverse, .dsn = definition.source};
}

db::Endpoint target_endpoint(const Definition& definition) {
  return {.side = db::Side::target, .is_reversed = definition.direction == Direction::reverse, .dsn = definition.target};
}

db::Endpoint replica_endpoint(const db::Endpoint& primary, const std::string& dsn, std::string_view option) {
  db::Endpoint endpoint = primary;
  endpoint.dsn = db::parse_dsn(dsn, option);
  if (endpoint.dsn.user.empty()) endpoint.dsn.user = primary.dsn.user;
  if (endpoint.dsn.password.empty()) endpoint.dsn.password = primary.dsn.password;
  return endpoint;
}

std::vector<check::Finding> check_all(const Definition& definition, const CopyTuning& tuning) {
  if (!is_sharded(definition)) return check::run_checks(check_request(definition, tuning));
  const shard::Layout layout = layout_of(definition);
  std::vector<check::Request> requests;
  for (const auto& one : shard_definitions(definition)) {
    check::Request& request = requests.emplace_back(check_request(one, tuning));
    request.layout = &layout;
    request.shard = requests.size() - 1;
  }
  return check::run_checks(requests);
}

catalog::Catalog read_source(const Definition& definition, db::Connection& source) { return catalog::read_catalog(source, selection_of(definition)); }

Preparation prepare(const Definition& definition, db::Connection& source, db::Connection& target) {
  const bool is_forward = definition.direction == Direction::forward;
  return prepare(definition, catalog::read_catalog(source, is_forward ? selection_of(definition) : selection_in_reverse(definition, source, target)), source, target);
}

Preparation prepare(const Definition& definition, catalog::Catalog catalog, db::Connection& source, db::Connection& target) {
  Preparation result;
  result.is_schema_created = definition.is_schema_created;
  result.source = std::move(catalog);
  result.ddl = {.source = source.server(),
                .target = target.server(),
                .names = names_of(definition),
                .schemas = result.source.schemas,
                .collation_map = collation_map_of(definition),
                .target_collations = catalog::known_collations(target),
                .left_out_keys = {}};
  keep_placed(definition, result);
  for (const auto& table : result.source.tables) {
    result.tables.push_back(catalog::target_table(table, result.ddl));
    const auto& issues = result.tables.back().issues;
    result.issues.insert(result.issues.end(), issues.begin(), issues.end());
  }
  result.objects = catalog::target_objects(result.source, result.ddl);
  result.issues.insert(result.issues.end(), result.objects.issues.begin(), result.objects.issues.end());
  return result;
}

void require_same_server(const state::StreamRow& stream, const db::Server& server) {
  if (server.identity == stream.source_identity) return;
  throw Error(Code::server_changed,
              {.object = fmt::format("workflow {}", stream.key.workflow),
               .cause = fmt::format("it follows source {}, this one is {}", stream.source_identity, server.identity),
               .remedy = "after a fail-over: godwit replicate with --source for the new server and --source-moved"});
}

bool is_copied(const state::StreamRow& stream) { return (stream.state == "copied" || stream.state == "running") && stream.position; }

void refuse_uncopied(const Definition& definition, const std::optional<state::StreamRow>& stream, std::string_view or_else) {
  throw Error(Code::stream_not_ready,
              {.object = fmt::format("workflow {}", definition.name),
               .cause = stream ? fmt::format("its copy is not finished (the stream is {})", stream->state) : "the target knows no such workflow",
               .remedy = fmt::format("godwit copy {}: the same command goes on where it stopped{}", definition.name, or_else)});
}

std::string definition_hash(const catalog::Table& table) {
  std::string text = table.create_sql;
  if (const auto at = text.rfind(" AUTO_INCREMENT="); at != std::string::npos) {
    const auto end = text.find_first_not_of("0123456789", at + 16);
    text.erase(at, end == std::string::npos ? std::string::npos : end - at);
  }
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace godwit::workflow
