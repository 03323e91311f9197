#include "godwit/workflow/head.h"

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <set>

#include "godwit/db/privileges.h"
#include "godwit/shard/spider.h"
#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/log.h"
#include "head_record.h"
#include "preparation.h"
#include "godwit/workflow/shards.h"

namespace godwit::workflow {
namespace {

constexpr db::Version kVersionMin{.major = 10, .minor = 11, .patch = 0};  // whose Spider docs/sharding.md is about

void require_shards(const Definition& definition) {
  if (is_sharded(definition)) return;
  throw Error(Code::bad_usage, {.object = "workflow " + definition.name, .cause = "its target is no shards: nothing needs a head", .remedy = "--shard RANGE=DSN for each shard"});
}

const db::Dsn& serve_of(const Definition& definition) {
  if (definition.serve) return *definition.serve;
  throw Error(Code::bad_usage, {.object = "--serve", .cause = "it is not given", .remedy = "--serve mysql://user@host:port/schema of the server that is to be the head"});
}

// As if the head were the one target: its schema has the tables' names.
Definition on_head(const Definition& definition) {
  Definition head = definition;
  head.shards.clear();
  head.shard_targets.clear();
  if (!definition.serve) return head;
  head.target = *definition.serve;
  if (head.target.schema.empty()) head.target.schema = definition.target.schema;
  return head;
}

// No writer may be kept out by anything but what fences the head itself.
db::Connection open_head(const Definition& definition) {
  Definition head = on_head(definition);
  head.target = serve_of(definition);
  head.target.schema.clear();  // may be about to be created
  return db::Connection::open(target_endpoint(head));
}

std::vector<shard::HeadTable> tables_of(const Definition& definition, const Preparation& prepared) {
  std::vector<catalog::NameMap> names;
  for (const Definition& one : shard_definitions(definition)) names.push_back(names_of(one));
  std::vector<shard::HeadTable> result;
  for (const catalog::Table& table : prepared.source.tables) {
    shard::HeadTable& added = result.emplace_back(shard::HeadTable{.table = &table, .clauses = catalog::target_clauses(table, prepared.ddl)});
    for (const catalog::NameMap& map : names) {
      const auto [schema, name] = map.table(table.schema, table.name);
      added.places.push_back({.schema = schema, .name = name});
    }
  }
  return result;
}

void add_schemas(shard::HeadRequest& request, const Preparation& prepared) {
  std::set<std::string> known;
  for (const catalog::Table& table : prepared.source.tables) {
    const std::string name = prepared.ddl.names.schema(table.schema);
    if (!known.insert(name).second) continue;
    request.schemas.push_back(name);
    request.schema_sql.push_back(catalog::target_schema_sql(table.schema, prepared.ddl));
  }
}

bool is_object(catalog::PostCopyKind kind) { return kind == catalog::PostCopyKind::view || kind == catalog::PostCopyKind::procedure || kind == catalog::PostCopyKind::function; }

std::vector<std::string> warnings_of(const Preparation& prepared, const shard::Layout& layout) {
  std::vector<std::string> warnings;
  for (const catalog::Table& table : prepared.source.tables) {
    const std::string name = sql::quote_table(table.schema, table.name);
    const shard::Placement* placement = shard::find_placement(layout, table.schema, table.name);
    const bool is_spread = placement != nullptr && placement->kind == shard::PlacementKind::partition;
    for (const auto& key : table.foreign_keys) {
      if (is_spread) warnings.push_back(fmt::format("{}: the foreign key {} is kept by each shard for itself, and not by the head: the rows that it names must be on the same shard", name, sql::quote_identifier(key.name)));
    }
    const bool has_timestamp = std::ranges::any_of(table.columns, [](const catalog::Column& column) { return column.data_type == "timestamp"; });
    if (has_timestamp) warnings.push_back(fmt::format("{}: functions of its TIMESTAMP columns are computed by the shards, in UTC: right only in sessions with time_zone = '+00:00'", name));
  }
  return warnings;
}

[[noreturn]] void unfit(const db::Connection& server, std::string cause, std::string remedy) {
  throw Error(Code::head_unfit, {.object = "head " + db::address(server.endpoint().dsn), .cause = std::move(cause), .remedy = std::move(remedy)});
}

void require_settings(db::Connection& head) {
  for (const shard::HeadSetting& setting : shard::spider_settings()) {
    const std::string value = head.scalar(fmt::format("SELECT @@GLOBAL.{}", setting.name));
    if (value == setting.value) continue;
    unfit(head, fmt::format("{} is {}: {}", setting.name, value, setting.because), fmt::format("{0} = {1} in its configuration, and SET GLOBAL {0} = {1}", setting.name, setting.value));
  }
}

void require_fit(db::Connection& head) {
  const db::Server& server = head.server();
  if (!server.is_mariadb() || server.version < kVersionMin) unfit(head, "it is " + server.version_text, "a MariaDB from 10.11 on");
  const bool has_spider = !head.query("SELECT 1 FROM information_schema.ENGINES WHERE ENGINE = 'SPIDER' AND SUPPORT IN ('YES', 'DEFAULT')").empty();
  if (!has_spider) unfit(head, "it has no storage engine SPIDER", "install mariadb-plugin-spider, and start it with plugin_load_add = ha_spider");
  require_settings(head);
}

db::Dsn login(const db::Dsn& shard, const HeadAccount& account) {
  db::Dsn dsn = shard;
  if (account.user.empty()) return dsn;
  dsn.user = account.user;
  dsn.password = account.password;
  return dsn;
}

// A shard that is fenced by read_only must keep out what comes through the head.
void require_account(const Definition& shard, const HeadAccount& account) {
  Definition seen = shard;
  seen.target = login(shard.target, account);
  db::Connection connection = db::Connection::open(target_endpoint(seen));
  const auto privileges = db::Privileges::read(connection);
  for (const std::string_view privilege : {"SUPER", "READ_ONLY ADMIN", "READ ONLY ADMIN"}) {
    if (!privileges.has_global(privilege)) continue;
    unfit(connection, fmt::format("the account {}, as whom the head is to log in, has {}: no fence would hold it", privileges.account(), privilege), "--head-user with an account that has the application's privileges, and its password in $GODWIT_HEAD_PASSWORD");
  }
}

std::string fingerprint(const HeadStatement& statement) { return fmt::format("{:016x}", XXH64(statement.sql.data(), statement.sql.size(), 0)); }

// Creates what is planned, one after the other; what could not be created for want of another (a view of a view) is tried again.
class HeadBuilder {
 public:
  HeadBuilder(const Definition& definition, const HeadAccount& account, db::Connection& head) : account_(account), shards_(shard_definitions(definition)), db_(head), record_(head, definition.name) {}

