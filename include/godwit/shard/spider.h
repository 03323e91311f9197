// The definitions of a MariaDB Spider head over a layout's shards: a server per shard, a Spider table per table, a guard trigger on each table that is
// spread out. docs/sharding.md ("A Spider head") has the facts they are made by. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/catalog/catalog.h"
#include "godwit/catalog/ddl.h"
#include "godwit/shard/layout.h"

namespace godwit::shard {

// In the order in which they are created.
enum class HeadKind : std::uint8_t { server, schema, table, trigger };
std::string_view to_string(HeadKind kind);

struct HeadObject {
  HeadKind kind = HeadKind::table;
  std::string schema;  // on the head; of a server: ""
  std::string name;    // of a schema: its own
  std::string sql;     // creates it. A server's has kPasswordPlaceholder where its password belongs
  std::size_t shard = 0;  // of a server
};
inline constexpr std::string_view kPasswordPlaceholder = "'<password>'";
std::string with_password(const std::string& sql, std::string_view password);

// What the head has for one table of the migration.
struct HeadTable {
  const catalog::Table* table = nullptr;  // as it is on the source
  catalog::TargetClauses clauses;         // schema and name: those on the head
  struct Place {
    std::string schema;
    std::string name;
  };
  std::vector<Place> places;  // on each shard
};

struct HeadRequest {
  std::string workflow;
  std::string user;                        // as whom the head logs in on the shards; "": as whom the shard's DSN does
  std::vector<std::string> schema_sql;     // CREATE DATABASE IF NOT EXISTS, for each schema of the head
  std::vector<std::string> schemas;        // their names
  std::vector<HeadTable> tables;
};

// Throws Error(not_servable) for what has no Spider form, Error(table_unplaced) and Error(shard_key_unsuitable) as Route.
std::vector<HeadObject> spider_head(const Layout& layout, const HeadRequest& request);

// What the head's own settings must be, without which its sessions meet errors, or wait.
struct HeadSetting {
  std::string_view name;
  std::string_view value;
  std::string_view because;
};
std::span<const HeadSetting> spider_settings();

}  // namespace godwit::shard
