#include "godwit/shard/spider.h"

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>

#include "godwit/sql/quote.h"
#include "godwit/util/error.h"
#include "godwit/util/text.h"
#include "spider_keys.h"

namespace godwit::shard {
namespace {

constexpr std::size_t kNameCharactersMax = 64;  // of any name of a MariaDB server
constexpr std::size_t kMessageCharactersMax = 128;
constexpr std::string_view kServerPrefix = "godwit_";
constexpr std::string_view kGuardPrefix = "_godwit_key_";

constexpr std::array<HeadSetting, 3> kSettings{{
    {"spider_conn_recycle_mode", "1", "else each transaction connects to its shards anew"},
    {"spider_ping_interval_at_trx_start", "0", "else the first transaction after a shard's restart, in each of its connections, fails"},
    {"spider_use_cond_other_than_pk_for_update", "0", "else a row is looked for by all its values, of which some compare with nothing"},
}};

std::string quoted(const catalog::Table& table) { return sql::quote_table(table.schema, table.name); }

[[noreturn]] void refuse(std::string object, std::string cause, std::string remedy) {
  throw Error(Code::not_servable, {.object = std::move(object), .cause = std::move(cause), .remedy = std::move(remedy)});
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }));
}

// The name itself, or a stand-in of it where it would be too long.
std::string fitting_name(std::string_view prefix, const std::string& name) {
  if (characters(prefix) + characters(name) <= kNameCharactersMax) return std::string(prefix) + name;
  return fmt::format("{}{:016x}", prefix, XXH64(name.data(), name.size(), 0));
}

std::string server_name(const HeadRequest& request, std::size_t shard) { return fitting_name(kServerPrefix, fmt::format("{}_{}", request.workflow, shard)); }

HeadObject server(const HeadRequest& request, const Layout& layout, std::size_t number) {
  const db::Dsn& dsn = layout.shards[number].dsn;
  const std::string name = server_name(request, number);
  const std::string user = request.user.empty() ? dsn.user : request.user;
  // With the host localhost the client library takes the socket.
  const std::string way = dsn.socket.empty() ? fmt::format("HOST {}, PORT {}", sql::quote_string(dsn.host), dsn.port) : fmt::format("HOST 'localhost', SOCKET {}", sql::quote_string(dsn.socket));
  return {.kind = HeadKind::server,
          .name = name,
          .sql = fmt::format("CREATE OR REPLACE SERVER {} FOREIGN DATA WRAPPER mysql OPTIONS ({}, USER {}, PASSWORD {})", sql::quote_identifier(name), way, sql::quote_string(user), kPasswordPlaceholder),
          .shard = number};
}

// Lists in a comment are divided by spaces, and end with a quote.
const std::string& plain(const std::string& name, const catalog::Table& table) {
  if (name.find_first_of("\"'\\ \t,") == std::string::npos) return name;
  refuse(quoted(table), fmt::format("Spider has no way to write the name {}", name), "--map it to a name without quotes, spaces, commas and backslashes");
}

// Of one link or several: a value for each. Spider goes without TLS where it has no authority's certificate.
void add_tls(std::string& text, std::span<const Shard> shards) {
  const auto add = [&](std::string_view name, std::string db::Dsn::*file) {
    std::vector<std::string> values;
    for (const Shard& shard : shards) {
      if (!(shard.dsn.*file).empty()) values.push_back(shard.dsn.*file);
    }
    if (values.empty()) return;
    if (values.size() != shards.size()) refuse("--shard " + to_string(shards.front().range), fmt::format("some shards have {}, and others none: a reference table needs it for all or none", name), "the same TLS for all shards");
    text += fmt::format(R"(, {} "{}")", name, join(values, " "));
  };
  add("ssl_ca", &db::Dsn::ssl_ca);
  add("ssl_cert", &db::Dsn::ssl_cert);
  add("ssl_key", &db::Dsn::ssl_key);
  if (std::ranges::any_of(shards, [](const Shard& shard) { return shard.dsn.ssl_mode == db::SslMode::verify_identity; })) {
    text += fmt::format(R"(, ssl_verify_server_cert "{}")", join(std::vector<std::string>(shards.size(), "1"), " "));
  }
}