  HeadReport build(const HeadPlan& plan) {
    record_.create();
    HeadReport report{.warnings = plan.warnings};
    std::vector<HeadStatement> left = plan.statements;
    while (!left.empty()) {
      std::vector<HeadStatement> failed;
      std::optional<Error> why;
      for (const HeadStatement& statement : left) {
        const auto error = try_one(statement, report);
        if (!error) continue;
        failed.push_back(statement);
        why = error;
      }
      if (failed.size() == left.size()) throw *why;
      left = std::move(failed);
    }
    if (is_moved_) db_.execute("FLUSH TABLES");
    return report;
  }

 private:
  // What a view lacks may come in this round: another view.
  std::optional<Error> try_one(const HeadStatement& statement, HeadReport& report) {
    try {
      ensure(statement, report);
      return std::nullopt;
    } catch (const Error& error) {
      if (statement.kind != "view" || error.reaction() != Reaction::precondition || error.code() == Code::head_occupied) throw;
      return error;
    }
  }

  void ensure(const HeadStatement& statement, HeadReport& report) {
    const HeadObjectRow row{.kind = statement.kind, .schema_name = statement.schema, .object_name = statement.name, .fingerprint = fingerprint(statement)};
    const auto known = record_.find(row);
    const bool is_there = is_on_head(db_, row);
    if (!known && is_there && statement.kind == "schema") return;  // somebody else's: it stays when ours goes
    if (!known && is_there) {
      throw Error(Code::head_occupied, {.object = to_string(row), .cause = "it is on the head, and was not created for this workflow", .remedy = "look at it, and drop or rename it; or take another server for the head"});
    }
    if (is_there && known->state == "done" && known->fingerprint == row.fingerprint && is_current(statement, row)) {
      report.there.push_back(to_string(row));
      return;
    }
    record_.begin(row);
    if (statement.kind == "server") is_moved_ = is_moved_ || is_there;
    if (statement.kind != "server" && statement.kind != "schema" && !drop_from_head(db_, row)) {
      throw Error(Code::head_occupied, {.object = to_string(row), .cause = "it is no Spider table", .remedy = "look at it, and drop or rename it"});
    }
    run(statement);
    record_.finish(row);
    report.created.push_back(to_string(row));
  }

  std::string password_of(const HeadStatement& server) const { return login(shards_[server.shard].target, account_).password; }

  // A password may have changed, which no record holds; and somebody may have put a table of rows where the shards' was.
  bool is_current(const HeadStatement& statement, const HeadObjectRow& row) {
    if (statement.kind == "table") return is_spider_table(db_, row);
    if (statement.kind != "server") return true;
    return db_.scalar(fmt::format("SELECT Password FROM mysql.servers WHERE Server_name = {}", sql::quote_string(statement.name))) == password_of(statement);
  }

  void run(const HeadStatement& statement) {
    if (statement.kind == "server") {
      db_.execute_unquoted(shard::with_password(statement.sql, password_of(statement)));
      return;
    }
    const bool has_mode = !statement.sql_mode.empty();
    if (has_mode) db_.execute(fmt::format("SET @_godwit_mode = @@SESSION.sql_mode, SESSION sql_mode = {}", sql::quote_string(statement.sql_mode)));
    db_.execute(statement.sql);
    if (has_mode) db_.execute("SET SESSION sql_mode = @_godwit_mode");
  }

  const HeadAccount& account_;
  const std::vector<Definition> shards_;
  db::Connection& db_;
  HeadRecord record_;
  bool is_moved_ = false;  // a server that was there has changed
};

}  // namespace

HeadPlan plan_head(const Definition& definition, const HeadAccount& account) {
  require_shards(definition);
  const shard::Layout layout = layout_of(definition);
  const Definition head = on_head(definition);
  db::Connection source = db::Connection::open(source_endpoint(definition));
  db::Connection target = definition.serve ? open_head(definition) : db::Connection::open(target_endpoint(definition));
  const Preparation prepared = prepare(head, source, target);
  shard::make_routes(layout, prepared.source.tables);  // refuses what is said of no table
  shard::HeadRequest request{.workflow = definition.name, .user = account.user, .tables = tables_of(definition, prepared)};
  add_schemas(request, prepared);
  HeadPlan plan{.warnings = warnings_of(prepared, layout)};
  for (auto& object : shard::spider_head(layout, request)) {
    plan.statements.push_back({.kind = std::string(shard::to_string(object.kind)), .schema = object.schema, .name = object.name, .sql = std::move(object.sql), .sql_mode = "", .shard = object.shard});
  }
  for (const auto& object : prepared.objects.objects) {
    if (is_object(object.kind)) plan.statements.push_back({.kind = std::string(catalog::to_string(object.kind)), .schema = object.schema, .name = object.name, .sql = object.sql, .sql_mode = object.sql_mode});
  }
  return plan;
}

HeadReport create_head(const Definition& definition, const HeadAccount& account) {
  require_shards(definition);
  db::Connection head = open_head(definition);
  require_fit(head);
  for (const Definition& shard : shard_definitions(definition)) require_account(shard, account);
  const HeadPlan plan = plan_head(definition, account);
  return HeadBuilder(definition, account, head).build(plan);
}

std::vector<std::string> outdated_on_head(const Definition& definition) {
  std::vector<std::string> outdated;
  db::Connection head = open_head(definition);
  if (!HeadRecord::exists(head)) return outdated;
  HeadRecord record(head, definition.name);
  for (const HeadStatement& statement : plan_head(definition, {}).statements) {
    if (statement.kind != "table") continue;
    const HeadObjectRow row{.kind = statement.kind, .schema_name = statement.schema, .object_name = statement.name, .fingerprint = fingerprint(statement)};
    const auto known = record.find(row);
    if (known && known->fingerprint != row.fingerprint) outdated.push_back(to_string(row));
  }
  return outdated;
}

std::vector<std::string> drop_head(const Definition& definition) {
  std::vector<std::string> dropped;
  if (!definition.serve) return dropped;
  db::Connection head = open_head(definition);
  if (!HeadRecord::exists(head)) return dropped;
  HeadRecord record(head, definition.name);
  auto rows = record.all();
  // Servers were made first, and go last: a table without its server can still be dropped, but not looked at.
  std::ranges::reverse(rows);
  for (const HeadObjectRow& row : rows) {
    if (drop_from_head(head, row)) {
      dropped.push_back(to_string(row) + " on the head");
    } else {
      log::warning("{} on the head is left: it holds what godwit did not create", to_string(row));
    }
    record.forget(row);
  }
  record.drop_unused();
  return dropped;
}

void release_head(const Definition& definition) {
  if (!definition.serve) return;
  db::Connection head = open_head(definition);
  if (!HeadRecord::exists(head)) return;
  HeadRecord record(head, definition.name);
  record.forget_all();
  record.drop_unused();
}

void renew_head_counters(const Definition& definition) { open_head(definition).execute("FLUSH TABLES"); }

}  // namespace godwit::workflow