void require_tls(const Layout& layout) {
  for (const Shard& shard : layout.shards) {
    const bool is_demanded = shard.dsn.ssl_mode != db::SslMode::disabled && shard.dsn.ssl_mode != db::SslMode::preferred;
    if (is_demanded && shard.dsn.ssl_ca.empty()) refuse("--shard " + to_string(shard.range), fmt::format("its ssl-mode is {}, and Spider connects without TLS where it has no ssl-ca", db::to_string(shard.dsn.ssl_mode)), "ssl-ca=… in the DSN, a file on the head");
  }
}

// Where the rows are: of one shard, or of all of them at once (every write goes to each, reads to the first).
std::string link(const Layout& layout, const HeadRequest& request, const HeadTable& table, std::size_t first, std::size_t count) {
  std::vector<std::string> servers;
  std::vector<std::string> schemas;
  std::vector<std::string> names;
  for (std::size_t i = first; i < first + count; ++i) {
    servers.push_back(plain(server_name(request, i), *table.table));
    schemas.push_back(plain(table.places[i].schema, *table.table));
    names.push_back(plain(table.places[i].name, *table.table));
  }
  std::string text = fmt::format(R"(srv "{}", database "{}", table "{}")", join(servers, " "), join(schemas, " "), join(names, " "));
  add_tls(text, std::span(layout.shards).subspan(first, count));
  return text;
}

// Numbers are handed out by the head: those of the shards would be the same on each of them.
std::string comment(std::string_view rest) { return sql::quote_string(fmt::format(R"(wrapper "mysql", auto_increment_mode "1"{})", rest)); }

std::string values_of(const Scheme& scheme, std::size_t partition) {
  if (scheme.kind == SchemeKind::hash) return "";
  if (scheme.kind == SchemeKind::range) {
    const auto& bound = scheme.less_than[partition];
    return bound ? fmt::format(" VALUES LESS THAN ({})", to_string(*bound)) : " VALUES LESS THAN MAXVALUE";
  }
  if (scheme.default_partition == partition) return " DEFAULT";
  std::vector<std::string> members;
  if (scheme.null_partition == partition) members.emplace_back("NULL");
  for (const auto& [member, place] : scheme.members) {
    if (place == partition) members.push_back(to_string(member));
  }
  return fmt::format(" VALUES IN ({})", join(members, ", "));
}

std::string_view word_of(SchemeKind kind) {
  switch (kind) {
    case SchemeKind::hash: return "HASH";
    case SchemeKind::range: return "RANGE";
    case SchemeKind::list: return "LIST";
  }
  return "";
}

std::string partitions(const Layout& layout, const HeadRequest& request, const HeadTable& table, const Scheme& scheme) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < layout.shards.size(); ++i) {
    parts.push_back(fmt::format("  PARTITION {}{} COMMENT = {}", sql::quote_identifier(to_string(layout.shards[i].range)), values_of(scheme, i), sql::quote_string(link(layout, request, table, i, 1))));
  }
  return fmt::format("\nPARTITION BY {} ({}) (\n{}\n)", word_of(scheme.kind), sql::quote_identifier(scheme.column), join(parts, ",\n"));
}

void require_columns(const catalog::Table& table) {
  for (const auto& column : table.columns) {
    const std::string object = quoted(table) + "." + sql::quote_identifier(column.name);
    if (column.generated != catalog::Generated::no) refuse(object, "Spider sends a value for every column, and the shards refuse one for a generated column", "a plain column that the application fills, or a vtgate");
    if (column.data_type == "float") refuse(object, "Spider writes FLOAT through a function that no shard has, and with six digits", "ALTER TABLE … MODIFY it to DOUBLE on the source, or a vtgate");
  }
}

// nullptr: its rows are not spread out.
const Scheme* scheme_of(const Layout& layout, const catalog::Table& table) {
  const Placement* placement = find_placement(layout, table.schema, table.name);
  if (placement == nullptr) return nullptr;
  switch (placement->kind) {
    case PlacementKind::vindex:
      refuse(quoted(table), fmt::format("a Spider head finds rows by MariaDB's partitioning, and knows nothing of {}", placement->flag), "--partition for this table, or a vtgate (godwit shard vschema)");
    case PlacementKind::partition: return &placement->scheme;
    case PlacementKind::reference:
    case PlacementKind::unsharded: return nullptr;
  }
  return nullptr;
}

HeadObject head_table(const Layout& layout, const HeadRequest& request, const HeadTable& table) {
  const Scheme* scheme = scheme_of(layout, *table.table);
  const Placement* placement = find_placement(layout, table.table->schema, table.table->name);
  const bool is_everywhere = placement != nullptr && placement->kind == PlacementKind::reference;
  std::vector<std::string> clauses = table.clauses.columns;
  for (auto& key : head_keys(*table.table, scheme == nullptr ? "" : scheme->column)) clauses.push_back(std::move(key));
  clauses.insert(clauses.end(), table.clauses.fulltext_keys.begin(), table.clauses.fulltext_keys.end());
  clauses.insert(clauses.end(), table.clauses.checks.begin(), table.clauses.checks.end());
  const std::string whole = scheme != nullptr ? "" : ", " + link(layout, request, table, 0, is_everywhere ? layout.shards.size() : 1);
  return {.kind = HeadKind::table,
          .schema = table.clauses.schema,
          .name = table.clauses.name,
          .sql = fmt::format("CREATE TABLE {} (\n  {}\n) ENGINE=SPIDER {} COMMENT={}{}", sql::quote_table(table.clauses.schema, table.clauses.name), join(clauses, ",\n  "), table.clauses.charset,
                             comment(whole), scheme == nullptr ? "" : partitions(layout, request, table, *scheme))};
}

// Spider would move a changed row to its new shard as a delete and an insert, which no stream and no unique key can take for one row.
HeadObject guard(const HeadTable& table, const Scheme& scheme) {
  const std::string name = fitting_name(kGuardPrefix, table.clauses.name);
  const std::string column = sql::quote_identifier(scheme.column);
  std::string message = fmt::format("godwit: the shard key {} of {} cannot be changed", scheme.column, table.clauses.name);
  if (characters(message) > kMessageCharactersMax) message = "godwit: the shard key of a row cannot be changed";
  return {.kind = HeadKind::trigger,
          .schema = table.clauses.schema,
          .name = name,
          .sql = fmt::format("CREATE TRIGGER {} BEFORE UPDATE ON {} FOR EACH ROW IF NOT (NEW.{} <=> OLD.{}) THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1644, MESSAGE_TEXT = {}; END IF",
                             sql::quote_table(table.clauses.schema, name), sql::quote_table(table.clauses.schema, table.clauses.name), column, column, sql::quote_string(message))};
}

}  // namespace

std::string_view to_string(HeadKind kind) {
  switch (kind) {
    case HeadKind::server: return "server";
    case HeadKind::schema: return "schema";
    case HeadKind::table: return "table";
    case HeadKind::trigger: return "trigger";
  }
  return "";
}

std::string with_password(const std::string& sql, std::string_view password) {
  const auto at = sql.rfind(kPasswordPlaceholder);
  GODWIT_CHECK(at != std::string::npos);
  return std::string(sql).replace(at, kPasswordPlaceholder.size(), sql::quote_string(password));
}

std::vector<HeadObject> spider_head(const Layout& layout, const HeadRequest& request) {
  require_tls(layout);
  std::vector<HeadObject> objects;
  for (std::size_t i = 0; i < layout.shards.size(); ++i) objects.push_back(server(request, layout, i));
  for (std::size_t i = 0; i < request.schemas.size(); ++i) objects.push_back({.kind = HeadKind::schema, .schema = request.schemas[i], .name = request.schemas[i], .sql = request.schema_sql[i]});
  for (const HeadTable& table : request.tables) {
    GODWIT_CHECK(table.places.size() == layout.shards.size());
    const Route route(layout, *table.table);  // refuses what cannot be a key
    require_columns(*table.table);
    objects.push_back(head_table(layout, request, table));
  }
  for (const HeadTable& table : request.tables) {
    if (const Scheme* scheme = scheme_of(layout, *table.table)) objects.push_back(guard(table, *scheme));
  }
  return objects;
}

std::span<const HeadSetting> spider_settings() { return kSettings; }

}  // namespace godwit::shard
